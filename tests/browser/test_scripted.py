"""The Pactera guide's browser application (section 4.5): axios, and an interceptor that reads a header of a 302."""

from __future__ import annotations

import base64
import hashlib
import secrets
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import NewBrowser, Site, missing

AXIOS = Path(__file__).resolve().parents[1] / "clients" / "node" / "node_modules" / "axios" / "dist" / "axios.min.js"
CLIENT_ID = "scripted"
# As the guide writes it: a 302 reaches the interceptor as an error, and says in `path` where to go.
INTERCEPTOR = """
const http = axios.create({withCredentials: true});
http.interceptors.response.use(response => response, error => {
    const response = error.response;
    if (response && response.status === 302) {
        return Promise.resolve({redirect: response.headers.path});
    }
    return Promise.reject(error);
});
"""
PAGE = '<!doctype html><meta charset="utf-8"><title>App</title><script src="/axios.js"></script><script>%s</script>'
SIGN_IN = """async ([authorize, identifier, password]) => {
    try {
        const login = new URL((await http.get(authorize)).redirect);
        const form = new URLSearchParams({transaction: login.searchParams.get("transaction"), identifier, password});
        const next = (await http.post(login.origin + login.pathname, form)).redirect;
        const answer = (await http.get(next)).redirect;
        return {login: login.pathname, next: new URL(next).pathname, answer};
    } catch (error) {
        return {error: String(error), status: error.response ? error.response.status : 0};
    }
}"""


class App(BaseHTTPRequestHandler):
    """The pages of one browser application."""

    def do_GET(self) -> None:
        kind, body = "text/html", (PAGE % INTERCEPTOR).encode()
        if self.path == "/axios.js":
            kind, body = "text/javascript", AXIOS.read_bytes()
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""


@dataclass(frozen=True)
class Pages:
    """Two applications of the site: one is registered, the other is not."""

    registered: str
    stranger: str
    secret: str

    @property
    def redirect_uri(self) -> str:
        return f"{self.registered}/callback"


@pytest.fixture(scope="module")
def pages(site: Site) -> Iterator[Pages]:
    if not AXIOS.is_file():
        missing("no axios: npm ci --prefix tests/clients/node")
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), App) for _ in range(2)]
    for server in servers:
        threading.Thread(target=partial(server.serve_forever, poll_interval=0.05), daemon=True).start()
    registered, stranger = (f"http://127.0.0.1:{server.server_address[1]}" for server in servers)
    found = Pages(registered, stranger, secrets.token_urlsafe(32))
    client = {
        "client_id": CLIENT_ID,
        "client_secret": found.secret,
        "dialect": "pactera",
        "redirect_uris": [found.redirect_uri],
        "web_origins": [registered],
    }
    application = {"name": "Scripted", "code": CLIENT_ID, "access": "everyone", "skip_consent": True}
    site.provider.apply({"tenant": "default", "applications": [{**application, "clients": [client]}]})
    yield found
    for server in servers:
        server.shutdown()
        server.server_close()


def sign_in(page: Page, site: Site, pages: Pages, verifier: str, password: str = "") -> dict[str, Any]:
    """What the page's script comes back with."""
    hexadecimal = hashlib.sha256(verifier.encode()).hexdigest().encode()
    query = {
        "client_id": CLIENT_ID,
        "response_type": "code",
        "redirect_uri": pages.redirect_uri,
        "scope": "openid profile",
        "state": "abcde",
        "code_challenge": base64.urlsafe_b64encode(hexadecimal).rstrip(b"=").decode(),
        "code_challenge_method": "s256",
    }
    arguments = [site.url(f"/oidc/authorize?{urlencode(query)}"), site.alice.user_name, password or site.alice.password]
    answer: dict[str, Any] = page.evaluate(SIGN_IN, arguments)
    return answer


@pytest.mark.spec("Pactera-4.5")
def test_the_guides_application_signs_in_and_redeems_its_code(site: Site, pages: Pages, page: Page) -> None:
    verifier = secrets.token_urlsafe(36)
    page.goto(pages.registered)
    answer = sign_in(page, site, pages, verifier)
    assert (answer.get("login"), answer.get("next")) == ("/login", "/oauth2/authorize/continue"), answer
    page.goto(answer["answer"])
    parameters = parse_qs(urlsplit(page.url).query)
    assert page.url.startswith(pages.redirect_uri)
    assert parameters["state"] == ["abcde"]
    response = page.request.post(
        site.url("/oidc/token"),
        form={
            "grant_type": "authorization_code",
            "client_id": CLIENT_ID,
            "redirect_uri": pages.redirect_uri,
            "code": parameters["code"][0],
            "code_verifier": verifier,
        },
        headers={"Authorization": "Basic " + base64.b64encode(pages.secret.encode()).decode()},
    )
    assert (response.status, response.json()["expires_in"]) == (200, "3600")
    # The browser is signed in from now on: one request is enough, and a navigation follows the Location.
    silent = site.url(f"/oidc/authorize?client_id={CLIENT_ID}&response_type=code&scope=openid&state=s&redirect_uri=")
    page.goto(f"{silent}{pages.redirect_uri}")
    assert page.url.startswith(f"{pages.redirect_uri}?code=")


@pytest.mark.spec("Pactera-4.5")
def test_a_wrong_password_leads_nowhere(site: Site, pages: Pages, new_browser: NewBrowser) -> None:
    page = new_browser()
    page.goto(pages.registered)
    answer = sign_in(page, site, pages, secrets.token_urlsafe(36), password="Quite-Wrong-1")
    assert "answer" not in answer
    assert answer["status"] in (400, 401)


@pytest.mark.security("S1")
def test_a_page_that_is_not_registered_reads_nothing(site: Site, pages: Pages, new_browser: NewBrowser) -> None:
    page = new_browser()
    page.goto(pages.stranger)
    answer = sign_in(page, site, pages, secrets.token_urlsafe(36))
    assert "answer" not in answer
    assert answer["status"] == 0  # The browser shows its script no answer at all.
