"""The application catalogue (decision 7)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from identity import audit
from identity.context import RequestContext
from identity.directory import lockouts
from identity.errors import NotFound
from identity.events import EventType
from identity.integrity import assign
from identity.models import Application, ApplicationAccess, MFAMode, Tenant
from identity.retries import retried
from identity.texts import is_storable

_EDITABLE = (
    "name",
    "description",
    "logo_url",
    "home_url",
    "access",
    "is_internal",
    "skip_consent",
    "mfa_mode",
    "has_organizations",
    "has_roles",
    "is_active",
)


# The catalogue ---------------------------------------------------------------------------------------------


def get(*, tenant: Tenant, public_id: str) -> Application:
    """Return the application with that id. Raises NotFound: APP.0002 for an empty id, else APP.0001 (decision 44)."""
    if not public_id:
        raise NotFound("APP.0002")
    rows = Application.objects.filter(tenant=tenant, public_id=public_id)
    application = rows.first() if is_storable(public_id) else None
    if application is None:
        raise NotFound("APP.0001", log_detail="no such application in this tenant")
    application.tenant = tenant
    return application


def create(
    *,
    tenant: Tenant,
    context: RequestContext,
    code: str,
    actor: Any = None,
    accept_lockout: bool = False,
    **values: Any,
) -> Application:
    """Add an application to the catalogue. Raises django's ValidationError, as only operators do this.

    accept_lockout: a second factor is demanded of people who have none, too (see `lockouts`).
    """
    _refuse_unknown(values)
    application = Application(tenant=tenant, code=code, **{"name": code, **values})
    application.full_clean()
    if application.access == ApplicationAccess.EVERYONE or application.mfa_mode == MFAMode.IF_ENROLLED:
        lockouts.check_mode(application.mfa_mode, before="", tenant=tenant, is_accepted=accept_lockout)
    with transaction.atomic():
        application.save()
        audit.record(
            EventType.APPLICATION_CREATE,
            tenant=tenant,
            actor=actor,
            target=application,
            application=application,
            context=context,
            changes={name: ["", value] for name, value in {"code": code, **values}.items()},
        )
    return application


@retried
def update(
    *,
    application: Application,
    context: RequestContext,
    actor: Any = None,
    accept_lockout: bool = False,
    **values: Any,
) -> dict[str, list[Any]]:
    """Change an application and tell what changed, as column to [before, after]. Raises django's ValidationError.

    accept_lockout: as in `create`.
    """
    _refuse_unknown({name: value for name, value in values.items() if name != "code"})
    with transaction.atomic():
        row = (
            Application.objects.select_related("tenant")
            .select_for_update(of=("self",), no_key=True)
            .get(pk=application.pk)
        )
        changes = assign(row, values)
        if "mfa_mode" in changes:
            mode, before = row.mfa_mode, changes["mfa_mode"][0]
            lockouts.check_mode(mode, before=before, tenant=row.tenant, application=row, is_accepted=accept_lockout)
        if changes:
            row.save()
            audit.record(
                EventType.APPLICATION_UPDATE,
                tenant=row.tenant,
                actor=actor,
                target=row,
                application=row,
                context=context,
                changes=changes,
            )
    for name in values:
        setattr(application, name, getattr(row, name))
    return changes


def enable(*, application: Application, context: RequestContext, actor: Any = None) -> None:
    """Let people sign in to the application again."""
    update(application=application, context=context, actor=actor, is_active=True)


def disable(*, application: Application, context: RequestContext, actor: Any = None) -> None:
    """Keep everybody out of the application; grants of it are refused from now on (S26)."""
    update(application=application, context=context, actor=actor, is_active=False)


def _refuse_unknown(values: Mapping[str, Any]) -> None:
    unknown = sorted(set(values) - set(_EDITABLE))
    if unknown:
        raise ValidationError(_("Not an attribute of an application: %(names)s."), params={"names": ", ".join(unknown)})
