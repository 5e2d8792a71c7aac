"""A forgotten password: a code to the verified address of whoever the name means, then a new password.

It is a LoginTransaction of a channel of its own, which never becomes a session.
"""

from __future__ import annotations

import logging
from copy import copy

from django.db import transaction

from identity import crypto
from identity.context import RequestContext
from identity.errors import AuthorityRefused, IdentityError, StateInvalid, TooManyRequests
from identity.events import EventType
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
from identity.retries import retried
from identity.services import audit, authentication, authority, credentials, login_steps, throttle, verification

log = logging.getLogger(__name__)

CHANNEL = "reset"  # never a sign-in

_TARGET = "login_transaction.target"


def begin(*, tenant: Tenant, identifier: str, binding: str, context: RequestContext) -> str:
    """Send a code to a verified address of whoever the identifier names; return the handle of the reset.

    The answer, the rows written and the time are the same where nobody is named or nothing can be sent (S33).
    Raises TooManyRequests only for the source.
    """
    throttle.limit(
        tenant=tenant,
        kind=CounterKind.SEND_SOURCE,
        key=f"{CHANNEL}:{throttle.source_of(context)}",
        limit=verification.source_limit(tenant),
    )
    resolved = authentication.resolve(identifier, tenant=tenant)
    user = resolved.user
    may_reset = user is not None and user.is_usable and not authority.is_privileged(user)
    place = _place_of(user, name=resolved.name) if user is not None and may_reset else None
    can_send = place is not None
    target = place or _nobodys_target(resolved.name)
    row, handle = login_steps.create(
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
        # Told, it would say whether two names are one person's.
        log.info("password_reset.not_sent", extra={"reason": error.log_detail})
    return handle


def finish(*, handle: str, binding: str, verification_code: str, new_password: str, context: RequestContext) -> User:
    """Set a new password on the proof of the code that was sent; all sessions and tokens end.

    Raises StateInvalid, AccountLocked, TooManyRequests, VerificationRefused, PasswordRefused. A refused password
    leaves the code open, as its holder has proved themselves.
    """
    row = login_steps.get(handle=handle, binding=binding, context=context, channel=CHANNEL, state=LoginState.START)
    address = crypto.unseal(row.data["target"], purpose=_TARGET)
    channel = VerificationChannel(row.data.get("channel", VerificationChannel.EMAIL))
    target = verification.Target(channel, address)
    try:
        proved = _prove_reset(row, target=target, verification_code=verification_code, context=context)
        user = login_steps.user_of(row)
        if authority.is_privileged(user):
            raise AuthorityRefused("RIGHT.0004", log_detail=f"user={user.pk} has got rights meanwhile")
        _spend_and_set(row, user=user, proved=proved, new_password=new_password, context=context)
    except IdentityError as error:
        login_steps.record_refusal(EventType.PASSWORD_RESET, row=row, error=error, context=context)
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
        # Not the account's own counter, as in `_prove_reset`.
        throttle.count_source(tenant=tenant, context=context)
        proved = verification.prove(
            tenant=tenant,
            purpose=VerificationPurpose.RESET_PASSWORD,
            target=target,
            verification_code=verification_code,
        )
        holder = resolved.user if resolved.user is not None and resolved.user.phone_number_verified else None
        user = authentication.check_holder(holder, proved=proved)
        if authority.is_privileged(user):
            verification.spend(proved)
            raise AuthorityRefused("RIGHT.0004", log_detail=f"user={user.pk}")
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
    with transaction.atomic():
        verification.spend(proved)
        if row is not None:
            login_steps.close(copy(row), state=LoginState.SUCCESS, session=None)
        credentials.set_password(user=user, password=new_password, context=context, actor=user)


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


def _place_of(user: User, *, name: str) -> verification.Target | None:
    """Where the code goes: to the number where that is what was typed, else to the mailbox, of the verified ones."""
    mailbox = verification.email_of(user) if user.email and user.email_verified else None
    telephone = None
    if user.mobile_index and user.phone_number_verified:
        telephone = verification.mobile_of(user)
        if not verification.is_reachable(telephone, tenant=user.tenant):
            telephone = None
    is_number_typed = user.mobile_index == User.mobile.index(name, tenant_id=user.tenant_id)
    return (telephone or mailbox) if is_number_typed else (mailbox or telephone)


def _nobodys_target(name: str) -> verification.Target:
    return verification.Target(VerificationChannel.EMAIL, f"{name[:200]}\n")
