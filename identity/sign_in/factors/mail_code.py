"""A code by mail to the person's verified mailbox."""

from __future__ import annotations

from identity import assurance
from identity.models import SessionKind, User, VerificationChannel
from identity.sign_in import verification
from identity.sign_in.factors.sent_code import SentCode
from identity.sign_in.verification import Target


class MailCode(SentCode):
    """Whoever reads the mailbox has the code."""

    name = VerificationChannel.EMAIL
    amr = assurance.ONE_TIME_CODE
    # The SDK's document has a step for text messages only.
    channels = frozenset({SessionKind.BROWSER})

    def is_enrolled(self, user: User) -> bool:
        """Return whether the address was proved."""
        return bool(user.email) and user.email_verified

    def target(self, user: User) -> Target:
        """Return the person's mailbox."""
        return verification.email_of(user)
