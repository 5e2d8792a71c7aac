"""The one gate: may this person act, in this session, at this application, on this grant, now (S26, S49).

Asked at sign-in, at the redemption of a code or ticket, at refresh, introspection, userinfo and by the SDK API. `check`
asks all of it, and `admits` asks beside it whether more factors are needed; nothing else puts the questions together.
Nothing is remembered from an earlier answer: users, sessions and accounts are read from the database (decision 22).
"""

from __future__ import annotations

from django.db import transaction
from django.db.models import F

from identity import assurance, authority, policies
from identity.authority import Change
from identity.context import RequestContext
from identity.errors import AccessDenied, AccountDisabled, ApplicationDisabled, StateInvalid
from identity.models import (
    AppAccount,
    Application,
    ApplicationAccess,
    MFAMode,
    SessionEndReason,
    SSOSession,
    User,
)
from identity.retries import retried
from identity.signals import user_disabled
from identity.sso import sessions, trusted_devices
from identity.statements import Select


def check(
    *,
    application: Application | None,
    session: SSOSession | None = None,
    user: User | None = None,
    epoch: int | None = None,
    is_offline: bool = False,
) -> None:
    """Check that the person may act at the application, and that session and grant still count.

    application: None is this server's own pages. session: what the grant was made in, None where it had none or its row
    was purged. user: the person, where no session says it. epoch: of the code, token or ticket; one of another epoch
    than the person's is dead, and no clock is asked (S48). is_offline: the grant outlives its session (decision 14),
    unless that was ended from elsewhere.
    No query, except one for an application that is open to its accounts only.
    Raises AccountDisabled, ApplicationDisabled, StateInvalid where session or grant have ended, and AccessDenied for a
    person of another tenant or without an enabled account there.
    """
    if user is None:
        if session is None:
            raise TypeError("The gate is asked for somebody: by a session, or by the user.")
        user = session.user
    if not user.is_usable:
        raise AccountDisabled(log_detail=f"user={user.pk}")
    if application is not None and not application.is_active:
        raise ApplicationDisabled(log_detail=f"application={application.pk}")
    if epoch is not None and epoch != user.epoch:
        raise StateInvalid(log_detail=f"user={user.pk} is in epoch {user.epoch}, the grant in {epoch}")
    if session is not None and not (session.leaves_offline_grants if is_offline else session.is_usable):
        raise StateInvalid(log_detail=f"session={session.pk} ended")
    if application is not None:
        check_application(application=application, user=user)


def check_application(*, application: Application, user: User) -> None:
    """Check that the person may use the application. One query, and none for an application open to everyone.

    It is one part of the gate: ask `check`, which also asks for person, session and grant.
    Raises ApplicationDisabled, and AccessDenied for a person of another tenant or without an enabled account.
    """
    if not application.is_active:
        raise ApplicationDisabled(log_detail=f"application={application.pk}")
    # S36: open to everyone means everyone of the tenant.
    if user.tenant_id != application.tenant_id:
        raise AccessDenied(log_detail=f"user={user.pk} application={application.pk} of another tenant")
    if application.access == ApplicationAccess.EVERYONE:
        return
    if _ACCOUNT.first(application.pk, user.pk) is None:
        raise AccessDenied(log_detail=f"user={user.pk} application={application.pk}")


_ACCOUNT = Select(
    lambda application, user: AppAccount.objects.filter(application=application, user=user, is_active=True)[:1]
)


def admits(*, session: SSOSession, application: Application, epoch: int | None = None, required_acr: str = "") -> bool:
    """Check as above, and return whether the factors proved in the session are enough (S28).

    Where they are not, one more factor would help, so that is no refusal. Raises as `check` does.
    """
    check(session=session, application=application, epoch=epoch)
    return is_sufficient(session=session, application=application, required_acr=required_acr)


def mfa_mode(*, user: User, application: Application | None) -> MFAMode:
    """Return when a second factor is asked for: the application's rule, else the tenant's (decision 21)."""
    chosen = application.mfa_mode if application is not None else ""
    return MFAMode(chosen or policies.session_policy(user.tenant).mfa_mode)


def required_level(*, user: User, application: Application | None, required_acr: str = "") -> str:
    """Return the level of assurance that this person needs here, "" for none: the highest that anything asks for.

    required_acr: what the request asks for.
    """
    mode = mfa_mode(user=user, application=application)
    level = ""
    if mode == MFAMode.PHISHING_RESISTANT:
        level = assurance.PHISHING_RESISTANT
    elif (
        mode == MFAMode.ALWAYS
        or needs_own_factor(user)
        or (mode == MFAMode.IF_ENROLLED and (user.factor_kinds or user.factor_required))
    ):
        level = assurance.MULTI_FACTOR
    return assurance.strongest(level, required_acr)


def needs_own_factor(user: User) -> bool:
    """Return whether the person is an operator, of whom the tenant demands a factor that no gateway carries."""
    return policies.session_policy(user.tenant).operators_need_own_factor and authority.is_privileged(user)


def is_sufficient(*, session: SSOSession, application: Application | None, required_acr: str = "") -> bool:
    """Return whether the factors recorded for the session are enough here (S28)."""
    acr, user = assurance.acr_of(session.amr), session.user
    if assurance.satisfies(acr, required_level(user=user, application=application, required_acr=required_acr)):
        return True
    if session.device_trusted and trusts_browsers(user=user, application=application, required_acr=required_acr):
        return True
    # Grace is the tenant's to give, and no request's: what one asks for is still to be proved.
    is_in_grace = session.factor_skipped and not (user.factor_kinds or needs_own_factor(user))
    return is_in_grace and assurance.satisfies(acr, required_acr)


def trusts_browsers(*, user: User, application: Application | None, required_acr: str = "") -> bool:
    """Return whether a browser that its person trusts may stand in for the second factor here.

    It stands in for what a policy asks of everybody, `always` or `if_enrolled`, and for nothing that a request demands.
    """
    if not trusted_devices.days_of(user) or not assurance.satisfies(assurance.SINGLE_FACTOR, required_acr):
        return False
    return required_level(user=user, application=application) == assurance.MULTI_FACTOR


@retried
def revoke_everything(*, user: User, reason: str, context: RequestContext, actor: object = None) -> None:
    """End all of a user's sessions and tokens at once (decision 14).

    reason: of SessionEndReason. Raises AuthorityRefused where an operator does it to somebody with more rights.
    """
    with transaction.atomic():
        if reason == SessionEndReason.ENDED_BY_OPERATOR:
            authority.check(Change.SESSION, user=user, actor=actor)
        User.objects.filter(pk=user.pk).update(epoch=F("epoch") + 1)
        user.refresh_from_db(fields=["epoch"])
        close_old_epochs(user=user, reason=reason, context=context, actor=actor)


def close_old_epochs(*, user: User, reason: str, context: RequestContext, actor: object = None) -> None:
    """End the rows that earlier epochs granted, and tell the protocols, for each session and once for the user.

    Call it in the transaction whose UPDATE of the user's password or state raised the epoch: that alone makes dead
    whatever was granted, what is being granted at this moment included (S48). Here applications come to know of it.
    """
    sessions.end_all(user, reason=reason, context=context, actor=actor)
    user_disabled.send(sender=User, user=user)
