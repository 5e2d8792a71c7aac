"""Settings of this app: `settings.CAS_SAML`, read once into a frozen dataclass.

Use `from cas_saml.conf import conf`. What differs per service is a column; here are the default and the ceiling.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import timedelta
from functools import lru_cache
from typing import Any, cast

from django.conf import settings
from django.core.signals import setting_changed


@dataclass(frozen=True, kw_only=True)
class CASSAMLConf:
    """Every setting of this app."""

    # Decision 37. CAS-3.1.1 recommends five minutes at most.
    service_ticket_lifetime: timedelta = timedelta(seconds=10)
    max_service_ticket_lifetime: timedelta = timedelta(minutes=5)
    # How long a ticket that nobody may use any more is kept.
    spent_ticket_retention: timedelta = timedelta(hours=1)

    # SAML: how old a message may be when it arrives, and how far ahead of ours its sender's clock may be.
    saml_message_lifetime: timedelta = timedelta(minutes=10)
    saml_clock_skew: timedelta = timedelta(minutes=3)
    # How long the ID of a message that was taken is remembered: longer than one may wait here for its user.
    saml_message_memory: timedelta = timedelta(hours=24)
    # How long an assertion may be used after it was made.
    saml_assertion_lifetime: timedelta = timedelta(minutes=5)
    # How long a browser is given to tell a provider of a sign-out before we try to do it without.
    saml_front_channel_wait: timedelta = timedelta(minutes=2)
    # What a provider was told of a session is kept this long after it ended, for logout requests that are sent late.
    saml_session_retention: timedelta = timedelta(days=30)
    # Operators are warned this long before a provider's certificate or metadata expires.
    saml_expiry_warning: timedelta = timedelta(days=30)


_FIELD_NAMES = frozenset(field.name for field in fields(CASSAMLConf))


def unknown_settings() -> list[str]:
    """Return the keys of `settings.CAS_SAML` that name no field: a misspelt one would silently do nothing."""
    return sorted(key for key in _declared() if key not in _FIELD_NAMES)


@lru_cache(maxsize=1)
def current() -> CASSAMLConf:
    """Return the settings in force. They are made on first use and again after `override_settings`."""
    return CASSAMLConf(**{key: value for key, value in _declared().items() if key in _FIELD_NAMES})


def _declared() -> dict[str, Any]:
    return getattr(settings, "CAS_SAML", {})


def _forget(*, setting: str, **kwargs: object) -> None:
    if setting == "CAS_SAML":
        current.cache_clear()


setting_changed.connect(_forget, dispatch_uid="cas_saml.conf")


class _Conf:
    """Reads each field from the settings in force, so that a module may keep a reference."""

    def __getattr__(self, name: str) -> Any:
        return getattr(current(), name)


conf = cast(CASSAMLConf, _Conf())
