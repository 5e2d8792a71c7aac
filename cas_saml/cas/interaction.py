"""What a login request asks (CAS-2.1.1), and what the user must do before it can be answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cas_saml import addresses
from cas_saml.cas.models import CASService
from identity.browser.interaction import Demands, Passed, Step, next_step
from identity.errors import ApplicationDisabled, NotFound
from identity.models import SSOSession

_PARAMETERS = ("service", "renew", "gateway", "method")


@dataclass(frozen=True)
class LoginRequest:
    """A login request as it was sent."""

    service: str  # the exact string, without what an earlier visit left in it; "" where none was sent
    renew: bool = False
    gateway: bool = False
    by_post: bool = False  # CAS-2.1.1, method

    @classmethod
    def read(cls, pairs: Mapping[str, list[str]]) -> LoginRequest:
        """Read the parameters. Raises NotFound where one comes twice: which service is meant? (S45)."""
        if any(len(pairs.get(name, [])) > 1 for name in _PARAMETERS):
            raise NotFound("APP.0001", log_detail="a parameter comes twice")
        values = {name: pairs[name][0] for name in _PARAMETERS if name in pairs}
        renew = is_set(values.get("renew"))
        return cls(
            service=addresses.without_leftovers(values.get("service", "")),
            renew=renew,
            # CAS-2.1.1: with renew, gateway is ignored.
            gateway=is_set(values.get("gateway")) and not renew,
            by_post=values.get("method", "").upper() == "POST",
        )


def is_set(value: str | None) -> bool:
    """CAS-2.1.1: a flag counts by being there, whatever it says; but nobody who writes `false` means yes."""
    return value is not None and value.lower() != "false"


def to_json(request: LoginRequest, passed: Passed) -> dict[str, Any]:
    """Spell it as the payload of a parked request."""
    return {"request": request.__dict__, "passed": passed.to_json()}


def from_json(document: Mapping[str, Any]) -> tuple[LoginRequest, Passed]:
    """Read back what `to_json` wrote."""
    return LoginRequest(**document["request"]), Passed.from_json(document["passed"])


def demands_of(request: LoginRequest) -> Demands:
    """Return what the request demands of the sign-in behind it."""
    return Demands(reauthenticate=request.renew)


def decide(request: LoginRequest, *, service: CASService, session: SSOSession | None, passed: Passed) -> Step | None:
    """Find what the user must do next. Raises AccessDenied and ApplicationDisabled if they may not come in."""
    if not service.application.is_active:
        raise ApplicationDisabled(log_detail=f"application={service.application.pk}")
    return next_step(demands_of(request), application=service.application, session=session, passed=passed)
