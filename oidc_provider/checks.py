"""System checks of this app's settings. Codes are stable: oidc_provider.E… stops the start.

E001 unknown key, E002 not a positive timedelta, E003 a default above its ceiling, E004 id_tokens that outlive the
published keys. oidc_provider.W001 warns of a client that is flagged for less safety, with
`check --deploy --database default`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from datetime import timedelta
from typing import Any

from django.apps import AppConfig
from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connections

from identity.conf import conf as identity_conf
from oidc_provider.conf import current, unknown_settings
from oidc_provider.models import LOWERING_FLAGS, Client

W001 = "oidc_provider.W001"
_CEILINGS = {
    "authorization_code_lifetime": "max_authorization_code_lifetime",
    "access_token_lifetime": "max_access_token_lifetime",
    "refresh_token_lifetime": "max_refresh_token_lifetime",
    "refresh_token_grace": "max_refresh_token_grace",
}
_MAY_BE_ZERO = frozenset({"refresh_token_grace"})


@register
def check_settings(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Judge settings.OIDC_PROVIDER."""
    found: list[CheckMessage] = [
        Error(f"OIDC_PROVIDER has no setting {name!r}.", id="oidc_provider.E001") for name in unknown_settings()
    ]
    conf = current()
    wrong = [field.name for field in fields(conf) if not _is_duration(field.name, getattr(conf, field.name))]
    found += [Error(f"OIDC_PROVIDER[{name!r}] is not a positive timedelta.", id="oidc_provider.E002") for name in wrong]
    if wrong:
        return found
    found += [
        Error(f"OIDC_PROVIDER[{name!r}] is above {ceiling!r}.", id="oidc_provider.E003")
        for name, ceiling in _CEILINGS.items()
        if getattr(conf, name) > getattr(conf, ceiling)
    ]
    if conf.max_id_token_lifetime >= identity_conf.retired_key_lifetime:
        text = "OIDC_PROVIDER['max_id_token_lifetime'] must be below IDENTITY['retired_key_lifetime']."
        found.append(Error(text, id="oidc_provider.E004"))
    return found


def _is_duration(name: str, value: object) -> bool:
    least = timedelta(0) if name in _MAY_BE_ZERO else timedelta(microseconds=1)
    return isinstance(value, timedelta) and value >= least


@register(Tags.database, deploy=True)
def check_lowered_defences(
    app_configs: Sequence[AppConfig] | None, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Name the clients whose flags lower a defence (docs/dialects/README.md), so that none is forgotten."""
    if "default" not in (databases or ()):
        return []
    if Client._meta.db_table not in connections["default"].introspection.table_names():
        return []  # Not migrated yet, so there is nobody to name.
    rows = Client.objects.filter(is_active=True).exclude(flags={})
    return [
        checks.Warning(f"Client {client.client_id} has the flag {name!r}, which lowers a defence.", id=W001)
        for client in rows.order_by("client_id")
        for name in sorted(LOWERING_FLAGS)
        if client.has_flag(name)
    ]
