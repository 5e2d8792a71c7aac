"""The one gate: may this person act, in this session, at this application, now (S26).

Asked at sign-in, at the redemption of a code or ticket, at refresh, introspection and userinfo. Nothing is remembered
from an earlier answer: users and sessions are read from the database (decision 22).
"""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from identity import assurance
from identity.context import RequestContext
from identity.errors import AccountDisabled, ApplicationDisabled, StateInvalid
from identity.models import Application, MFADevice, MFAMode, SSOSession, User
from identity.services import sessions
from identity.signals import user_disabled


def check_usable(
    *,
    user: User,
    session: SSOSession | None = None,
    application: Application | None = None,
    granted_at: datetime | None = None,
    is_offline: bool = False,
) -> None:
    """Check that a grant still counts.

    granted_at: when the token or ticket was made; one older than the end of all the user's tokens is dead.
    is_offline: the grant outlives its session (decision 14), so the session is not asked.
    Raises AccountDisabled, ApplicationDisabled, or StateInvalid where session or grant have ended.
    """
    if not user.is_usable:
        raise AccountDisabled(log_detail=f"user={user.pk}")
    if application is not None and not application.is_active:
        raise ApplicationDisabled(log_detail=f"application={application.pk}")
    valid_after = user.tokens_valid_after
    if granted_at is not None and valid_after is not None and granted_at < valid_after:
        raise StateInvalid(log_detail=f"user={user.pk} ended all tokens")
    if session is not None and not is_offline and not sessions.is_usable(session):
        raise StateInvalid(log_detail=f"session={session.pk} ended")


def is_usable(
    *,
    user: User,
    session: SSOSession | None = None,
    application: Application | None = None,
    granted_at: datetime | None = None,
    is_offline: bool = False,
) -> bool:
    """Return what `check_usable` would say."""
    try:
        check_usable(user=user, session=session, application=application, granted_at=granted_at, is_offline=is_offline)
    except (AccountDisabled, ApplicationDisabled, StateInvalid):
        return False
    return True


def mfa_mode(*, user: User, application: Application | None) -> MFAMode:
    """Return when a second factor is asked for: the application's rule, else the tenant's (decision 21)."""
    chosen = application.mfa_mode if application is not None else ""
    return MFAMode(chosen or sessions.policy_of(user.tenant).mfa_mode)


def needs_second_factor(*, user: User, application: Application | None, required_acr: str = "") -> bool:
    """Return whether this sign-in takes two factors. One query, and only where the mode is "if enrolled"."""
    if required_acr == assurance.MULTI_FACTOR:
        return True
    mode = mfa_mode(user=user, application=application)
    if mode == MFAMode.IF_ENROLLED:
        return MFADevice.objects.filter(user=user).exclude(confirmed_at=None).exists()
    return mode == MFAMode.ALWAYS


def is_sufficient(*, session: SSOSession, application: Application | None, required_acr: str = "") -> bool:
    """Return whether the factors recorded for the session are enough here (S28)."""
    acr = assurance.acr_of(session.amr)
    if not assurance.satisfies(acr, required_acr):
        return False
    if acr == assurance.MULTI_FACTOR:
        return True
    return not needs_second_factor(user=session.user, application=application)


def revoke_everything(*, user: User, reason: str, context: RequestContext, actor: object = None) -> None:
    """End all of a user's sessions and tokens at once (decision 14).

    reason: of SessionEndReason. Protocols hear of it twice, for each session and once for the user.
    """
    with transaction.atomic():
        user.tokens_valid_after = timezone.now()
        User.objects.filter(pk=user.pk).update(tokens_valid_after=user.tokens_valid_after)
        sessions.end_all(user, reason=reason, context=context, actor=actor)
        user_disabled.send(sender=User, user=user)
