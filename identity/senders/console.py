"""Codes on the terminal, for development machines that have no gateway."""

from __future__ import annotations

import sys

from identity.conf import conf
from identity.senders.base import Message, NotSent


class ConsoleSender:
    """Print the code. Refuses to where DEBUG is off, as terminals end up in logs."""

    def send(self, message: Message) -> None:
        """Print one line. Raises NotSent."""
        if not conf.debug:
            raise NotSent("the console sender works with DEBUG only")
        sys.stdout.write(f"{message.channel} to {message.target}: {message.verification_code} ({message.purpose})\n")
        sys.stdout.flush()
