"""System checks of this app's settings. Codes are stable: oidc_provider.E… stops the start.

E001 unknown key, E002 not a positive timedelta, E003 a default above its ceiling, E004 id_tokens that outlive the
published keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from datetime import timedelta
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Error, register

from identity.conf import conf as identity_conf
from oidc_provider.conf import current, unknown_settings

_CEILINGS = {
    "authorization_code_lifetime": "max_authorization_code_lifetime",
    "access_token_lifetime": "max_access_token_lifetime",
    "refresh_token_lifetime": "max_refresh_token_lifetime",
}


@register
def check_settings(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Judge settings.OIDC_PROVIDER."""
    found: list[CheckMessage] = [
        Error(f"OIDC_PROVIDER has no setting {name!r}.", id="oidc_provider.E001") for name in unknown_settings()
    ]
    conf = current()
    wrong = [
        field.name
        for field in fields(conf)
        if not isinstance(getattr(conf, field.name), timedelta) or getattr(conf, field.name) <= timedelta(0)
    ]
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
