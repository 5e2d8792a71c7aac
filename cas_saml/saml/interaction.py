"""What the user must do before a request can be answered.

`Passed` is what the server itself saw happen since the request arrived. It travels sealed in a parked request, never in
an address, so that ForceAuthn can be neither skipped nor asked for for ever (S29, S43).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum, auto
from typing import Any

from django.utils import timezone

from cas_saml.saml.errors import Fault, SAMLError
from cas_saml.saml.models import ServiceProvider
from cas_saml.saml.requests import AuthnRequest
from identity.models import SSOSession
from identity.services import access, applications


class Step(Enum):
    """What comes next."""

    SIGN_IN = auto()
    SIGN_IN_AGAIN = auto()  # ForceAuthn: whoever is signed in must prove it again
    STEP_UP = auto()  # another factor
    ANSWER = auto()


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


def to_json(wanted: AuthnRequest, passed: Passed) -> dict[str, Any]:
    """As the payload of a parked request."""
    asked_at = passed.asked_at.isoformat() if passed.asked_at else None
    return {"request": wanted.to_json(), "passed": {**passed.__dict__, "asked_at": asked_at}}


def from_json(document: Mapping[str, Any]) -> tuple[AuthnRequest, Passed]:
    """Read back what `to_json` wrote."""
    passed = document["passed"]
    asked_at = datetime.fromisoformat(passed["asked_at"]) if passed["asked_at"] else None
    return AuthnRequest.from_json(document["request"]), Passed(**{**passed, "asked_at": asked_at})


def decide(wanted: AuthnRequest, *, provider: ServiceProvider, session: SSOSession | None, passed: Passed) -> Step:
    """Find the next step.

    Raises SAMLError where no step helps, AccessDenied and ApplicationDisabled if the user may not come in.
    """
    if wanted.fault:
        raise SAMLError(Fault(wanted.fault))
    step = _missing(wanted, provider=provider, session=session, passed=passed)
    if wanted.is_passive and step is not Step.ANSWER:
        # SAMLCore-3.4.1: the identity provider must not visibly take control.
        raise SAMLError(Fault.PASSIVE, log_detail=step.name)
    return step


def _missing(wanted: AuthnRequest, *, provider: ServiceProvider, session: SSOSession | None, passed: Passed) -> Step:
    if session is None:
        return Step.SIGN_IN
    if wanted.force_authn and not passed.is_fresh(session):
        return Step.SIGN_IN_AGAIN
    applications.check_access(application=provider.application, user=session.user)
    required = wanted.wish.required_acr
    if access.is_sufficient(session=session, application=provider.application, required_acr=required):
        return Step.ANSWER
    if passed.has_stepped_up:
        raise SAMLError(Fault.AUTHN_CONTEXT, log_detail=f"session={session.pk} lacks a second factor")
    return Step.STEP_UP
