"""The password once more, before something sensitive."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from identity import audit, crypto
from identity.conf import conf
from identity.context import RequestContext
from identity.errors import CredentialsRefused, StateInvalid
from identity.events import EventType
from identity.models import SSOSession
from identity.sign_in import authentication
from identity.sso import sessions


def confirm_password(*, session: SSOSession, password: str, context: RequestContext) -> str:
    """Prove the password again before something sensitive; return the session's new handle (S27).

    Raises CredentialsRefused, AccountLocked, TooManyRequests.
    """
    try:
        authentication.check_password_of(session.user, password=password, context=context)
    except CredentialsRefused as error:
        audit.record(
            EventType.SESSION_CONFIRM,
            tenant=session.tenant,
            actor=session.user,
            target=session,
            sid=session.sid,
            context=context,
            outcome="refused",
            reason=error.error_code,
        )
        raise
    now = timezone.now()
    handle = crypto.new_handle()
    with transaction.atomic():
        updated = SSOSession.objects.filter(pk=session.pk, ended_at=None).update(
            password_confirmed_at=now, handle_hash=crypto.hash_handle(handle, purpose=sessions.HANDLE)
        )
        if not updated:
            raise StateInvalid(log_detail=f"session={session.pk} ended")
        audit.record(
            EventType.SESSION_CONFIRM,
            tenant=session.tenant,
            actor=session.user,
            target=session,
            sid=session.sid,
            context=context,
        )
    session.password_confirmed_at = now
    return handle


def is_recently_confirmed(session: SSOSession, *, with_grace: bool = False) -> bool:
    """Return whether the password was confirmed within the time that operators are given for sensitive actions.

    with_grace: for a form that was opened in time.
    """
    confirmed_at = session.password_confirmed_at
    lifetime = conf.password_confirmation_lifetime
    if with_grace:
        lifetime += conf.password_confirmation_grace
    return confirmed_at is not None and timezone.now() - confirmed_at < lifetime


def is_fresh(session: SSOSession) -> bool:
    """Return whether the person was proved within that time: by the password again, or by the whole sign-in."""
    is_new = timezone.now() - session.authenticated_at < conf.password_confirmation_lifetime
    return is_new or is_recently_confirmed(session)
