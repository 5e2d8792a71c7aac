"""`upstreams` in a configuration file: a tenant's sources beside its own passwords (docs/upstreams.md)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from identity.configuration.plan import ACTOR, Plan
from identity.configuration.shapes import ConfigError, check_flag, check_keys, check_text
from identity.directory import lists
from identity.federation import upstreams
from identity.models import Tenant
from identity.registry import register_config_section

_TEXTS = ("name", "api_url", "authorize_url", "unknown_user")
# Our columns say is_…; a file says what it means.
_FLAGS = {
    "for_apps": "for_apps",
    "on_sign_in_page": "on_sign_in_page",
    "in_app": "is_in_app",
    "internal": "is_internal",
    "enabled": "is_active",
}
_KEYS = {"kind", "client_id", "secret", "public_key", "application", *_TEXTS, *_FLAGS}


def apply(entry: Mapping[str, Any], *, parent: Tenant, plan: Plan, path: str) -> None:
    """Bring one source to what the file says; it is known by its kind and its id at the provider."""
    check_keys(entry, _KEYS, path)
    kind, client_id = check_text(entry, "kind", path), check_text(entry, "client_id", path)
    values: dict[str, Any] = {name: check_text(entry, name, path, default="") for name in _TEXTS if name in entry}
    values |= {column: flag for name, column in _FLAGS.items() if (flag := check_flag(entry, name, path)) is not None}
    if "public_key" in entry:
        values["public_key"] = plan.secret(entry["public_key"], f"{path}.public_key")
    if "application" in entry:
        values["application"] = _application(entry, parent, path)
    secret = plan.secret(entry["secret"], f"{path}.secret") if "secret" in entry else ""
    subject = f"upstream {kind} {client_id}"
    upstream = upstreams.find(tenant=parent, kind=kind, client_id=client_id)
    if upstream is None:
        values["client_id"] = client_id
        upstreams.create(tenant=parent, kind=kind, secret=secret, context=plan.context, actor=ACTOR, **values)
        plan.created(subject)
        return
    changes = upstreams.update(upstream=upstream, secret=secret, context=plan.context, actor=ACTOR, **values)
    spellings = {column: name for name, column in _FLAGS.items()}
    shown = {spellings.get(name, name): [str(before), str(after)] for name, (before, after) in changes.items()}
    plan.changed(subject, shown)


def _application(entry: Mapping[str, Any], tenant: Tenant, path: str) -> Any:
    code = check_text(entry, "application", path, default="")
    if not code:
        return None
    application = lists.find_application(tenant=tenant, code=code)
    if application is None:
        raise ConfigError(f"{path}.application", f'There is no application "{code}".')
    return application


register_config_section("upstreams", apply)
