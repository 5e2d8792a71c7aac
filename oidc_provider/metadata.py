"""What we publish: the discovery document and the keys. Everything that works is listed, and nothing else.

Both are read by every relying party and asked for often, so each is turned into bytes once.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from identity.models import Tenant
from identity.services import keys
from identity.services.sessions import ACR_VALUES
from oidc_provider import claims, engine, pkce
from oidc_provider.dialects.base import Dialect, EndpointName, SecretPlace
from oidc_provider.request_checks import PROMPTS

CACHE_SECONDS = 60  # of a copy at the relying party; keys are published long before they sign

# Metadata member of each endpoint: OIDCD-3, RFC8414-2, OIDCRIL-2.1.
_MEMBERS = {
    EndpointName.AUTHORIZE: "authorization_endpoint",
    EndpointName.TOKEN: "token_endpoint",
    EndpointName.USERINFO: "userinfo_endpoint",
    EndpointName.INTROSPECT: "introspection_endpoint",
    EndpointName.REVOKE: "revocation_endpoint",
    EndpointName.LOGOUT: "end_session_endpoint",
    EndpointName.JWKS: "jwks_uri",
}
_AUTHENTICATING = (EndpointName.TOKEN, EndpointName.INTROSPECT, EndpointName.REVOKE)
UI_LOCALES = ("en", "zh-Hans", "ja")  # the languages of the pages, as BCP 47 spells them


@dataclass(frozen=True)
class Document:
    """A published document, ready to be sent."""

    body: bytes
    etag: str


@lru_cache(maxsize=1024)
def discovery(dialect: Dialect, issuer: str, origin: str, app_code: str = "") -> Document:
    """The discovery document of an issuer (OIDCD-3, RFC8414-2)."""
    return _document(describe(dialect, issuer=issuer, origin=origin, app_code=app_code))


def describe(dialect: Dialect, *, issuer: str, origin: str, app_code: str = "") -> dict[str, Any]:
    """The members of the discovery document."""
    members: dict[str, Any] = {"issuer": issuer}
    for endpoint in dialect.endpoints:
        if endpoint in _MEMBERS:
            members[_MEMBERS[endpoint]] = dialect.address(endpoint, origin, app_code=app_code)
    for endpoint in _AUTHENTICATING:
        if endpoint in dialect.endpoints:
            members.update(_authentication(_MEMBERS[endpoint], dialect))
    return members | {
        "scopes_supported": list(claims.SCOPES),
        "response_types_supported": ["code", "id_token", "id_token token"],
        "response_modes_supported": ["query", "fragment", "form_post"],
        "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials", "implicit"],
        "code_challenge_methods_supported": sorted(pkce.METHODS),
        "authorization_response_iss_parameter_supported": True,  # RFC9207-3
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": list(engine.ID_TOKEN_ALGORITHMS),
        "acr_values_supported": list(ACR_VALUES),
        "claim_types_supported": ["normal"],
        "claims_supported": list(claims.CLAIMS_SUPPORTED),
        "claims_parameter_supported": True,
        # OIDCD-3: the default of request_uri_parameter_supported is true, so the refusal must be said.
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "require_request_uri_registration": False,
        "prompt_values_supported": sorted(PROMPTS),
        "display_values_supported": ["page"],
        "ui_locales_supported": list(UI_LOCALES),
    }


def key_set(tenant: Tenant) -> Document:
    """The published keys (RFC7517-5), read from the database each time: no key signs before it is here."""
    members = [json.dumps(dict(key.jwk), sort_keys=True) for key in keys.public_keys(tenant=tenant)]
    return _serialised(f'{{"keys": [{", ".join(members)}]}}')


def _authentication(member: str, dialect: Dialect) -> dict[str, Any]:
    """How a client proves itself at one endpoint (RFC8414-2)."""
    methods = {
        SecretPlace.HEADER: "client_secret_basic",
        SecretPlace.BODY: "client_secret_post",
        SecretPlace.ASSERTION: "private_key_jwt",
    }
    names = [name for place, name in methods.items() if place in dialect.secret_places]
    # A public client has nothing to prove; it may not introspect (RFC7662-2.1).
    names += [] if member == _MEMBERS[EndpointName.INTROSPECT] else ["none"]
    found: dict[str, Any] = {f"{member}_auth_methods_supported": names}
    if SecretPlace.ASSERTION in dialect.secret_places:
        found[f"{member}_auth_signing_alg_values_supported"] = list(engine.ASSERTION_ALGORITHMS)
    return found


def _document(members: dict[str, Any]) -> Document:
    return _serialised(json.dumps(members))


@lru_cache(maxsize=1024)
def _serialised(text: str) -> Document:
    body = text.encode()
    return Document(body=body, etag=f'"{hashlib.sha256(body).hexdigest()[:32]}"')
