"""Chapter 2 of Pactera's guide in a real browser, which is the web view of an app that runs in its own process."""

from __future__ import annotations

import base64
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import NewBrowser, Site
from tests.clients.provider import ROOT, free_port, stop, wait_until_open

PHONE = {"width": 360, "height": 640}
# How the app will get its session_token once the SDK API issues them.
SIGN_IN = """
from identity.context import RequestContext
from identity.models import SessionKind, User
from identity.sso import sessions
user = User.objects.select_related("tenant").get(user_name={user_name!r})
_, token = sessions.start(user=user, amr=["pwd"], kind=SessionKind.SDK, context=RequestContext(tenant=user.tenant))
print(user.public_id, token)
"""


@dataclass
class MobileApp:
    """The app's process, and what the test must know of it."""

    url: str
    user_id: str
    miniapp_id: str
    proof: str

    def steps(self, page: Page) -> list[dict[str, Any]]:
        """What the app did when it last opened the mini program."""
        document: list[dict[str, Any]] = page.request.get(f"{self.url}/result.json").json()
        return document


def register(site: Site, *, port: int, name: str) -> tuple[str, str]:
    """The mini program `name` and the app that shows it; the secrets of both."""
    own, of_app = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    mini_program = {
        "client_id": name,
        "client_secret": own,
        "dialect": "pactera",
        "grant_types": ["authorization_code", "refresh_token"],
        "redirect_uris": [f"http://localhost:{port}/callback"],
        "require_pkce": True,
    }
    back_end = {"client_id": f"{name}-app", "client_secret": of_app, "grant_types": ["client_credentials"]}
    site.provider.apply(
        {
            "tenant": "default",
            "applications": [
                {"name": "Lunch orders", "code": name, "clients": [mini_program]},
                {"name": "City app", "code": f"{name}-app", "clients": [{**back_end, "response_types": []}]},
            ],
            "host_applications": [
                {"client_id": f"{name}-app", "mini_programs": [name], "networks": ["127.0.0.0/8", "::1/128"]}
            ],
        }
    )
    return own, of_app


@pytest.fixture(params=["session_token", "host application"])
def mobile_app(site: Site, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[MobileApp]:
    port = free_port()
    name = f"lunch-{port}"
    secret, secret_of_app = register(site, port=port, name=name)
    output = site.provider.manage("shell", "-c", SIGN_IN.format(user_name=site.alice.user_name))
    user_id, token = output.strip().splitlines()[-1].split()
    pair = base64.b64encode(f"{name}-app:{secret_of_app}".encode()).decode()
    proof = f"Bearer {token}" if request.param == "session_token" else f"Basic {pair}"
    log = tmp_path / "app.log"
    with log.open("ab") as file:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "tests.clients.host_app", "--issuer", site.provider.issuer),
                *("--user-id", user_id, "--miniapp-id", name, f"--secret={secret}", "--port", str(port)),
            ],
            cwd=ROOT,
            env={**os.environ, "APP_PROOF": proof},
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        url = f"http://localhost:{port}"
        wait_until_open(process, f"http://127.0.0.1:{port}/", log)
        yield MobileApp(url, user_id, name, proof)
    finally:
        stop(process)


@pytest.mark.spec("Pactera-3.5")
@pytest.mark.spec("Pactera-3.6")
def test_the_whole_of_chapter_two(site: Site, new_browser: NewBrowser, mobile_app: MobileApp) -> None:
    page = new_browser(viewport=PHONE)
    page.goto(mobile_app.url)
    page.click("#open")
    # Not authorized yet: the app shows our page in its web view.
    expect(page.locator("h1")).to_contain_text("Lunch orders")
    expect(page.locator("main")).to_contain_text(site.alice.name)
    expect(page.locator(".scope-title")).to_have_count(3)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    page.click("button[name=decision][value=agree]")
    page.wait_for_url(site.url("/auth/consent/agreed"))
    expect(page.locator("h1")).to_have_text("You agreed")
    # The app has seen the address, closes its web view and opens the mini program.
    page.goto(f"{mobile_app.url}/open")
    expect(page.locator("#who")).to_have_text(site.alice.name)
    steps = mobile_app.steps(page)
    assert [(step["path"], step["status"]) for step in steps] == [
        ("/auth/isAuthorized", 200),
        ("/oidc/authcode", 200),
        ("/oidc/token", 200),
        ("/oidc/userinfo", 200),
    ]
    assert steps[0]["body"] == {"isAuthorized": True}
    assert set(steps[1]["body"]) == {"code", "state"}
    assert steps[2]["body"]["expires_in"] == "3600"
    assert (steps[3]["body"]["sub"], steps[3]["body"]["email"]) == (mobile_app.user_id, "alice@example.org")


def test_a_web_view_that_brings_the_proof_itself_and_refuses(
    site: Site, new_browser: NewBrowser, mobile_app: MobileApp
) -> None:
    page = new_browser(viewport=PHONE)
    query = {"userId": mobile_app.user_id, "miniapp_id": mobile_app.miniapp_id, "scope": "openid email"}
    # As WKWebView and Android's WebView load an address with headers of the app's.
    page.set_extra_http_headers({"Authorization": mobile_app.proof})
    page.goto(site.url(f"/auth/consent?{urlencode({**query, 'ui_locales': 'ja'})}"))
    page.set_extra_http_headers({})
    assert mobile_app.user_id not in page.url
    assert page.locator("html").get_attribute("lang") == "ja"
    # The person prefers another language, and the question is still there.
    page.select_option("#language", "zh-hans")
    expect(page.locator("html")).to_have_attribute("lang", "zh-Hans")
    page.click("button[name=decision][value=refuse]")
    page.wait_for_url(site.url("/auth/consent/refused"))
    page.goto(f"{mobile_app.url}/open")
    page.wait_for_url(lambda url: url.startswith(site.url("/auth/consent?request=")))
    assert [step["path"] for step in mobile_app.steps(page)] == ["/auth/isAuthorized", "/auth/consent"]


def test_what_a_web_view_of_nobody_is_shown(site: Site, page: Page, mobile_app: MobileApp) -> None:
    query = {"userId": mobile_app.user_id, "miniapp_id": mobile_app.miniapp_id, "scope": "openid"}
    answer = page.goto(site.url(f"/auth/consent?{urlencode(query)}"))
    assert answer is not None
    assert answer.status == 401
    assert site.alice.name not in page.content()
    assert page.locator("button[name=decision]").count() == 0
    # The page can still be read in one's own language.
    page.select_option("#language", "ja")
    expect(page.locator("h1")).to_have_text("ミニプログラムを開けません")
