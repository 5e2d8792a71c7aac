"""The module of the Config OP plan, and what the discovery document promises beside it."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import jwt
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from identity.models import Tenant
from tests.specs.conformance import HOST, ISSUER, Browser, RelyingParty, new_transport

pytestmark = pytest.mark.django_db

WELL_KNOWN = "/.well-known/openid-configuration"


@pytest.fixture
def document(tenant: Tenant) -> dict[str, Any]:
    response = new_transport().get(WELL_KNOWN, secure=True)
    assert (response.status_code, response["Content-Type"]) == (200, "application/json")
    members: dict[str, Any] = response.json()
    return members


@pytest.mark.oidf("oidcc-discovery-endpoint-verification")
@pytest.mark.spec("OIDCD-3")
@pytest.mark.spec("OIDCD-4.2")
def test_oidcc_discovery_endpoint_verification(document: dict[str, Any]) -> None:
    assert document["issuer"] == ISSUER
    endpoints = {name: value for name, value in document.items() if name.endswith(("_endpoint", "_uri"))}
    assert set(endpoints) == {
        "authorization_endpoint", "token_endpoint", "userinfo_endpoint", "introspection_endpoint",
        "revocation_endpoint", "end_session_endpoint", "jwks_uri",
    }  # fmt: skip
    for address in endpoints.values():
        assert (urlsplit(address).scheme, urlsplit(address).netloc) == ("https", HOST)
    assert document["subject_types_supported"] == ["public"]
    assert document["id_token_signing_alg_values_supported"] == ["RS256", "RS512", "ES256"]
    assert "code" in document["response_types_supported"]
    assert "openid" in document["scopes_supported"]
    assert all(re.fullmatch(r"[\x21\x23-\x5B\x5D-\x7E]+", scope) for scope in document["scopes_supported"])
    assert document["code_challenge_methods_supported"] == ["S256"]
    assert {"sub", "name", "email"} <= set(document["claims_supported"])
    assert document["claims_parameter_supported"] is True
    assert document["request_parameter_supported"] is False
    assert document["request_uri_parameter_supported"] is False
    assert document["ui_locales_supported"] == ["en", "zh-Hans", "ja"]
    keys = new_transport().get(urlsplit(document["jwks_uri"]).path, secure=True).json()
    assert keys["keys"]
    for key in keys["keys"]:
        assert not {"d", "p", "q", "dp", "dq", "qi", "k"} & set(key)
        assert {"kid", "kty", "use", "alg"} <= set(key)
    assert jwt.PyJWKSet.from_dict(keys).keys


@pytest.mark.spec("RFC8414-3")
def test_both_documents_say_the_same(document: dict[str, Any]) -> None:
    response = new_transport().get("/.well-known/oauth-authorization-server", secure=True)
    assert (response.status_code, response.json()) == (200, document)


@pytest.mark.spec("RFC8414-2")
def test_nothing_is_claimed_that_does_not_work(document: dict[str, Any]) -> None:
    # Each of these is the promise of a feature that does not exist.
    promises = {
        "registration_endpoint", "device_authorization_endpoint", "pushed_authorization_request_endpoint",
        "check_session_iframe", "request_object_signing_alg_values_supported",
        "userinfo_signing_alg_values_supported", "dpop_signing_alg_values_supported",
        "id_token_encryption_alg_values_supported",
    }  # fmt: skip
    assert not promises & set(document)


@pytest.mark.spec("RFC8414-2")
def test_every_claimed_response_mode_and_type_works(
    document: dict[str, Any], implicit_party: RelyingParty, browser: Browser
) -> None:
    for response_type in document["response_types_supported"]:
        for response_mode in document["response_modes_supported"]:
            is_fragment_flow = response_type != "code"
            answer = implicit_party.authorize(browser, response_type=response_type, response_mode=response_mode)
            if is_fragment_flow and response_mode == "query":
                assert answer.error == "invalid_request"  # OAuthMultiple-5: tokens never travel in a query
            else:
                assert (answer.error, answer.callback.mode) == (None, response_mode)


@pytest.mark.spec("OIDCD-3")
def test_every_claimed_prompt_is_accepted(document: dict[str, Any], party: RelyingParty, signed_in: Browser) -> None:
    for prompt in document["prompt_values_supported"]:
        place = party.start(signed_in, prompt=prompt)
        assert "error" not in getattr(place, "params", {}), prompt


@pytest.mark.spec("RFC9110-13.1.2")
@pytest.mark.parametrize("path", [WELL_KNOWN, "/.well-known/oauth-authorization-server", "/oauth2/jwks"])
def test_documents_may_be_kept_for_a_while(tenant: Tenant, path: str) -> None:
    transport = new_transport()
    first = transport.get(path, secure=True)
    assert first["Cache-Control"] == "public, max-age=60"
    assert first["Access-Control-Allow-Origin"] == "*"
    again = transport.get(path, secure=True, headers={"if-none-match": first["ETag"]})
    assert (again.status_code, again.content, again["ETag"]) == (304, b"", first["ETag"])
    assert transport.head(path, secure=True).status_code == 200
    assert transport.post(path, secure=True).status_code == 405


def test_the_discovery_document_costs_no_query(document: dict[str, Any]) -> None:
    with CaptureQueriesContext(connection) as queries:
        assert new_transport().get(WELL_KNOWN, secure=True).json() == document
    assert [query["sql"] for query in queries] == []


def test_the_keys_cost_one_query(tenant: Tenant) -> None:
    transport = new_transport()
    first = transport.get("/oauth2/jwks", secure=True)
    with CaptureQueriesContext(connection) as queries:
        again = transport.get("/oauth2/jwks", secure=True)
    assert (again.content, len(queries)) == (first.content, 1)


@pytest.mark.security("S32")
@pytest.mark.parametrize(
    "headers",
    [
        {"x-forwarded-host": "evil.example"},
        {"x-forwarded-proto": "http"},
        {"forwarded": "host=evil.example;proto=http"},
        {"x-forwarded-port": "8443"},
    ],
)
def test_the_issuer_comes_from_configuration(tenant: Tenant, headers: dict[str, str]) -> None:
    assert new_transport().get(WELL_KNOWN, secure=True, headers=headers).json()["issuer"] == ISSUER


@pytest.mark.security("S32")
def test_a_foreign_host_has_no_issuer(tenant: Tenant) -> None:
    response = new_transport().get(WELL_KNOWN, secure=True, headers={"host": "evil.example"})
    assert response.status_code == 404
