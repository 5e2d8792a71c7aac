"""Upstream identity sources of a tenant: setting them up, choosing one, asking it who somebody is."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from identity import audit, copies, crypto
from identity.context import RequestContext
from identity.copies import Copies
from identity.errors import NotAllowed, NotFound
from identity.events import EventType
from identity.federation import connectors
from identity.federation.connectors.base import Account, Connector, ExternalPerson
from identity.federation.connectors.base import ask as ask_connector
from identity.integrity import assign
from identity.models import Application, Tenant, Upstream
from identity.texts import is_storable

_SECRET = "upstream.secret"  # the rule of crypto.column_purpose
EDITABLE = (  # what operators write as it is
    "name",
    "application",
    "client_id",
    "public_key",
    "api_url",
    "authorize_url",
    "unknown_user",
    "for_apps",
    "on_sign_in_page",
    "is_in_app",
    "is_internal",
    "is_active",
)
_MASK = "***"
_on_pages: Copies[int, list[Upstream]] = Copies()  # by tenant


# Choosing --------------------------------------------------------------------------------------------------


def find_for_app(*, tenant: Tenant, kind: str, application: Application) -> Upstream | None:
    """Return the source that a phone app signs in with: the one of its own application, else the tenant's."""
    fitting = Q(application=application) | Q(application=None)
    rows = list(Upstream.objects.filter(fitting, tenant=tenant, kind=kind, for_apps=True, is_active=True))
    rows.sort(key=lambda row: row.application_id is None)
    return _of(rows[0], tenant) if rows and kind in connectors.base.connectors() else None


def list_for_page(*, tenant: Tenant, user_agent: str) -> list[Upstream]:
    """Return the sources whose buttons this browser's sign-in page shows."""
    known = [_of(row, tenant) for row in _on_page(tenant) if row.kind in connectors.base.connectors()]
    return [row for row in known if connector_of(row).is_offered(_public_account(row), user_agent=user_agent)]


def _on_page(tenant: Tenant) -> list[Upstream]:
    """Return the rows, which are remembered: whoever presses a button is judged by the row."""

    def read() -> list[Upstream]:
        return list(Upstream.objects.filter(tenant=tenant, on_sign_in_page=True, is_active=True).order_by("pk"))

    return _on_pages.get(tenant.pk, read, tenant_id=tenant.pk) or []


copies.watch(Upstream)


def get_for_page(*, tenant: Tenant, public_id: str) -> Upstream:
    """Return a source that browsers may use. Raises NotFound."""
    row = None
    if is_storable(public_id):
        row = Upstream.objects.filter(tenant=tenant, public_id=public_id, on_sign_in_page=True, is_active=True).first()
    if row is None or row.kind not in connectors.base.connectors():
        raise NotFound("PARAM.0014", log_detail="upstream")
    return _of(row, tenant)


def connector_of(upstream: Upstream) -> Connector:
    """Return the connector that speaks this source's protocol."""
    return connectors.base.connectors()[upstream.kind]


def namespace_of(upstream: Upstream) -> str:
    """Within what this source's subjects name one person."""
    return connector_of(upstream).namespace(_public_account(upstream))


def label_of(upstream: Upstream) -> str:
    """Return what people read on the button."""
    return upstream.name or str(connector_of(upstream).label)


# Asking ----------------------------------------------------------------------------------------------------


def authorization_url(upstream: Upstream, *, redirect_uri: str, state: str) -> str:
    """Return where a browser is sent, to come back to `redirect_uri` with `state`."""
    return connector_of(upstream).authorization_url(_public_account(upstream), redirect_uri=redirect_uri, state=state)


def ask(upstream: Upstream, *, authorization_code: str) -> ExternalPerson:
    """Exchange a code for a person. It waits for the provider, so never inside a transaction.

    Raises ExternalCodeRefused (PARAM.0011, PARAM.0012) and, within three seconds, SystemBusy (COM.0002).
    """
    return ask_connector(connector_of(upstream), account_of(upstream), authorization_code=authorization_code)


def account_of(upstream: Upstream) -> Account:
    """Return the row as connectors take it, with the secret."""
    secret = crypto.unseal(upstream.secret_sealed, purpose=_SECRET) if upstream.secret_sealed else ""
    return _account(upstream, secret=secret)


def _public_account(upstream: Upstream) -> Account:
    return _account(upstream, secret="")


def _account(upstream: Upstream, *, secret: str) -> Account:
    return Account(
        client_id=upstream.client_id,
        secret=secret,
        public_key=upstream.public_key,
        api_url=upstream.api_url,
        authorize_url=upstream.authorize_url,
        is_in_app=upstream.is_in_app,
        is_internal=upstream.is_internal,
        share=f"tenant:{upstream.tenant_id}",
    )


def _of(row: Upstream, tenant: Tenant) -> Upstream:
    row.tenant = tenant
    return row


# Setting up ------------------------------------------------------------------------------------------------


def find(*, tenant: Tenant, kind: str, client_id: str) -> Upstream | None:
    """Return the source with this application id."""
    return Upstream.objects.filter(tenant=tenant, kind=kind, client_id=client_id).first()


def create(
    *, tenant: Tenant, kind: str, secret: str, context: RequestContext, actor: Any = None, **values: Any
) -> Upstream:
    """Add a source. Raises ValidationError."""
    row = Upstream(tenant=tenant, kind=kind)
    _set(row, values, secret=secret)
    with transaction.atomic():
        row.save(force_insert=True)
        audit.record(
            EventType.UPSTREAM_CREATE,
            tenant=tenant,
            actor=actor,
            target=row,
            context=context,
            details={"kind": kind, "client_id": row.client_id},
        )
    return row


def update(
    *, upstream: Upstream, context: RequestContext, secret: str = "", actor: Any = None, **values: Any
) -> dict[str, list[Any]]:
    """Change what is given; an empty secret leaves the old one. Tell what changed. Raises ValidationError."""
    with transaction.atomic():
        row = Upstream.objects.select_for_update(of=("self",), no_key=True).select_related("tenant").get(pk=upstream.pk)
        changes = _set(row, values, secret=secret)
        if changes:
            row.save()
            audit.record(
                EventType.UPSTREAM_UPDATE,
                tenant=row.tenant,
                actor=actor,
                target=row,
                context=context,
                changes={name: [str(before), str(after)] for name, (before, after) in changes.items()},
            )
    upstream.refresh_from_db()
    return changes


def delete(*, upstream: Upstream, context: RequestContext, actor: Any = None) -> None:
    """Take a source away. The links of people stay: another source of the same provider may still know them."""
    with transaction.atomic():
        audit.record(
            EventType.UPSTREAM_DELETE,
            tenant=upstream.tenant,
            actor=actor,
            target=upstream,
            context=context,
            details={"kind": upstream.kind, "client_id": upstream.client_id},
        )
        upstream.delete()


def _set(row: Upstream, values: dict[str, Any], *, secret: str) -> dict[str, list[Any]]:
    unknown = set(values) - set(EDITABLE)
    if unknown:
        raise NotAllowed(log_detail=f"upstream columns {sorted(unknown)}")
    if row.kind not in connectors.base.connectors():
        raise ValidationError({"kind": _("There is no such kind of source.")})
    application = values.get("application")
    if application is not None and application.tenant_id != row.tenant_id:
        raise ValidationError({"application": _("These rows belong to different tenants.")})
    changes = assign(row, values)
    kept = crypto.unseal(row.secret_sealed, purpose=_SECRET) if row.secret_sealed else ""
    try:
        connector_of(row).check(_account(row, secret=secret or kept))
    except ValueError as error:
        raise ValidationError(str(error)) from None
    if secret and secret != kept:
        row.secret_sealed = crypto.seal(secret, purpose=_SECRET)
        changes["secret"] = [_MASK if kept else "", _MASK]
    return changes
