"""The dialect of TOPIAM's page "authorization code mode (PKCE)" (docs/contract/oidc_topiam.yaml).

Every application has its own addresses, and so its own issuer. Its client is public: the path names it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType

from oidc_provider.dialects import faults
from oidc_provider.dialects.base import (
    COMMON_FLAGS,
    Body,
    Delivery,
    Dialect,
    Endpoint,
    EndpointName,
    Finding,
    Parameters,
    Refusal,
)
from oidc_provider.dialects.faults import spelled
from oidc_provider.errors import Fault, OAuthError

_BASE = "api/v1/authorize/<str:app_code>"
ERROR_URI = "https://topiam.cn/docs/application/oidc/faq/#%E9%94%99%E8%AF%AF%E7%A0%81"


def look_at_authorize(parameters: Parameters) -> Finding | None:
    """Look in the order of x-check-order: the response type comes before the client."""
    if parameters.get("response_type") != "code":
        return Finding(Fault.RESPONSE_TYPE)
    return None if "client_id" in parameters else Finding(Fault.MISSING_CLIENT_ID)


def refuses_scopes(words: Sequence[str], allowed: frozenset[str]) -> bool:
    """Refuse a scope that is unknown, or not allowed for the client."""
    return not set(words) <= allowed


def default_scope(parameters: Parameters, allowed: frozenset[str]) -> str:
    """Ask for the least that signs somebody in: the document leaves scope optional and prints no default."""
    return "openid"


def answer_tokens(body: Body) -> Body:
    """Say what is left when the answer is written, as the document prints it: 21599 of 21600."""
    return {**body, "expires_in": max(body["expires_in"] - 1, 0)}


def _parameter(name: str) -> str:
    return f"OAuth 2.0 Parameter: {name}"


def _named(error: OAuthError) -> str:
    return _parameter(error.names[0] if error.names else "unknown")


_FULL_AUTHENTICATION = "Full authentication is required to access this resource"
_CLIENT = "Client authentication failed. Either the client or the client credentials are invalid."
_CODE_OVER = "The authorization code is invalid or has expired."
_REDIRECT_URI = "The redirect_uri does not match the redirection URI used in the authorization request."
_AUTHORIZE, _TOKEN = "TOPIAM-authorize", "TOPIAM-token"
_UNUSABLE = {
    Fault.RESPONSE_MODE: "response_mode",
    Fault.MISSING_NONCE: "nonce",
    Fault.PROMPT: "prompt",
    Fault.MAX_AGE: "max_age",
    Fault.CLAIMS: "claims",
    Fault.ID_TOKEN_HINT: "id_token_hint",
    Fault.REQUEST_NOT_SUPPORTED: "request",
    Fault.REQUEST_URI_NOT_SUPPORTED: "request_uri",
    Fault.REGISTRATION_NOT_SUPPORTED: "registration",
    Fault.POST_LOGOUT_REDIRECT_URI: "post_logout_redirect_uri",
    Fault.CODE_CHALLENGE_MISSING: "code_challenge",
    Fault.CODE_CHALLENGE: "code_challenge",
    Fault.CODE_CHALLENGE_METHOD: "code_challenge_method",
}
_DIRECT = {  # shown to the user, also where the address of the client is known to be good
    "client_id": (Fault.MISSING_CLIENT_ID, *faults.CLIENT),
    "redirect_uri": (Fault.MISSING_REDIRECT_URI, Fault.REDIRECT_URI),
}

ERRORS: Mapping[Fault, Refusal] = MappingProxyType(
    {
        **spelled(faults.MISSING, _TOKEN, error="invalid_request", text=_named),
        **spelled(faults.UNUSABLE, _AUTHORIZE, error="invalid_request", text="OAuth 2.0 Parameter"),
        **{
            fault: Refusal(_AUTHORIZE, error="invalid_request", text=_parameter(name))
            for fault, name in _UNUSABLE.items()
        },
        **{
            fault: Refusal(
                _AUTHORIZE, delivery=Delivery.PAGE, status=400, error="invalid_request", text=_parameter(name)
            )
            for name, direct in _DIRECT.items()
            for fault in direct
        },
        **spelled(
            (*faults.RESPONSE_TYPE, Fault.MISSING_RESPONSE_TYPE),
            _AUTHORIZE,
            delivery=Delivery.PAGE,
            status=400,
            error="unsupported_response_type",
            text=_parameter("response_type"),
        ),
        **spelled(faults.SCOPE, _AUTHORIZE, error="invalid_scope", text=_parameter("scope")),
        Fault.SCOPE_WIDENED: Refusal(_TOKEN, error="invalid_scope", text=_parameter("scope")),
        # Codes that only standard clients ask for stay as the standard has them.
        **spelled(faults.INTERACTION, "OIDCC-3.1.2.6", text=_FULL_AUTHENTICATION),
        **spelled(faults.DENIED, "RFC6749-4.1.2.1", error="access_denied", text="Access is denied"),
        **spelled(
            (Fault.GRANT_TYPE, Fault.MISSING_GRANT_TYPE),
            _TOKEN,
            error="unsupported_grant_type",
            text=_parameter("grant_type"),
        ),
        **spelled(faults.RIGHTS, _TOKEN, status=400, error="unauthorized_client", text=_CLIENT),
        Fault.CODE_REDIRECT_URI: Refusal(_TOKEN, error="invalid_grant", text=_REDIRECT_URI),
        **spelled(
            (Fault.AUTHORIZATION_CODE, Fault.MISSING_CODE),
            _TOKEN,
            error="invalid_grant",
            text="Client authentication failed: code",
        ),
        **spelled(faults.CODE_OVER, _TOKEN, error="invalid_grant", text=_CODE_OVER),
        **spelled(
            (*faults.VERIFIER, *faults.VERIFIER_FORM),
            _TOKEN,
            error="invalid_grant",
            text="Client authentication failed: code_verifier",
        ),
        **spelled(
            faults.REFRESH_TOKEN, _TOKEN, error="invalid_grant", text="Client authentication failed: refresh_token"
        ),
        **spelled(faults.GRANT_OVER, _TOKEN, error="invalid_grant", text=_CODE_OVER),
        # No client can be told from this request, or it names one and does not prove it.
        Fault.CLIENT_AUTHENTICATION_MISSING: Refusal(
            _TOKEN, error="access_denied", status=401, text=_FULL_AUTHENTICATION
        ),
        **spelled(
            (
                Fault.CLIENT_NOT_FOUND,
                Fault.CLIENT_AUTHENTICATION,
                Fault.CLIENT_ASSERTION,
                Fault.CLIENT_ASSERTION_REPLAYED,
            ),
            _TOKEN,
            error="invalid_client",
            status=401,
            text=_CLIENT,
        ),
        Fault.ACCESS_TOKEN_MISSING: Refusal(_TOKEN, error="access_denied", status=401, text=_FULL_AUTHENTICATION),
        **spelled(faults.TOKEN, _TOKEN, error="invalid_token", status=401, text="The access token is invalid."),
        Fault.UNKNOWN_KEY: Refusal(_TOKEN, error="invalid_request", text=_parameter("kid")),
        Fault.SERVER_ERROR: Refusal("RFC6749-4.1.2.1", text="OAuth 2.0 server error"),
        Fault.TEMPORARILY_UNAVAILABLE: Refusal("RFC6749-4.1.2.1", text="OAuth 2.0 server busy"),
    }
)

TOPIAM = Dialect(
    name="topiam",
    issuer_path="/api/v1/authorize/{app_code}/oidc",
    endpoints=MappingProxyType(
        {
            EndpointName.AUTHORIZE: Endpoint(f"{_BASE}/oauth2/auth", ("GET",), _AUTHORIZE),
            EndpointName.TOKEN: Endpoint(f"{_BASE}/oauth2/token", ("POST",), _TOKEN),
            # Ours, for standard clients (decision 11); the first three as its public discovery page names them.
            EndpointName.USERINFO: Endpoint(f"{_BASE}/oauth2/userinfo", ("GET", "POST"), "OIDCC-5.3.1"),
            EndpointName.JWKS: Endpoint(f"{_BASE}/oidc/jwks", ("GET",), "OIDCD-3"),
            EndpointName.DISCOVERY: Endpoint(f"{_BASE}/oidc/.well-known/openid-configuration", ("GET",), "OIDCD-4"),
            EndpointName.INTROSPECT: Endpoint(f"{_BASE}/oauth2/introspect", ("POST",), "RFC7662-2.1"),
            EndpointName.REVOKE: Endpoint(f"{_BASE}/oauth2/revoke", ("POST",), "RFC7009-2.1"),
            EndpointName.LOGOUT: Endpoint(f"{_BASE}/oidc/logout", ("GET", "POST"), "OIDCRIL-2"),
        }
    ),
    answer_tokens=answer_tokens,
    errors=ERRORS,
    error_uri=ERROR_URI,
    look_at_authorize=look_at_authorize,
    is_redirect_uri_required=True,
    refuses_scopes=refuses_scopes,
    default_scope=default_scope,
    is_pkce_required=True,
    max_verifier_length=512,  # its recipe, Base64 of a random text of 128 characters, gives 171
    short_verifier_length=20,  # its sample
    is_basic_like_post=True,
    grant_types=frozenset({"authorization_code", "refresh_token"}),
    response_types=("code",),
    client_defaults=MappingProxyType(
        {
            "token_endpoint_auth_method": "none",
            "grant_types": ["authorization_code", "refresh_token"],
            "scopes": ["openid", "email", "phone", "profile"],
        }
    ),
    authorization_code_lifetime=timedelta(minutes=5),
    access_token_lifetime=timedelta(hours=6),
    refresh_outlives_session=True,
    flags=COMMON_FLAGS | {"short_verifiers"},
)
