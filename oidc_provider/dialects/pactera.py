"""The dialect of Pactera's "OIDC Provider" guide of 2023-04-06 (docs/contract/oidc_pactera.yaml).

Where the guide contradicts itself or asks for less safety, docs/contract/dialects.md 3 decides. Texts that travel are
the guide's own, Japanese and Chinese, misspelt where it misspells.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType
from urllib.parse import quote_plus, unquote

from identity.texts import single_spaced
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

# The order in which the guide names what is missing.
_AT_AUTHORIZE = ("client_id", "redirect_uri", "response_type", "scope", "state")
_AT_TOKEN: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "authorization_code": ("client_id", "grant_type", "redirect_uri", "code"),
        "refresh_token": ("client_id", "grant_type", "refresh_token"),
    }
)
_SCOPES = frozenset({"openid", "profile", "email", "address", "phone"})  # Pactera-4.1


# In --------------------------------------------------------------------------------------------------------


def to_rfc(parameters: Parameters) -> dict[str, str]:
    """Scope decoded once more, challenge of 43 characters, method in the RFC's spelling."""
    rfc = dict(parameters)
    if "%20" in rfc.get("scope", ""):
        rfc["scope"] = single_spaced(unquote(rfc["scope"]))  # Pactera-3.1: the sample URLs carry %2520
    if "code_challenge" in rfc:
        rfc["code_challenge"] = to_rfc_challenge(rfc["code_challenge"])
        # Without a method it is SHA-256 here; RFC7636-4.3 would say plain, which does not exist.
        rfc.setdefault("code_challenge_method", "S256")
    if rfc.get("code_challenge_method", "").lower() == "s256":
        rfc["code_challenge_method"] = "S256"
    return rfc


def to_rfc_challenge(challenge: str) -> str:
    """Turn the 86 characters of Pactera-4.2 into the 43 of RFC7636-4.2, which carry the same digest.

    Anything else stays as it is and is judged by its shape later.
    """
    if len(challenge) != 86:
        return challenge
    try:
        text = base64.b64decode(f"{challenge}==", altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return challenge
    is_canonical = base64.urlsafe_b64encode(text).rstrip(b"=").decode() == challenge
    if not is_canonical or not re.fullmatch(rb"[0-9a-f]{64}", text):
        return challenge
    return base64.urlsafe_b64encode(bytes.fromhex(text.decode())).rstrip(b"=").decode()


def look_at_authorize(parameters: Parameters) -> Finding | None:
    """Pactera-3.1: everything that is missing is named at once."""
    return _missing(_AT_AUTHORIZE, parameters)


def look_at_token(parameters: Parameters, authorization: str) -> Finding | None:
    """Pactera-3.2, 3.7. A standard client names itself in the header only (RFC6749-2.3.1)."""
    names = _AT_TOKEN.get(parameters.get("grant_type", ""), ("client_id", "grant_type"))
    is_named = ":" in _decoded(authorization) or "client_assertion" in parameters
    return _missing((name for name in names if name != "client_id" or not is_named), parameters)


def _missing(names: Iterable[str], parameters: Parameters) -> Finding | None:
    absent = tuple(name for name in names if name not in parameters)
    return Finding(Fault.MISSING_PARAMETER, absent) if absent else None


def _decoded(authorization: str) -> str:
    try:
        return base64.b64decode(authorization.partition(" ")[2].strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return ""


def read_basic(decoded: str, client_id: str) -> tuple[str, str] | None:
    """Read the secret alone (Pactera-3.2, text), or client_id:secret (its sample, RFC6749-2.3.1)."""
    if not client_id:
        name, separator, secret = decoded.partition(":")
        return (unquote(name), unquote(secret)) if separator else None
    for prefix in (f"{client_id}:", f"{quote_plus(client_id)}:"):
        if decoded.startswith(prefix):
            return client_id, unquote(decoded.removeprefix(prefix))
    return client_id, decoded


def refuses_scopes(words: Sequence[str], allowed: frozenset[str]) -> bool:
    """Pactera-3.1: an unknown scope is refused, and so is a request without openid."""
    return "openid" not in words or not set(words) <= _SCOPES | allowed


# Out -------------------------------------------------------------------------------------------------------


def binary_digits_hash(value: str, alg: str) -> str:
    """Return the first 128 binary digits of SHA-256 as text, leading zeros dropped, base64url (Pactera-4.4).

    These are 171 characters. Read as a number, so the first digit is always 1. The algorithm of the signature plays no
    part.
    """
    digits = f"{int.from_bytes(hashlib.sha256(value.encode()).digest(), 'big'):b}"
    return base64.urlsafe_b64encode(digits[:128].encode()).rstrip(b"=").decode()


def answer_tokens(body: Body) -> Body:
    """Pactera-3.2: expires_in is a string."""
    return {**body, "expires_in": str(body["expires_in"])}


def id_token_claims(claims: Body) -> Body:
    """Pactera-3.2: valid from the moment it was issued."""
    return {**claims, "nbf": claims["iat"]}


# Pactera-3.3: the claims of each scope. What has no value is null.
_CLAIMS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "profile": ("name", "given_name", "family_name", "nickname", "picture", "birthdate", "gender"),
        "email": ("email", "email_verified"),
        "phone": ("phone_number",),
        "address": ("address",),
    }
)
_NEVER_NULL = ("email_verified",)  # not in the guide's table, so only there when it says something
_ADDRESS = ("formatted", "country", "region", "locality", "postal_code")
_GENDERS = {"male": "1", "female": "2"}


def answer_userinfo(facts: UserinfoFacts) -> Body:
    """Pactera-3.3: claims of granted scopes, null without a value, gender as a digit."""
    body: Body = {"sub": facts.person.sub}
    for scope in facts.scopes:
        body |= {name: None for name in _CLAIMS.get(scope, ()) if name not in _NEVER_NULL}
    body |= facts.claims
    if "gender" in body:
        body["gender"] = _GENDERS.get(str(body["gender"]))
    if body.get("address"):
        body["address"] = {name: body["address"].get(name) for name in _ADDRESS}
    return body


# Refusals --------------------------------------------------------------------------------------------------

INVALID = "参数的值无效"
CLIENT = "指定されたclient_idはサポートされていません"
UNSUPPORTED_CLIENT = "サポートされていないクライアント"
RESPONSE_TYPE = "response_typeの値が無効です"
SCOPE = "scopeの値が無効です"
GRANT_TYPE = "grant_typeの値が無効です"
CODE = "code無効またはタイムアウト"
REFRESH_TOKEN = "refresh_tokenが無効または期限切れ"
SECRET = "client_secretの値が無効です"
ACCESS_TOKEN = "accessToken無効またはタイムアウト"
KID = "公開鍵が取得できませんでした。kidの値をご確認ください。"
# The guide does not know these; a browser is shown them all the same.
SIGN_IN = "ログインまたは同意が必要です"
DENIED = "アクセスが拒否されました"
SERVER = "サーバーでエラーが発生しました"
BUSY = "サーバーが混み合っています。しばらくしてからもう一度お試しください"

_MISSING = "パラメータ-{{{names}}}は必須です"
_MISSING_PATTERN = re.compile(r"パラメータ-\{([a-z_,]+)\}は必須です")


def missing_text(error: OAuthError) -> str:
    """Write the names between braces, with commas and no blanks."""
    return _MISSING.format(names=",".join(error.names)) if error.names else INVALID


def _grant_text(error: OAuthError) -> str:
    return REFRESH_TOKEN if error.grant_type == "refresh_token" else CODE


ERRORS: Mapping[Fault, Refusal] = MappingProxyType(
    {
        **spelled(faults.MISSING, "Pactera-3.1", error="invalid_request", text=missing_text),
        **spelled(faults.UNUSABLE, "Pactera-3.1", error="invalid_request", text=INVALID),
        **spelled(faults.CHALLENGE, "Pactera-3.1", error="invalid_request", text=INVALID),
        **spelled(
            (Fault.REDIRECT_URI, Fault.CODE_CHALLENGE_METHOD, *faults.VERIFIER_FORM),
            "Pactera-3.1",
            error="invalid_request",
            text=INVALID,
        ),
        **spelled(faults.RESPONSE_TYPE, "Pactera-3.1", error="unsupported_response_type", text=RESPONSE_TYPE),
        **spelled(faults.SCOPE, "Pactera-3.1", error="invalid_scope", text=SCOPE),
        **spelled(faults.CLIENT, "Pactera-3.1", error="unauthorized_client", text=CLIENT),
        # Errors with a code that only standard clients ask for keep it.
        **spelled(faults.INTERACTION, "OIDCC-3.1.2.6", text=SIGN_IN),
        **spelled(faults.DENIED, "RFC6749-4.1.2.1", status=400, text=DENIED),
        Fault.GRANT_TYPE: Refusal("Pactera-3.2", error="unsupported_grant_type", text=GRANT_TYPE),
        **spelled(faults.RIGHTS, "Pactera-3.5", status=400, error="unauthorized_client", text=UNSUPPORTED_CLIENT),
        **spelled((*faults.CODE, Fault.CODE_REDIRECT_URI), "Pactera-3.2", error="invalid_grant", text=CODE),
        # One text for code and verifier, so that nothing is told apart.
        **spelled(faults.VERIFIER, "Pactera-3.2", error="invalid_grant", text=CODE),
        **spelled(faults.REFRESH_TOKEN, "Pactera-3.7", error="invalid_grant", text=REFRESH_TOKEN),
        **spelled(faults.GRANT_OVER, "Pactera-3.7", error="invalid_grant", text=_grant_text),
        Fault.SCOPE_WIDENED: Refusal("RFC6749-6", error="invalid_scope", text=SCOPE),
        Fault.CLIENT_NOT_FOUND: Refusal("Pactera-3.2", error="invalid_client", status=401, text=CLIENT),
        **spelled(faults.CREDENTIALS, "Pactera-3.2", error="invalid_client", status=401, text=SECRET),
        Fault.ACCESS_TOKEN_MISSING: Refusal("Pactera-3.3", error="invalid_request", status=401, text=missing_text),
        **spelled(faults.TOKEN, "Pactera-3.3", error="invalid_token", status=401, text=ACCESS_TOKEN),
        Fault.UNKNOWN_KEY: Refusal("Pactera-3.4", error="invaild_kid", status=404, text=KID),
        Fault.SERVER_ERROR: Refusal("RFC6749-4.1.2.1", text=SERVER),
        Fault.TEMPORARILY_UNAVAILABLE: Refusal("RFC6749-4.1.2.1", text=BUSY),
    }
)
_TEXTS = frozenset(
    {INVALID, CLIENT, UNSUPPORTED_CLIENT, RESPONSE_TYPE, SCOPE, SIGN_IN, DENIED, SERVER, BUSY}
)  # of the authorization endpoint
_CODES = frozenset(
    {
        "invalid_request",
        "unsupported_response_type",
        "invalid_scope",
        "unauthorized_client",
        "login_required",
        "consent_required",
        "interaction_required",
        "account_selection_required",
        "access_denied",
        "server_error",
        "temporarily_unavailable",
    }
)


def shown_error(parameters: Parameters) -> tuple[str, str]:
    """Return what the error page may show of its address: codes and texts of our own (decision 17)."""
    error, text = parameters.get("error", ""), parameters.get("error_description", "")
    names = _MISSING_PATTERN.fullmatch(text)
    is_missing = names is not None and set(names[1].split(",")) <= set(_AT_AUTHORIZE)
    return error if error in _CODES else "", text if text in _TEXTS or is_missing else ""


PACTERA = Dialect(
    name="pactera",
    issuer_path="/oidc",
    endpoints=MappingProxyType(
        {
            EndpointName.AUTHORIZE: Endpoint("oidc/authorize", ("GET", "POST"), "Pactera-3.1"),
            EndpointName.TOKEN: Endpoint("oidc/token", ("POST",), "Pactera-3.2"),
            EndpointName.USERINFO: Endpoint("oidc/userinfo", ("GET", "POST"), "Pactera-3.3"),
            EndpointName.PUBLIC_KEY: Endpoint("keys/<path:kid>", ("GET",), "Pactera-3.4"),
            EndpointName.ERROR_PAGE: Endpoint("error", ("GET",), "Pactera-3.1"),
            # Ours, for standard clients (decision 11).
            EndpointName.INTROSPECT: Endpoint("oidc/introspect", ("POST",), "RFC7662-2.1"),
            EndpointName.REVOKE: Endpoint("oidc/revoke", ("POST",), "RFC7009-2.1"),
            EndpointName.LOGOUT: Endpoint("oidc/logout", ("GET", "POST"), "OIDCRIL-2"),
            EndpointName.JWKS: Endpoint("oidc/jwks", ("GET",), "OIDCD-3"),
            EndpointName.DISCOVERY: Endpoint("oidc/.well-known/openid-configuration", ("GET",), "OIDCD-4"),
        }
    ),
    to_rfc=to_rfc,
    answer_tokens=answer_tokens,
    answer_userinfo=answer_userinfo,
    id_token_claims=id_token_claims,
    errors=ERRORS,
    authorization_errors=Delivery.ERROR_ADDRESS,
    error_address="/error",
    shown_error=shown_error,
    look_at_authorize=look_at_authorize,
    look_at_token=look_at_token,
    required_at_authorize=("state",),
    is_redirect_uri_required=True,
    refuses_scopes=refuses_scopes,
    scope_claims=_CLAIMS,
    read_basic=read_basic,
    needs_plain_secrets=True,
    grant_types=frozenset({"authorization_code", "refresh_token"}),
    response_types=("code",),
    signing_algorithms=("RS256",),
    client_defaults=MappingProxyType(
        {
            "grant_types": ["authorization_code", "refresh_token"],
            "scopes": ["openid", "profile", "email", "address", "phone"],
            "require_pkce": False,
        }
    ),
    authorization_code_lifetime=timedelta(minutes=10),
    access_token_lifetime=timedelta(hours=1),
    refresh_token_lifetime=timedelta(weeks=4),
    at_hash=binary_digits_hash,
    flags=COMMON_FLAGS | {"standard_at_hash", "errors_by_redirect", "short_verifiers"},
    has_mini_programs=True,
    refresh_outlives_session=True,
    sends_path_header=True,
)
