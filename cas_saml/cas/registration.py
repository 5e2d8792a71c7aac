"""Register CAS services and change their registrations: judged, written and audited in one transaction."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from cas_saml.cas.models import CASService
from identity import audit
from identity.context import RequestContext
from identity.events import EventType
from identity.integrity import assign
from identity.models import Application
from identity.retries import retried

# What may be changed of a registration. Its application is its identity (S37).
FIELDS = (
    "url",
    "match",
    "ticket_lifetime_seconds",
    "attributes",
    "single_logout",
    "logout_url",
    "allows_plain_http",
    "is_active",
)


def register(
    *, application: Application, url: str, context: RequestContext, actor: Any = None, **values: Any
) -> CASService:
    """Register a service. Raises ValidationError by field."""
    _refuse_unknown(values)
    row = CASService(application=application)
    changes = assign(row, {"url": url, **values})
    with transaction.atomic():
        row.save(force_insert=True)
        _record(row, {"url": ["", url], **changes}, context=context, actor=actor)
    return row


@retried
def update(service: CASService, *, context: RequestContext, actor: Any = None, **values: Any) -> dict[str, list[Any]]:
    """Change a registration; return what changed, as column to [before, after]. Raises ValidationError by field."""
    _refuse_unknown(values)
    with transaction.atomic():
        rows = CASService.objects.select_related("application__tenant")
        row = rows.select_for_update(of=("self",), no_key=True).get(pk=service.pk)
        changes = assign(row, values)
        if changes:
            row.save()
            _record(row, changes, context=context, actor=actor)
    return changes


def remove(service: CASService, *, context: RequestContext, actor: Any = None) -> None:
    """Take a registration away, with its tickets."""
    gone = {name: [getattr(service, name), None] for name in FIELDS}
    with transaction.atomic():
        _record(service, gone, context=context, actor=actor)
        service.delete()


def _refuse_unknown(values: dict[str, Any]) -> None:
    if unknown := sorted(set(values) - set(FIELDS)):
        raise ValidationError(_("Not an attribute of a CAS service: %(names)s.") % {"names": ", ".join(unknown)})


def _record(row: CASService, changes: dict[str, list[Any]], *, context: RequestContext, actor: Any) -> None:
    audit.record(
        EventType.ADMIN_CHANGE,
        tenant=row.application.tenant,
        actor=actor,
        target=row,
        application=row.application,
        context=context,
        changes=changes,
    )
