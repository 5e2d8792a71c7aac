"""Redeem an authorization code (RFC6749-4.1.3)."""

from __future__ import annotations

from django.utils import timezone

from oidc_provider.errors import Fault, OAuthError
from oidc_provider.grants import pkce, rows, tokens
from oidc_provider.grants.basis import Basis
from oidc_provider.grants.tokens import Answer
from oidc_provider.models import AuthorizationCode
from oidc_provider.token.request import TokenRequest


def redeem(asked: TokenRequest) -> Answer:
    """Give tokens for a code. Raises OAuthError, and IdentityError where user, session or access are over.

    Whether the code was used is asked last: only who could have redeemed it can end what it gave.
    """
    params = asked.having("code")
    code = rows.load_code(params["code"])
    if code is None:
        raise OAuthError(Fault.AUTHORIZATION_CODE, log_detail="unknown")
    _check_code(code, asked)
    pkce.check(params.get("code_verifier", ""), code=code, client=asked.client, dialect=asked.facts.dialect)
    _check_redirect_uri(params.get("redirect_uri"), code, asked)
    if code.consumed_at is not None:
        raise rows.Replayed(Fault.AUTHORIZATION_CODE_REPLAYED, family=code.family, log_detail=f"code={code.pk}")
    basis = Basis.of_row(code, scopes=code.scopes, facts=asked.facts, client=asked.client, started_at=asked.started_at)
    return tokens.give(basis, grant_type="authorization_code", source=code)


def _check_code(code: AuthorizationCode, asked: TokenRequest) -> None:
    """Check that the code is this client's, and counts here and now (RFC6749-4.1.3, S9, S26)."""
    if not code.was_given_to(asked.client, dialect=asked.facts.dialect.name):
        raise OAuthError(Fault.AUTHORIZATION_CODE_CLIENT, log_detail=f"code={code.pk} client={asked.client.pk}")
    if code.consumed_at is not None:
        return  # A code that was used is told from one that was not by who proves the rest, too.
    if code.is_over(timezone.now()):
        raise OAuthError(Fault.AUTHORIZATION_CODE_EXPIRED, log_detail=f"code={code.pk}")
    rows.check_grant(code, client=asked.client, tenant=asked.facts.tenant)


def _check_redirect_uri(redirect_uri: str | None, code: AuthorizationCode, asked: TokenRequest) -> None:
    """RFC6749-4.1.3: identical to the one of the authorization request, and absent only if it was absent there."""
    if redirect_uri is None:
        # What the parameter protects, a code in the wrong hands, a secret or a verifier protects as well.
        is_proved = not asked.client.is_public or bool(code.code_challenge)
        may_be_left_out = not asked.facts.dialect.repeats_redirect_uri and is_proved
        if code.redirect_uri_given and not may_be_left_out:
            raise OAuthError(Fault.CODE_REDIRECT_URI, log_detail=f"code={code.pk} missing")
    elif redirect_uri != code.redirect_uri:
        raise OAuthError(Fault.CODE_REDIRECT_URI, log_detail=f"code={code.pk}")
