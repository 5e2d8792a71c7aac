"""What the user must do before an AuthnRequest can be answered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cas_saml.saml.errors import Fault, SAMLError
from cas_saml.saml.models import ServiceProvider
from cas_saml.saml.requests import AuthnRequest
from identity.browser.interaction import Demands, FactorMissing, Passed, Step, next_step
from identity.models import SSOSession


def to_json(wanted: AuthnRequest, passed: Passed) -> dict[str, Any]:
    """Spell it as the payload of a parked request."""
    return {"request": wanted.to_json(), "passed": passed.to_json()}


def from_json(document: Mapping[str, Any]) -> tuple[AuthnRequest, Passed]:
    """Read back what `to_json` wrote."""
    return AuthnRequest.from_json(document["request"]), Passed.from_json(document["passed"])


def demands_of(wanted: AuthnRequest) -> Demands:
    """Return what the request demands of the sign-in behind it."""
    return Demands(reauthenticate=wanted.force_authn, required_acr=wanted.wish.required_acr)


def decide(
    wanted: AuthnRequest, *, provider: ServiceProvider, session: SSOSession | None, passed: Passed
) -> Step | None:
    """Find what the user must do next.

    Raises SAMLError where no step helps, AccessDenied and ApplicationDisabled if the user may not come in.
    """
    if wanted.fault:
        raise SAMLError(Fault(wanted.fault))
    try:
        step = next_step(demands_of(wanted), application=provider.application, session=session, passed=passed)
    except FactorMissing as error:
        raise SAMLError(Fault.AUTHN_CONTEXT, log_detail=error.log_detail) from error
    if wanted.is_passive and step is not None:
        # SAMLCore-3.4.1: the identity provider must not visibly take control.
        raise SAMLError(Fault.PASSIVE, log_detail=step.name)
    return step
