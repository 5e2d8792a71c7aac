"""The one oauthlib server of the process: which grants there are, and how they differ from oauthlib's own.

Only `engine` uses it. oauthlib leads through the steps of a grant in the order of the RFC; the answers come from
`validator`.
"""

from __future__ import annotations

from typing import Any

from oauthlib.oauth2.rfc6749.endpoints.authorization import AuthorizationEndpoint
from oauthlib.oauth2.rfc6749.endpoints.token import TokenEndpoint
from oauthlib.oauth2.rfc6749.grant_types import AuthorizationCodeGrant, ClientCredentialsGrant, ImplicitGrant
from oauthlib.oauth2.rfc6749.tokens import BearerToken
from oauthlib.openid.connect.core import grant_types as openid
from oauthlib.openid.connect.core.grant_types.dispatchers import (
    AuthorizationCodeGrantDispatcher,
    AuthorizationTokenGrantDispatcher,
)

from oidc_provider.errors import Fault, OAuthError
from oidc_provider.grants import pkce, rows
from oidc_provider.grants.rows import state_of
from oidc_provider.models import GrantType
from oidc_provider.validator import Validator

Answer = tuple[dict[str, str], dict[str, Any], int]


class _Bearer(BearerToken):
    """Tokens of 256 random bits. A refresh token for every client with that grant (decision 14)."""

    def create_token(self, request: Any, refresh_token: bool = False, **kwargs: Any) -> Any:
        """The members of the token response (RFC6749-5.1)."""
        may_refresh = state_of(request).client.allows_grant_type(GrantType.REFRESH_TOKEN)
        return super().create_token(request, refresh_token=refresh_token and may_refresh, **kwargs)


class _AnswersParameters:
    """Answer the authorization endpoint with parameters; how they travel is the view's business."""

    def prepare_authorization_response(
        self, request: Any, token: dict[str, Any], headers: dict[str, str], body: Any, status: int
    ) -> Answer:
        """In place of an address with the parameters in it."""
        return headers, token, status


class _CodeGrant(_AnswersParameters, AuthorizationCodeGrant):
    """RFC6749-4.1 with RFC7636, by the dialect's methods."""

    _code_challenge_methods = dict(pkce.METHODS)

    def create_authorization_code(self, request: Any) -> dict[str, str]:
        """A code of 256 random bits (S10)."""
        return {"code": rows.new_secret()}

    def validate_authorization_request(self, request: Any) -> Any:
        """Also the form of a challenge, which oauthlib takes as it is (RFC7636-4.2)."""
        if request.code_challenge is not None:
            if not pkce.is_challenge(request.code_challenge):
                raise OAuthError(Fault.CODE_CHALLENGE)
            if request.code_challenge_method not in state_of(request).context.dialect.challenge_methods:
                # RFC7636-4.3: a missing method means plain.
                raise OAuthError(Fault.CODE_CHALLENGE_METHOD)
        elif request.code_challenge_method is not None:
            raise OAuthError(Fault.CODE_CHALLENGE_MISSING)
        return super().validate_authorization_request(request)

    def validate_code_challenge(self, challenge: str, challenge_method: str, verifier: str) -> bool:
        """RFC7636-4.6."""
        if not super().validate_code_challenge(challenge, challenge_method, verifier):
            raise OAuthError(Fault.CODE_VERIFIER)
        return True


class _OpenIDCodeGrant(openid.AuthorizationCodeGrant):
    """OIDCC-3.1 around the same code grant."""

    def __init__(self, validator: Validator) -> None:
        self.proxy_target = _CodeGrant(validator)
        self.custom_validators.post_auth.append(self.openid_authorization_validator)
        self.register_token_modifier(self.add_id_token)


class _ImplicitGrant(_AnswersParameters, ImplicitGrant):
    """RFC6749-4.2."""


class _OpenIDImplicitGrant(openid.ImplicitGrant):
    """OIDCC-3.2: id_token, and id_token with an access token. A nonce is required (OIDCC-3.2.2.1)."""

    def __init__(self, validator: Validator) -> None:
        self.proxy_target = _ImplicitGrant(validator)
        self.register_response_type("id_token")
        self.register_response_type("id_token token")
        self.custom_validators.post_auth.append(self.openid_authorization_validator)
        self.register_token_modifier(self.add_id_token)

    def openid_authorization_validator(self, request: Any) -> Any:
        """With the fault's own name."""
        if request.nonce:
            return super().openid_authorization_validator(request)
        if not state_of(request).client.has_flag("implicit_without_nonce"):
            raise OAuthError(Fault.MISSING_NONCE)
        # Past the parent, whose only other act is to ask for a nonce.
        return super(openid.ImplicitGrant, self).openid_authorization_validator(request)


def _expires_in(request: Any) -> int:
    """Seconds an access token lives (RFC6749-5.1)."""
    state = state_of(request)
    return int(rows.access_token_lifetime(state.client, state.context.dialect).total_seconds())


class Server(AuthorizationEndpoint, TokenEndpoint):
    """Both endpoints, with the grants that are offered and no other."""

    def __init__(self, validator: Validator) -> None:
        code, openid_code = _CodeGrant(validator), _OpenIDCodeGrant(validator)
        implicit = _OpenIDImplicitGrant(validator)
        bearer = _Bearer(validator, token_generator=rows.new_secret, expires_in=_expires_in)
        AuthorizationEndpoint.__init__(
            self,
            # What is not below comes to the code grant, which refuses it by name.
            default_response_type="code",
            response_types={
                "code": AuthorizationCodeGrantDispatcher(default_grant=code, oidc_grant=openid_code),
                "id_token": implicit,
                "id_token token": implicit,
            },
            default_token_type=bearer,
        )
        TokenEndpoint.__init__(
            self,
            default_grant_type="authorization_code",
            grant_types={
                "authorization_code": AuthorizationTokenGrantDispatcher(
                    validator, default_grant=code, oidc_grant=openid_code
                ),
                "refresh_token": openid.RefreshTokenGrant(validator),
                "client_credentials": ClientCredentialsGrant(validator),
            },
            default_token_type=bearer,
        )


SERVER = Server(Validator())
