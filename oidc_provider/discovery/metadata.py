"""What we publish: the discovery document and the keys. Everything that works is listed, and nothing else.

Both are read by every relying party and asked for often, so each is turned into bytes once.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from identity import copies
from identity.assurance import LEVELS
from identity.copies import Copies
from identity.keyring import keys
from identity.models import KeyUse, Tenant
from oidc_provider.authorization.details import PROMPTS
from oidc_provider.clients import jwk_sets
from oidc_provider.clients.claims import CLAIMS_SUPPORTED
from oidc_provider.dialects.base import Dialect, EndpointName, SecretPlace
from oidc_provider.models import STANDARD_SCOPES, GrantType

CACHE_SECONDS = 60  # of a copy at the relying party; keys are published long before they sign

# Metadata member of each endpoint: OIDCD-3, RFC8414-2, OIDCRIL-2.1.
_MEMBERS = {
    EndpointName.AUTHORIZE: "authorization_endpoint",
    EndpointName.TOKEN: "token_endpoint",
    EndpointName.USERINFO: "userinfo_endpoint",
    EndpointName.INTROSPECT: "introspection_endpoint",
    EndpointName.REVOKE: "revocation_endpoint",
    EndpointName.LOGOUT: "end_session_endpoint",
    EndpointName.GLOBAL_LOGOUT: "end_session_endpoint",
    EndpointName.JWKS: "jwks_uri",
}
_AUTHENTICATING = (EndpointName.TOKEN, EndpointName.INTROSPECT, EndpointName.REVOKE)
UI_LOCALES = ("en", "zh-Hans", "ja")  # the languages of the pages, as BCP 47 spells them


@dataclass(frozen=True)
class Document:
    """A published document, ready to be sent."""

    body: bytes
    etag: str


_discovery: Copies[tuple[str, str, str], Document] = Copies()
_key_sets: Copies[tuple[int, str], Document] = Copies()


def discovery(dialect: Dialect, issuer: str, origin: str, app_code: str = "", *, tenant: Tenant) -> Document:
    """Return the discovery document of an issuer (OIDCD-3, RFC8414-2)."""

    def write() -> Document:
        return _document(json.dumps(describe(dialect, issuer=issuer, origin=origin, app_code=app_code)))

    return _discovery.get((dialect.name, issuer, origin), write, tenant_id=tenant.pk) or write()


def describe(dialect: Dialect, *, issuer: str, origin: str, app_code: str = "") -> dict[str, Any]:
    """Return the members of the discovery document."""
    members: dict[str, Any] = {"issuer": issuer}
    for endpoint in dialect.endpoints:
        if endpoint in _MEMBERS:
            members[_MEMBERS[endpoint]] = dialect.address(endpoint, origin, app_code=app_code)
    for endpoint in _AUTHENTICATING:
        if endpoint in dialect.endpoints:
            members.update(_authentication(_MEMBERS[endpoint], dialect))
    return members | {
        "scopes_supported": [*STANDARD_SCOPES, *sorted(dialect.own_scopes)],
        "response_types_supported": list(dialect.response_types),
        "response_modes_supported": ["query", "fragment", "form_post"],
        "grant_types_supported": [name for name in GrantType.values if name in dialect.grant_types],
        "code_challenge_methods_supported": sorted(dialect.challenge_methods),
        "authorization_response_iss_parameter_supported": True,  # RFC9207-3
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": list(dialect.signing_algorithms),
        "acr_values_supported": list(LEVELS),
        "claim_types_supported": ["normal"],
        "claims_supported": list(CLAIMS_SUPPORTED),
        "claims_parameter_supported": True,
        # OIDCD-3: the default of request_uri_parameter_supported is true, so the refusal must be said.
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "require_request_uri_registration": False,
        "prompt_values_supported": sorted(PROMPTS),
        "display_values_supported": ["page"],
        "ui_locales_supported": list(UI_LOCALES),
        # OIDCBCL-2.1, OIDCFCL-3: every id_token has a sid.
        "backchannel_logout_supported": True,
        "backchannel_logout_session_supported": True,
        "frontchannel_logout_supported": True,
        "frontchannel_logout_session_supported": True,
    }


def key_set(tenant: Tenant, dialect: Dialect) -> Document:
    """Return the published keys (RFC7517-5). No key signs before it is here, see `keyring.keys`."""
    known = _key_sets.find((tenant.pk, dialect.name), only_told=True)
    if known is not None:
        return known
    moment = copies.begin()
    published = [key for key in keys.public_keys(tenant=tenant) if key.alg in dialect.signing_algorithms]
    members = [json.dumps(dict(key.jwk), sort_keys=True) for key in published]
    document = _document(f'{{"keys": [{", ".join(members)}]}}')
    _key_sets.keep((tenant.pk, dialect.name), document, tenant_id=tenant.pk, since=moment)
    return document


def public_key(tenant: Tenant, kid: str, dialect: Dialect) -> dict[str, str] | None:
    """One RSA key as Base64 of its SubjectPublicKeyInfo (Pactera-3.4); None if no published key has this kid."""
    key = keys.find_published(tenant=tenant, kid=kid)
    if key is None or key.use != KeyUse.SIG or key.alg not in dialect.signing_algorithms:
        return None
    der = key.public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return {"kid": kid, "publicKey": base64.b64encode(der).decode()}


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
        found[f"{member}_auth_signing_alg_values_supported"] = list(jwk_sets.ALGORITHMS)
    return found


def _document(text: str) -> Document:
    body = text.encode()
    return Document(body=body, etag=f'"{hashlib.sha256(body).hexdigest()[:32]}"')
