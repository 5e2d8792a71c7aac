"""What a request to sign in needs of the user before it is answered: what CAS and SAML have in common.

`Passed` is what the server itself saw happen since the request arrived. It travels sealed in a parked request, never in
an address, so that a new sign-in that was asked for can be neither skipped nor asked for for ever (S29, S43, S44).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum, auto
from typing import Any

from django.utils import timezone

from identity.models import SSOSession


class Step(Enum):
    """What comes next."""

    SIGN_IN = auto()
    SIGN_IN_AGAIN = auto()  # CAS renew, SAML ForceAuthn: whoever is signed in must prove it again
    STEP_UP = auto()  # another factor
    ANSWER = auto()
    ANSWER_WITHOUT_TICKET = auto()  # CAS gateway: nobody may be asked


@dataclass(frozen=True)
class Passed:
    """What was done for this request so far."""

    asked_at: datetime | None = None  # when the user was sent to sign in
    has_stepped_up: bool = False

    def after(self, step: Step) -> Passed:
        """What will have been done when the browser comes back from this step."""
        if step is Step.STEP_UP:
            return replace(self, has_stepped_up=True)
        return replace(self, asked_at=timezone.now())

    def is_fresh(self, session: SSOSession) -> bool:
        """Whether the session comes from a sign-in that this very request caused."""
        return self.asked_at is not None and session.authenticated_at >= self.asked_at

    def to_json(self) -> dict[str, Any]:
        """As a part of a parked request."""
        return {"asked_at": self.asked_at and self.asked_at.isoformat(), "has_stepped_up": self.has_stepped_up}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Passed:
        """Read back what `to_json` wrote."""
        asked_at = document["asked_at"]
        return cls(asked_at and datetime.fromisoformat(asked_at), document["has_stepped_up"])
