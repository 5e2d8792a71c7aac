"""A code by text message to the person's verified number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from identity import assurance
from identity.context import RequestContext
from identity.errors import ValueInvalid
from identity.models import LoginTransaction, User, VerificationChannel
from identity.sign_in import verification
from identity.sign_in.factors.sent_code import SentCode
from identity.sign_in.verification import Target


class TextMessage(SentCode):
    """Whoever holds the telephone reads the code."""

    name = VerificationChannel.SMS
    amr = assurance.TEXT_MESSAGE

    def is_enrolled(self, user: User) -> bool:
        """Return whether the number was proved."""
        return bool(user.mobile_index) and user.phone_number_verified

    def target(self, user: User) -> Target:
        """Return the person's telephone."""
        return verification.mobile_of(user)

    def check(
        self, row: LoginTransaction, response: Mapping[str, Any], *, user: User, context: RequestContext
    ) -> Sequence[str]:
        """Check the code, and the number where the protocol names it again.

        Raises ValueInvalid (MOBILE.0002) for another number than the person's, before the code is looked at.
        """
        mobile = response.get("mobile")
        if mobile is not None:
            named = verification.mobile_target(mobile, tenant=user.tenant)
            if not verification.is_same(self.target(user), named, tenant=user.tenant):
                raise ValueInvalid("MOBILE.0002", log_detail=f"user={user.pk} has another number")
        return super().check(row, response, user=user, context=context)
