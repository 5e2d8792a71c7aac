"""Verification codes: send one, prove one, spend one.

Six digits, kept as a keyed hash, valid for five minutes and five tries. One code is open for each purpose and target.
How many leave the house, and to which countries, is the tenant's MessagePolicy; gateways are `messages`' business.
Tries are counted before the code is compared, and one conditional UPDATE spends it (S29, S30).
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import F, QuerySet
from django.db.models.signals import post_save
from django.dispatch import receiver
from django.utils import timezone

from identity import audit, crypto, policies, throttle
from identity.context import RequestContext
from identity.errors import SendFailed, TooManyRequests, ValueInvalid, VerificationRefused
from identity.events import EventType
from identity.messaging import messages, phone
from identity.messaging.senders.base import Message
from identity.messaging.senders.texts import Content
from identity.models import (
    CounterKind,
    MessagePolicy,
    Tenant,
    User,
    VerificationChannel,
    VerificationCode,
    VerificationPurpose,
)
from identity.models.users import make_email_key, make_mobile_key
from identity.purging import Purger
from identity.texts import typed_code
from identity.throttle import Limit

DIGITS = 6
LIFETIME = timedelta(minutes=5)
MAX_TRIES = 5
RESEND_INTERVAL = timedelta(seconds=60)

_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)

_PURPOSE = "verification_code"


@dataclass(frozen=True)
class Target:
    """Where a code goes: a mailbox or a telephone."""

    channel: VerificationChannel
    address: str

    @property
    def key(self) -> str:
        """The form in which addresses are compared."""
        make_key = make_email_key if self.channel == VerificationChannel.EMAIL else make_mobile_key
        return make_key(self.address)

    @property
    def masked(self) -> str:
        """What may be shown of it."""
        mask = crypto.mask_email if self.channel == VerificationChannel.EMAIL else crypto.mask_mobile
        return mask(self.address)


@dataclass(frozen=True)
class SentCode:
    """A code that was sent."""

    pk: int
    masked_target: str
    expires_at: datetime
    resend_at: datetime


@dataclass(frozen=True)
class Proved:
    """A code that was right and is not spent yet."""

    row: VerificationCode


def email_of(user: User) -> Target:
    """Return the user's mailbox."""
    return Target(VerificationChannel.EMAIL, user.email)


def mobile_of(user: User) -> Target:
    """Return the user's telephone."""
    return mobile_target(user.mobile, tenant=user.tenant)


def mobile_target(mobile: str, *, tenant: Tenant) -> Target:
    """Return the telephone with this number, whoever has it and however it is spelled."""
    return Target(VerificationChannel.SMS, phone.canonical_number(mobile, tenant=tenant))


def send(
    *,
    tenant: Tenant,
    purpose: VerificationPurpose,
    target: Target,
    user: User | None,
    context: RequestContext,
    is_deliverable: bool = True,
    is_beside_answer: bool = False,
    is_ordered_freely: bool = False,
    bound_to: str = "",
) -> SentCode:
    """Make a code and send it; an earlier one for the same purpose and target is void.

    Call it outside of a transaction: the code is committed before a gateway is asked.
    is_deliverable: False does everything but the sending, for an identifier that nobody has (S33).
    is_beside_answer: do not wait for the gateway, so that its time tells nothing; failures are only logged.
    is_ordered_freely: whoever solves a captcha may order it, whatever it is for.
    bound_to: what alone the code is good for, such as one sign-in; `prove` has to name it.
    Raises TooManyRequests, SendFailed, and ValueInvalid (USER.0038) for a number to which the tenant sends nothing.
    """
    address = _deliverable_address(tenant=tenant, target=target)
    verification_code = f"{secrets.randbelow(10**DIGITS):0{DIGITS}d}"
    try:
        with transaction.atomic(durable=True):
            _check_limits(
                tenant=tenant,
                purpose=purpose,
                target=target,
                context=context,
                is_deliverable=is_deliverable,
                is_ordered_freely=is_ordered_freely,
            )
            row = _open(
                tenant=tenant,
                purpose=purpose,
                target=target,
                user=user,
                verification_code=verification_code,
                bound_to=bound_to,
                context=context,
            )
    except IntegrityError:
        # Two at once for one target: the other one's code is on its way.
        raise TooManyRequests(
            retry_after_seconds=int(RESEND_INTERVAL.total_seconds()), log_detail="sent at the same moment"
        ) from None
    content = Content(tenant, verification_code, int(LIFETIME.total_seconds() // 60))
    text = messages.text_of(content, channel=target.channel, purpose=purpose, language=context.language)
    message = Message(
        tenant=tenant,
        channel=target.channel,
        purpose=purpose,
        target=address,
        verification_code=verification_code,
        valid_minutes=content.valid_minutes,
        language=context.language,
        subject=text.subject,
        text=text.body,
    )
    ways = messages.routes(tenant=tenant, channel=target.channel)
    envelope = messages.envelope_of(user=user, target_masked=target.masked, context=context)
    if is_deliverable:
        try:
            messages.dispatch(
                lambda: messages.hand_over(message, ways=ways, envelope=envelope), is_beside_answer=is_beside_answer
            )
        except SendFailed:
            # Nobody has this code, so nobody need wait for the next one.
            VerificationCode.objects.filter(pk=row.pk, consumed_at=None).update(consumed_at=timezone.now())
            raise
    return SentCode(row.pk, target.masked, row.expires_at, row.created_at + RESEND_INTERVAL)


def source_limit(tenant: Tenant) -> Limit:
    """Return how many codes one network address may cause."""
    return Limit(policies.message_policy(tenant).per_source_hour, _HOUR, _HOUR)


def find_open(*, tenant: Tenant, purpose: VerificationPurpose, target: Target) -> SentCode | None:
    """Return what is known of the code that is open for this purpose and target, if one is."""
    row = _open_rows(tenant=tenant, purpose=purpose, target=target).filter(expires_at__gt=timezone.now()).first()
    return SentCode(row.pk, row.target_masked, row.expires_at, row.created_at + RESEND_INTERVAL) if row else None


def newest_open(purposes: Sequence[VerificationPurpose], *, tenant: Tenant, target: Target) -> VerificationPurpose:
    """Return for which of these purposes the newest open code was sent; the first one where none is open."""
    rows = VerificationCode.objects.filter(
        tenant=tenant, purpose__in=purposes, target_index=_index(tenant, target), consumed_at=None
    )
    found = rows.order_by("-created_at", "-pk").values_list("purpose", flat=True).first()
    return VerificationPurpose(found) if found is not None else purposes[0]


def prove(
    *,
    tenant: Tenant,
    purpose: VerificationPurpose,
    target: Target,
    verification_code: str,
    user: User | None = None,
    bound_to: str = "",
) -> Proved:
    """Compare a code; a try is counted first, in a transaction of its own. Raises VerificationRefused.

    user: the code must have been sent for this person. bound_to: as in `send`.
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
    value = _hashed_value(tenant, purpose, row.target_index, verification_code, bound_to=bound_to)
    if not crypto.matches_keyed_hash(value, row.code_hash, purpose=_PURPOSE):
        raise VerificationRefused(log_detail=f"verification_code={row.pk} wrong")
    # Whoever holds the code does not guess: what it is for may be refused, as a weak password is, and tried again.
    VerificationCode.objects.filter(pk=row.pk).update(failures=F("failures") - 1)
    return Proved(row)


def spend(proved: Proved) -> None:
    """Spend a proved code, in the transaction of what it allows. Raises VerificationRefused if another one did."""
    if not VerificationCode.objects.filter(pk=proved.row.pk, consumed_at=None).update(consumed_at=timezone.now()):
        raise VerificationRefused(log_detail=f"verification_code={proved.row.pk} spent")


def is_same(one: Target, other: Target, *, tenant: Tenant) -> bool:
    """Tell whether both are one telephone or mailbox, however they are spelled."""
    return one.channel == other.channel and _index(tenant, one) == _index(tenant, other)


def is_reachable(target: Target, *, tenant: Tenant) -> bool:
    """Tell whether the tenant sends messages there at all: of numbers, to its countries only."""
    try:
        _deliverable_address(tenant=tenant, target=target)
    except ValueInvalid:
        return False
    return True


# Codes that ran out a day ago.
purge_expired = Purger(
    lambda now: VerificationCode.objects.filter(expires_at__lt=now - timedelta(days=1)), by="expires_at"
)


def _index(tenant: Tenant, target: Target) -> str:
    key = target.key
    if target.channel == VerificationChannel.SMS:
        key = phone.canonical_number(target.address, tenant=tenant)
    return crypto.blind_index(key, tenant_id=tenant.pk, field=f"verification:{target.channel}")


def _hashed_value(tenant: Tenant, purpose: str, target_index: str, verification_code: str, *, bound_to: str) -> str:
    # A code is worthless for another tenant, purpose or target, and for anything but what it is bound to.
    owner = f"{bound_to}:" if bound_to else ""
    return f"{tenant.pk}:{purpose}:{target_index}:{owner}{typed_code(verification_code)}"


def _open_rows(*, tenant: Tenant, purpose: VerificationPurpose, target: Target) -> QuerySet[VerificationCode]:
    return VerificationCode.objects.filter(
        tenant=tenant, purpose=purpose, target_index=_index(tenant, target), consumed_at=None
    )


@receiver(post_save, sender=MessagePolicy, dispatch_uid="verification.raise_limit")
def _lift_the_day(*, instance: MessagePolicy, **kwargs: object) -> None:
    """Make room for today when an operator raises the limit of a day, as they do when it is used up."""
    throttle.raise_limit(tenant=instance.tenant, kind=CounterKind.SEND_TENANT, count=instance.per_tenant_day)


def _deliverable_address(*, tenant: Tenant, target: Target) -> str:
    """Return the address as gateways take it. Raises ValueInvalid for a number that is none, or none that is paid for.

    Asked for nobody's number too, as the answer must not tell whose it is (S33).
    """
    if target.channel != VerificationChannel.SMS:
        return target.address
    number = phone.parse(target.address, country=phone.country_of(tenant))
    if number is None:
        raise ValueInvalid("USER.0038", log_detail="no number that a message reaches")
    if not messages.is_country_allowed(number.country, tenant=tenant):
        raise ValueInvalid("USER.0038", log_detail=f"country={number.country or number.calling_code} is not allowed")
    return number.e164


def _check_limits(
    *,
    tenant: Tenant,
    purpose: VerificationPurpose,
    target: Target,
    context: RequestContext,
    is_deliverable: bool,
    is_ordered_freely: bool,
) -> None:
    """Check that a code may leave the house now. Raises TooManyRequests."""
    policy = policies.message_policy(tenant)
    # Over all purposes: a telephone that rings does not care what each message was for. Only who has proved a first
    # factor has a count beside it, as strangers could use up the codes of that person's sign-ins otherwise.
    index = _index(tenant, target)
    is_after_a_proof = purpose == VerificationPurpose.SECOND_FACTOR and not is_ordered_freely
    target_key = f"{purpose}:{index}" if is_after_a_proof else index
    # The counter's row comes first: whoever sends to this target at the same moment waits there, and sees our code.
    limits = [
        (CounterKind.SEND_TARGET, target_key, Limit(policy.per_target_hour, _HOUR, _HOUR)),
        (CounterKind.SEND_TARGET_DAY, target_key, Limit(policy.per_target_day, _DAY)),
        (CounterKind.SEND_SOURCE, throttle.source_of(context), source_limit(tenant)),
    ]
    if context.device is not None:
        # An app can say what it likes, so this only stops those who do not trouble to; the address stops the others.
        fingerprint = context.device.fingerprint
        limits.insert(2, (CounterKind.SEND_DEVICE, fingerprint, Limit(policy.per_device_hour, _HOUR, _HOUR)))
    for kind, key, limit in limits:
        throttle.limit(tenant=tenant, kind=kind, key=key, limit=limit)
    # Undeliverable codes do not count: invented names must not exhaust the tenant's daily limit.
    of_day = Limit(policy.per_tenant_day, _DAY)
    throttle.limit(tenant=tenant, kind=CounterKind.SEND_TENANT, key="", limit=of_day, weight=1 if is_deliverable else 0)
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
    bound_to: str,
    context: RequestContext,
) -> VerificationCode:
    now = timezone.now()
    target_index = _index(tenant, target)
    value = _hashed_value(tenant, purpose, target_index, verification_code, bound_to=bound_to)
    row = VerificationCode(
        tenant=tenant,
        user=user,
        purpose=purpose,
        channel=target.channel,
        target_index=target_index,
        target_masked=target.masked[:100],
        code_hash=crypto.keyed_hash(value, purpose=_PURPOSE),
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
