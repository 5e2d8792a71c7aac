"""SSO tickets: hand a session's user over to another application, once (OneAccess-3.2.10).

A ticket is for one application's back end and for the device of the session. It tells who the user is, and it never
opens a session or sets a cookie (decision 23).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from identity import audit, clocks, crypto, policies
from identity.conf import conf
from identity.context import RequestContext
from identity.directory.profiles import Profile
from identity.errors import AccessDenied, CredentialsRefused, IdentityError
from identity.events import EventType
from identity.models import Application, SSOSession, SSOTicket, Tenant
from identity.purging import Purger
from identity.retries import retried
from identity.sso import access, devices, sessions
from identity.statements import write

__all__ = ["PROTOCOL", "REFUSED", "Redeemed", "issue", "purge", "redeem"]

PREFIX = "ssoTicket-"  # D12
PROTOCOL = "sdk_ticket"  # of the participant that tells where the session was used; it gives no right over the session
REFUSED = "PARAM.0032"
_HASH = "sso_ticket"


@dataclass(frozen=True)
class Redeemed:
    """Who a ticket is about, as the application may know them."""

    session: SSOSession
    profile: Profile


@retried
def issue(
    *, session: SSOSession, application: Application, client_id: str, holder: Application, context: RequestContext
) -> tuple[str, timedelta]:
    """Make a ticket by which the application's back end learns who is signed in; return it with its lifetime.

    client_id: the registration for which it was asked. holder: the application that opened the session and asks; for
    another one it is noted that the session was used there. Only the hash of the ticket is kept.
    Raises ApplicationDisabled, and AccessDenied where the user may not use the application, or has not proved enough
    factors for it (S28).
    """
    check_sufficient(session=session, application=application)
    ticket = f"{PREFIX}{crypto.new_handle()}"
    now = timezone.now()
    lifetime = timedelta(seconds=policies.session_policy(session.tenant).sso_ticket_seconds)
    lifetime = min(lifetime, session.expires_at - now)
    with transaction.atomic():
        row = SSOTicket.objects.create(
            ticket_hash=crypto.keyed_hash(ticket, purpose=_HASH),
            tenant=session.tenant,
            session=session,
            application=application,
            client_id=client_id,
            device_index=session.device_index,
            created_at=now,
            expires_at=now + lifetime,
            epoch=session.epoch,
        )
        event = audit.describe(
            EventType.TICKET_GRANT,
            tenant=session.tenant,
            actor=session.user,
            target=row,
            application=application,
            client_id=client_id,
            dialect=PROTOCOL,
            sid=session.sid,
            context=context,
        )
        if application.pk == holder.pk:
            write(event)
        else:
            joined: dict[str, Any] = {"protocol": PROTOCOL, "client_ref": client_id}
            sessions.write_joined(event, session=session, application=application, **joined)
    return ticket, lifetime


def redeem(
    *, ticket: str, fingerprint: str, tenant: Tenant, application: Application, context: RequestContext
) -> Redeemed:
    """Spend a ticket and say who it is about. Two statements; further ones only for what an application adds.

    application: whose back end asks. Call it outside a transaction: a ticket is spent whatever comes of it.
    Raises CredentialsRefused (PARAM.0032), whatever is wrong.
    """
    row = _spend(ticket, tenant=tenant)
    session = row.session
    session.tenant = session.user.tenant = application.tenant = tenant
    index = devices.index_of(fingerprint, tenant=tenant)
    if clocks.is_over(row.expires_at, made_at=row.created_at, now=timezone.now()):
        raise _refused(row, "expired")
    if row.application_id != application.pk:
        raise _refused(row, "of another application")  # S9
    if not row.device_index or not crypto.constant_time_equal(row.device_index, index):
        raise _refused(row, "of another device")
    try:
        check_sufficient(session=session, application=application, epoch=row.epoch)
    except IdentityError as error:
        raise _refused(row, error.log_detail or error.error_code) from error
    profile = Profile(user=session.user, application=application)
    audit.record(
        EventType.TICKET_VALIDATE,
        tenant=tenant,
        actor=session.user,
        target=row,
        application=application,
        client_id=row.client_id,
        dialect=PROTOCOL,
        sid=session.sid,
        context=context,
    )
    return Redeemed(session=session, profile=profile)


def check_sufficient(*, session: SSOSession, application: Application, epoch: int | None = None) -> None:
    """Check that the session's user may use the application with the factors proved so far (S28).

    epoch: of the ticket, where there is one. Raises as `access.check` does, and AccessDenied for a factor that is
    missing: an app's back end has no page to ask for it.
    """
    if not access.admits(session=session, application=application, epoch=epoch):
        raise AccessDenied(log_detail=f"session={session.pk} application={application.pk} needs another factor")


# Tickets that ran out some time ago.
purge = Purger(lambda now: SSOTicket.objects.filter(expires_at__lt=now - conf.spent_ticket_retention), by="expires_at")


def _spend(ticket: str, *, tenant: Tenant) -> SSOTicket:
    """One conditional UPDATE decides: of a hundred questions with one ticket, one goes on."""
    hashes = crypto.keyed_hashes(ticket, purpose=_HASH)
    rows = SSOTicket.objects.filter(ticket_hash__in=hashes, tenant=tenant)
    if not rows.filter(consumed_at=None).update(consumed_at=timezone.now()):
        raise CredentialsRefused(REFUSED, log_detail="ticket unknown or spent")
    return rows.select_related("session__user").get()


def _refused(row: SSOTicket, why: str) -> CredentialsRefused:
    return CredentialsRefused(REFUSED, log_detail=f"ticket={row.pk} {why}")
