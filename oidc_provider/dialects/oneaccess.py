"""The dialect of Huawei OneAccess, API reference 3.3.1 and 3.3.4 to 3.3.6 (docs/contract/oidc_oneaccess.yaml).

An application speaks OAuth 2.0 with `get_user_info` or OpenID Connect with `openid` at the same addresses; the scope
says which (decision 16).
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
    UserinfoFacts,
)
from oidc_provider.dialects.faults import spelled
from oidc_provider.errors import Fault, OAuthError

GET_USER_INFO = "get_user_info"


def look_at_authorize(parameters: Parameters) -> Finding | None:
    """OneAccess-3.3.5.4: the implicit flow names its address."""
    if "client_id" not in parameters:
        return Finding(Fault.MISSING_CLIENT_ID)
    is_implicit = "id_token" in parameters.get("response_type", "").split(" ")
    return Finding(Fault.MISSING_REDIRECT_URI) if is_implicit and "redirect_uri" not in parameters else None


def look_at_token(parameters: Parameters, authorization: str) -> Finding | None:
    """OneAccess-3.3.4.2, 3.3.4.4. A standard client may name itself in the header (RFC6749-2.3.1)."""
    names = {"authorization_code": ("code",), "refresh_token": ("refresh_token",)}
    is_named = bool(authorization) or "client_assertion" in parameters
    required = ("grant_type", *names.get(parameters.get("grant_type", ""), ()), *(() if is_named else ("client_id",)))
    absent = tuple(name for name in required if name not in parameters)
    return Finding(Fault.MISSING_PARAMETER, absent) if absent else None


def refuses_scopes(words: Sequence[str], allowed: frozenset[str]) -> bool:
    """One of the two fixed values, and with openid the standard scopes that the client may have."""
    return not {"openid", GET_USER_INFO} & set(words) or not set(words) <= allowed


def default_scope(parameters: Parameters, allowed: frozenset[str]) -> str:
    """Return the fixed value of the application's protocol; the implicit flow must say it."""
    if parameters.get("response_type", "code") != "code":
        return ""
    return "openid" if "openid" in allowed else GET_USER_INFO


def answer_userinfo(facts: UserinfoFacts) -> Body:
    """OneAccess-3.3.4.3, and with openid the claims beside it (OIDCC-5.3.2)."""
    person = facts.person
    members = {"name": person.name, "mobile": person.bare_phone_number}
    body: Body = {"id": person.sub, "userName": person.account_name}
    body |= {name: value for name, value in members.items() if value}
    body["email"] = person.email or None  # table 3-302 has it in every answer
    return {**facts.claims, **body} if "openid" in facts.scopes else body


def answer_authorization(parameters: Body) -> Body:
    """OneAccess-3.3.5.4: the fragment says what is left, 7199 of 7200."""
    if "expires_in" not in parameters:
        return parameters
    return {**parameters, "expires_in": max(int(parameters["expires_in"]) - 1, 0)}


def _missing(error: OAuthError) -> str:
    return f"Missing parameter: {error.names[0]}" if error.names else "Missing parameter"


def _refresh_token(error: OAuthError) -> str:
    """OneAccess-3.3.5.3 prints the text of the code for OpenID Connect; clients go by the code of the error."""
    return _CODE if error.is_openid else "Invalid refresh token"


def _grant_over(error: OAuthError) -> str:
    return _refresh_token(error) if error.grant_type == "refresh_token" else _CODE


_CODE = "Invalid authorization code"
_FULL_AUTHENTICATION = "Full authentication is required to access this resource"
_PRODUCT = ("error_code", "error_msg")  # OneAccess-4.3
_UNUSABLE = {
    Fault.RESPONSE_MODE: "Invalid response_mode",
    Fault.MISSING_NONCE: "Missing parameter: nonce",
    Fault.PROMPT: "Invalid prompt",
    Fault.MAX_AGE: "Invalid max_age",
    Fault.CLAIMS: "Invalid claims",
    Fault.ID_TOKEN_HINT: "Invalid id_token_hint",
    Fault.POST_LOGOUT_REDIRECT_URI: "Invalid post_logout_redirect_uri",
    Fault.CODE_CHALLENGE_MISSING: "Missing parameter: code_challenge",
    Fault.CODE_CHALLENGE: "Invalid code_challenge",
    Fault.CODE_CHALLENGE_METHOD: "Invalid code_challenge_method",
}

ERRORS: Mapping[Fault, Refusal] = MappingProxyType(
    {
        **spelled(faults.MISSING, "OneAccess-3.3.4.2", error="invalid_request", text=_missing),
        **spelled(faults.UNUSABLE, "OneAccess-3.3.4.1", error="invalid_request", text="Invalid request"),
        **{
            fault: Refusal("OneAccess-3.3.4.1", error="invalid_request", text=text) for fault, text in _UNUSABLE.items()
        },
        **spelled(
            (Fault.MISSING_CLIENT_ID, Fault.UNKNOWN_CLIENT),
            "OneAccess-4.3",
            delivery=Delivery.PAGE,
            status=400,
            error="APP.0001",
            text="Application does not exist.",
            members=_PRODUCT,
        ),
        Fault.CLIENT_DISABLED: Refusal(
            "OneAccess-4.3",
            delivery=Delivery.PAGE,
            status=400,
            error="APP.0003",
            text="Application disabled.",
            members=_PRODUCT,
        ),
        **spelled(
            (Fault.REDIRECT_URI, Fault.MISSING_REDIRECT_URI),
            "OneAccess-3.3.4.1",
            delivery=Delivery.PAGE,
            status=400,
            error="invalid_request",
            text="Invalid redirect_uri",
        ),
        **spelled(
            (*faults.RESPONSE_TYPE, Fault.MISSING_RESPONSE_TYPE),
            "OneAccess-3.3.5.4",
            error="unsupported_response_type",
            text="Invalid response_type",
        ),
        **spelled(
            (*faults.SCOPE, Fault.SCOPE_WIDENED), "OneAccess-3.3.4.1", error="invalid_scope", text="Invalid scope"
        ),
        # Codes that only standard clients ask for stay as the standard has them.
        **spelled(faults.INTERACTION, "OIDCC-3.1.2.6", text=_FULL_AUTHENTICATION),
        Fault.ACCESS_DENIED: Refusal(
            "OneAccess-4.3", error="access_denied", text="Application account does not exist."
        ),
        **spelled(
            (Fault.CONSENT_REFUSED, Fault.ASSURANCE), "RFC6749-4.1.2.1", error="access_denied", text="Access denied"
        ),
        Fault.GRANT_TYPE: Refusal("OneAccess-3.3.4.2", error="unsupported_grant_type", text="Unsupported grant type"),
        **spelled(
            faults.RIGHTS, "OneAccess-3.3.4.2", status=400, error="unauthorized_client", text="Bad client credentials"
        ),
        **spelled((*faults.CODE, Fault.CODE_REDIRECT_URI), "OneAccess-3.3.4.2", error="invalid_grant", text=_CODE),
        **spelled((*faults.VERIFIER, *faults.VERIFIER_FORM), "OneAccess-3.3.4.2", error="invalid_grant", text=_CODE),
        **spelled(faults.REFRESH_TOKEN, "OneAccess-3.3.4.4", error="invalid_grant", text=_refresh_token),
        **spelled(faults.GRANT_OVER, "OneAccess-3.3.4.4", error="invalid_grant", text=_grant_over),
        **spelled(
            (
                Fault.CLIENT_NOT_FOUND,
                Fault.CLIENT_AUTHENTICATION,
                Fault.CLIENT_ASSERTION,
                Fault.CLIENT_ASSERTION_REPLAYED,
            ),
            "OneAccess-3.3.1.2",
            error="invalid_client",
            status=400,
            text="Bad client credentials",
        ),
        # The document always sends a secret: a client that has one and sent none has left out a parameter.
        Fault.CLIENT_AUTHENTICATION_MISSING: Refusal(
            "OneAccess-3.3.4.2", error="invalid_request", status=400, text="Missing parameter: client_secret"
        ),
        **spelled(
            (Fault.ACCESS_TOKEN_MISSING, *faults.TOKEN),
            "OneAccess-3.3.4.3",
            error="unauthorized",
            status=401,
            text=_FULL_AUTHENTICATION,
        ),
        Fault.UNKNOWN_KEY: Refusal("OneAccess-4.2", error="invalid_request", text="Invalid kid"),
        Fault.SERVER_ERROR: Refusal("RFC6749-4.1.2.1", text="System busy. Please try again later."),
        Fault.TEMPORARILY_UNAVAILABLE: Refusal("RFC6749-4.1.2.1", text="System busy. Please try again later."),
    }
)

ONEACCESS = Dialect(
    name="oneaccess",
    issuer_path="/api/v1/oauth2",
    endpoints=MappingProxyType(
        {
            EndpointName.AUTHORIZE: Endpoint("api/v1/oauth2/authorize", ("GET",), "OneAccess-3.3.4.1"),
            EndpointName.TOKEN: Endpoint("api/v1/oauth2/token", ("POST",), "OneAccess-3.3.4.2"),
            EndpointName.USERINFO: Endpoint("api/v1/oauth2/userinfo", ("GET",), "OneAccess-3.3.4.3"),
            EndpointName.DISCOVERY: Endpoint(
                "api/v1/oauth2/.well-known/openid-configuration", ("GET",), "OneAccess-3.3.5.5"
            ),
            EndpointName.JWKS: Endpoint("api/v1/oauth2/jwks", ("GET",), "OneAccess-4.2"),
            EndpointName.GLOBAL_LOGOUT: Endpoint("api/v1/logout", ("GET",), "OneAccess-3.3.6.1"),
            # Ours, for standard clients (decision 11).
            EndpointName.INTROSPECT: Endpoint("api/v1/oauth2/introspect", ("POST",), "RFC7662-2.1"),
            EndpointName.REVOKE: Endpoint("api/v1/oauth2/revoke", ("POST",), "RFC7009-2.1"),
        }
    ),
    answer_userinfo=answer_userinfo,
    answer_authorization=answer_authorization,
    errors=ERRORS,
    look_at_authorize=look_at_authorize,
    look_at_token=look_at_token,
    repeats_redirect_uri=False,  # OneAccess-3.3.4.2: not required; "if it is passed, it must be the same"
    is_redirect_uri_required=False,
    refuses_scopes=refuses_scopes,
    default_scope=default_scope,
    own_scopes=frozenset({GET_USER_INFO}),
    userinfo_scopes=frozenset({"openid", GET_USER_INFO}),
    implied_scopes=MappingProxyType({"openid": (GET_USER_INFO,)}),
    is_basic_like_post=True,
    takes_text_as_json=True,
    grant_types=frozenset({"authorization_code", "refresh_token", "implicit"}),
    signing_algorithms=("RS256", "RS512"),
    client_defaults=MappingProxyType({"token_endpoint_auth_method": "client_secret", "require_pkce": False}),
    authorization_code_lifetime=timedelta(minutes=5),
    access_token_lifetime=timedelta(hours=2),
    refresh_outlives_session=True,
    flags=COMMON_FLAGS | {"implicit_without_nonce"},
)
