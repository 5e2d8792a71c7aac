"""What the factors have in common that send a code to a verified address of the person."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.translation import gettext as _

from identity.context import RequestContext
from identity.models import LoginTransaction, SessionKind, User, VerificationPurpose
from identity.sign_in import authentication, verification
from identity.sign_in.factors.base import Begun, Factor, remember
from identity.sign_in.forms import VerificationCodeForm
from identity.sign_in.verification import Target

_PURPOSE = VerificationPurpose.SECOND_FACTOR
_SENT = "sent_code"  # in a sign-in's data: the key of the code that was sent for it


class SentCode(Factor):
    """A code that was sent."""

    form = VerificationCodeForm
    template = "identity/login_second_factor.html"

    @abstractmethod
    def target(self, user: User) -> Target:
        """Return where the code goes, of whoever has enrolled it."""

    def hint(self, user: User) -> str:
        """Return the address, masked."""
        return self.target(user).masked

    def choice(self, user: User) -> str:
        """Return what the button says that chooses it."""
        return _("Send the code to %(target)s instead") % {"target": self.hint(user)}

    def begin(self, row: LoginTransaction, *, user: User, context: RequestContext) -> Begun:
        """Send a code. Raises TooManyRequests, SendFailed, and ValueInvalid (USER.0038) for a number out of reach."""
        sent = verification.send(
            tenant=row.tenant,
            purpose=_PURPOSE,
            target=self.target(user),
            user=user,
            context=context,
            bound_to=_owner_of_code(row),
        )
        remember(row, **{_SENT: sent.pk})
        return Begun(sent.resend_at)

    def find_begun(self, row: LoginTransaction, *, user: User) -> Begun | None:
        """Return what is known of the code that is open for this very sign-in, if one is."""
        sent = verification.find_open(tenant=row.tenant, purpose=_PURPOSE, target=self.target(user))
        return Begun(sent.resend_at) if sent is not None and sent.pk == row.data.get(_SENT) else None

    def check(
        self, row: LoginTransaction, response: Mapping[str, Any], *, user: User, context: RequestContext
    ) -> Sequence[str]:
        """Check and spend the code. A wrong one counts like a wrong password. Raises VerificationRefused too."""
        proved = authentication.check_code(
            user,
            purpose=_PURPOSE,
            target=self.target(user),
            verification_code=response["verification_code"],
            context=context,
            bound_to=_owner_of_code(row),
        )
        verification.spend(proved)
        return (self.amr,)


def _owner_of_code(row: LoginTransaction) -> str:
    """Return what a code is bound to, so that nobody is talked out of it for another sign-in.

    OneAccess-3.2.4.4: an app orders its code without saying for which sign-in; it is good for apps only.
    """
    return "" if row.channel == SessionKind.SDK else f"sign-in {row.pk}"
