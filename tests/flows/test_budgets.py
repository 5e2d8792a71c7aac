"""What one source may have of one tenant a minute: more than anybody needs, and an end to it (S58)."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from django.conf import settings
from django.test import Client as HttpClient
from django.test import override_settings

from identity import budgets
from identity.models import LoginTransaction, PendingRequest
from tests.factories import make_application, make_tenant
from tests.factories.cas import make_cas_service
from tests.factories.keys import make_keys
from tests.factories.oidc import CALLBACK, CLIENT_SECRET, make_client
from tests.support.machine import basic

pytestmark = [pytest.mark.django_db, pytest.mark.security("S58")]
FEW = 3
PKCE = {"code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", "code_challenge_method": "S256"}  # RFC7636-B


@pytest.fixture(autouse=True)
def few() -> Any:
    limits = dict.fromkeys((budget.value for budget in budgets.Budget), FEW)
    with override_settings(IDENTITY={**settings.IDENTITY, **limits}):
        yield


@pytest.fixture
def host() -> str:
    tenant = make_tenant(host="id.acme.example")
    make_keys(tenant)
    make_client(make_application(tenant, code="app"), client_id="app", token_endpoint_auth_method="client_secret_basic")
    make_cas_service(tenant=tenant, url="https://a.example/app", match="exact")
    return "id.acme.example"


def ask(method: str, path: str, host: str, *, source: str = "203.0.113.7", **options: Any) -> Any:
    browser = HttpClient(HTTP_HOST=host, REMOTE_ADDR=source)
    return getattr(browser, method)(path, secure=True, **options)


AUTHORIZE = "/oauth2/authorize?" + urlencode(
    {"client_id": "app", "redirect_uri": CALLBACK, "response_type": "code", "scope": "openid", **PKCE}
)


@pytest.mark.parametrize(
    ("path", "accept"),
    [
        ("/.well-known/openid-configuration", "application/json"),
        ("/oauth2/jwks", "application/json"),
        ("/api/v1/saml2/idp/metadata", "application/json"),
        (AUTHORIZE, "text/html"),
        ("/login", "text/html"),
        ("/api/v1/cas/login?service=https://a.example/app", "text/html"),
        ("/api/v1/cas/login", "text/html"),
    ],
)
def test_a_source_is_told_to_wait_and_nobody_else_is(host: str, path: str, accept: str) -> None:
    options = {"headers": {"Accept": accept}}
    for _ in range(FEW):
        assert ask("get", path, host, **options).status_code in (200, 302, 303)
    rows = (PendingRequest.objects.count(), LoginTransaction.objects.count())
    refused = ask("get", path, host, **options)
    assert refused.status_code == 429
    assert 1 <= int(refused["Retry-After"]) <= 60
    assert refused["Content-Type"].startswith(accept)
    assert (PendingRequest.objects.count(), LoginTransaction.objects.count()) == rows
    assert ask("get", path, host, source="203.0.113.8", **options).status_code != 429
    other = make_tenant(host="id.other.example")
    make_keys(other)
    assert ask("get", path, "id.other.example", **options).status_code != 429


def test_the_budget_is_there_again_after_a_minute(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr(budgets.time, "monotonic", lambda: clock[0])
    for expected in (*[200] * FEW, 429):
        assert ask("get", "/.well-known/openid-configuration", host).status_code == expected
    clock[0] += budgets.WINDOW_SECONDS
    assert ask("get", "/.well-known/openid-configuration", host).status_code == 200


def token(host: str, secret: str, path: str = "/oauth2/token", **options: Any) -> Any:
    options = {"content_type": "application/x-www-form-urlencoded", **options}
    headers = {"Authorization": basic("app", secret)}
    return ask("post", path, host, data="grant_type=client_credentials", headers=headers, **options)


@pytest.mark.parametrize("path", ["/oauth2/token", "/oauth2/introspect", "/oauth2/revoke", "/api/v2/tenant/token"])
def test_wrong_client_secrets_have_a_budget(host: str, path: str) -> None:
    for _ in range(FEW):
        assert token(host, "wrong", path).status_code in (400, 401)
    refused = token(host, "wrong", path)
    assert refused.status_code == 429
    assert refused.json()["error"] == "temporarily_unavailable"
    assert 1 <= int(refused["Retry-After"]) <= 60
    assert token(host, "wrong", path, source="203.0.113.8").status_code != 429


def test_a_right_secret_is_never_told_to_wait(host: str) -> None:
    for _ in range(FEW + 1):
        answer = token(host, "wrong")
    assert answer.status_code == 429
    assert token(host, CLIENT_SECRET).status_code != 429


def test_strange_sources_do_not_fill_the_memory(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budgets, "_MAX_COUNTERS", 10)
    for number in range(30):
        ask("get", "/.well-known/openid-configuration", host, source=f"203.0.113.{number}")
    assert len(budgets._counters) <= 10
