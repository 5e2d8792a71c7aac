"""The section of a configuration file that is ours: `cas_services` of an application."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from cas_saml.cas.models import CASService
from identity import registry
from identity.configuration import ACTOR, Plan, check_keys, check_text
from identity.events import EventType
from identity.models import Application
from identity.services import audit

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
    service = CASService.objects.filter(application=parent, url=url).first()
    is_new = service is None
    row = service or CASService(application=parent, url=url)
    row.application = parent
    before = {key: getattr(row, column) for key, column in _COLUMNS.items()}
    for key, column in _COLUMNS.items():
        if key in entry:
            setattr(row, column, entry[key])
    row.full_clean()
    changes = {
        key: [before[key], getattr(row, column)]
        for key, column in _COLUMNS.items()
        if before[key] != getattr(row, column)
    }
    if not is_new and not changes:
        return
    with transaction.atomic():
        row.save()
        audit.record(
            EventType.ADMIN_CHANGE,
            tenant=parent.tenant,
            actor=ACTOR,
            target=row,
            application=parent,
            context=plan.context,
            changes={"url": ["", url], **changes} if is_new else changes,
        )
    subject = f"application {parent.code} CAS service {url}"
    if is_new:
        plan.created(subject)
    else:
        plan.changed(subject, changes)
