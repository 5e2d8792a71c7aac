"""What a sender is: the last step of a verification code out of the house."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from django.utils.module_loading import import_string

from identity.conf import conf
from identity.models import Tenant, VerificationChannel, VerificationPurpose


@dataclass(frozen=True, slots=True)
class Message:
    """One code on its way to one person. Never logged: it carries the code."""

    tenant: Tenant
    channel: VerificationChannel
    purpose: VerificationPurpose
    target: str  # address or number, as the person gave it
    verification_code: str
    valid_minutes: int
    language: str  # BCP 47

    def __repr__(self) -> str:
        return f"Message({self.channel}, {self.purpose})"


class NotSent(Exception):
    """This gateway did not take the message; the next one is tried (decision 26)."""


class Sender(Protocol):
    """One gateway."""

    def send(self, message: Message) -> None:
        """Hand the message over within about two seconds. Raises NotSent."""


def senders_for(channel: VerificationChannel) -> list[Sender]:
    """Return the gateways of a channel, first choice first; none where this installation has none."""
    names = conf.email_senders if channel == VerificationChannel.EMAIL else conf.sms_senders
    return [import_string(name)() for name in names]
