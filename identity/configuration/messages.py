"""Sections `message_gateways` and `message_templates` of a configuration file (docs/config.md)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from identity.configuration.plan import ACTOR, Plan
from identity.configuration.shapes import ConfigError, check_flag, check_keys, check_mapping, check_text
from identity.messaging import gateways
from identity.models import MessageGateway, Tenant
from identity.registry import register_config_section

_GATEWAY_KEYS = {"name", "channel", "kind", "position", "address", "settings", "secret", "internal", "enabled"}
_TEMPLATE_KEYS = {"channel", "purpose", "language", "subject", "text"}


def apply_gateway(entry: Mapping[str, Any], *, parent: Tenant, plan: Plan, path: str) -> None:
    """Bring one gateway, found by its name, to what the file says. Whoever applies files answers for all tenants."""
    check_keys(entry, _GATEWAY_KEYS, path)
    name, channel = check_text(entry, "name", path), check_text(entry, "channel", path)
    kind = check_text(entry, "kind", path)
    row = MessageGateway.objects.filter(tenant=parent, name=name).first()
    is_new = row is None
    if row is None:
        row = gateways.create(tenant=parent, channel=channel, kind=kind, name=name, context=plan.context, actor=ACTOR)
    for column, wanted in (("channel", channel), ("kind", kind)):
        if getattr(row, column) != wanted:
            raise ConfigError(f"{path}.{column}", "cannot be changed: make another gateway, and switch this one off.")
    values: dict[str, Any] = {"is_active": check_flag(entry, "enabled", path) is not False}
    if "internal" in entry:
        values["is_internal"] = check_flag(entry, "internal", path)
    if "address" in entry:
        values["base_url"] = check_text(entry, "address", path, default="")
    if "position" in entry:
        values["position"] = entry["position"]
    changes = gateways.update(
        gateway=row,
        context=plan.context,
        actor=ACTOR,
        settings=check_mapping(entry["settings"], f"{path}.settings") if "settings" in entry else None,
        secret=plan.secret(entry["secret"], f"{path}.secret") if "secret" in entry else None,
        may_be_internal=True,
        **values,
    )
    if is_new:
        plan.created(f"message gateway {name}")
    else:
        plan.changed(f"message gateway {name}", changes)


def apply_template(entry: Mapping[str, Any], *, parent: Tenant, plan: Plan, path: str) -> None:
    """Set one text."""
    check_keys(entry, _TEMPLATE_KEYS, path)
    row, changes = gateways.set_template(
        tenant=parent,
        channel=check_text(entry, "channel", path),
        purpose=check_text(entry, "purpose", path),
        language=check_text(entry, "language", path),
        subject=check_text(entry, "subject", path, default=""),
        text=check_text(entry, "text", path),
        context=plan.context,
        actor=ACTOR,
    )
    if changes and not changes.get("text", ["x"])[0]:
        plan.created(f"message template {row}")
    else:
        plan.changed(f"message template {row}", changes)


register_config_section("message_gateways", apply_gateway)
register_config_section("message_templates", apply_template)
