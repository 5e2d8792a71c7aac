"""What the user must do before an AuthnRequest can be answered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cas_saml.interaction import Passed, Step
from cas_saml.saml.errors import Fault, SAMLError
from cas_saml.saml.models import ServiceProvider
from cas_saml.saml.requests import AuthnRequest
from identity.models import SSOSession
from identity.sso import access


def to_json(wanted: AuthnRequest, passed: Passed) -> dict[str, Any]:
    """As the payload of a parked request."""
    return {"request": wanted.to_json(), "passed": passed.to_json()}


def from_json(document: Mapping[str, Any]) -> tuple[AuthnRequest, Passed]:
    """Read back what `to_json` wrote."""
    return AuthnRequest.from_json(document["request"]), Passed.from_json(document["passed"])


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
    required = wanted.wish.required_acr
    if access.admits(session=session, application=provider.application, required_acr=required):
        return Step.ANSWER
    if passed.has_stepped_up:
        raise SAMLError(Fault.AUTHN_CONTEXT, log_detail=f"session={session.pk} lacks a second factor")
    return Step.STEP_UP
