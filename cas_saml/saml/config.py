"""The section of a configuration file that is ours: `saml_service_providers` of an application."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cas_saml.saml import registration
from cas_saml.saml.models import ServiceProvider
from identity import registry
from identity.configuration.plan import ACTOR as SYSTEM
from identity.configuration.plan import Plan
from identity.configuration.shapes import ConfigError, check_keys, check_list, check_text
from identity.models import Application

# What the file says, and the column, where they differ.
_SPELLINGS = {"enabled": "is_active"}
_COLUMNS = {
    **{name: name for name in registration.FIELDS if name not in ("metadata_valid_until", "is_active")},
    **_SPELLINGS,
}


def connect() -> None:
    """Offer the section. Called once, by `apps.ready`."""
    registry.register_config_section("saml_service_providers", apply_service_provider)


def apply_service_provider(entry: Mapping[str, Any], *, parent: Application, plan: Plan, path: str) -> None:
    """Bring one provider of the application `parent` to what the file says; it is found by its entity ID."""
    check_keys(entry, {"entity_id", "metadata", *_COLUMNS}, path)
    values: dict[str, Any] = {}
    entity_id = check_text(entry, "entity_id", path, default="")
    preferences: dict[str, Any] = {}
    if "metadata" in entry:
        given = _metadata(entry["metadata"], plan, f"{path}.metadata")
        described = registration.parse(given, entity_id=entity_id)
        entity_id, values, preferences = described.entity_id, described.trust, described.preferences
    if not entity_id:
        raise ConfigError(f"{path}.entity_id", "is missing; or give the provider's metadata.")
    values |= {
        column: _value(entry[key], key, plan, f"{path}.{key}") for key, column in _COLUMNS.items() if key in entry
    }
    provider = ServiceProvider.objects.filter(application=parent, entity_id=entity_id).first()
    subject = f"application {parent.code} SAML service provider {entity_id}"
    if provider is None:
        registration.register(
            application=parent, entity_id=entity_id, context=plan.context, actor=SYSTEM, **{**preferences, **values}
        )
        plan.created(subject)
        return
    provider.application = parent
    changes = registration.update(provider, context=plan.context, actor=SYSTEM, **values)
    plan.changed(subject, changes)


def _value(value: Any, key: str, plan: Plan, path: str) -> Any:
    """Certificates may stand in files of their own."""
    if key == "encryption_certificate":
        return _text(value, plan, path)
    if key == "signing_certificates":
        return [_text(each, plan, f"{path}[{number}]") for number, each in enumerate(check_list(value, path))]
    return value


def _metadata(value: Any, plan: Plan, path: str) -> bytes | str:
    """Read a text, or the bytes of a file, whose encoding is its own matter."""
    if isinstance(value, Mapping):
        check_keys(value, {"file"}, path)
        return plan.read_bytes(value.get("file"), f"{path}.file")
    return _text(value, plan, path)


def _text(value: Any, plan: Plan, path: str) -> str:
    """Read a text, or `{file: name}`."""
    if isinstance(value, Mapping):
        check_keys(value, {"file"}, path)
        return plan.read_text(value.get("file"), f"{path}.file")
    if not isinstance(value, str):
        raise ConfigError(path, "is neither a text nor {file: name}.")
    return value
