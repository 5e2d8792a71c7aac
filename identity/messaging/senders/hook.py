"""Messages handed to the tenant's own service: a signed JSON document by HTTPS (docs/messages.md).

The signature is that of the Standard Webhooks specification 1.0 (scheme v1), for which libraries exist in most
languages: HMAC-SHA-256 over id, time and body. A receiver refuses what is older than five minutes, and what it has
seen the id of, so a recorded call is worth nothing.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import secrets
import time
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from identity.messaging.senders.base import GatewayFacts, GatewayKind, Message, NotSent, Receipt, check_address, post
from identity.models import VerificationChannel
from identity.models.messages import NOTICE
from identity.outbound import Response

SECRET_PREFIX = "whsec_"
_MIN_SECRET_BYTES, _MAX_SECRET_BYTES = 24, 64  # of the specification
_MAX_REFERENCE = 100


class HookSender:
    """One receiver."""

    def __init__(self, facts: GatewayFacts) -> None:
        self.facts = facts

    def send(self, message: Message) -> Receipt:
        """POST the document; any 2xx takes it. Raises NotSent."""
        message_id, moment = f"msg_{secrets.token_urlsafe(18)}", int(time.time())
        body = json.dumps(document(message), ensure_ascii=False, separators=(",", ":")).encode()
        headers = {
            "Content-Type": "application/json",
            "webhook-id": message_id,
            "webhook-timestamp": str(moment),
            "webhook-signature": " ".join(
                sign(secret, message_id=message_id, timestamp=moment, body=body) for secret in self.facts.secret.split()
            ),
        }
        answer = post(self.facts.address, facts=self.facts, headers=headers, body=body)
        if not answer.is_success:
            raise NotSent(f"HTTP {answer.status}", reference=message_id)
        return Receipt(_reference(answer) or message_id)


def document(message: Message) -> dict[str, Any]:
    """Return what the receiver gets."""
    return {
        "type": "verification_code" if message.verification_code else NOTICE,
        "tenant": message.tenant.public_id,
        "channel": message.channel,
        "purpose": message.purpose,
        "to": message.target,
        "language": message.language,
        "subject": message.subject,
        "text": message.text,
        "code": message.verification_code,
        "valid_minutes": message.valid_minutes,
    }


def sign(secret: str, *, message_id: str, timestamp: int, body: bytes) -> str:
    """Make one entry of webhook-signature. timestamp: Unix seconds."""
    signed = b"%s.%d.%s" % (message_id.encode(), timestamp, body)
    return f"v1,{base64.b64encode(hmac.digest(_key(secret), signed, 'sha256')).decode()}"


def _key(secret: str) -> bytes:
    return base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)


def _reference(answer: Response) -> str:
    """Return the receiver's own id of the message, if it tells one: `{"id": "…"}`."""
    try:
        found = json.loads(answer.body)
    except (ValueError, RecursionError):
        return ""
    value = found.get("id") if isinstance(found, dict) else None
    is_usable = isinstance(value, str) and value.isascii() and value.isprintable()
    return str(value)[:_MAX_REFERENCE] if is_usable else ""


def _check(facts: GatewayFacts) -> None:
    check_address(facts)
    # Two during a change: the receiver takes either.
    entries = facts.secret.split()
    if not 1 <= len(entries) <= 2:
        raise ValidationError({"secret": _("One secret, or two with a space between them during a change.")})
    for entry in entries:
        try:
            is_right = entry.startswith(SECRET_PREFIX) and _MIN_SECRET_BYTES <= len(_key(entry)) <= _MAX_SECRET_BYTES
        except binascii.Error:
            is_right = False
        if not is_right:
            raise ValidationError({"secret": _("A secret is “whsec_” and 24 to 64 bytes in base64.")})


KIND = GatewayKind(
    name="hook",
    label=gettext_lazy("Signed call of your own service"),
    channels=(VerificationChannel.SMS, VerificationChannel.EMAIL),
    make=HookSender,
    secret_label=gettext_lazy("Signing secret"),
    has_address=True,
    check=_check,
)
