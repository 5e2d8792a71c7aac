"""Settings of this app: `settings.TENANT_API`, read once into a frozen dataclass.

Use `from tenant_api.conf import conf`. What differs per client is a column of the client.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import timedelta
from functools import lru_cache
from typing import Any, cast

from django.conf import settings
from django.core.signals import setting_changed


@dataclass(frozen=True, kw_only=True)
class TenantAPIConf:
    """Every setting of this app."""

    # How long an access token lives where the client has no lifetime of its own (OneAccess-3.1.2.1).
    token_lifetime: timedelta = timedelta(minutes=30)


_FIELD_NAMES = frozenset(field.name for field in fields(TenantAPIConf))


def unknown_settings() -> list[str]:
    """Return the keys of `settings.TENANT_API` that name no field: a misspelt one would silently do nothing."""
    return sorted(key for key in _declared() if key not in _FIELD_NAMES)


@lru_cache(maxsize=1)
def current() -> TenantAPIConf:
    """Return the settings in force. They are made on first use and again after `override_settings`."""
    return TenantAPIConf(**{key: value for key, value in _declared().items() if key in _FIELD_NAMES})


def _declared() -> dict[str, Any]:
    return getattr(settings, "TENANT_API", {})


def _forget(*, setting: str, **kwargs: object) -> None:
    if setting == "TENANT_API":
        current.cache_clear()


setting_changed.connect(_forget, dispatch_uid="tenant_api.conf")


class _Conf:
    """Reads each field from the settings in force, so that a module may keep a reference."""

    def __getattr__(self, name: str) -> Any:
        return getattr(current(), name)


conf = cast(TenantAPIConf, _Conf())
