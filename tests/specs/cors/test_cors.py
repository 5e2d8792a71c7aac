"""Calls from the pages of clients (CORS, the Fetch standard)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.factories import make_tenant
from tests.specs.conformance import Browser, RelyingParty, new_transport

pytestmark = pytest.mark.django_db

ORIGIN = "https://spa.example.org"
CALLABLE = ["/oauth2/token", "/oauth2/userinfo", "/oauth2/revoke"]
READABLE = ["/oauth2/jwks", "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"]


@pytest.fixture
def spa(new_client: Callable[..., RelyingParty]) -> RelyingParty:
    """A single-page application."""
    return new_client(web_origins=[ORIGIN])


def preflight(path: str, origin: str, *, method: str = "POST", host: str | None = None) -> dict[str, str]:
    headers = {
        "origin": origin,
        "access-control-request-method": method,
        "access-control-request-headers": "authorization,content-type",
        **({"host": host} if host else {}),
    }
    response = new_transport().options(path, secure=True, headers=headers)
    assert response.status_code == 204
    return dict(response.headers)


@pytest.mark.spec("FETCH-3.2.2")
@pytest.mark.parametrize("path", CALLABLE)
def test_a_registered_origin_may_ask_and_call(spa: RelyingParty, path: str) -> None:
    headers = preflight(path, ORIGIN)
    assert headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "POST" in headers["Access-Control-Allow-Methods"]
    assert "Authorization" in headers["Access-Control-Allow-Headers"]
    assert "Origin" in headers["Vary"]
    answer = new_transport().post(path, secure=True, headers={"origin": ORIGIN})
    assert answer["Access-Control-Allow-Origin"] == ORIGIN  # of a refusal too, or the page could not read it
    assert "WWW-Authenticate" in answer["Access-Control-Expose-Headers"]


@pytest.mark.spec("FETCH-3.2")
def test_a_registered_origin_reads_userinfo(spa: RelyingParty, browser: Browser) -> None:
    tokens = spa.authorize(browser).tokens()
    headers = {"origin": ORIGIN, "authorization": f"Bearer {tokens.access_token}"}
    answer = new_transport().get("/oauth2/userinfo", secure=True, headers=headers)
    assert (answer.status_code, answer["Access-Control-Allow-Origin"]) == (200, ORIGIN)


@pytest.mark.spec("FETCH-3.2")
@pytest.mark.parametrize("path", CALLABLE)
@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example", "null", "http://spa.example.org", "https://spa.example.org:8443",
        "https://spa.example.org.evil.example", "https://spa.example.org@evil.example", "https://SPA.example.org",
        "https://spa.example.org/", "*", "",
    ],
)  # fmt: skip
def test_other_origins_may_not(spa: RelyingParty, path: str, origin: str) -> None:
    assert "Access-Control-Allow-Origin" not in preflight(path, origin)
    assert "Access-Control-Allow-Methods" not in preflight(path, origin)
    answer = new_transport().post(path, secure=True, headers={"origin": origin})
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert "Origin" in answer["Vary"]


@pytest.mark.security("S36")
def test_the_origins_of_another_tenant_do_not_count(spa: RelyingParty) -> None:
    make_tenant(host="other.monban.example")
    assert "Access-Control-Allow-Origin" not in preflight("/oauth2/token", ORIGIN, host="other.monban.example")


@pytest.mark.spec("FETCH-3.2")
@pytest.mark.parametrize("path", READABLE)
def test_published_documents_may_be_read_from_anywhere(spa: RelyingParty, path: str) -> None:
    assert preflight(path, "https://anybody.example", method="GET")["Access-Control-Allow-Origin"] == "*"
    answer = new_transport().get(path, secure=True, headers={"origin": "https://anybody.example"})
    assert (answer.status_code, answer["Access-Control-Allow-Origin"]) == (200, "*")


@pytest.mark.spec("FETCH-3.2.3")
@pytest.mark.parametrize("path", [*CALLABLE, *READABLE])
def test_cookies_never_take_part(spa: RelyingParty, path: str) -> None:
    assert "Access-Control-Allow-Credentials" not in preflight(path, ORIGIN)
    answer = new_transport().post(path, secure=True, headers={"origin": ORIGIN})
    assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize("path", ["/oauth2/authorize", "/oauth2/introspect", "/oauth2/logout", "/login", "/admin/"])
def test_other_pages_are_not_shared(spa: RelyingParty, path: str) -> None:
    headers = {"origin": ORIGIN, "access-control-request-method": "POST"}
    for response in (
        new_transport().options(path, secure=True, headers=headers),
        new_transport().get(path, secure=True, headers=headers),
    ):
        assert "Access-Control-Allow-Origin" not in response.headers
