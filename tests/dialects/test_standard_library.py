"""A standard library on every issuer: Authlib, told the issuer and nothing else of the dialect."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import jwt
import pytest
import requests
from authlib.common.security import generate_token
from authlib.integrations.requests_client import OAuth2Session
from django.test import Client as HttpClient
from requests.adapters import BaseAdapter

from oidc_provider import dialects
from oidc_provider.dialects.base import Dialect
from tests.dialects.party import CALLBACK, Party

pytestmark = [pytest.mark.django_db, pytest.mark.client]

# What a client of such a library needs of its registration; the pages in docs/dialects say so.
VALUES: dict[str, dict[str, Any]] = {
    "pactera": {"flags": {"standard_at_hash": True, "errors_by_redirect": True}},
    "tencent": {"flags": {"errors_by_redirect": True}},
}
SCOPE = "openid profile"


class InProcess(BaseAdapter):
    """Carry the library's requests to this process."""

    def send(self, request: requests.PreparedRequest, **ignored: Any) -> requests.Response:
        parts = urlsplit(str(request.url))
        headers = dict(request.headers)
        content_type = headers.pop("Content-Type", "")
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        answer = HttpClient(HTTP_HOST=parts.netloc).generic(
            str(request.method), path, request.body or "", content_type, secure=True, headers=headers
        )
        response = requests.Response()
        response.status_code, response._content = answer.status_code, answer.content
        response.headers.update(answer.headers)
        response.url, response.request = str(request.url), request
        return response

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture(params=dialects.ALL, ids=lambda dialect: dialect.name)
def party(request: pytest.FixtureRequest, new_party: Callable[..., Party]) -> Party:
    dialect: Dialect = request.param
    return new_party(dialect, **VALUES.get(dialect.name, {}))


@pytest.fixture
def library(party: Party) -> Iterator[OAuth2Session]:
    method = "none" if party.client.is_public else "client_secret_basic"
    with OAuth2Session(
        client_id=party.client.client_id,
        client_secret=party.secret or None,
        token_endpoint_auth_method=method,
        scope=SCOPE,
        redirect_uri=CALLBACK,
        code_challenge_method="S256",
    ) as client:
        client.mount(party.origin, InProcess())
        yield client


def test_the_library_signs_in_refreshes_reads_and_revokes(party: Party, library: OAuth2Session) -> None:
    metadata = library.get(f"{party.issuer}/.well-known/openid-configuration", withhold_token=True).json()
    assert metadata["issuer"] == party.issuer
    verifier = generate_token(48)
    address, state = library.create_authorization_url(
        metadata["authorization_endpoint"], code_verifier=verifier, nonce="nonce1"
    )
    party.sign_in()
    parts = urlsplit(address)
    answer = party.browser.get(f"{parts.path}?{parts.query}", secure=True)["Location"]
    token = library.fetch_token(
        metadata["token_endpoint"], authorization_response=answer, code_verifier=verifier, state=state
    )
    assert (token["token_type"], token["scope"]) == ("Bearer", SCOPE)
    claims = verified(library, metadata, token)
    assert (claims["sub"], claims["nonce"]) == (party.user.public_id, "nonce1")
    userinfo = library.get(metadata["userinfo_endpoint"]).json()
    assert (userinfo["sub"], userinfo["name"]) == (party.user.public_id, "太郎")
    renewed = library.refresh_token(metadata["token_endpoint"], refresh_token=token["refresh_token"])
    assert verified(library, metadata, renewed)["sub"] == party.user.public_id
    revoked = library.revoke_token(metadata["revocation_endpoint"], token=renewed["refresh_token"])
    assert revoked.status_code == 200
    assert library.get(metadata["userinfo_endpoint"]).status_code == 401


def verified(library: OAuth2Session, metadata: dict[str, Any], token: dict[str, Any]) -> dict[str, Any]:
    """As OIDCC-3.1.3.7 and 3.1.3.8 ask: signature, issuer, audience, at_hash."""
    keys = jwt.PyJWKSet.from_dict(library.get(metadata["jwks_uri"], withhold_token=True).json())
    header = jwt.get_unverified_header(token["id_token"])
    key = next(key for key in keys.keys if key.key_id == header["kid"])
    algorithms = metadata["id_token_signing_alg_values_supported"]
    claims: dict[str, Any] = jwt.decode(
        token["id_token"], key, algorithms=algorithms, audience=library.client_id, issuer=metadata["issuer"]
    )
    digest = key.Algorithm.compute_hash_digest(token["access_token"].encode())
    assert jwt.utils.base64url_encode(digest[: len(digest) // 2]).decode() == claims["at_hash"]
    return claims
