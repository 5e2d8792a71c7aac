"""Read an id_token that comes back to us as a hint (OIDCC-3.1.2.1, OIDCRIL-2)."""

from __future__ import annotations

from dataclasses import dataclass

import jwt

from identity.keyring import keys
from identity.models import Tenant
from oidc_provider.errors import Fault, OAuthError
from oidc_provider.wire.facts import Facts


class HintRefused(Exception):
    """The hint is not an id_token of this issuer."""


@dataclass(frozen=True)
class IdTokenHint:
    """What an id_token of ours says about whom it was for."""

    subject: str
    client_ids: tuple[str, ...]
    sid: str  # "" if the token names no session


def read(token: str, *, tenant: Tenant, issuer: str) -> IdTokenHint:
    """Verify a hint and return what it says. Raises HintRefused.

    An expired token is as good as a fresh one (OIDCRIL-2): it proves who was signed in, and grants nothing.
    A logout token, which is signed by the same keys, proves that somebody was signed out (OIDCBCL-2.4).
    """
    try:
        claims = keys.verify(tenant=tenant, token=token, verify_exp=False)
        kind = jwt.get_unverified_header(token).get("typ", "JWT")
    except jwt.InvalidTokenError as error:
        raise HintRefused(type(error).__name__) from None
    audience = claims.get("aud", [])
    client_ids = tuple(audience) if isinstance(audience, list) else (audience,)
    if kind != "JWT" or claims.get("iss") != issuer or not isinstance(claims.get("sub"), str) or not client_ids:
        raise HintRefused("not an id_token of this issuer")
    return IdTokenHint(subject=claims["sub"], client_ids=client_ids, sid=str(claims.get("sid", "")))


def read_id_token_hint(token: str, *, facts: Facts) -> IdTokenHint:
    """Verify the hint of an authorization request (OIDCC-3.1.2.1). Raises OAuthError."""
    try:
        return read(token, tenant=facts.tenant, issuer=facts.issuer)
    except HintRefused as error:
        raise OAuthError(Fault.ID_TOKEN_HINT, log_detail=str(error)) from None
