"""One run over one file: what it changes, the secrets that it reads, and the sections that other apps understand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from identity import registry
from identity.configuration.shapes import ConfigError, check_keys, for_each
from identity.context import RequestContext

ACTOR = "system"
# Sections of apps, and where they stand. One whose app is not installed is refused by its name.
TENANT_SECTIONS = ("message_gateways", "message_templates", "api_scopes")
# They name clients or applications, so they come after these.
LATE_TENANT_SECTIONS = ("host_applications", "upstreams")
APPLICATION_SECTIONS = ("clients", "cas_services", "saml_service_providers")


class SectionHandler(Protocol):
    """What an app registers for its section: bring one entry of the list to what the file says."""

    def __call__(self, entry: Mapping[str, Any], *, parent: Any, plan: Plan, path: str) -> None:
        """Apply one entry.

        parent: the Tenant or the Application in which the section stands. path: the entry's place, for refusals.
        Raises ConfigError; ValidationError and IdentityError are given the path by the caller.
        """


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is, or in a dry run would be, different."""

    subject: str  # for example `application wiki`
    is_new: bool
    details: Mapping[str, Sequence[Any]] = field(default_factory=dict)  # attribute to [before, after]

    def lines(self) -> list[str]:
        """For people. Values arrive masked where they are personal or secret."""
        if self.is_new:
            return [f"+ {self.subject}"]
        return [f"~ {self.subject}: {name}: {pair[0]!r} -> {pair[1]!r}" for name, pair in self.details.items()]


@dataclass
class Plan:
    """One run over one file: where it stands, who it is for, what it changed so far."""

    base_dir: Path  # file names in the file are relative to its own directory
    changes: list[Change] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    context: RequestContext = field(default_factory=lambda: RequestContext(tenant=None, user_agent="apply_config"))

    def created(self, subject: str) -> None:
        """Note that something is new."""
        self.changes.append(Change(subject, is_new=True))

    def changed(self, subject: str, details: Mapping[str, Sequence[Any]]) -> None:
        """Note what is different; nothing when nothing is."""
        if details:
            self.changes.append(Change(subject, is_new=False, details=details))

    def secret(self, value: Any, path: str) -> str:
        """Read a secret: a text, or `{file: name}` for one that stands alone in a file of its own."""
        if isinstance(value, Mapping):
            check_keys(value, {"file"}, path)
            value = self.read_text(value.get("file"), f"{path}.file").strip("\r\n")
        if not isinstance(value, str) or not value:
            raise ConfigError(path, "is not a text. Write it between quotation marks, or as {file: name}.")
        return value

    def read_text(self, name: Any, path: str) -> str:
        """Read a file in UTF-8 that the configuration names."""
        try:
            return self.read_bytes(name, path).decode()
        except UnicodeDecodeError as error:
            raise ConfigError(path, f"cannot be read: {type(error).__name__}.") from error

    def read_bytes(self, name: Any, path: str) -> bytes:
        """Read a file that the configuration names, as bytes."""
        if not isinstance(name, str) or not name:
            raise ConfigError(path, "is not the name of a file.")
        try:
            return (self.base_dir / name).read_bytes()
        except OSError as error:
            raise ConfigError(path, f"cannot be read: {type(error).__name__}.") from error


def apply_registered(entry: Mapping[str, Any], names: Sequence[str], prefix: str, *, parent: Any, plan: Plan) -> None:
    """Hand every entry of these sections to the app that registered the section."""
    for name in names:
        if name not in entry:
            continue
        handler: SectionHandler = registry.config_section(name)

        def apply(part: Mapping[str, Any], path: str, handler: SectionHandler = handler) -> None:
            handler(part, parent=parent, plan=plan, path=path)

        for_each(entry, name, prefix, apply)
