"""What an entry of a configuration file may look like, and the place that a refusal names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from django.core.exceptions import ValidationError

from identity import registry
from identity.errors import IdentityError

# Our columns say is_…; a file says what it means.
SPELLINGS = {"is_active": "enabled", "is_internal": "internal", "is_required": "required", "is_unique": "unique"}


class ConfigError(Exception):
    """The file says something that cannot be. The text names the place and never holds a secret."""

    def __init__(self, path: str, text: str) -> None:
        super().__init__(f"{path}: {text}" if path else text)
        self.path = path
        self.applied = 0  # documents of the file that were applied before


def check_mapping(value: Any, path: str) -> Mapping[str, Any]:
    """Refuse what is not `name: value` lines."""
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise ConfigError(path, "is not a list of `name: value` lines.")
    return value


def check_list(value: Any, path: str) -> list[Any]:
    """Refuse what is not a list. Nothing at all is an empty one, as YAML reads a name without a value."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise ConfigError(path, "is not a list.")
    return value


def check_text(entry: Mapping[str, Any], name: str, path: str, *, default: str | None = None) -> str:
    """Return the text of a name that must be there, unless it has a default."""
    value = entry.get(name, default)
    if value is None:
        raise ConfigError(f"{path}.{name}", "is missing.")
    if not isinstance(value, str) or (not value and default is None):
        raise ConfigError(f"{path}.{name}", "is not a text. Write it between quotation marks.")
    return value


def check_flag(entry: Mapping[str, Any], name: str, path: str) -> bool | None:
    """Return the yes or no of a name, None when it is not there."""
    value = entry.get(name)
    if value is not None and not isinstance(value, bool):
        raise ConfigError(f"{path}.{name}", "is neither true nor false.")
    return value


def check_keys(entry: Mapping[str, Any], known: set[str], path: str) -> None:
    """Refuse names that nobody reads: a typing error would look like success."""
    unknown = sorted(set(entry) - known)
    if unknown:
        raise ConfigError(".".join(filter(None, [path, unknown[0]])), "is not known here.")


def check_sections(entry: Mapping[str, Any], known: set[str], sections: Sequence[str], path: str) -> None:
    """Refuse unknown names, and sections of apps that are not installed."""
    check_keys(entry, known | set(sections), path)
    for name in sections:
        if name in entry:
            try:
                registry.config_section(name)
            except registry.SectionNotBuilt as error:
                raise ConfigError(".".join(filter(None, [path, name])), str(error)) from error


@contextmanager
def refusals_at(path: str) -> Iterator[None]:
    """Say where in the file stands what a service refused."""
    try:
        yield
    except IdentityError as error:
        raise ConfigError(path, f"{error.error_code} {error.message}") from error
    except ValidationError as error:
        if hasattr(error, "error_dict"):
            name, texts = next(iter(error.message_dict.items()))
            place = path if name == "__all__" else f"{path}.{SPELLINGS.get(name, name)}"
            raise ConfigError(place, " ".join(texts)) from error
        raise ConfigError(path, " ".join(error.messages)) from error


def for_each(
    document: Mapping[str, Any], name: str, prefix: str, apply: Callable[[Mapping[str, Any], str], None]
) -> None:
    """Apply every entry of a list, with its place."""
    for number, entry in enumerate(check_list(document.get(name), f"{prefix}{name}")):
        path = f"{prefix}{name}[{number}]"
        with refusals_at(path):
            apply(check_mapping(entry, path), path)
