"""Codes on the terminal, for development machines that have no gateway."""

from __future__ import annotations

import sys

from django.utils.translation import gettext_lazy as _

from identity.conf import conf
from identity.messaging.senders.base import GatewayKind, Message, NotSent, Receipt
from identity.models import VerificationChannel


class ConsoleSender:
    """Print the code. Refuses to where DEBUG is off, as terminals end up in logs."""

    def send(self, message: Message) -> Receipt:
        """Print one line. Raises NotSent."""
        if not conf.debug:
            raise NotSent("the console sender works with DEBUG only")
        sys.stdout.write(f"{message.channel} to {message.target}: {message.verification_code} ({message.purpose})\n")
        sys.stdout.flush()
        return Receipt()


KIND = GatewayKind(
    name="console",
    label=_("Console (development only)"),
    channels=(VerificationChannel.SMS, VerificationChannel.EMAIL),
    make=lambda facts: ConsoleSender(),
    is_development_only=True,
)
