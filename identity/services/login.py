"""The login state machine over LoginTransaction: browser pages and the SDK API drive the same steps.

    START --password--> MFA_AUTH --code--> PASSWORD_EXPIRED --new password--> SUCCESS
                                           PASSWORD_WARN --new password or skip--> SUCCESS

Order of checks: lock, credentials, disabled, policy, second factor, password age (expired before warning). Every step
is one conditional UPDATE from the state it needs, so none can be skipped or taken twice (S28, S29). The transaction is
kept on the server and bound to the browser or device that began it (S27, S44). A session exists only after SUCCESS.

Refusals are recorded here, after the rollback, because only this module knows whom a refused name resolved to.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from identity import assurance, crypto
from identity.context import RequestContext
from identity.errors import (
    AccessDenied,
    AccountDisabled,
    CredentialsRefused,
    IdentityError,
    PasswordRefused,
    StateInvalid,
    TooManyRequests,
)
from identity.events import EventType
from identity.models import (
    Application,
    CounterKind,
    LoginState,
    LoginTransaction,
    SessionEndReason,
    SessionKind,
    SSOSession,
    Tenant,
    User,
    VerificationChannel,
    VerificationPurpose,
)
from identity.services import (
    access,
    applications,
    audit,
    authentication,
    credentials,
    sessions,
    throttle,
    verification,
)

log = logging.getLogger(__name__)

__all__ = [
    "LoginOutcome",
    "begin",
    "begin_reset",
    "change_expired_password",
    "choose_account",
    "find",
    "finish_reset",
    "purge_expired",
    "second_factor_target",
    "send_second_factor",
    "skip_password_warning",
    "submit_password",
    "submit_second_factor",
]

# How long a page may stand open before the first proof, and how long each later step may take.
START_LIFETIME = timedelta(minutes=30)
STEP_LIFETIME = timedelta(minutes=10)
MAX_FAILURES = 20  # of one transaction, whatever the counters of account and source say

RESET_CHANNEL = "reset"  # a forgotten password: never a sign-in

_HANDLE = "login_transaction.handle"
_BINDING = "login_transaction.binding"
_TARGET = "login_transaction.target"


@dataclass(frozen=True)
class LoginOutcome:
    """Where a sign-in stands after a step."""

    state: LoginState
    transaction: LoginTransaction
    user: User | None = None
    next_url: str = ""
    reason: str = ""  # PASSWORD_EXPIRED: "expired" or "must_change"; ACCESS_DENIED: why
    days_left: int | None = None  # PASSWORD_WARN
    session: SSOSession | None = None  # SUCCESS
    session_handle: str = ""  # SUCCESS: for the cookie or the session_token; told this once


# Beginning -------------------------------------------------------------------------------------------------


def begin(
    *,
    tenant: Tenant,
    binding: str,
    context: RequestContext,
    channel: str = SessionKind.BROWSER,
    next_url: str = "",
    application: Application | None = None,
    login_hint: str = "",
    ui_locales: str = "",
    reauthenticate: bool = False,
    select_account: bool = False,
    required_acr: str = "",
    return_origins: Sequence[str] = (),
    session: SSOSession | None = None,
) -> str:
    """Begin a sign-in and return its handle.

    binding: the browser's or device's own handle, which every step must bring again.
    next_url: path of our own site, checked by the caller, to which a browser goes afterwards.
    session: the session of this browser; where it only lacks a factor, only that one is asked for.
    return_origins: where the steps may lead to at last; the pages' policy must let forms be redirected there.
    """
    data = {
        "login_hint": login_hint[:254].replace("\x00", ""),
        "ui_locales": ui_locales[:100].replace("\x00", ""),
        "reauthenticate": reauthenticate,
        "select_account": select_account,
        "required_acr": required_acr,
        "return_origins": list(return_origins),
    }
    row, handle = _create(
        tenant=tenant,
        binding=binding,
        channel=channel,
        next_url=next_url,
        application=application,
        data=data,
    )
    is_asked_anew = reauthenticate or select_account
    if session is not None and not is_asked_anew and session.tenant_id == tenant.pk:
        _step_up(row, session=session)
    return handle


def find(
    *, handle: str, tenant: Tenant, binding: str, channel: str = SessionKind.BROWSER, include_over: bool = False
) -> LoginTransaction | None:
    """Return the transaction of this handle and this browser or device, or None. Reads only.

    include_over: expired and finished ones too, to send a browser with an old page the right way.
    """
    rows = LoginTransaction.objects.select_related("user", "application", "session").filter(
        handle_hash__in=crypto.keyed_hashes(handle, purpose=_HANDLE), tenant=tenant, channel=channel
    )
    if not include_over:
        rows = rows.filter(finished_at=None, expires_at__gt=timezone.now())
    row = rows.first() if handle else None
    if row is None or not crypto.matches_keyed_hash(binding, row.binding_hash, purpose=_BINDING):
        return None
    row.tenant = tenant
    if row.user is not None:
        row.user.tenant = tenant
    return row


# Steps -----------------------------------------------------------------------------------------------------


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
    row = _get(handle=handle, binding=binding, context=context, channel=channel, state=LoginState.START)
    try:
        user = authentication.check_password_login(
            tenant=row.tenant, identifier=identifier, password=password, context=context
        )
    except IdentityError as error:
        _record_refusal(EventType.LOGIN_PASSWORD, row=row, error=error, identifier=identifier, context=context)
        if isinstance(error, CredentialsRefused):
            # What is told counts the tries of this sign-in: the account's own count, which every name of a person
            # shares, would say which names are one person's, and so that there is one (S33).
            error.params = (max(credentials.policy_of(row.tenant).max_failures - row.failures - 1, 0),)
        raise
    row.user = user
    audit.record(EventType.LOGIN_PASSWORD, tenant=row.tenant, actor=user, target=user, context=context)
    return _advance(row, proved=assurance.PASSWORD, context=context, session=session)


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
    row = _get(handle=handle, binding=binding, context=context, channel=channel, state=LoginState.MFA_AUTH)
    user = _user_of(row)
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
        _record_refusal(EventType.LOGIN_SECOND_FACTOR, row=row, error=error, context=context)
        raise
    audit.record(EventType.LOGIN_SECOND_FACTOR, tenant=row.tenant, actor=user, target=user, context=context)
    is_mail = target.channel == VerificationChannel.EMAIL
    method = assurance.ONE_TIME_CODE if is_mail else assurance.TEXT_MESSAGE
    return _advance(row, proved=method, context=context, session=session)


def send_second_factor(
    *,
    handle: str,
    binding: str,
    context: RequestContext,
    channel: str = SessionKind.BROWSER,
) -> verification.SentCode:
    """Send the code of the second factor. Raises StateInvalid, TooManyRequests, SendFailed."""
    row = _get(handle=handle, binding=binding, context=context, channel=channel, state=LoginState.MFA_AUTH)
    return verification.send(
        tenant=row.tenant,
        purpose=VerificationPurpose.SECOND_FACTOR,
        target=second_factor_target(row),
        user=_user_of(row),
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
    row = _get(
        handle=handle,
        binding=binding,
        context=context,
        channel=channel,
        state=(LoginState.PASSWORD_EXPIRED, LoginState.PASSWORD_WARN),
    )
    user = _user_of(row)
    if not user.is_usable:
        raise AccountDisabled(log_detail=f"user={user.pk}")
    try:
        if old_password is not None:
            _check_old_password(user, old_password=old_password, new_password=new_password, context=context)
        credentials.set_password(user=user, password=new_password, context=context, actor=user)
    except IdentityError as error:
        _record_refusal(EventType.PASSWORD_CHANGE, row=row, error=error, context=context)
        raise
    # The change has ended every session of the user, the one of this browser too.
    return _finish(row, context=context, session=None if session and session.user_id == user.pk else session)


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
    row = _get(handle=handle, binding=binding, context=context, channel=channel, state=LoginState.PASSWORD_WARN)
    return _finish(row, context=context, session=session)


def choose_account(
    *, handle: str, binding: str, context: RequestContext, session: SSOSession, goes_on: bool
) -> LoginOutcome:
    """Take the choice of account: go on as the signed-in person, or as somebody else.

    Going on proves nothing new: the session stays as it is. Raises StateInvalid.
    """
    row = _get(handle=handle, binding=binding, context=context, channel=SessionKind.BROWSER, state=LoginState.START)
    if not row.data.get("select_account"):
        raise StateInvalid(log_detail=f"login_transaction={row.pk} asks for no account")
    if goes_on and not row.data.get("reauthenticate"):
        if _step_up(row, session=session):
            return LoginOutcome(LoginState.MFA_AUTH, row, user=session.user, next_url=row.next_url)
        _close(row, state=LoginState.SUCCESS, session=session)
        return LoginOutcome(LoginState.SUCCESS, row, user=session.user, next_url=row.next_url, session=session)
    row.data = {
        **row.data,
        "select_account": False,
        "login_hint": session.user.user_name if goes_on else "",
    }
    LoginTransaction.objects.filter(pk=row.pk).update(data=row.data)
    return LoginOutcome(LoginState.START, row, next_url=row.next_url)


# Forgotten password ----------------------------------------------------------------------------------------


def begin_reset(*, tenant: Tenant, identifier: str, binding: str, context: RequestContext) -> str:
    """Send a code to the verified mailbox of whoever the identifier names; return the handle of the reset.

    The answer, the rows written and the time are the same where nobody is named or nothing can be sent (S33).
    Raises TooManyRequests only for the source.
    """
    throttle.limit(
        tenant=tenant,
        kind=CounterKind.SEND_SOURCE,
        key=f"{RESET_CHANNEL}:{throttle.source_of(context)}",
        limit=verification.PER_SOURCE,
    )
    resolved = authentication.resolve(identifier, tenant=tenant)
    user = resolved.user
    can_send = user is not None and user.is_usable and bool(user.email) and user.email_verified
    target = verification.email_of(user) if user is not None and can_send else _nobodys_target(resolved.name)
    row, handle = _create(
        tenant=tenant,
        binding=binding,
        channel=RESET_CHANNEL,
        data={"target": crypto.seal(target.address, purpose=_TARGET)},
        user=user if can_send else None,
    )
    try:
        verification.send(
            tenant=tenant,
            purpose=VerificationPurpose.RESET_PASSWORD,
            target=target,
            user=row.user,
            context=context,
            is_deliverable=can_send,
            is_beside_answer=True,
        )
    except TooManyRequests as error:
        # Told, it would say whether two names are one person's.
        log.info("password_reset.not_sent", extra={"reason": error.log_detail})
    return handle


def finish_reset(
    *, handle: str, binding: str, verification_code: str, new_password: str, context: RequestContext
) -> User:
    """Set a new password on the proof of the mailed code; all sessions and tokens end.

    Raises StateInvalid, AccountLocked, TooManyRequests, VerificationRefused, PasswordRefused. A refused password
    leaves the code open, as its holder has proved themselves.
    """
    row = _get(handle=handle, binding=binding, context=context, channel=RESET_CHANNEL, state=LoginState.START)
    address = crypto.unseal(row.data["target"], purpose=_TARGET)
    target = verification.Target(VerificationChannel.EMAIL, address)
    try:
        proved = _prove_reset(row, target=target, verification_code=verification_code, context=context)
        user = _user_of(row)
        with transaction.atomic():
            verification.spend(proved)
            _close(row, state=LoginState.SUCCESS, session=None)
            credentials.set_password(user=user, password=new_password, context=context, actor=user)
    except IdentityError as error:
        _record_refusal(EventType.PASSWORD_RESET, row=row, error=error, context=context)
        raise
    # Whoever guessed until the account was locked has not got the mailbox.
    throttle.unlock(user, context=context, actor=user)
    return user


def _prove_reset(
    row: LoginTransaction, *, target: verification.Target, verification_code: str, context: RequestContext
) -> verification.Proved:
    purpose = VerificationPurpose.RESET_PASSWORD
    throttle.count_source(tenant=row.tenant, context=context)
    if row.user is not None and row.user.is_usable:
        # Not the account's own counter: a lock by somebody else's guesses must not keep its owner from the reset.
        return verification.prove(
            tenant=row.tenant, purpose=purpose, target=target, verification_code=verification_code, user=row.user
        )
    proved = verification.prove(tenant=row.tenant, purpose=purpose, target=target, verification_code=verification_code)
    raise StateInvalid(log_detail=f"verification_code={proved.row.pk} of nobody was guessed")


def _nobodys_target(name: str) -> verification.Target:
    return verification.Target(VerificationChannel.EMAIL, f"{name[:200]}\n")


# The machine -----------------------------------------------------------------------------------------------


def second_factor_target(row: LoginTransaction) -> verification.Target:
    """Return where the second factor's code goes. Raises StateInvalid if there is nowhere (any more)."""
    user = _user_of(row)
    if user.email and user.email_verified:
        return verification.email_of(user)
    raise StateInvalid(log_detail=f"user={user.pk} has no verified target")


def purge_expired(now: datetime, limit: int) -> int:
    """Delete transactions that ran out a day ago."""
    old = LoginTransaction.objects.filter(expires_at__lt=now - timedelta(days=1))
    keys = list(old.values_list("pk", flat=True)[:limit])
    LoginTransaction.objects.filter(pk__in=keys).delete()
    return len(keys)


def _create(
    *,
    tenant: Tenant,
    binding: str,
    channel: str,
    data: dict[str, Any],
    next_url: str = "",
    application: Application | None = None,
    user: User | None = None,
) -> tuple[LoginTransaction, str]:
    handle = crypto.new_handle()
    row = LoginTransaction.objects.create(
        handle_hash=crypto.hash_handle(handle, purpose=_HANDLE),
        tenant=tenant,
        user=user,
        application=application,
        channel=channel,
        binding_hash=crypto.hash_handle(binding, purpose=_BINDING),
        next_url=next_url,
        data=data,
        expires_at=timezone.now() + START_LIFETIME,
    )
    return row, handle


def _get(
    *,
    handle: str,
    binding: str,
    context: RequestContext,
    channel: str,
    state: LoginState | Sequence[LoginState],
) -> LoginTransaction:
    """Return an open transaction in one of these states. Raises StateInvalid, whatever is wrong."""
    states = [state] if isinstance(state, LoginState) else list(state)
    row = None
    if context.tenant is not None:
        row = find(handle=handle, tenant=context.tenant, binding=binding, channel=channel)
    if row is None:
        raise StateInvalid(log_detail="login_transaction unknown, over, or of another browser")
    if row.state not in states:
        raise StateInvalid(log_detail=f"login_transaction={row.pk} in {row.state}")
    if row.failures >= MAX_FAILURES:
        raise StateInvalid(log_detail=f"login_transaction={row.pk} failed too often")
    return row


def _user_of(row: LoginTransaction) -> User:
    if row.user is None:
        raise StateInvalid(log_detail=f"login_transaction={row.pk} has no user")
    return row.user


def _advance(
    row: LoginTransaction, *, proved: str, context: RequestContext, session: SSOSession | None
) -> LoginOutcome:
    """Go to the next state that applies, after one more factor was proved."""
    user = _user_of(row)
    amr = [*row.amr, proved]
    if row.channel == SessionKind.SDK and row.application is not None:
        # A browser's session is the tenant's: there the protocol asks, at once, and refuses in its own words.
        try:
            applications.check_access(application=row.application, user=user)
        except AccessDenied as error:
            return _deny(row, error=error, context=context)
    if _needs_factor(row, user=user, amr=amr):
        if not _can_use_second_factor(user):
            return _deny(row, error=AccessDenied(log_detail=f"user={user.pk} has no second factor"), context=context)
        _move(row, to=LoginState.MFA_AUTH, user=user, amr=amr)
        return LoginOutcome(LoginState.MFA_AUTH, row, user=user, next_url=row.next_url)
    age = credentials.password_age(user=user)
    is_told = assurance.PASSWORD in amr and "step_up" not in row.data
    if is_told and (age.is_expired or age.must_change):
        _move(row, to=LoginState.PASSWORD_EXPIRED, user=user, amr=amr)
        reason = "must_change" if age.must_change else "expired"
        return LoginOutcome(LoginState.PASSWORD_EXPIRED, row, user=user, next_url=row.next_url, reason=reason)
    if is_told and age.is_warned:
        _move(row, to=LoginState.PASSWORD_WARN, user=user, amr=amr)
        return LoginOutcome(LoginState.PASSWORD_WARN, row, user=user, next_url=row.next_url, days_left=age.days_left)
    row.amr = amr
    return _finish(row, context=context, session=session)


def _step_up(row: LoginTransaction, *, session: SSOSession) -> bool:
    """Ask only for the factor that the session lacks, if one is all it lacks. Return whether that is so."""
    required_acr = row.data.get("required_acr", "")
    if access.is_sufficient(session=session, application=row.application, required_acr=required_acr):
        return False
    if not _can_use_second_factor(session.user):
        return False
    # What the session recorded counts; who begins this holds the session's handle (S28).
    row.data = {**row.data, "step_up": session.pk}
    LoginTransaction.objects.filter(pk=row.pk).update(data=row.data)
    _move(row, to=LoginState.MFA_AUTH, user=session.user, amr=list(session.amr))
    return True


def _needs_factor(row: LoginTransaction, *, user: User, amr: Sequence[str]) -> bool:
    if assurance.acr_of(amr) == assurance.MULTI_FACTOR:
        return False
    return access.needs_second_factor(
        user=user, application=row.application, required_acr=row.data.get("required_acr", "")
    )


def _can_use_second_factor(user: User) -> bool:
    return bool(user.email) and user.email_verified


def _move(row: LoginTransaction, *, to: LoginState, user: User, amr: Sequence[str]) -> None:
    """Change the state, if it still is what this step was allowed for. Raises StateInvalid."""
    now = timezone.now()
    values = {"state": to, "user": user, "amr": list(amr), "expires_at": now + STEP_LIFETIME}
    still = LoginTransaction.objects.filter(pk=row.pk, state=row.state, finished_at=None, expires_at__gt=now)
    if not still.update(**values):
        raise StateInvalid(log_detail=f"login_transaction={row.pk} left {row.state}")
    for name, value in values.items():
        setattr(row, name, value)


def _close(row: LoginTransaction, *, state: LoginState, session: SSOSession | None) -> None:
    """Finish the transaction, once. Raises StateInvalid."""
    now = timezone.now()
    values: dict[str, Any] = {"state": state, "amr": row.amr, "user": row.user, "session": session, "finished_at": now}
    still = LoginTransaction.objects.filter(pk=row.pk, state=row.state, finished_at=None, expires_at__gt=now)
    if not still.update(**values):
        raise StateInvalid(log_detail=f"login_transaction={row.pk} finished or left {row.state}")
    for name, value in values.items():
        setattr(row, name, value)


def _finish(row: LoginTransaction, *, context: RequestContext, session: SSOSession | None) -> LoginOutcome:
    """Open or renew the session, in the transaction that finishes the sign-in."""
    user = _user_of(row)
    with transaction.atomic():
        # Read again: a step may come minutes after the password (S26).
        user = User.objects.select_related("tenant__session_policy").get(pk=user.pk)
        if not user.is_usable:
            raise AccountDisabled(log_detail=f"user={user.pk}")
        own = session if session is not None and session.user_id == user.pk else None
        if "step_up" in row.data:
            if own is None or own.pk != row.data["step_up"]:
                raise StateInvalid(log_detail=f"login_transaction={row.pk} is of another session")
            opened, session_handle = sessions.renew(session=own, amr=row.amr, context=context, is_step_up=True)
        elif own is not None:
            opened, session_handle = sessions.renew(session=own, amr=row.amr, context=context)
        else:
            if session is not None:
                sessions.end(session, reason=SessionEndReason.REPLACED, context=context, actor=user)
            opened, session_handle = sessions.start(user=user, amr=row.amr, context=context, kind=row.channel)
        _close(row, state=LoginState.SUCCESS, session=opened)
        User.objects.filter(pk=user.pk).update(last_login=timezone.now())
        audit.record(
            EventType.LOGIN_SUCCESS,
            tenant=row.tenant,
            actor=user,
            target=user,
            application=row.application,
            sid=opened.sid,
            context=context,
            details={"amr": opened.amr, "acr": opened.acr, "channel": row.channel},
        )
    return LoginOutcome(
        LoginState.SUCCESS,
        row,
        user=user,
        next_url=row.next_url,
        session=opened,
        session_handle=session_handle,
    )


def _deny(row: LoginTransaction, *, error: AccessDenied, context: RequestContext) -> LoginOutcome:
    _close(row, state=LoginState.ACCESS_DENIED, session=None)
    _record_refusal(EventType.LOGIN_SUCCESS, row=row, error=error, context=context)
    return LoginOutcome(LoginState.ACCESS_DENIED, row, user=row.user, next_url=row.next_url, reason=error.error_code)


def _record_refusal(
    event: EventType,
    *,
    row: LoginTransaction,
    error: IdentityError,
    context: RequestContext,
    identifier: str | None = None,
) -> None:
    """Count the failure on the transaction and record it; the name only as a hash where nobody has it."""
    LoginTransaction.objects.filter(pk=row.pk).update(failures=F("failures") + 1)
    user, details = row.user, {"channel": row.channel}
    if identifier is not None:
        resolved = authentication.resolve(identifier, tenant=row.tenant)
        user = resolved.user
        if user is None:
            details["name_hash"] = authentication.unknown_name_hash(resolved.name, tenant=row.tenant)
    audit.record(
        event,
        tenant=row.tenant,
        target=user,
        application=row.application,
        context=context,
        outcome="refused",
        reason=_reason(error),
        details=details,
    )
    log.info("login.refused", extra={"event": str(event), "reason": _reason(error), "detail": error.log_detail})


def _reason(error: IdentityError) -> str:
    # One code for two things on the wire, two reasons for those who answer for accounts.
    if isinstance(error, CredentialsRefused) and error.log_detail == "user=None":
        return f"{error.error_code}:unknown"
    return error.error_code
