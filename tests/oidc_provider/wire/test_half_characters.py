"""JSON can carry half of a character (`\\ud800`), and NUL: nothing that stores or hashes takes them."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from django.test import Client as HttpClient

from identity.models import Tenant
from tests.factories import make_application
from tests.factories.oidc import make_client
from tests.support.machine import FORM

pytestmark = pytest.mark.django_db

WORDS = [r"\ud800", r"a\udfffb", r"\u0000"]
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def browser_of(tenant: Tenant) -> HttpClient:
    return HttpClient(HTTP_HOST=tenant.domains.get().host, raise_request_exception=True)


def unsigned(subject: str) -> str:
    parts = ['{"alg":"RS256"}', f'{{"sub":"{subject}"}}']
    return ".".join(base64.urlsafe_b64encode(part.encode()).rstrip(b"=").decode() for part in parts) + ".AAAA"


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("name", ["client_id", "client_secret", "code", "redirect_uri", "grant_type", "code_verifier"])
def test_a_token_request_as_json_is_refused_in_the_protocols_words(tenant: Tenant, name: str, word: str) -> None:
    client = make_client(make_application(tenant), dialect="oneaccess", token_endpoint_auth_method="client_secret_post")
    members = {"client_id": client.client_id, "grant_type": "authorization_code", "code": "x", "client_secret": "y"}
    body = json.dumps({**members, name: "@"}).replace("@", word)
    answer: Any = browser_of(tenant).post("/api/v1/oauth2/token", body, content_type="application/json", secure=True)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("path", ["/oauth2/token", "/oauth2/introspect", "/oauth2/revoke", "/api/v2/tenant/token"])
def test_an_assertion_about_half_a_character_proves_nobody(tenant: Tenant, path: str, word: str) -> None:
    form = f"grant_type=client_credentials&token=x&client_assertion_type={ASSERTION}&client_assertion={unsigned(word)}"
    answer = browser_of(tenant).post(path, form, content_type=FORM, secure=True)
    assert answer.status_code in (400, 401)
    assert answer.json()["error"] == "invalid_client"


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("name", ["userId", "miniapp_id", "scope", "decision", "other"])
def test_a_consent_as_json_is_refused(tenant: Tenant, name: str, word: str) -> None:
    members = {"userId": "nobody", "miniapp_id": "x", "scope": "openid", "decision": ""}
    body = json.dumps({**members, name: "@"}).replace("@", word)
    answer: Any = browser_of(tenant).post("/auth/consent", body, content_type="application/json", secure=True)
    assert answer.status_code == 400
