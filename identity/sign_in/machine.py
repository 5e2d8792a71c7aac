"""The machine under every sign-in: one LoginTransaction, moved from state to state by conditional UPDATEs.

`login` takes its proofs (password, code, new password) and hands what was proved to `advance`, which knows the order of
checks: policy, second factor, password age (expired before warning). No step can be skipped or taken twice (S28, S29).
The transaction is kept on the server and bound to the browser or device that began it (S27, S44). A session exists
only after SUCCESS.

Refusals are recorded here, after the rollback, because only this module knows whom a refused name resolved to.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Exists, F, Model, OuterRef, QuerySet
from django.utils import timezone

from identity import assurance, audit, crypto, policies
from identity.context import RequestContext
from identity.errors import (
    AccessDenied,
    AccountDisabled,
    CredentialsRefused,
    IdentityError,
    NotAllowed,
    PasskeyRefused,
    StateInvalid,
    SystemBusy,
)
from identity.events import EventType
from identity.federation import external_identities
from identity.models import (
    Application,
    AuditEvent,
    LoginState,
    LoginTransaction,
    SessionEndReason,
    SessionKind,
    SSOSession,
    Tenant,
    User,
)
from identity.passwords import credentials
from identity.purging import Purger
from identity.retries import retried
from identity.sign_in import authentication
from identity.sign_in.factors import table
from identity.sso import access, sessions, trusted_devices
from identity.statements import Bound, Select, Update, write

log = logging.getLogger(__name__)

# How long a page may stand open before the first proof, and how long each later step may take.
START_LIFETIME = timedelta(minutes=30)
STEP_LIFETIME = timedelta(minutes=10)
MAX_FAILURES = 20  # of one transaction, whatever the counters of account and source say

SKIPPED = "factor_skipped"  # in a sign-in's data: setting up a second factor was put off

_HANDLE = "login_transaction.handle"
_BINDING = "login_transaction.binding"


@dataclass(frozen=True, slots=True)
class SignInStep:
    """Who takes a step of which sign-in: what every step must bring, whatever it proves.

    handle: of the transaction. binding: the browser's or device's own handle, with which the transaction was begun.
    session: which this browser has already; None where it has none, and for apps.
    row: the transaction, where the caller has found it for this very step.
    trust: what the browser shows to be a trusted one, "" where it shows nothing.
    """

    handle: str
    binding: str
    context: RequestContext
    channel: str = SessionKind.BROWSER
    session: SSOSession | None = None
    row: LoginTransaction | None = None
    trust: str = ""


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
    session_handle: str = ""  # SUCCESS: for the cookie or the session_token; the only copy


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
    max_age_seconds: int | None = None,
    select_account: bool = False,
    required_acr: str = "",
    return_origins: Sequence[str] = (),
    session: SSOSession | None = None,
    besides: Sequence[Model] = (),
) -> str:
    """Begin a sign-in and return its handle.

    binding: the browser's or device's own handle, which every step must bring again.
    next_url: path of our own site, checked by the caller, to which a browser goes afterwards.
    reauthenticate: no session will do, one that is opened meanwhile neither. max_age_seconds: nor one from a sign-in
    longer ago than that.
    session: the session of this browser; where it only lacks a factor, only that one is asked for.
    return_origins: where the steps may lead to at last; the pages' policy must let forms be redirected there.
    besides: rows that are written with it, such as the request that waits for it.
    """
    data = {
        "login_hint": login_hint[:254].replace("\x00", ""),
        "ui_locales": ui_locales[:100].replace("\x00", ""),
        "reauthenticate": reauthenticate,
        "max_age_seconds": max_age_seconds,
        "select_account": select_account,
        "required_acr": required_acr,
        "return_origins": list(return_origins),
    }
    row, handle = create(
        tenant=tenant,
        binding=binding,
        channel=channel,
        next_url=next_url,
        application=application,
        data=data,
        besides=besides,
    )
    if session is not None and _takes(row, session=session):
        step_up(row, session=session)
    return handle


def begin_again(row: LoginTransaction, *, binding: str, session: SSOSession | None) -> str:
    """Begin anew what ran out on an open page: the same way on, the same application, the same demands."""
    fresh, handle = create(
        tenant=row.tenant,
        binding=binding,
        channel=row.channel,
        next_url=row.next_url,
        application=row.application,
        data=asked(row),
    )
    if session is not None and _takes(fresh, session=session):
        step_up(fresh, session=session)
    return handle


def asked(row: LoginTransaction) -> dict[str, Any]:
    """Return what the request behind a sign-in asked for, which a new beginning keeps."""
    kept = ("login_hint", "ui_locales", "reauthenticate", "max_age_seconds", "required_acr", "return_origins")
    return {name: row.data[name] for name in kept if name in row.data}


def check_offered(row: LoginTransaction, method: str) -> None:
    """Refuse a way to begin a sign-in that the tenant has switched off (S29). Raises NotAllowed (MFA.0004)."""
    if method not in policies.sign_in_methods(row.tenant):
        raise NotAllowed("MFA.0004", log_detail=f"login_transaction={row.pk} method={method}")


def is_done_by(session: SSOSession, *, row: LoginTransaction) -> bool:
    """Tell whether the session that another tab of the browser has opened by now is enough for this sign-in.

    Never where the person is to prove or choose something here, or has begun to as somebody else.
    """
    if not _takes(row, session=session) or "external" in row.data or row.user_id not in (None, session.user_id):
        return False
    required_acr = row.data.get("required_acr", "")
    return access.is_sufficient(session=session, application=row.application, required_acr=required_acr)


def finish_with(row: LoginTransaction, *, session: SSOSession) -> LoginOutcome:
    """Finish with the session that there is: nothing new was proved. Raises StateInvalid."""
    close(row, state=LoginState.SUCCESS)
    return LoginOutcome(LoginState.SUCCESS, row, user=session.user, next_url=row.next_url, session=session)


def _takes(row: LoginTransaction, *, session: SSOSession) -> bool:
    """Tell whether this sign-in may build on a session at all (OIDCC-3.1.2.1: prompt, max_age)."""
    if session.tenant_id != row.tenant_id or row.data.get("reauthenticate") or row.data.get("select_account"):
        return False
    max_age_seconds = row.data.get("max_age_seconds")
    if max_age_seconds is None:
        return True
    if session.device_trusted:
        return False  # asked when the person proved who they are, a trusted browser has no answer
    return timezone.now() - session.authenticated_at < timedelta(seconds=max_age_seconds)


def find(step: SignInStep, *, include_over: bool = False) -> LoginTransaction | None:
    """Return the transaction of this handle and this browser or device, or None. Reads only.

    include_over: expired and finished ones too, to send a browser with an old page the right way.
    """
    tenant = step.context.tenant
    if tenant is None:
        return None
    if not step.handle:
        return None
    which = (crypto.keyed_hashes(step.handle, purpose=_HANDLE), tenant.pk, step.channel)
    row = _BY_HANDLE.first(*which) if include_over else _UNDER_WAY.first(*which, timezone.now())
    if row is None or not crypto.matches_keyed_hash(step.binding, row.binding_hash, purpose=_BINDING):
        return None
    row.tenant = tenant
    if row.user is not None:
        row.user.tenant = tenant
    return row


def _begun(hashes: Any, tenant: Any, channel: Any) -> QuerySet[LoginTransaction]:
    rows = LoginTransaction.objects.select_related("user", "application")
    return rows.filter(handle_hash__in=hashes, tenant=tenant, channel=channel).order_by("pk")


_BY_HANDLE = Select(lambda hashes, tenant, channel: _begun(hashes, tenant, channel)[:1])
_UNDER_WAY = Select(
    lambda hashes, tenant, channel, now: _begun(hashes, tenant, channel).filter(finished_at=None, expires_at__gt=now)[
        :1
    ]
)


# The machine -----------------------------------------------------------------------------------------------


# Transactions that ran out a day ago.
purge_expired = Purger(
    lambda now: LoginTransaction.objects.filter(expires_at__lt=now - timedelta(days=1)), by="expires_at"
)


def create(
    *,
    tenant: Tenant,
    binding: str,
    channel: str,
    data: dict[str, Any],
    next_url: str = "",
    application: Application | None = None,
    user: User | None = None,
    besides: Sequence[Model] = (),
) -> tuple[LoginTransaction, str]:
    """Write a transaction at START; return it with its handle, which only the caller's browser or device keeps.

    besides: rows that are written with it.
    """
    handle = crypto.new_handle()
    row = LoginTransaction(
        handle_hash=crypto.hash_handle(handle, purpose=_HANDLE),
        tenant=tenant,
        user=user,
        application=application,
        channel=channel,
        binding_hash=crypto.hash_handle(binding, purpose=_BINDING),
        next_url=next_url,
        data=data,
        expires_at=timezone.now() + START_LIFETIME,
        epoch=user.epoch if user is not None else 0,
    )
    write(*besides, row, keys=True)
    return row, handle


def get(step: SignInStep, *, state: LoginState | Sequence[LoginState]) -> LoginTransaction:
    """Return an open transaction in one of these states. Raises StateInvalid, whatever is wrong."""
    states = [state] if isinstance(state, LoginState) else list(state)
    row = copy(step.row) if step.row is not None else find(step)
    if row is None:
        raise StateInvalid(log_detail="login_transaction unknown, over, or of another browser")
    if row.state not in states:
        raise StateInvalid(log_detail=f"login_transaction={row.pk} in {row.state}")
    if row.failures >= MAX_FAILURES:
        raise StateInvalid(log_detail=f"login_transaction={row.pk} failed too often")
    # Who changes a stolen password ends the thief's half-done sign-ins too, not only the sessions (S26, S48).
    if row.user is not None and row.epoch != row.user.epoch:
        raise StateInvalid(log_detail=f"login_transaction={row.pk} is of another epoch than user={row.user.pk}")
    return row


def user_of(row: LoginTransaction) -> User:
    """Return whom the first proof named. Raises StateInvalid."""
    if row.user is None:
        raise StateInvalid(log_detail=f"login_transaction={row.pk} has no user")
    return row.user


def advance(row: LoginTransaction, step: SignInStep, *, proved: Sequence[str]) -> LoginOutcome:
    """Go to the next state that applies, after one more factor was proved: by these methods (RFC8176-2)."""
    user = user_of(row)
    amr = [*row.amr, *proved]
    if row.channel == SessionKind.SDK and row.application is not None:
        # A browser's session is the tenant's: there the protocol asks, at once, and refuses in its own words.
        try:
            access.check(user=user, application=row.application)
        except AccessDenied as error:
            return deny(row, error=error, context=step.context)
    required_acr = row.data.get("required_acr", "")
    level = access.required_level(user=user, application=row.application, required_acr=required_acr)
    is_proved = SKIPPED in row.data or assurance.satisfies(assurance.acr_of(amr), level)
    device_trusted = not is_proved and is_trusted(row, step, amr=amr)
    if not is_proved and not device_trusted:
        if not table.possible(row, user=user, amr=amr):
            if row.channel == SessionKind.BROWSER and table.enrollable(row, user=user, amr=amr):
                move(row, to=LoginState.FACTOR_ENROL, user=user, amr=amr)
                return LoginOutcome(LoginState.FACTOR_ENROL, row, user=user, next_url=row.next_url)
            without = AccessDenied(log_detail=f"user={user.pk} has no second factor")
            return deny(row, error=without, context=step.context)
        move(row, to=LoginState.MFA_AUTH, user=user, amr=amr)
        return LoginOutcome(LoginState.MFA_AUTH, row, user=user, next_url=row.next_url)
    age = credentials.password_age(user=user)
    is_told = assurance.PASSWORD in amr and "step_up" not in row.data
    if is_told and (age.is_expired or age.must_change):
        move(row, to=LoginState.PASSWORD_EXPIRED, user=user, amr=amr)
        reason = "must_change" if age.must_change else "expired"
        return LoginOutcome(LoginState.PASSWORD_EXPIRED, row, user=user, next_url=row.next_url, reason=reason)
    if is_told and age.is_warned:
        move(row, to=LoginState.PASSWORD_WARN, user=user, amr=amr)
        return LoginOutcome(LoginState.PASSWORD_WARN, row, user=user, next_url=row.next_url, days_left=age.days_left)
    row.amr = amr
    return finish(row, step, device_trusted=device_trusted)


def is_trusted(row: LoginTransaction, step: SignInStep, *, amr: Sequence[str]) -> bool:
    """Return whether this browser stands in for the factor that this sign-in lacks. No query without its cookie.

    Beside a password only: what a telephone or mailbox shows is a thing that one has, as the browser is. Never where
    the request wants a proof of now, nor where an account elsewhere is being linked.
    """
    user, data = user_of(row), row.data
    if not step.trust or row.channel != SessionKind.BROWSER or assurance.PASSWORD not in amr:
        return False
    if assurance.satisfies(assurance.acr_of(amr), assurance.MULTI_FACTOR):
        return False
    if (
        {SKIPPED, "step_up", "external"} & data.keys()
        or data.get("reauthenticate")
        or data.get("max_age_seconds") is not None
    ):
        return False
    required_acr = data.get("required_acr", "")
    if not access.trusts_browsers(user=user, application=row.application, required_acr=required_acr):
        return False
    # Whoever has nothing to prove sets something up.
    if not table.possible(row, user=user, amr=amr):
        return False
    return trusted_devices.is_known(user=user, handle=step.trust, binding=step.binding)


def step_up(row: LoginTransaction, *, session: SSOSession) -> bool:
    """Ask only for the factor that the session lacks, if one is all it lacks. Return whether that is so."""
    required_acr = row.data.get("required_acr", "")
    if access.is_sufficient(session=session, application=row.application, required_acr=required_acr):
        return False
    if not table.possible(row, user=session.user, amr=session.amr):
        return False
    # What the session recorded counts; who begins this holds the session's handle (S28).
    data = {**row.data, "step_up": session.pk}
    move(row, to=LoginState.MFA_AUTH, user=session.user, amr=session.amr, data=data)
    return True


def move(
    row: LoginTransaction,
    *,
    to: LoginState,
    user: User | None,
    amr: Sequence[str],
    data: Mapping[str, Any] | None = None,
) -> None:
    """Change the state, if it still is what this step was allowed for. Raises StateInvalid.

    data: what the next step needs, in place of what the row holds.
    """
    now = timezone.now()
    moved = {
        "state": to.value,
        "amr": list(amr),
        "expires_at": now + STEP_LIFETIME,
        "epoch": row.epoch if user is None else user.epoch,
        "user_id": None if user is None else user.pk,
    }
    if data is None:
        is_first = _MOVE.run(row.pk, row.state, now, *moved.values())
    else:
        moved["data"] = dict(data)
        is_first = _MOVE_WITH_DATA.run(row.pk, row.state, now, *moved.values())
    if not is_first:
        raise StateInvalid(log_detail=f"login_transaction={row.pk} left {row.state}")
    for name, value in moved.items():
        setattr(row, name, value)
    row.user = user


def close(row: LoginTransaction, *, state: LoginState) -> None:
    """Finish the transaction, once. Raises StateInvalid."""
    now = timezone.now()
    if not _CLOSE.run(*_closing(row, state=state, now=now)):
        raise _left(row)
    row.state, row.finished_at = state, now


def _closing(row: LoginTransaction, *, state: LoginState, now: datetime) -> tuple[Any, ...]:
    return row.pk, row.state, now, state.value, row.user_id, row.amr


def _left(row: LoginTransaction) -> StateInvalid:
    return StateInvalid(log_detail=f"login_transaction={row.pk} finished or left {row.state}")


def _open(pk: Any, state: Any, now: Any) -> QuerySet[LoginTransaction]:
    """Return the row, where it still is in the state that this step was allowed for."""
    return LoginTransaction.objects.filter(pk=pk, state=state, finished_at=None, expires_at__gt=now)


_MOVE = Update(
    lambda pk, state, now, to, amr, expires_at, epoch, user: (
        _open(pk, state, now),
        {"state": to, "amr": amr, "expires_at": expires_at, "epoch": epoch, "user": user},
    )
)
_MOVE_WITH_DATA = Update(
    lambda pk, state, now, to, amr, expires_at, epoch, user, data: (
        _open(pk, state, now),
        {"state": to, "amr": amr, "expires_at": expires_at, "epoch": epoch, "user": user, "data": data},
    )
)
_CLOSE = Update(
    lambda pk, state, now, to, user, amr: (
        _open(pk, state, now),
        {"state": to, "user": user, "amr": amr, "finished_at": now},
    )
)
# The person as they were when they proved themselves, and able to act.
_ENTER = Update(
    lambda pk, epoch, now: (
        User.objects.filter(
            Exists(Tenant.objects.filter(pk=OuterRef("tenant"), is_active=True)),
            pk=pk,
            epoch=epoch,
            is_active=True,
            deleted_at=None,
        ),
        {"last_login": now},
    )
)


@retried
def finish(row: LoginTransaction, step: SignInStep, *, device_trusted: bool = False) -> LoginOutcome:
    """Open or renew the session, in the transaction that finishes the sign-in.

    device_trusted: a trusted browser stands in for the second factor, and does so still when the session is written.
    The person is read and locked again: a step may come minutes after the password (S26). An end of all sessions at
    this moment either waits, then finds the new session and tells its applications, or came first.
    """
    row = copy(row)  # what a try that is broken off has set is set on the copy
    is_plain = step.session is None and row.channel == SessionKind.BROWSER
    if is_plain and not {"external", "step_up"} & row.data.keys():
        session, session_handle = _begin_session(row, step, device_trusted=device_trusted)
    else:
        session, session_handle = _build_on(row, step, device_trusted=device_trusted)
    return LoginOutcome(
        LoginState.SUCCESS,
        row,
        user=session.user,
        next_url=row.next_url,
        session=session,
        session_handle=session_handle,
    )


def _begin_session(row: LoginTransaction, step: SignInStep, *, device_trusted: bool) -> tuple[SSOSession, str]:
    """Open a browser's first session: one statement, in which the person and the transaction decide in turn."""
    user, now = user_of(row), timezone.now()
    session, started, handle = sessions.describe(
        user=user,
        amr=row.amr,
        context=step.context,
        kind=row.channel,
        factor_skipped=SKIPPED in row.data,
        device_trusted=device_trusted,
    )
    # Locks the person until they are written, and waits for whoever has. What closes the sign-in comes last: it stays.
    enter, close = _ENTER.bind(user.pk, user.epoch, now), _CLOSE.bind(*_closing(row, state=LoginState.SUCCESS, now=now))
    gates = [enter, *_trust(user, step, device_trusted), close]
    if not write(session, started, _success(row, session, step.context), gate=gates, keys=True):
        _read_again(user)
        raise _left(row)
    row.state, row.finished_at = LoginState.SUCCESS, now
    return session, handle


def _trust(user: User, step: SignInStep, device_trusted: bool) -> list[Bound]:
    """Return the gate of the browser's trust, where the sign-in rests on it."""
    return [trusted_devices.gate(user=user, handle=step.trust, binding=step.binding)] if device_trusted else []


def _build_on(row: LoginTransaction, step: SignInStep, *, device_trusted: bool) -> tuple[SSOSession, str]:
    """Renew the browser's session, or end it for another person's; open an app's, or one of another provider's."""
    session, context = step.session, step.context
    left_out = {"factor_skipped": SKIPPED in row.data, "device_trusted": device_trusted}
    with transaction.atomic():
        user = _read_again(user_of(row), is_locked=True)
        if "external" in row.data:
            # Whoever came from another provider is linked now, when everything that is due was proved (S28).
            external_identities.link_parked(row.data["external"], user=user, tenant=row.tenant, context=context)
        is_own = session is not None and session.user_id == user.pk and session.epoch == user.epoch
        own = session if is_own else None
        if "step_up" in row.data:
            if own is None or own.pk != row.data["step_up"]:
                raise StateInvalid(log_detail=f"login_transaction={row.pk} is of another session")
            opened, handle = sessions.renew(session=own, amr=row.amr, context=context, is_step_up=True)
        elif own is not None:
            opened, handle = sessions.renew(session=own, amr=row.amr, context=context, **left_out)
        else:
            if session is not None:
                sessions.end(session, reason=SessionEndReason.REPLACED, context=context, actor=user)
            opened, handle = sessions.start(user=user, amr=row.amr, context=context, kind=row.channel, **left_out)
        now = timezone.now()
        gates = [*_trust(user, step, device_trusted), _CLOSE.bind(*_closing(row, state=LoginState.SUCCESS, now=now))]
        enter = _ENTER.bind(user.pk, user.epoch, now)
        if not write(_success(row, opened, context), gate=gates, besides=[enter]):
            raise _left(row)
    row.state, row.finished_at = LoginState.SUCCESS, now
    return opened, handle


def _read_again(proved_user: User, *, is_locked: bool = False) -> User:
    """Return the person as they are now. Raises AccountDisabled, and StateInvalid in another epoch than then."""
    people = User.objects.select_related("tenant__session_policy")
    if is_locked:
        people = people.select_for_update(of=("self",), no_key=True)
    user: User = people.get(pk=proved_user.pk)
    if not user.is_usable:
        raise AccountDisabled(log_detail=f"user={user.pk}")
    if user.epoch != proved_user.epoch:
        raise StateInvalid(log_detail=f"user={user.pk} is in another epoch than at the proof")
    return user


def _success(row: LoginTransaction, session: SSOSession, context: RequestContext) -> AuditEvent:
    return audit.describe(
        EventType.LOGIN_SUCCESS,
        tenant=row.tenant,
        actor=session.user,
        target=session.user,
        application=row.application,
        sid=session.sid,
        context=context,
        details={
            "amr": session.amr,
            "acr": session.acr,
            "channel": row.channel,
            **({"device_trusted": True} if session.device_trusted else {}),
        },
    )


def deny(row: LoginTransaction, *, error: AccessDenied, context: RequestContext) -> LoginOutcome:
    """Finish without a session, because a rule forbids one."""
    close(row, state=LoginState.ACCESS_DENIED)
    record_refusal(EventType.LOGIN_SUCCESS, row=row, error=error, context=context)
    return LoginOutcome(LoginState.ACCESS_DENIED, row, user=row.user, next_url=row.next_url, reason=error.error_code)


def record_refusal(
    event: EventType,
    *,
    row: LoginTransaction,
    error: IdentityError,
    context: RequestContext,
    identifier: str | None = None,
    mobile: str | None = None,
    resolved: authentication.Resolved | None = None,
    **further: Any,
) -> None:
    """Count the failure on the transaction and record it; the name or number only as a hash where nobody has it.

    resolved: whom the try named, where the caller knows it. further: details of the event.
    """
    if not isinstance(error, SystemBusy):  # who was turned away has not tried
        LoginTransaction.objects.filter(pk=row.pk).update(failures=F("failures") + 1)
    user, details = row.user, {"channel": row.channel, **further}
    if identifier is not None:
        resolved = authentication.resolve(identifier, tenant=row.tenant)
    elif mobile is not None:
        resolved = authentication.resolve_mobile(mobile, tenant=row.tenant)
    if resolved is not None:
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
    if isinstance(error, PasskeyRefused):
        return f"{error.error_code}:{error.reason}"
    if isinstance(error, CredentialsRefused) and error.log_detail == "user=None":
        return f"{error.error_code}:unknown"
    return error.error_code
