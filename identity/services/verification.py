"""Verification codes: send one, prove one, spend one.

Six digits, kept as a keyed hash, valid for five minutes and five tries. One code is open for each purpose and target.
Tries are counted before the code is compared, and one conditional UPDATE spends it (S29, S30).
"""

from __future__ import annotations

import logging
import math
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache

from django.db import IntegrityError, transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from identity import crypto
from identity.conf import conf
from identity.context import RequestContext
from identity.errors import SendFailed, TooManyRequests, VerificationRefused
from identity.events import EventType
from identity.models import (
    CounterKind,
    Tenant,
    User,
    VerificationChannel,
    VerificationCode,
    VerificationPurpose,
)
from identity.models.users import make_email_key
from identity.senders.base import Message, NotSent, senders_for
from identity.services import audit, throttle, users
from identity.services.throttle import Limit

log = logging.getLogger(__name__)

DIGITS = 6
LIFETIME = timedelta(minutes=5)
MAX_TRIES = 5
RESEND_INTERVAL = timedelta(seconds=60)

# How many codes leave the house: to one person for one purpose, because of one source, and for one tenant in all.
PER_TARGET = Limit(5, timedelta(hours=1), timedelta(hours=1))
PER_SOURCE = Limit(30, timedelta(hours=1), timedelta(hours=1))
PER_TENANT = Limit(10_000, timedelta(days=1), timedelta(hours=1))

_PURPOSE = "verification_code"


@dataclass(frozen=True)
class Target:
    """Where a code goes: a mailbox or a telephone."""

    channel: VerificationChannel
    address: str

    @property
    def key(self) -> str:
        """The form in which addresses are compared."""
        return make_email_key(self.address) if self.channel == VerificationChannel.EMAIL else self.address.strip()

    @property
    def masked(self) -> str:
        """What may be shown of it."""
        mask = crypto.mask_email if self.channel == VerificationChannel.EMAIL else crypto.mask_mobile
        return mask(self.address)


@dataclass(frozen=True)
class SentCode:
    """A code that was sent."""

    masked_target: str
    expires_at: datetime
    resend_at: datetime


@dataclass(frozen=True)
class Proved:
    """A code that was right and is not spent yet."""

    row: VerificationCode


def email_of(user: User) -> Target:
    """The user's mailbox."""
    return Target(VerificationChannel.EMAIL, user.email)


def send(
    *,
    tenant: Tenant,
    purpose: VerificationPurpose,
    target: Target,
    user: User | None,
    context: RequestContext,
    is_deliverable: bool = True,
    is_beside_answer: bool = False,
) -> SentCode:
    """Make a code and send it; an earlier one for the same purpose and target is void.

    is_deliverable: False does everything but the sending, for an identifier that nobody has (S33).
    is_beside_answer: do not wait for the gateway, so that its time tells nothing; failures are only logged.
    Raises TooManyRequests, SendFailed.
    """
    verification_code = f"{secrets.randbelow(10**DIGITS):0{DIGITS}d}"
    try:
        with transaction.atomic():
            _check_limits(tenant=tenant, purpose=purpose, target=target, context=context)
            row = _open(
                tenant=tenant,
                purpose=purpose,
                target=target,
                user=user,
                verification_code=verification_code,
                context=context,
            )
    except IntegrityError:
        # Two at once for one target: the other one's code is on its way.
        raise TooManyRequests(
            retry_after_seconds=int(RESEND_INTERVAL.total_seconds()), log_detail="sent at the same moment"
        ) from None
    message = Message(
        tenant=tenant,
        channel=target.channel,
        purpose=purpose,
        target=target.address,
        verification_code=verification_code,
        valid_minutes=int(LIFETIME.total_seconds() // 60),
        language=context.language,
    )
    if is_deliverable:
        try:
            _dispatch(lambda: _deliver(message, row_id=row.pk), is_beside_answer=is_beside_answer)
        except SendFailed:
            # Nobody has this code, so nobody need wait for the next one.
            VerificationCode.objects.filter(pk=row.pk, consumed_at=None).update(consumed_at=timezone.now())
            raise
    return SentCode(target.masked, row.expires_at, row.created_at + RESEND_INTERVAL)


def find_open(*, tenant: Tenant, purpose: VerificationPurpose, target: Target) -> SentCode | None:
    """Return what is known of the code that is open for this purpose and target, if one is."""
    row = _open_rows(tenant=tenant, purpose=purpose, target=target).filter(expires_at__gt=timezone.now()).first()
    return SentCode(row.target_masked, row.expires_at, row.created_at + RESEND_INTERVAL) if row else None


def prove(
    *,
    tenant: Tenant,
    purpose: VerificationPurpose,
    target: Target,
    verification_code: str,
    user: User | None = None,
) -> Proved:
    """Compare a code; a try is counted first, in a transaction of its own. Raises VerificationRefused.

    user: the code must have been sent for this person.
    """
    row = _open_rows(tenant=tenant, purpose=purpose, target=target).first()
    if row is None or (user is not None and row.user_id != user.pk):
        # The same work as for a code that is there.
        crypto.matches_keyed_hash(verification_code, "", purpose=_PURPOSE)
        raise VerificationRefused(log_detail="no open code")
    admitted = VerificationCode.objects.filter(
        pk=row.pk, consumed_at=None, failures__lt=MAX_TRIES, expires_at__gt=timezone.now()
    )
    if not admitted.update(failures=F("failures") + 1):
        raise VerificationRefused(log_detail=f"verification_code={row.pk} expired or tried too often")
    value = _hashed_value(tenant, purpose, row.target_index, verification_code)
    if not crypto.matches_keyed_hash(value, row.code_hash, purpose=_PURPOSE):
        raise VerificationRefused(log_detail=f"verification_code={row.pk} wrong")
    # Whoever holds the code does not guess: what it is for may be refused, as a weak password is, and tried again.
    VerificationCode.objects.filter(pk=row.pk).update(failures=F("failures") - 1)
    return Proved(row)


def spend(proved: Proved) -> None:
    """Spend a proved code, in the transaction of what it allows. Raises VerificationRefused if another one did."""
    if not VerificationCode.objects.filter(pk=proved.row.pk, consumed_at=None).update(consumed_at=timezone.now()):
        raise VerificationRefused(log_detail=f"verification_code={proved.row.pk} spent")


def verify_email(*, user: User, verification_code: str, context: RequestContext) -> None:
    """Note that the user has this mailbox: the only way for a person to a verified address (S25).

    Raises VerificationRefused, TooManyRequests.
    """
    throttle.count_source(tenant=user.tenant, context=context)
    proved = prove(
        tenant=user.tenant,
        purpose=VerificationPurpose.VERIFY_EMAIL,
        target=email_of(user),
        verification_code=verification_code,
        user=user,
    )
    with transaction.atomic():
        spend(proved)
        users.mark_verified(user=user, attribute="email", context=context)


def purge_expired(now: datetime, limit: int) -> int:
    """Delete codes that ran out a day ago."""
    old = VerificationCode.objects.filter(expires_at__lt=now - timedelta(days=1))
    keys = list(old.values_list("pk", flat=True)[:limit])
    VerificationCode.objects.filter(pk__in=keys).delete()
    return len(keys)


def _index(tenant: Tenant, target: Target) -> str:
    return crypto.blind_index(target.key, tenant_id=tenant.pk, field=f"verification:{target.channel}")


def _hashed_value(tenant: Tenant, purpose: str, target_index: str, verification_code: str) -> str:
    # A code is worthless for another tenant, purpose or target.
    return f"{tenant.pk}:{purpose}:{target_index}:{verification_code.strip()}"


def _open_rows(*, tenant: Tenant, purpose: VerificationPurpose, target: Target) -> QuerySet[VerificationCode]:
    return VerificationCode.objects.filter(
        tenant=tenant, purpose=purpose, target_index=_index(tenant, target), consumed_at=None
    )


def _check_limits(*, tenant: Tenant, purpose: VerificationPurpose, target: Target, context: RequestContext) -> None:
    """Check that a code may leave the house now. Raises TooManyRequests."""
    # The counter's row comes first: whoever sends to this target at the same moment waits there, and sees our code.
    for kind, key, limit in (
        # By purpose: anybody may ask for somebody's reset, and must not use up the codes of that person's sign-ins.
        (CounterKind.SEND_TARGET, f"{purpose}:{_index(tenant, target)}", PER_TARGET),
        (CounterKind.SEND_SOURCE, throttle.source_of(context), PER_SOURCE),
        (CounterKind.SEND_TENANT, "", PER_TENANT),
    ):
        throttle.limit(tenant=tenant, kind=kind, key=key, limit=limit)
    now = timezone.now()
    recent = _open_rows(tenant=tenant, purpose=purpose, target=target).filter(created_at__gt=now - RESEND_INTERVAL)
    newest = recent.first()
    if newest is not None:
        wait = (newest.created_at + RESEND_INTERVAL - now).total_seconds()
        raise TooManyRequests(retry_after_seconds=max(math.ceil(wait), 1), log_detail=f"verification_code={newest.pk}")


def _open(
    *,
    tenant: Tenant,
    purpose: VerificationPurpose,
    target: Target,
    user: User | None,
    verification_code: str,
    context: RequestContext,
) -> VerificationCode:
    now = timezone.now()
    target_index = _index(tenant, target)
    row = VerificationCode(
        tenant=tenant,
        user=user,
        purpose=purpose,
        channel=target.channel,
        target_index=target_index,
        target_masked=target.masked[:100],
        code_hash=crypto.keyed_hash(_hashed_value(tenant, purpose, target_index, verification_code), purpose=_PURPOSE),
        expires_at=now + LIFETIME,
    )
    _open_rows(tenant=tenant, purpose=purpose, target=target).update(consumed_at=now)
    row.save(force_insert=True)
    audit.record(
        EventType.VERIFICATION_SEND,
        tenant=tenant,
        target=user,
        context=context,
        details={"purpose": purpose, "channel": target.channel},
    )
    return row


def _dispatch(deliver: Callable[[], None], *, is_beside_answer: bool) -> None:
    if is_beside_answer and conf.send_beside_answer:
        _background().submit(_deliver_quietly, deliver)
    elif is_beside_answer:
        _deliver_quietly(deliver)
    else:
        deliver()


def _deliver_quietly(deliver: Callable[[], None]) -> None:
    try:
        deliver()
    except SendFailed as error:
        log.warning("verification.not_sent", extra={"reason": error.log_detail})
    except Exception:
        # Nobody waits for this thread's answer, so the log is the only place where it can tell.
        log.exception("verification.send_error")


def _deliver(message: Message, *, row_id: int) -> None:
    """Hand the message to the first gateway that takes it. Raises SendFailed. Asks no database."""
    reasons = []
    for sender in senders_for(message.channel):
        try:
            sender.send(message)
        except NotSent as error:
            reasons.append(f"{type(sender).__name__}: {error}")
            continue
        return
    raise SendFailed(log_detail=f"verification_code={row_id}: {'; '.join(reasons) or 'no gateway'}")


@cache
def _background() -> ThreadPoolExecutor:
    """One small pool for the process, made after it has forked."""
    return ThreadPoolExecutor(max_workers=2, thread_name_prefix="send-code")
