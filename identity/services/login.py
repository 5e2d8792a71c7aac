"""The steps of signing in over LoginTransaction: browser pages and the SDK API drive the same ones.

    START --password--> MFA_AUTH --code--> PASSWORD_EXPIRED --new password--> SUCCESS
                                           PASSWORD_WARN --new password or skip--> SUCCESS

Order of checks: lock, credentials, disabled, and then what `login_steps.advance` asks.
"""

from __future__ import annotations

from identity import assurance
from identity.context import RequestContext
from identity.errors import AccountDisabled, CredentialsRefused, IdentityError, PasswordRefused, StateInvalid
from identity.events import EventType
from identity.models import (
    LoginState,
    LoginTransaction,
    SessionKind,
    SSOSession,
    User,
    VerificationChannel,
    VerificationPurpose,
)
from identity.services import audit, authentication, credentials, login_steps, verification
from identity.services.login_steps import LoginOutcome, begin, find, purge_expired, second_factor_target

__all__ = [
    "LoginOutcome",
    "begin",
    "change_expired_password",
    "choose_account",
    "find",
    "purge_expired",
    "second_factor_target",
    "send_second_factor",
    "skip_password_warning",
    "submit_password",
    "submit_second_factor",
]


def submit_password(
    *,
    handle: str,
    identifier: str,
    password: str,
    binding: str,
    context: RequestContext,
    channel: str = SessionKind.BROWSER,
    session: SSOSession | None = None,
) -> LoginOutcome:
    """Take name and password.

    session: the session this browser has already; it is renewed, or ended if somebody else signs in.
    Raises StateInvalid, TooManyRequests, AccountLocked, CredentialsRefused, AccountDisabled.
    """
    row = login_steps.get(handle=handle, binding=binding, context=context, channel=channel, state=LoginState.START)
    try:
        user = authentication.check_password_login(
            tenant=row.tenant, identifier=identifier, password=password, context=context
        )
    except IdentityError as error:
        login_steps.record_refusal(
            EventType.LOGIN_PASSWORD, row=row, error=error, identifier=identifier, context=context
        )
        if isinstance(error, CredentialsRefused):
            # What is told counts the tries of this sign-in: the account's own count, which every name of a person
            # shares, would say which names are one person's, and so that there is one (S33).
            error.params = (max(credentials.policy_of(row.tenant).max_failures - row.failures - 1, 0),)
        raise
    row.user = user
    audit.record(EventType.LOGIN_PASSWORD, tenant=row.tenant, actor=user, target=user, context=context)
    return login_steps.advance(row, proved=assurance.PASSWORD, context=context, session=session)


def submit_second_factor(
    *,
    handle: str,
    verification_code: str,
    binding: str,
    context: RequestContext,
    channel: str = SessionKind.BROWSER,
    session: SSOSession | None = None,
) -> LoginOutcome:
    """Take the code of the second factor. A wrong one counts like a wrong password (S30).

    Raises StateInvalid, TooManyRequests, AccountLocked, VerificationRefused, AccountDisabled.
    """
    row = login_steps.get(handle=handle, binding=binding, context=context, channel=channel, state=LoginState.MFA_AUTH)
    user = login_steps.user_of(row)
    target = second_factor_target(row)
    try:
        proved = authentication.check_code(
            user,
            purpose=VerificationPurpose.SECOND_FACTOR,
            target=target,
            verification_code=verification_code,
            context=context,
        )
        verification.spend(proved)
    except IdentityError as error:
        login_steps.record_refusal(EventType.LOGIN_SECOND_FACTOR, row=row, error=error, context=context)
        raise
    audit.record(EventType.LOGIN_SECOND_FACTOR, tenant=row.tenant, actor=user, target=user, context=context)
    is_mail = target.channel == VerificationChannel.EMAIL
    method = assurance.ONE_TIME_CODE if is_mail else assurance.TEXT_MESSAGE
    return login_steps.advance(row, proved=method, context=context, session=session)


def send_second_factor(
    *,
    handle: str,
    binding: str,
    context: RequestContext,
    channel: str = SessionKind.BROWSER,
) -> verification.SentCode:
    """Send the code of the second factor. Raises StateInvalid, TooManyRequests, SendFailed."""
    row = login_steps.get(handle=handle, binding=binding, context=context, channel=channel, state=LoginState.MFA_AUTH)
    return verification.send(
        tenant=row.tenant,
        purpose=VerificationPurpose.SECOND_FACTOR,
        target=second_factor_target(row),
        user=login_steps.user_of(row),
        context=context,
    )


def change_expired_password(
    *,
    handle: str,
    new_password: str,
    binding: str,
    context: RequestContext,
    channel: str = SessionKind.BROWSER,
    session: SSOSession | None = None,
    old_password: str | None = None,
) -> LoginOutcome:
    """Replace a password that has expired, must be changed, or will expire soon, and finish the sign-in.

    old_password: where the protocol asks for it again. A wrong one counts as a failed try (S30) and raises
    CredentialsRefused (PARAM.0028), AccountLocked or TooManyRequests.
    Raises StateInvalid, PasswordRefused, ValueRequired (both leave the state), AccountDisabled.
    """
    row = login_steps.get(
        handle=handle,
        binding=binding,
        context=context,
        channel=channel,
        state=(LoginState.PASSWORD_EXPIRED, LoginState.PASSWORD_WARN),
    )
    user = login_steps.user_of(row)
    if not user.is_usable:
        raise AccountDisabled(log_detail=f"user={user.pk}")
    try:
        if old_password is not None:
            _check_old_password(user, old_password=old_password, new_password=new_password, context=context)
        credentials.set_password(user=user, password=new_password, context=context, actor=user)
    except IdentityError as error:
        login_steps.record_refusal(EventType.PASSWORD_CHANGE, row=row, error=error, context=context)
        raise
    # The change has ended every session of the user, the one of this browser too.
    return login_steps.finish(row, context=context, session=None if session and session.user_id == user.pk else session)


def _check_old_password(user: User, *, old_password: str, new_password: str, context: RequestContext) -> None:
    try:
        authentication.check_password_of(user, password=old_password, context=context)
    except CredentialsRefused as error:
        raise CredentialsRefused("PARAM.0028", log_detail=error.log_detail) from None
    if old_password == new_password:
        raise PasswordRefused("PARAM.0020")


def skip_password_warning(
    *,
    handle: str,
    binding: str,
    context: RequestContext,
    channel: str = SessionKind.BROWSER,
    session: SSOSession | None = None,
) -> LoginOutcome:
    """Go on with a password that will expire soon. Raises StateInvalid in every other state."""
    row = login_steps.get(
        handle=handle, binding=binding, context=context, channel=channel, state=LoginState.PASSWORD_WARN
    )
    return login_steps.finish(row, context=context, session=session)


def choose_account(
    *, handle: str, binding: str, context: RequestContext, session: SSOSession, goes_on: bool
) -> LoginOutcome:
    """Take the choice of account: go on as the signed-in person, or as somebody else.

    Going on proves nothing new: the session stays as it is. Raises StateInvalid.
    """
    row = login_steps.get(
        handle=handle, binding=binding, context=context, channel=SessionKind.BROWSER, state=LoginState.START
    )
    if not row.data.get("select_account"):
        raise StateInvalid(log_detail=f"login_transaction={row.pk} asks for no account")
    if goes_on and not row.data.get("reauthenticate"):
        if login_steps.step_up(row, session=session):
            return LoginOutcome(LoginState.MFA_AUTH, row, user=session.user, next_url=row.next_url)
        login_steps.close(row, state=LoginState.SUCCESS, session=session)
        return LoginOutcome(LoginState.SUCCESS, row, user=session.user, next_url=row.next_url, session=session)
    row.data = {
        **row.data,
        "select_account": False,
        "login_hint": session.user.user_name if goes_on else "",
    }
    LoginTransaction.objects.filter(pk=row.pk).update(data=row.data)
    return LoginOutcome(LoginState.START, row, next_url=row.next_url)
