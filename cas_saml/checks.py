"""System checks of this app's settings. Codes are stable: cas_saml.E… stops the start.

E001 unknown key, E002 not a positive timedelta, E003 a default above its ceiling, E004 a ceiling above five minutes,
E005 a message may come again when its ID is forgotten, E006 assertions that live longer than five minutes.
cas_saml.W001 warns of a CAS service that may do without TLS, with `check --deploy --database default`.
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

from cas_saml.cas.models import CASService
from cas_saml.conf import current, unknown_settings
from identity import pending_requests

_CEILING = timedelta(minutes=5)


@register
def check_settings(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Judge settings.CAS_SAML."""
    found: list[CheckMessage] = [
        Error(f"CAS_SAML has no setting {name!r}.", id="cas_saml.E001") for name in unknown_settings()
    ]
    conf = current()
    wrong = [
        field.name
        for field in fields(conf)
        if not isinstance(getattr(conf, field.name), timedelta) or getattr(conf, field.name) <= timedelta(0)
    ]
    found += [Error(f"CAS_SAML[{name!r}] is not a positive timedelta.", id="cas_saml.E002") for name in wrong]
    if wrong:
        return found
    if conf.service_ticket_lifetime > conf.max_service_ticket_lifetime:
        text = "CAS_SAML['service_ticket_lifetime'] is above 'max_service_ticket_lifetime'."
        found.append(Error(text, id="cas_saml.E003"))
    if conf.max_service_ticket_lifetime > _CEILING:
        # CAS-3.1.1
        found.append(Error("CAS_SAML['max_service_ticket_lifetime'] is above five minutes.", id="cas_saml.E004"))
    # A request may wait for its user for as long as parked requests do, at most twice: to sign in and to step up.
    if conf.saml_message_memory < conf.saml_message_lifetime + conf.saml_clock_skew + 2 * pending_requests.LIFETIME:
        text = "CAS_SAML['saml_message_memory'] is shorter than a request may wait."
        found.append(Error(text, id="cas_saml.E005"))
    if conf.saml_assertion_lifetime > _CEILING:
        # OneAccess-3.3.3.1, x-saml-response
        found.append(Error("CAS_SAML['saml_assertion_lifetime'] is above five minutes.", id="cas_saml.E006"))
    return found


@register(Tags.database, deploy=True)
def check_plain_http(
    app_configs: Sequence[AppConfig] | None, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Name the CAS services whose tickets travel without TLS (decision 55), so that none is forgotten."""
    if "default" not in (databases or ()):
        return []
    if CASService._meta.db_table not in connections["default"].introspection.table_names():
        return []  # Not migrated yet, so there is nobody to name.
    rows = CASService.objects.filter(is_active=True, allows_plain_http=True).order_by("public_id")
    return [
        checks.Warning(f"CAS service {row.public_id} may do without TLS.", id="cas_saml.W001")
        for row in rows.only("public_id")
    ]
