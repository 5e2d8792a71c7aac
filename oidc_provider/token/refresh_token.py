"""Renew tokens by a refresh token (RFC6749-6)."""

from __future__ import annotations

from django.utils import timezone

from oidc_provider.errors import Fault, OAuthError
from oidc_provider.grants import rows, tokens
from oidc_provider.grants.basis import Basis
from oidc_provider.grants.tokens import Answer
from oidc_provider.models import RefreshToken
from oidc_provider.token.request import TokenRequest


def renew(asked: TokenRequest) -> Answer:
    """Give new tokens for a refresh token, a new refresh token among them (RFC9700-4.14.2).

    Raises OAuthError, and IdentityError where user, session or access are over.
    """
    params = asked.having("refresh_token")
    token = rows.load_refresh_token(params["refresh_token"])
    if token is None:
        raise OAuthError(Fault.REFRESH_TOKEN, log_detail="unknown")
    _check_token(token, asked)
    basis = Basis.of_row(
        token, scopes=_scopes(token, asked), facts=asked.facts, client=asked.client, started_at=asked.started_at
    )
    return tokens.give(basis, grant_type="refresh_token", source=token)


def _check_token(token: RefreshToken, asked: TokenRequest) -> None:
    """Check that the token is this client's, and counts here and now (RFC6749-6, S9, S14, S26)."""
    if not token.was_given_to(asked.client, dialect=asked.facts.dialect.name):
        raise OAuthError(Fault.REFRESH_TOKEN_CLIENT, log_detail=f"token={token.pk} client={asked.client.pk}")
    if token.revoked is not None:
        raise OAuthError(Fault.REFRESH_TOKEN_REVOKED, log_detail=f"token={token.pk}")
    rows.check_first_use(token, started_at=asked.started_at, client=asked.client)
    if token.is_over(timezone.now()):
        raise OAuthError(Fault.REFRESH_TOKEN_EXPIRED, log_detail=f"token={token.pk}")
    rows.check_grant(token, client=asked.client, tenant=asked.facts.tenant)


def _scopes(token: RefreshToken, asked: TokenRequest) -> list[str]:
    """Return what is asked for, of what was granted (RFC6749-6) and the client may still have (S12)."""
    allowed = asked.client.allowed_scopes | asked.facts.dialect.own_scopes
    granted = [name for name in token.scopes if name in allowed]
    if not set(asked.scopes) <= set(granted):
        raise OAuthError(Fault.SCOPE_WIDENED, log_detail=f"client={asked.client.pk}")
    return asked.scopes or granted
