"""The tenant of a configuration file: itself, its policies and the attributes that it defines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from identity import policies
from identity.configuration.plan import ACTOR, Plan
from identity.configuration.shapes import (
    SPELLINGS,
    ConfigError,
    check_flag,
    check_keys,
    check_list,
    check_mapping,
    check_text,
    refusals_at,
)
from identity.directory import attributes, tenants
from identity.models import Tenant

TENANT_KEYS = (
    "name",
    "logo_url",
    "time_zone",
    "language",
    "localize_errors",
    "allow_registration",
    "encrypt_captcha",
    "id_token_signed_response_alg",
)
DEFINITION_KEYS = ("label", "type", "choices", "pattern", "editable_by", "position")
DEFINITION_FLAGS = {"required": "is_required", "unique": "is_unique"}


def tenant_entry(entry: Any, path: str) -> Mapping[str, Any]:
    """Read a tenant that is only named as one with nothing to say of it."""
    return check_mapping({"code": entry} if isinstance(entry, str) else entry, path)


def apply_tenant(entry: Any, plan: Plan, path: str) -> Tenant:
    """Bring the tenant, found by its code, and its policies to what the file says."""
    entry = tenant_entry(entry, path)
    check_keys(
        entry,
        {"code", "enabled", "domains", "default", "password_policy", "session_policy", "message_policy", *TENANT_KEYS},
        path,
    )
    code = check_text(entry, "code", path)
    values = {name: entry[name] for name in TENANT_KEYS if name in entry}
    is_enabled = check_flag(entry, "enabled", path)
    if is_enabled is not None:
        values["is_active"] = is_enabled
    is_default = check_flag(entry, "default", path)
    domains = check_list(entry["domains"], f"{path}.domains") if "domains" in entry else None
    if not all(isinstance(host, str) for host in domains or []):
        raise ConfigError(f"{path}.domains", "is not a list of host names.")
    with refusals_at(path):
        tenant = tenants.find_by_code(code)
        if tenant is None:
            tenant = tenants.create(
                code=code,
                context=plan.context,
                actor=ACTOR,
                domains=domains or [],
                is_default=(code == "default" or bool(is_default)) and tenants.find_default() is None,
                **values,
            )
            plan.created(f"tenant {code}")
        else:
            changes = tenants.update(tenant=tenant, context=plan.context, actor=ACTOR, domains=domains, **values)
            spelled = {SPELLINGS.get(name, name): pair for name, pair in changes.items()}
            plan.changed(f"tenant {code}", spelled)
    if not tenant.domains.exists():
        plan.warnings.append(
            f"tenant {code} has no domain: only APIs on the shared host reach it, and loopback in development."
        )
    if is_default is not None and is_default != tenant.is_default:
        raise ConfigError(f"{path}.default", "cannot be changed: another tenant, or this one, is the default.")
    _apply_policies(entry, tenant, plan, path)
    return tenant


def _apply_policies(entry: Mapping[str, Any], tenant: Tenant, plan: Plan, path: str) -> None:
    for name, policy in (
        ("password_policy", policies.password_policy(tenant)),
        ("session_policy", policies.session_policy(tenant)),
        ("message_policy", policies.message_policy(tenant)),
    ):
        if name not in entry:
            continue
        place = f"{path}.{name}"
        values = dict(check_mapping(entry[name], place))
        own = {"accept_lockout"} if name == "session_policy" else set()
        check_keys(values, own | {column.name for column in policy._meta.fields} - {"id", "tenant"}, place)
        accepted = bool(check_flag(values, "accept_lockout", place))
        values.pop("accept_lockout", None)
        with refusals_at(place):
            changes = tenants.update_policy(
                policy=policy, context=plan.context, actor=ACTOR, accept_lockout=accepted, **values
            )
            plan.changed(f"tenant {tenant.code} {name}", changes)


def apply_attribute(tenant: Tenant, plan: Plan, entry: Mapping[str, Any], path: str) -> None:
    """Bring the definition of an attribute, found by its name, to what the file says."""
    check_keys(entry, {"name", *DEFINITION_KEYS, *DEFINITION_FLAGS}, path)
    name = check_text(entry, "name", path)
    values = {key: entry[key] for key in DEFINITION_KEYS if key in entry}
    values |= {column: entry[key] for key, column in DEFINITION_FLAGS.items() if key in entry}
    _definition, is_new, changes = attributes.define(
        tenant=tenant, name=name, context=plan.context, actor=ACTOR, **values
    )
    if is_new:
        plan.created(f"attribute {name}")
        return
    plan.changed(f"attribute {name}", changes)
