"""A forgotten password: a code to the verified address of whoever the name means, then a new password.

It is a LoginTransaction of a channel of its own, and never becomes a session. Operators, where that is allowed at all,
are asked for two codes, one to the mailbox and one to the telephone: who has their password has the console (S46).

A text message to somebody who has proved nothing costs a sliding puzzle, as in apps. Who is named by a mailbox
gets mail and no text message, so that there is a way without a picture; every other name costs one, whoever has it
(S33).
"""

from __future__ import annotations

import logging
from copy import copy
from dataclasses import replace

from django.db import transaction

from identity import audit, authority, crypto, policies, throttle
from identity.context import RequestContext
from identity.errors import AuthorityRefused, IdentityError, StateInvalid, TooManyRequests
from identity.events import EventType
from identity.messaging import messages, phone
from identity.models import (
    AuditOutcome,
    CounterKind,
    LoginState,
    LoginTransaction,
    SessionKind,
    Tenant,
    User,
    VerificationChannel,
    VerificationPurpose,
)
from identity.passwords import breaches, credentials
from identity.passwords.turns import turn
from identity.retries import retried
from identity.sign_in import authentication, captcha, machine, verification
from identity.sign_in.factors import table
from identity.sign_in.machine import SignInStep

log = logging.getLogger(__name__)

CHANNEL = "reset"  # never a sign-in

_TARGET = "login_transaction.target"


def begin(
    *, tenant: Tenant, identifier: str, answer: captcha.Answer | None, binding: str, context: RequestContext
) -> str:
    """Send a code to a verified address of whoever the identifier names; return the handle of the reset.

    The answer, the rows written and the time are the same where nobody is named or nothing can be sent (S33).
    Raises CaptchaRefused where a puzzle is asked for and the answer is none or wrong, and TooManyRequests only for the
    source.
    """
    may_send_text = _may_send_text(identifier, tenant=tenant)
    if may_send_text:
        captcha.solve(tenant=tenant, answer=answer, binding=binding)
    throttle.limit(
        tenant=tenant,
        kind=CounterKind.SEND_SOURCE,
        key=f"{CHANNEL}:{throttle.source_of(context)}",
        limit=verification.source_limit(tenant),
    )
    resolved = authentication.resolve(identifier, tenant=tenant)
    user = resolved.user
    places = _places_of(user, name=resolved.name) if user is not None and _may_reset(user) else []
    can_send = bool(places) and (may_send_text or places[0].channel == VerificationChannel.EMAIL)
    target = places[0] if can_send else _nobodys_target(resolved.name)
    row, handle = machine.create(
        tenant=tenant,
        binding=binding,
        channel=CHANNEL,
        data={"target": crypto.seal(target.address, purpose=_TARGET), "channel": target.channel},
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
        # Answering with the limit would reveal that two names belong to one person.
        log.info("password_reset.not_sent", extra={"reason": error.log_detail})
    return handle


def finish(step: SignInStep, *, verification_code: str, new_password: str) -> User | None:
    """Set a new password on the proof of the code that was sent; all sessions and tokens end.

    Answers whose it is; None where this was the first of two codes: the second one is on its way, and the same handle
    takes it, with the password. Raises StateInvalid, AccountLocked, TooManyRequests, VerificationRefused,
    PasswordRefused, AuthorityRefused (RIGHT.0004), SendFailed. A refused password leaves the code open, as its holder
    has proved themselves.
    """
    states = (LoginState.START, LoginState.MFA_AUTH)
    context = step.context
    row = machine.get(replace(step, channel=CHANNEL), state=states)
    address = crypto.unseal(row.data["target"], purpose=_TARGET)
    channel = VerificationChannel(row.data.get("channel", VerificationChannel.EMAIL))
    target = verification.Target(channel, address)
    try:
        with throttle.source_counted(tenant=row.tenant, context=context):
            proved = _prove_reset(row, target=target, verification_code=verification_code)
            user = machine.user_of(row)
            if not _may_reset(user):
                raise AuthorityRefused("RIGHT.0004", log_detail=f"user={user.pk} has got rights meanwhile")
            if authority.is_privileged(user) and row.state == LoginState.START:
                _ask_for_second_code(row, user=user, first=target, proved=proved, context=context)
                return None
            breaches.check(new_password, tenant=row.tenant, context=context, actor=user, target=user)
            _spend_and_set(row, user=user, proved=proved, new_password=new_password, context=context)
    except IdentityError as error:
        machine.record_refusal(EventType.PASSWORD_RESET, row=row, error=error, context=context)
        raise
    # Whoever guessed until the account was locked has not got the mailbox or the telephone.
    throttle.unlock(user, context=context, actor=user)
    return user


def reset_by_mobile(
    *, tenant: Tenant, mobile: str, verification_code: str, new_password: str, context: RequestContext
) -> User:
    """Set a new password on the proof of a code that was sent to the number; all sessions and tokens end.

    The number must be proved already: one that somebody wrote into a directory is nobody's here, as a reset would give
    the account to whoever may write it (S46). An operator's password is not reset in one step.
    Raises TooManyRequests, VerificationRefused, then NotFound (USER.0001), AccountDisabled, AuthorityRefused
    (RIGHT.0004), PasswordRefused. A refused password leaves the code open, as its holder has proved themselves.
    """
    resolved = authentication.resolve_mobile(mobile, tenant=tenant)
    target = verification.mobile_target(mobile, tenant=tenant)
    try:
        # By the source only, as in `_prove_reset`.
        with throttle.source_counted(tenant=tenant, context=context):
            proved = verification.prove(
                tenant=tenant,
                purpose=VerificationPurpose.RESET_PASSWORD,
                target=target,
                verification_code=verification_code,
            )
            holder = resolved.user
            if holder is not None and authority.is_privileged(holder):
                verification.spend(proved)
                raise AuthorityRefused("RIGHT.0004", log_detail=f"user={holder.pk}")
            user = authentication.check_holder(
                holder if holder and holder.phone_number_verified else None, proved=proved
            )
            breaches.check(new_password, tenant=tenant, context=context, actor=user, target=user)
            _spend_and_set(None, user=user, proved=proved, new_password=new_password, context=context)
    except IdentityError as error:
        audit.record(
            EventType.PASSWORD_RESET,
            tenant=tenant,
            target=resolved.user,
            context=context,
            outcome=AuditOutcome.REFUSED,
            reason=error.error_code,
            details={"channel": SessionKind.SDK},
        )
        raise
    throttle.succeed_source(tenant=tenant, context=context)
    throttle.unlock(user, context=context, actor=user)
    return user


@retried
def _spend_and_set(
    row: LoginTransaction | None,
    *,
    user: User,
    proved: verification.Proved,
    new_password: str,
    context: RequestContext,
) -> None:
    """Spend the code and what was begun with it, if anything was, and set the password: all of it or nothing."""
    with turn(), transaction.atomic():
        verification.spend(proved)
        if row is not None:
            machine.close(copy(row), state=LoginState.SUCCESS)
        credentials.set_password(user=user, password=new_password, context=context, actor=user)


def _ask_for_second_code(
    row: LoginTransaction,
    *,
    user: User,
    first: verification.Target,
    proved: verification.Proved,
    context: RequestContext,
) -> None:
    """Spend the first code and send another one the other way."""
    other = [place for place in _places_of(user, name="") if place.channel != first.channel]
    if not other:
        raise StateInvalid(log_detail=f"user={user.pk} has lost the other address")
    data = {"target": crypto.seal(other[0].address, purpose=_TARGET), "channel": other[0].channel}
    with transaction.atomic():
        verification.spend(proved)
        machine.move(row, to=LoginState.MFA_AUTH, user=user, amr=[table.FACTORS[first.channel].amr], data=data)
    verification.send(
        tenant=row.tenant,
        purpose=VerificationPurpose.RESET_PASSWORD,
        target=other[0],
        user=user,
        context=context,
    )


def _may_send_text(identifier: str, *, tenant: Tenant) -> bool:
    """Tell whether the first code may be a text message, by what was typed and by the tenant, never by who it is."""
    return "@" not in identifier and messages.has_route(tenant=tenant, channel=VerificationChannel.SMS)


def _may_reset(user: User) -> bool:
    return user.is_usable and authority.may_reset_password(user=user, policy=policies.password_policy(user.tenant))


def _prove_reset(row: LoginTransaction, *, target: verification.Target, verification_code: str) -> verification.Proved:
    purpose = VerificationPurpose.RESET_PASSWORD
    if row.user is not None and row.user.is_usable:
        # The account's own counter stays out: a lock by somebody's guesses must not keep its owner from the reset.
        return verification.prove(
            tenant=row.tenant, purpose=purpose, target=target, verification_code=verification_code, user=row.user
        )
    proved = verification.prove(tenant=row.tenant, purpose=purpose, target=target, verification_code=verification_code)
    raise StateInvalid(log_detail=f"verification_code={proved.row.pk} of nobody was guessed")


def _places_of(user: User, *, name: str) -> list[verification.Target]:
    """Return the verified places that codes go to: first the number where that was typed, else the mailbox.

    Nowhere for an operator who has not both.
    """
    mailbox = verification.email_of(user) if user.email and user.email_verified else None
    telephone = None
    if user.mobile_index and user.phone_number_verified:
        telephone = verification.mobile_of(user)
        if not verification.is_reachable(telephone, tenant=user.tenant):
            telephone = None
    is_number_typed = user.mobile_index == phone.mobile_index(name, tenant=user.tenant)
    places = [place for place in ((telephone, mailbox) if is_number_typed else (mailbox, telephone)) if place]
    return [] if authority.is_privileged(user) and len(places) == 1 else places


def _nobodys_target(name: str) -> verification.Target:
    return verification.Target(VerificationChannel.EMAIL, f"{name[:200]}\n")
