"""The dialect of Tencent EIAM: its page on authorization codes, and the public page on tokens.

docs/contract/oidc_tencent.yaml has both. Refused authorization requests are JSON, shown to whoever asked.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType

from oidc_provider.dialects import faults
from oidc_provider.dialects.base import (
    COMMON_FLAGS,
    Delivery,
    Dialect,
    Endpoint,
    EndpointName,
    Finding,
    Parameters,
    Refusal,
    SecretPlace,
)
from oidc_provider.dialects.faults import spelled
from oidc_provider.errors import Fault, OAuthError

_HEXADECIMAL = re.compile(r"[0-9a-f]{64}|[0-9A-F]{64}")


def to_rfc(parameters: Parameters) -> dict[str, str]:
    """Read a scope that begins with openid as openid, with the known ones of its other words.

    A challenge in hexadecimal is the same digest in base64url: the page prints no encoding.
    """
    rfc = dict(parameters)
    if _HEXADECIMAL.fullmatch(rfc.get("code_challenge", "")):
        digest = bytes.fromhex(rfc["code_challenge"])
        rfc["code_challenge"] = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    first, *rest = rfc.get("scope", "").split(" ")
    if first.startswith("openid"):
        rfc["scope"] = " ".join(["openid", *(word for word in rest if word)])
    return rfc


def look_at_authorize(parameters: Parameters) -> Finding | None:
    """Look in the order of x-check-order: the client's name and the response type come before the client."""
    if "client_id" not in parameters:
        return Finding(Fault.MISSING_CLIENT_ID)
    if "response_type" not in parameters:
        return Finding(Fault.MISSING_RESPONSE_TYPE)
    if parameters["response_type"] != "code":
        return Finding(Fault.RESPONSE_TYPE)
    return None


def look_at_token(parameters: Parameters, authorization: str) -> Finding | None:
    """Find what is missing, in the words of the authorization endpoint."""
    if "client_id" not in parameters and not authorization and "client_assertion" not in parameters:
        return Finding(Fault.MISSING_CLIENT_ID)
    return None if "grant_type" in parameters else Finding(Fault.MISSING_GRANT_TYPE)


def refuses_scopes(words: Sequence[str], allowed: frozenset[str]) -> bool:
    """`to_rfc` has made openid of everything that begins with it."""
    return words[0] != "openid"


def _missing(error: OAuthError) -> str:
    return f"missing {error.names[0]} parameter" if error.names else "missing parameter"


def _grant_over(error: OAuthError) -> str:
    return "invalid refresh_token" if error.grant_type == "refresh_token" else "invalid code"


_UNUSABLE = {
    Fault.RESPONSE_MODE: "invalid response_mode",
    Fault.MISSING_NONCE: "missing nonce parameter",
    Fault.PROMPT: "invalid prompt",
    Fault.MAX_AGE: "invalid max_age",
    Fault.CLAIMS: "invalid claims",
    Fault.ID_TOKEN_HINT: "invalid id_token_hint",
    Fault.POST_LOGOUT_REDIRECT_URI: "invalid post_logout_redirect_uri",
}
_SOURCE, _TOKEN = "Tencent-authorize", "Tencent-token"

ERRORS: Mapping[Fault, Refusal] = MappingProxyType(
    {
        **spelled(faults.MISSING, _SOURCE, error="invalid_request", text=_missing),
        **spelled(faults.UNUSABLE, _SOURCE, error="invalid_request", text="invalid request"),
        **{fault: Refusal(_SOURCE, error="invalid_request", text=text) for fault, text in _UNUSABLE.items()},
        **spelled(faults.CHALLENGE, _SOURCE, error="invalid_request", text="invalid code_challenge"),
        Fault.CODE_CHALLENGE_METHOD: Refusal(_SOURCE, error="invalid_request", text="invalid code_challenge_method"),
        Fault.REDIRECT_URI: Refusal(_SOURCE, error="invalid_request", text="invalid redirect_uri"),
        **spelled(faults.RESPONSE_TYPE, _SOURCE, error="invalid_request", text="invalid response_type"),
        **spelled(faults.SCOPE, _SOURCE, error="invalid_request", text="invalid scope"),
        **spelled(faults.CLIENT, _SOURCE, error="unauthorized_client", status=403, text="invalid client"),
        # Codes that only standard clients ask for stay as the standard has them.
        **spelled(faults.INTERACTION, "OIDCC-3.1.2.6", text="login or consent required"),
        **spelled(faults.DENIED, _SOURCE, error="unauthorized_client", status=403, text="access denied"),
        Fault.SERVER_ERROR: Refusal(
            _SOURCE, error="internal_server_error", status=500, text="generate authorization code fail"
        ),
        Fault.TEMPORARILY_UNAVAILABLE: Refusal(_SOURCE, error="internal_server_error", text="system busy"),
        Fault.GRANT_TYPE: Refusal(_TOKEN, error="unsupported_grant_type", text="invalid grant_type"),
        **spelled(faults.RIGHTS, _TOKEN, error="unauthorized_client", status=403, text="invalid client"),
        **spelled((*faults.CODE, Fault.CODE_REDIRECT_URI), _TOKEN, error="invalid_grant", text="invalid code"),
        # One text for code and verifier, so that nothing is told apart.
        **spelled((*faults.VERIFIER, *faults.VERIFIER_FORM), _TOKEN, error="invalid_grant", text="invalid code"),
        **spelled(faults.REFRESH_TOKEN, _TOKEN, error="invalid_grant", text="invalid refresh_token"),
        **spelled(faults.GRANT_OVER, _TOKEN, error="invalid_grant", text=_grant_over),
        Fault.SCOPE_WIDENED: Refusal(_TOKEN, error="invalid_request", text="invalid scope"),
        **spelled(
            (Fault.CLIENT_NOT_FOUND, *faults.CREDENTIALS),
            _TOKEN,
            error="unauthorized_client",
            status=403,
            text="invalid client",
        ),
        Fault.ACCESS_TOKEN_MISSING: Refusal(_TOKEN, error="invalid_request", text="missing access_token"),
        **spelled(faults.TOKEN, _TOKEN, error="invalid_token", status=401, text="invalid access_token"),
        Fault.UNKNOWN_KEY: Refusal(_TOKEN, error="invalid_request", text="invalid kid"),
    }
)

TENCENT = Dialect(
    name="tencent",
    issuer_path="/auth/oauth2",
    endpoints=MappingProxyType(
        {
            EndpointName.AUTHORIZE: Endpoint("auth/oauth2/authorize", ("GET",), _SOURCE),
            EndpointName.TOKEN: Endpoint("auth/oauth2/token", ("POST",), _TOKEN),
            # Ours, for standard clients (decision 11).
            EndpointName.USERINFO: Endpoint("auth/oauth2/userinfo", ("GET", "POST"), "OIDCC-5.3.1"),
            EndpointName.INTROSPECT: Endpoint("auth/oauth2/introspect", ("POST",), "RFC7662-2.1"),
            EndpointName.REVOKE: Endpoint("auth/oauth2/revoke", ("POST",), "RFC7009-2.1"),
            EndpointName.LOGOUT: Endpoint("auth/oauth2/logout", ("GET", "POST"), "OIDCRIL-2"),
            EndpointName.JWKS: Endpoint("auth/oauth2/jwks", ("GET",), "OIDCD-3"),
            EndpointName.DISCOVERY: Endpoint("auth/oauth2/.well-known/openid-configuration", ("GET",), "OIDCD-4"),
        }
    ),
    to_rfc=to_rfc,
    errors=ERRORS,
    authorization_errors=Delivery.JSON,
    look_at_authorize=look_at_authorize,
    look_at_token=look_at_token,
    required_at_authorize=("scope",),
    is_redirect_uri_required=False,
    refuses_scopes=refuses_scopes,
    challenge_methods=frozenset({"S256", "SM3"}),
    is_basic_like_post=True,
    secret_places=frozenset({SecretPlace.HEADER, SecretPlace.BODY, SecretPlace.QUERY, SecretPlace.ASSERTION}),
    grant_types=frozenset({"authorization_code", "refresh_token"}),
    response_types=("code",),
    client_defaults=MappingProxyType(
        {
            "token_endpoint_auth_method": "client_secret",
            "grant_types": ["authorization_code", "refresh_token"],
            "require_pkce": False,
        }
    ),
    authorization_code_lifetime=timedelta(minutes=10),
    access_token_lifetime=timedelta(hours=2),
    refresh_outlives_session=True,
    flags=COMMON_FLAGS | {"errors_by_redirect"},
)
