"""Whatever is sent to a machine endpoint is answered by the protocol: never a 500, and no row is left."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote_from_bytes

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from oidc_provider.models import AccessToken, AuthorizationCode, RefreshToken
from tests.factories.oidc import CALLBACK, CLIENT_SECRET
from tests.support.machine import VERIFIER, Machine, basic

pytestmark = pytest.mark.django_db

NAMES = [
    "grant_type",
    "code",
    "redirect_uri",
    "code_verifier",
    "refresh_token",
    "scope",
    "client_id",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
    "token",
    "token_type_hint",
    "access_token",
    "resource",
    "request",
    "",
]
VALUES = [
    b"authorization_code",
    b"refresh_token",
    b"client_credentials",
    b"openid",
    b"urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    b"eyJhbGciOiJub25lIn0.eyJzdWIiOjF9.",
    b"e30.e30.",
    VERIFIER.encode(),
    CALLBACK.encode(),
    CLIENT_SECRET.encode(),
]
pairs = some.tuples(some.sampled_from(NAMES), some.one_of(some.sampled_from(VALUES), some.binary(max_size=40)))
bodies = some.lists(pairs, max_size=6).map(
    lambda found: "&".join(f"{name}={quote_from_bytes(value)}" for name, value in found)
)
headers = some.one_of(
    some.just(""),
    some.just("basic"),
    some.text(some.characters(min_codepoint=32, max_codepoint=255), max_size=30),
    some.binary(max_size=20).map(lambda value: "Basic " + value.hex()),
)
CHECKS = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@given(body=bodies, header=headers)
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=CHECKS)
@pytest.mark.parametrize("path", ["/oauth2/token", "/oauth2/introspect", "/oauth2/revoke", "/oauth2/userinfo"])
def test_nonsense_is_refused_by_the_protocol(machine: Machine, path: str, body: str, header: str) -> None:
    known: dict[str, Any] = {"basic": basic(machine.client.client_id, CLIENT_SECRET)}
    response = machine.send(path, body or "x=", HTTP_AUTHORIZATION=known.get(header, header))
    # The client's own credentials are good, so it may get a token for itself or revoke one that does not exist.
    assert response.status_code in {200, 400, 401, 403}
    if response.status_code != 200:
        assert response["Content-Type"] == "application/json"
    assert not AuthorizationCode.objects.exists()
    assert not RefreshToken.objects.exists()
    assert AccessToken.objects.exclude(user=None).count() == 0
