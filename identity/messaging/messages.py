"""Handing messages to gateways: which ones a tenant has, what they say, and what became of each try.

No transaction is open while a gateway is asked. A code's row is committed first (`verification.send` refuses to run
inside another transaction), then gateways and text are read and the secrets unsealed, then the network is waited for
with no statement under way, and each answer is written by one INSERT of its own. So a gateway that takes its two
seconds holds no lock, no snapshot and no row, and a process that dies in between leaves a code that nobody has and that
runs out. The price: a message may be taken and its row be lost with the process.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache

from django.conf import settings
from django.db import close_old_connections

from identity import crypto, policies
from identity.conf import conf
from identity.context import RequestContext
from identity.errors import SendFailed
from identity.messaging import phone
from identity.messaging.senders import KINDS, texts
from identity.messaging.senders.base import GatewayFacts, Message, NotSent, Sender, senders_for
from identity.messaging.senders.texts import Content, Text
from identity.models import (
    MessageGateway,
    MessageTemplate,
    SentMessage,
    SentState,
    Tenant,
    User,
    VerificationChannel,
    VerificationPurpose,
)
from identity.purging import Purger

log = logging.getLogger(__name__)

SECRET_PURPOSE = crypto.column_purpose(MessageGateway, "secret_sealed")
ALL_COUNTRIES = "*"

_MAX_REFERENCE, _MAX_ERROR_CODE = 200, 100


@dataclass(frozen=True)
class Route:
    """One gateway that may be asked, ready to send."""

    name: str
    sender: Sender
    gateway: MessageGateway | None  # None: one of the installation's own


@dataclass(frozen=True)
class Envelope:
    """Whose message it is, for the record of what was sent."""

    user: User | None
    target_masked: str
    request_id: str
    is_test: bool = False


def is_country_allowed(country: str, *, tenant: Tenant) -> bool:
    """Tell whether the tenant pays for messages to this country; "" is none that is known."""
    allowed = policies.message_policy(tenant).allowed_countries.split() or [phone.country_of(tenant)]
    return ALL_COUNTRIES in allowed or (bool(country) and country in allowed)


# Before the network ----------------------------------------------------------------------------------------


def routes(*, tenant: Tenant, channel: VerificationChannel) -> list[Route]:
    """Return the tenant's active gateways of a channel, first choice first; without any, the installation's own."""
    rows = MessageGateway.objects.filter(tenant=tenant, channel=channel, is_active=True).order_by("position", "id")
    found = [route_of(row) for row in rows]
    return found or [Route(type(sender).__name__, sender, None) for sender in senders_for(channel)]


def has_route(*, tenant: Tenant, channel: VerificationChannel) -> bool:
    """Tell whether the tenant sends messages by this channel at all."""
    return bool(senders_for(channel)) or (
        MessageGateway.objects.filter(tenant=tenant, channel=channel, is_active=True).exists()
    )


def route_of(row: MessageGateway) -> Route:
    """Make the way through one gateway. One that cannot be made ready refuses, so that the next one is asked."""
    kind = KINDS.get(row.kind)
    if kind is None:
        return Route(row.name, _NotReady("this kind of gateway is not installed"), row)
    try:
        return Route(row.name, kind.make(facts_of(row)), row)
    except crypto.UnsealError:
        return Route(row.name, _NotReady("the secret cannot be unsealed"), row)


class _NotReady:
    """A gateway that is set up wrongly."""

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def send(self, message: Message) -> None:
        """Refuse to send. Raises NotSent."""
        raise NotSent(self.reason)


def facts_of(row: MessageGateway) -> GatewayFacts:
    """Return what the gateway was set up with, its secret unsealed."""
    return GatewayFacts(
        address=row.base_url or KINDS[row.kind].default_address,
        settings=row.settings,
        secret=crypto.unseal(row.secret_sealed, purpose=SECRET_PURPOSE) if row.secret_sealed else "",
        is_internal=row.is_internal,
        share=f"tenant:{row.tenant_id}",
    )


def text_of(content: Content, *, channel: VerificationChannel, purpose: VerificationPurpose, language: str) -> Text:
    """Return what a message says: the tenant's own text in this language, else Monban's in this language."""
    language = language if language in dict(settings.LANGUAGES) else settings.LANGUAGE_CODE
    row = MessageTemplate.objects.filter(
        tenant=content.tenant, channel=channel, purpose=purpose, language=language
    ).first()
    if row is not None:
        return texts.fill(Text(row.subject, row.text), content)
    return texts.default(content, channel=channel, purpose=purpose, language=language)


# Over the network, and after ---------------------------------------------------------------------------------


def hand_over(message: Message, *, ways: Sequence[Route], envelope: Envelope) -> SentMessage:
    """Ask the gateways, in order, until one takes the message; write down each try.

    Call it outside of a transaction. Raises SendFailed.
    """
    reasons = []
    for attempt, way in enumerate(ways, start=1):
        row = hand_over_once(message, way=way, envelope=envelope, attempt=attempt)
        if row.state == SentState.SENT:
            return row
        reasons.append(f"{way.name}: {row.error_code}")
    raise SendFailed(log_detail="; ".join(reasons) or "no gateway")


def hand_over_once(message: Message, *, way: Route, envelope: Envelope, attempt: int = 1) -> SentMessage:
    """Ask one gateway and write down what became of it. Call it outside of a transaction."""
    state, reference, error_code = SentState.SENT, "", ""
    began = time.monotonic()
    try:
        receipt = way.sender.send(message)
        reference = receipt.reference if receipt else ""
    except NotSent as error:
        state = SentState.UNCLEAR if error.is_unclear else SentState.REFUSED
        reference, error_code = error.reference, error.code
    except Exception as fault:
        # A fault of ours, or of what this one was set up with: no reason to keep the next gateway from being asked.
        log.exception("gateway.fault", extra={"gateway": way.name, "kind": type(way.sender).__name__})
        state, error_code = SentState.REFUSED, type(fault).__name__
    return SentMessage.objects.create(
        tenant=message.tenant,
        user=envelope.user,
        gateway=way.gateway,
        gateway_name=way.name[:100],
        channel=message.channel,
        purpose=message.purpose,
        target_masked=envelope.target_masked[:100],
        attempt=attempt,
        is_test=envelope.is_test,
        state=state,
        reference=reference[:_MAX_REFERENCE],
        error_code=error_code[:_MAX_ERROR_CODE],
        duration_ms=int((time.monotonic() - began) * 1000),
        request_id=envelope.request_id[:64],
    )


def envelope_of(*, user: User | None, target_masked: str, context: RequestContext, is_test: bool = False) -> Envelope:
    """Return what of a request stands with the message."""
    return Envelope(user, target_masked, context.request_id, is_test)


def dispatch(deliver: Callable[[], object], *, is_beside_answer: bool) -> None:
    """Hand a message over now, or beside the answer, so that a gateway's time tells nothing and nobody waits for it.

    Beside the answer failures are only logged.
    """
    if is_beside_answer and conf.send_beside_answer:
        _background().submit(_deliver_in_thread, deliver)
    elif is_beside_answer:
        _deliver_quietly(deliver)
    else:
        deliver()


def _deliver_in_thread(deliver: Callable[[], object]) -> None:
    close_old_connections()  # a thread of the pool has no request that would do it
    _deliver_quietly(deliver)
    close_old_connections()


def _deliver_quietly(deliver: Callable[[], object]) -> None:
    try:
        deliver()
    except SendFailed as error:
        log.warning("message.not_sent", extra={"reason": error.log_detail})
    except Exception:
        # Nobody waits for this thread's answer, so the log is the only place where it can tell.
        log.exception("message.send_error")


@cache
def _background() -> ThreadPoolExecutor:
    """Return one small pool for the process, made after it has forked."""
    return ThreadPoolExecutor(max_workers=2, thread_name_prefix="send-message")


# What was sent so long ago that nobody asks for it any more.
purge_sent = Purger(
    lambda now: SentMessage.objects.filter(created_at__lt=now - conf.sent_message_retention), by="created_at"
)
