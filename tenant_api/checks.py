"""System checks of this app's settings. Codes are stable: tenant_api.E… stops the start.

E001 unknown key, E002 not a positive timedelta.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from datetime import timedelta
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Error, register

from tenant_api.conf import current, unknown_settings


@register
def check_settings(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Judge settings.TENANT_API."""
    found: list[CheckMessage] = [
        Error(f"TENANT_API has no setting {name!r}.", id="tenant_api.E001") for name in unknown_settings()
    ]
    for field in fields(current()):
        value = getattr(current(), field.name)
        if not isinstance(value, timedelta) or value <= timedelta(0):
            found.append(Error(f"TENANT_API[{field.name!r}] is not a positive timedelta.", id="tenant_api.E002"))
    return found
