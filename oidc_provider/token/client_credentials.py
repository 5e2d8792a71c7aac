"""Give a client a token for itself (RFC6749-4.4)."""

from __future__ import annotations

from oidc_provider.errors import Fault, OAuthError
from oidc_provider.grants import tokens
from oidc_provider.grants.basis import Basis
from oidc_provider.grants.tokens import Answer
from oidc_provider.token.request import TokenRequest


def give(asked: TokenRequest) -> Answer:
    """Give an access token that no user stands behind; no refresh token (RFC6749-4.4.3). Raises OAuthError."""
    asked.having()
    # There is no user, so there is nothing but the scopes of APIs. None asked for means all of them (RFC6749-3.3).
    allowed = asked.client.audiences
    scopes = [name for name in dict.fromkeys(asked.scopes or allowed) if name in allowed]
    if asked.scopes and not scopes:
        raise OAuthError(Fault.SCOPE_NOT_ALLOWED, log_detail=f"client={asked.client.pk}")
    basis = Basis.of_client(asked.client, scopes=scopes, facts=asked.facts, started_at=asked.started_at)
    return tokens.give(basis, grant_type="client_credentials")
