"""The section of a configuration file that is ours: `cas_services` of an application."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cas_saml.cas import registration
from cas_saml.cas.models import CASService
from identity import registry
from identity.configuration.plan import ACTOR, Plan
from identity.configuration.shapes import check_keys, check_text
from identity.models import Application

# What the file says, and the column.
_COLUMNS = {
    "match": "match",
    "ticket_lifetime_seconds": "ticket_lifetime_seconds",
    "attributes": "attributes",
    "single_logout": "single_logout",
    "logout_url": "logout_url",
    "allows_plain_http": "allows_plain_http",
    "enabled": "is_active",
}


def connect() -> None:
    """Offer the section. Called once, by `apps.ready`."""
    registry.register_config_section("cas_services", apply_cas_service)


def apply_cas_service(entry: Mapping[str, Any], *, parent: Application, plan: Plan, path: str) -> None:
    """Bring one CAS service of the application `parent` to what the file says; its address is what it is found by."""
    check_keys(entry, {"url", *_COLUMNS}, path)
    url = check_text(entry, "url", path)
    values = {column: entry[key] for key, column in _COLUMNS.items() if key in entry}
    service = CASService.objects.filter(application=parent, url=url).first()
    subject = f"application {parent.code} CAS service {url}"
    if service is None:
        registration.register(application=parent, url=url, context=plan.context, actor=ACTOR, **values)
        plan.created(subject)
        return
    changes = registration.update(service, context=plan.context, actor=ACTOR, **values)
    spellings = {column: key for key, column in _COLUMNS.items()}
    plan.changed(subject, {spellings[column]: pair for column, pair in changes.items()})
