"""Settings of this app: `settings.OIDC_PROVIDER`, read once into a frozen dataclass.

Use `from oidc_provider.conf import conf`. What differs per client is a column, per dialect a field of the dialect;
here are the defaults and the ceilings above both.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any, cast

from django.conf import settings
from django.core.signals import setting_changed


@dataclass(frozen=True, kw_only=True)
class OIDCProviderConf:
    """Every setting of this app."""

    # Defaults, where neither the client nor its dialect says otherwise
    authorization_code_lifetime: timedelta = timedelta(seconds=60)
    access_token_lifetime: timedelta = timedelta(hours=1)
    refresh_token_lifetime: timedelta = timedelta(days=30)
    # Of id_tokens that come with a native app's sign-in (OneAccess-3.2.11.1), where the client says nothing.
    sdk_id_token_lifetime: timedelta = timedelta(hours=2)
    # How long a refresh token that was used may be used again (decision 51); zero is a value.
    refresh_token_grace: timedelta = timedelta(seconds=10)
    # Ceilings, whatever a client or dialect says. RFC6749-4.1.2 recommends ten minutes at most for codes.
    max_authorization_code_lifetime: timedelta = timedelta(minutes=10)
    max_access_token_lifetime: timedelta = timedelta(hours=24)
    # A retired key stays published a little longer than this, see identity's `retired_key_lifetime`.
    max_id_token_lifetime: timedelta = timedelta(hours=24)
    max_refresh_token_lifetime: timedelta = timedelta(days=365)
    max_refresh_token_grace: timedelta = timedelta(seconds=60)

    # How long a used code is kept after its expiry, to recognise a replay and revoke what it gave.
    spent_code_retention: timedelta = timedelta(days=1)
    # How long expired refresh tokens and those of revoked families are kept, to recognise their replay.
    expired_token_retention: timedelta = timedelta(days=1)

    # Client assertions (RFC7523): how far ahead `exp` may lie, and how far clocks may differ.
    max_assertion_lifetime: timedelta = timedelta(hours=1)
    clock_skew: timedelta = timedelta(seconds=30)
    # How often the worker fetches a client's keys from its jwks_uri, how long one call may take, how long keys are good
    # whose address does not answer any more, and how soon an unknown kid may ask again.
    jwks_cache_lifetime: timedelta = timedelta(minutes=5)
    jwks_fetch_time: timedelta = timedelta(seconds=2)
    jwks_max_age: timedelta = timedelta(hours=1)
    jwks_refetch_interval: timedelta = timedelta(seconds=30)

    # How long the secret before last is still taken after a rotation that keeps it.
    previous_secret_lifetime: timedelta = timedelta(days=1)


_FIELD_NAMES = frozenset(field.name for field in fields(OIDCProviderConf))


def unknown_settings() -> list[str]:
    """Keys of `settings.OIDC_PROVIDER` that name no field: misspelt, so they would be silently without effect."""
    return sorted(key for key in _declared() if key not in _FIELD_NAMES)


def current() -> OIDCProviderConf:
    """Return the settings in force, made on first use and again after `override_settings`."""
    global _current
    if _current is None:
        _current = OIDCProviderConf(**{key: value for key, value in _declared().items() if key in _FIELD_NAMES})
    return _current


def _declared() -> dict[str, Any]:
    return getattr(settings, "OIDC_PROVIDER", {})


_current: OIDCProviderConf | None = None


def _forget(*, setting: str, **kwargs: object) -> None:
    global _current
    if setting == "OIDC_PROVIDER":
        _current = None
        vars(conf).clear()


setting_changed.connect(_forget, dispatch_uid="oidc_provider.conf")


class _Conf:
    """Reads each field from the settings in force, once, so that a module may keep a reference."""

    def __getattr__(self, name: str) -> Any:
        return vars(self).setdefault(name, getattr(current(), name))


conf = cast(OIDCProviderConf, _Conf())
