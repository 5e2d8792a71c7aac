"""Service tickets: issue, consume once, purge (CAS-3.1.1, S44)."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone

from cas_saml import addresses
from cas_saml.cas.errors import CASError, Fault, from_domain
from cas_saml.cas.models import CASService, ServiceTicket
from cas_saml.conf import conf
from identity import audit, clocks, crypto
from identity.context import RequestContext
from identity.directory.profiles import Profile
from identity.errors import IdentityError
from identity.events import EventType
from identity.models import SSOSession, Tenant
from identity.purging import Purger
from identity.retries import retried
from identity.sso import access, sessions
from identity.statements import Select, Update, write
from identity.texts import is_storable

PROTOCOL = "cas"
PREFIX = "ST-"
_PROXY_PREFIX = "PT-"
_HASH = "service_ticket"
_SEALED = crypto.column_purpose(ServiceTicket, "session_index_sealed")
MAX_LENGTH = 256  # CAS-3.1.1 recommends that clients take as much


@dataclass(frozen=True)
class Validated:
    """Who a ticket is about, as its service may know them."""

    ticket: ServiceTicket
    service: CASService
    session: SSOSession
    user_name: str  # in the application
    profile: Profile


@retried
def issue(
    *, service: CASService, service_url: str, session: SSOSession, is_from_new_login: bool, context: RequestContext
) -> str:
    """Make a ticket for one question about this session, and return it, this once.

    service_url: the exact string that the service will send again, without what an earlier visit left in it.
    """
    # CAS-3.7: letters, digits and hyphens only; 256 bits of chance.
    ticket = f"{PREFIX}{secrets.token_hex(32)}"
    now = timezone.now()
    row = ServiceTicket(
        ticket_hash=crypto.keyed_hash(ticket, purpose=_HASH),
        tenant=session.tenant,
        service=service,
        session=session,
        service_url=service_url,
        is_from_new_login=is_from_new_login,
        created_at=now,
        expires_at=now + service.ticket_lifetime,
        epoch=session.epoch,
    )
    event = audit.describe(
        EventType.TICKET_GRANT,
        tenant=session.tenant,
        actor=session.user,
        target=service,
        application=service.application,
        client_id=service.public_id,
        dialect=PROTOCOL,
        sid=session.sid,
        context=context,
    )
    joined: dict[str, Any] = {"protocol": PROTOCOL, "client_ref": service.public_id}
    sessions.write_joined(row, event, session=session, application=service.application, **joined)
    return ticket


def consume(
    *, tenant: Tenant, ticket: str, service_url: str, renew: bool, pgt_url: str, context: RequestContext
) -> Validated:
    """Spend a ticket and say who it is about. Two statements; further ones only for what an application adds.

    renew: only a ticket from a new sign-in will do (CAS-2.5.1). pgt_url: where a proxy-granting ticket was asked to go.
    Raises CASError. Call it outside a transaction: a ticket is spent whatever comes of it.
    """
    if not ticket or not service_url:
        raise CASError(Fault.REQUEST)
    if ticket.startswith(_PROXY_PREFIX):
        raise CASError(Fault.PROXY_TICKET)
    service_url = addresses.without_leftovers(service_url)
    row = _find(tenant=tenant, ticket=ticket, service_url=service_url)
    service, session, application = row.service, row.session, row.service.application
    try:
        _check(row, service_url=service_url, renew=renew, pgt_url=pgt_url)
        access.check(session=session, application=application, epoch=row.epoch)
    except (CASError, IdentityError) as error:
        if not _SPEND.run(row.pk, timezone.now(), ""):
            raise _spent(row) from error
        if isinstance(error, IdentityError):
            raise from_domain(error, service_ref=service.public_id) from error
        raise
    event = audit.describe(
        EventType.TICKET_VALIDATE,
        tenant=tenant,
        actor=session.user,
        target=row,
        application=application,
        client_id=service.public_id,
        dialect=PROTOCOL,
        sid=session.sid,
        context=context,
    )
    if not write(event, gate=_SPEND.bind(row.pk, timezone.now(), crypto.seal(ticket, purpose=_SEALED))):
        raise _spent(row)
    profile = Profile(user=session.user, application=application)
    return Validated(ticket=row, service=service, session=session, user_name=profile.account_name, profile=profile)


def _find(*, tenant: Tenant, ticket: str, service_url: str) -> ServiceTicket:
    if len(ticket) > MAX_LENGTH or not is_storable(ticket) or not is_storable(service_url):
        raise CASError(Fault.TICKET)
    row = _UNSPENT.first(crypto.keyed_hashes(ticket, purpose=_HASH), tenant.pk)
    if row is None:
        raise CASError(Fault.TICKET)
    row.session.tenant = row.session.user.tenant = row.service.application.tenant = tenant
    return row


_UNSPENT = Select(
    lambda hashes, tenant: ServiceTicket.objects.select_related("service__application", "session__user").filter(
        ticket_hash__in=hashes, tenant=tenant, consumed_at=None
    )[:1]
)
# One conditional UPDATE decides: of a hundred questions with one ticket, one goes on (CAS-3.1.1).
_SPEND = Update(
    lambda pk, now, sealed: (
        ServiceTicket.objects.filter(pk=pk, consumed_at=None),
        {"consumed_at": now, "session_index_sealed": sealed},
    )
)


def _spent(row: ServiceTicket) -> CASError:
    return CASError(Fault.TICKET, log_detail=f"ticket={row.pk} spent", service_ref=row.service.public_id)


def _check(row: ServiceTicket, *, service_url: str, renew: bool, pgt_url: str) -> None:
    fault = None
    if clocks.is_over(row.expires_at, made_at=row.created_at, now=timezone.now()):
        fault = Fault.TICKET_EXPIRED
    elif row.service_url != service_url:
        fault = Fault.SERVICE  # S44: the exact string
    elif not row.service.is_active:
        fault = Fault.SERVICE_DISABLED
    elif renew and not row.is_from_new_login:
        fault = Fault.NOT_NEW_LOGIN
    elif pgt_url:
        # CAS-2.5.4: who asks for a proxy-granting ticket and gets none fails; no service is allowed one here.
        fault = Fault.PROXY if pgt_url.startswith("https://") else Fault.PROXY_CALLBACK
    if fault is not None:
        raise CASError(fault, log_detail=f"ticket={row.pk}", service_ref=row.service.public_id)


def close_all(session: SSOSession) -> list[ServiceTicket]:
    """Make the session's open tickets worthless, and return those whose services hold a session of their own.

    In this order, so that of a validation at the same moment one of two things is true: it is refused, or it is told.
    """
    rows = ServiceTicket.objects.filter(session=session)
    rows.filter(consumed_at=None).update(consumed_at=timezone.now())
    return list(rows.exclude(session_index_sealed="").select_related("service__application").order_by("pk"))


def session_index(row: ServiceTicket) -> str:
    """Return the name of the service's own session: the ticket that opened it (CAS-2.3.3)."""
    return crypto.unseal(row.session_index_sealed, purpose=_SEALED)


def _outdated(now: datetime) -> QuerySet[ServiceTicket]:
    before = now - conf.spent_ticket_retention
    unused = Q(session_index_sealed="", expires_at__lt=before)
    return ServiceTicket.objects.filter(unused | Q(session__ended_at__lt=before) | Q(session__expires_at__lt=before))


# Tickets that ran out unused, and those whose session is over.
purge = Purger(_outdated)
