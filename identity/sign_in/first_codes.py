"""A one-time code in place of the password, on the sign-in page: ordered for an address, and taken once.

It goes to an address that somebody has proved, and nowhere else; whether anybody has is not told: the answer, the rows
and the time are the same (S33). It is good for the one sign-in that ordered it, in its browser (S28). Whatever is due
after a first factor comes after it: a code is a thing that one has, so another code is no second factor.

A text message costs a sliding puzzle, as in apps (see `mobile_codes`). Mail costs none, so that there is a way without
a picture.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.db import transaction

from identity import assurance, audit, authority, crypto, throttle
from identity.context import RequestContext
from identity.directory import attributes
from identity.errors import (
    AccountDisabled,
    CaptchaRefused,
    IdentityError,
    StateInvalid,
    VerificationRefused,
)
from identity.events import EventType
from identity.models import (
    AuditOutcome,
    LoginState,
    LoginTransaction,
    SignInMethod,
    Tenant,
    User,
    VerificationChannel,
    VerificationPurpose,
)
from identity.sign_in import authentication, captcha, machine, verification
from identity.sign_in.authentication import Resolved
from identity.sign_in.machine import LoginOutcome, SignInStep
from identity.sign_in.verification import SentCode, Target

METHODS = (SignInMethod.SMS, SignInMethod.EMAIL)

# RFC8176-2. A text message is told apart, as it is where it is the second factor.
_SHOWS = {
    VerificationChannel.SMS: (assurance.TEXT_MESSAGE, assurance.ONE_TIME_CODE),
    VerificationChannel.EMAIL: (assurance.ONE_TIME_CODE,),
}
_PURPOSE = VerificationPurpose.LOGIN
_ORDERED = "code"  # in a sign-in's data: for where a code was ordered
_TARGET = "login_transaction.code_target"


@dataclass(frozen=True)
class Ordered:
    """For where a sign-in has ordered a code, and what is known of it while it is open."""

    target: Target
    sent: SentCode | None


def order(step: SignInStep, *, method: str, address: str, answer: captcha.Answer | None) -> None:
    """Send a code for this sign-in to whoever has proved this number or mailbox, and remember for where.

    method: one of METHODS. answer: of the puzzle, asked for before a text message only.
    Raises StateInvalid, NotAllowed (MFA.0004), ValueRequired (USER.0010) and ValueInvalid (USER.0038) for what is no
    number, CaptchaRefused, TooManyRequests.
    """
    row = machine.get(step, state=LoginState.START)
    tenant, context = row.tenant, step.context
    try:
        machine.check_offered(row, method)
        if method == SignInMethod.SMS:
            attributes.clean_mobile(address, tenant=tenant)
            captcha.solve(tenant=tenant, answer=answer, binding=step.binding)
        typed = _target(method, address, tenant=tenant)
        user = _holder(_resolve(typed, tenant=tenant).user, channel=typed.channel)
        sent = verification.send(
            tenant=tenant,
            purpose=_PURPOSE,
            # As the person has it and not as it was typed: what is compared as one may be two mailboxes elsewhere.
            target=typed if user is None else _own_target(user, channel=typed.channel),
            user=user,
            context=context,
            is_deliverable=user is not None,
            is_beside_answer=True,
            bound_to=_owner(row),
        )
    except IdentityError as error:
        if isinstance(error, CaptchaRefused) and answer is None:
            raise  # the puzzle is shown now
        _record_refused_order(row, method=method, error=error, context=context)
        raise
    sealed = crypto.seal(address, purpose=_TARGET)
    row.data = {**row.data, _ORDERED: {"method": method, "target": sealed, "sent": sent.pk}}
    LoginTransaction.objects.filter(pk=row.pk, state=row.state, finished_at=None).update(data=row.data)


def order_again(step: SignInStep, *, answer: captcha.Answer | None) -> None:
    """Send another code to the same address. Raises as `order`."""
    target = _get(machine.get(step, state=LoginState.START)).target
    order(step, method=target.channel, address=target.address, answer=answer)


def find(row: LoginTransaction) -> Ordered | None:
    """Return what this sign-in has ordered, None where it has ordered nothing. One query where it has."""
    return _get(row) if is_ordered(row) else None


def is_ordered(row: LoginTransaction) -> bool:
    """Return whether this sign-in has ordered a code. No query."""
    return bool(row.data.get(_ORDERED))


def submit(step: SignInStep, *, verification_code: str) -> LoginOutcome:
    """Take the code, once. A wrong one counts like a wrong password (S30).

    Raises StateInvalid, NotAllowed (MFA.0004), TooManyRequests, AccountLocked, and VerificationRefused, also where it
    is right and its person may not sign in by a code (any more).
    """
    row = machine.get(step, state=LoginState.START)
    tenant, target = row.tenant, _get(row).target
    resolved = _resolve(target, tenant=tenant)
    try:
        machine.check_offered(row, target.channel)
        attempt = throttle.admit(tenant=tenant, user=resolved.user, name=resolved.name, context=step.context)
        proved = verification.prove(
            tenant=tenant,
            purpose=_PURPOSE,
            target=target,
            verification_code=verification_code,
            user=resolved.user if _holder(resolved.user, channel=target.channel) else None,
            bound_to=_owner(row),
        )
        user = _check_holder(resolved.user, proved=proved)
        throttle.succeed(attempt)
        with transaction.atomic():
            verification.spend(proved)
            audit.record(
                EventType.LOGIN_CODE,
                tenant=tenant,
                actor=user,
                target=user,
                context=step.context,
                details={"method": target.channel},
            )
    except IdentityError as error:
        machine.record_refusal(
            EventType.LOGIN_CODE,
            row=row,
            error=error,
            resolved=resolved,
            context=step.context,
            method=target.channel,
        )
        if isinstance(error, AccountDisabled):
            # To whoever tries, a disabled account behaves like a wrong code.
            raise VerificationRefused(log_detail=error.log_detail) from error
        raise
    row.user = user
    return machine.advance(row, step, proved=_SHOWS[target.channel])


def _get(row: LoginTransaction) -> Ordered:
    kept = row.data.get(_ORDERED)
    if not kept:
        raise StateInvalid(log_detail=f"login_transaction={row.pk} has ordered no code")
    target = _target(kept["method"], crypto.unseal(kept["target"], purpose=_TARGET), tenant=row.tenant)
    sent = verification.find_open(tenant=row.tenant, purpose=_PURPOSE, target=target)
    return Ordered(target, sent if sent is not None and sent.pk == kept["sent"] else None)


def _target(method: str, address: str, *, tenant: Tenant) -> Target:
    if method == SignInMethod.SMS:
        return verification.mobile_target(address, tenant=tenant)
    return Target(VerificationChannel.EMAIL, address)


def _resolve(target: Target, *, tenant: Tenant) -> Resolved:
    if target.channel == VerificationChannel.SMS:
        return authentication.resolve_mobile(target.address, tenant=tenant)
    return authentication.resolve_email(target.address, tenant=tenant)


def _holder(user: User | None, *, channel: str) -> User | None:
    """Return the person, if they have proved the address and a code there may let them in."""
    if user is None or not user.is_usable or not authority.may_sign_in_by_code(user):
        return None
    is_proved = user.phone_number_verified if channel == VerificationChannel.SMS else user.email_verified
    return user if is_proved else None


def _own_target(user: User, *, channel: str) -> Target:
    return verification.mobile_of(user) if channel == VerificationChannel.SMS else verification.email_of(user)


def _check_holder(user: User | None, *, proved: verification.Proved) -> User:
    """Return whose code was proved. A code that nobody was sent can only be guessed, and is over then.

    Raises AccountDisabled and VerificationRefused.
    """
    channel = proved.row.channel
    holder = _holder(user, channel=channel)
    if holder is not None:
        return holder
    verification.spend(proved)
    if user is not None and not user.is_usable:
        raise AccountDisabled(log_detail=f"user={user.pk}")
    raise VerificationRefused(log_detail=f"verification_code={proved.row.pk} of nobody who may sign in by it")


def _owner(row: LoginTransaction) -> str:
    """Return what a code is bound to. An app's code is bound to nothing, so neither of the two stands for the other."""
    return f"sign-in {row.pk}"


def _record_refused_order(row: LoginTransaction, *, method: str, error: IdentityError, context: RequestContext) -> None:
    audit.record(
        EventType.VERIFICATION_SEND,
        tenant=row.tenant,
        context=context,
        outcome=AuditOutcome.REFUSED,
        reason=error.error_code,
        details={"purpose": _PURPOSE, "method": method if method in METHODS else ""},
    )
