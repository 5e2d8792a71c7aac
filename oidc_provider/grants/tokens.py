"""Give tokens for what a grant found: make them, spend what is exchanged, keep them, record it.

The order is part of the contract: an id_token is signed before the one statement that spends what is exchanged, so that
no row is held while a key works.
"""

from __future__ import annotations

from typing import Any

from identity import audit, crypto
from identity.events import EventType
from oidc_provider.grants import id_tokens, rows
from oidc_provider.grants.basis import Basis
from oidc_provider.models import AuthorizationCode, GrantType, RefreshToken

Answer = dict[str, Any]  # members of a token response (RFC6749-5.1), in the order in which they are sent
IMPLICIT = "implicit"  # what the audit calls tokens of the authorization endpoint


def give(basis: Basis, *, grant_type: str, source: AuthorizationCode | RefreshToken | None = None) -> Answer:
    """Answer a token request (RFC6749-5.1); with openid among the scopes, with an id_token (OIDCC-3.1.3.3, 12.2).

    source: what is exchanged, and spent by this. Raises OAuthError if somebody was faster.
    """
    answer = bearer(basis)
    # Decision 14: for every client with that grant; RFC9700-4.14.2: always a new one. RFC6749-4.4.3: not for a client.
    if source is not None and basis.client.allows_grant_type(GrantType.REFRESH_TOKEN):
        answer["refresh_token"] = crypto.new_handle()
    if source is not None and "openid" in basis.scopes:
        answer["id_token"] = id_tokens.sign(answer, basis=basis)
    keep(answer, basis=basis, grant_type=grant_type, source=source)
    return answer


def bearer(basis: Basis) -> Answer:
    """Make an access token of 256 random bits (S10); nothing is kept yet."""
    return {
        "access_token": crypto.new_handle(),
        "expires_in": int(basis.lifetimes.access_token.total_seconds()),
        "token_type": "Bearer",
        "scope": " ".join(basis.scopes),
    }


def keep(
    answer: Answer, *, basis: Basis, grant_type: str, source: AuthorizationCode | RefreshToken | None = None
) -> None:
    """Spend what is exchanged, keep what the answer gives, and record it: one statement, which is a transaction."""
    client, facts = basis.client, basis.facts
    event = audit.describe(
        EventType.TOKEN_GRANT,
        tenant=facts.tenant,
        actor=client,
        target=basis.user or client,
        client_id=client.client_id,
        dialect=facts.dialect.name,
        sid=basis.session.sid if basis.session else "",
        application=client.catalogue_entry,
        context=facts.request,
        details={"grant_type": grant_type, "scopes": list(basis.scopes)},
    )
    rows.store_tokens(answer, basis=basis, source=source, event=event)
