"""Access tokens at the product's own JSON APIs: who calls, and how a refused caller is answered.

The APIs are siblings and know nothing of each other; what is the same at all of them is here, and they reach it
through `public`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from oidc_provider.errors import Fault, OAuthError

# Status, error and error_description, word for word what the contract shows where it shows something.
_ROWS: Mapping[Fault, tuple[int, str, str]] = MappingProxyType(
    {
        Fault.ACCESS_TOKEN_MISSING: (
            401,
            "unauthorized",
            "Full authentication is required to access this resource",
        ),  # OneAccess-3.3.4.3
        Fault.ACCESS_TOKEN: (401, "invalid_token", "Invalid access token."),  # OneAccess-3.1.1.2, later revision
        Fault.INSUFFICIENT_SCOPE: (
            403,
            "insufficient_scope",
            "Insufficient scope for this resource",
        ),  # RFC6750-3.1, decision 45
    }
)


@dataclass(frozen=True)
class BearerRefusal:
    """The answer to a caller whose token will not do."""

    status: int
    body: Mapping[str, str]
    challenge: str  # of the WWW-Authenticate header


def read_header(authorization: str) -> str:
    """The token of the header (RFC6750-2.1); "" without one. Raises OAuthError for another scheme."""
    scheme, _, token = authorization.partition(" ")
    if scheme and scheme.lower() != "bearer":
        raise OAuthError(Fault.ACCESS_TOKEN_MISSING, log_detail="another scheme than Bearer")
    return token.strip()


def refusal_of(error: OAuthError) -> BearerRefusal | None:
    """How to answer a fault of an access token; None for a fault of something else."""
    row = _ROWS.get(error.fault)
    if row is None:
        return None
    status, code, text = row
    challenge = "Bearer"
    if error.fault is not Fault.ACCESS_TOKEN_MISSING:  # RFC6750-3.1: no code for a request without any token
        challenge += f' error="{code}", error_description="{text}"'
    if error.scope:
        challenge += f', scope="{error.scope}"'
    return BearerRefusal(status, MappingProxyType({"error": code, "error_description": text}), challenge)
