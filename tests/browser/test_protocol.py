"""What only a browser can show of the protocol: sites, cookies, origins, redirects."""

from __future__ import annotations

import base64
import hashlib
import secrets
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.browser import steps
from tests.browser.conftest import Site

# Run in the page: a form POST whose answer, or the browser's refusal to show it, comes back.
FETCH = """async ([url, options]) => {
    try {
        const response = await fetch(url, options);
        return {status: response.status, body: await response.json()};
    } catch (error) {
        return {status: 0, body: String(error)};
    }
}"""


def fetch(page: Page, url: str, **options: Any) -> dict[str, Any]:
    answer: dict[str, Any] = page.evaluate(FETCH, [url, options])
    return answer


def code_for_panel(site: Site, page: Page) -> tuple[str, str]:
    """An authorization code of the public client and its verifier, for a browser that is signed in."""
    verifier = secrets.token_urlsafe(48)
    digest = hashlib.sha256(verifier.encode()).digest()
    query = {
        "client_id": site.panel.client_id,
        "response_type": "code",
        "redirect_uri": site.panel.redirect_uri,
        "scope": "openid profile",
        "state": "s",
        "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
    }
    answer = page.request.get(site.url(f"/oauth2/authorize?{urlencode(query)}"), max_redirects=0)
    return parse_qs(urlsplit(answer.headers["location"]).query)["code"][0], verifier


@pytest.mark.spec("OIDCC-3.1.2.1")
def test_authorization_request_posted_from_another_site_keeps_single_sign_on(site: Site, page: Page) -> None:
    # SameSite=Lax withholds our cookie from that POST; the session must be found all the same.
    steps.start_signed_in(page, site.panel, site.alice)
    page.goto(f"{site.wiki.url}/start-by-post")
    page.click("button")
    steps.expect_signed_in(page, site.wiki, site.alice)


@pytest.mark.spec("OIDCC-3.1.2.1")
def test_authorization_request_posted_from_another_site_leads_to_sign_in(site: Site, page: Page) -> None:
    page.goto(f"{site.wiki.url}/start-by-post")
    page.click("button")
    steps.sign_in(page, site.alice)
    steps.expect_signed_in(page, site.wiki, site.alice)


@pytest.mark.spec("OAuthFormPost-2")
def test_form_post_answer_reaches_the_relying_party(site: Site, page: Page) -> None:
    steps.start(page, site.wiki, "response_mode=form_post")
    steps.sign_in(page, site.alice)
    steps.expect_signed_in(page, site.wiki, site.alice)


@pytest.mark.spec("OAuthFormPost-2")
def test_form_post_works_without_script(site: Site, new_browser: Any) -> None:
    page = new_browser(java_script_enabled=False)
    steps.start(page, site.wiki, "response_mode=form_post")
    steps.sign_in(page, site.alice)
    page.click("form button")
    steps.expect_signed_in(page, site.wiki, site.alice)


@pytest.mark.spec("OIDCC-3.1.2.1")
def test_prompt_none_renews_silently(site: Site, page: Page) -> None:
    steps.start_signed_in(page, site.wiki, site.alice)
    before = steps.session_of(page, site.wiki)
    steps.start(page, site.wiki, "prompt=none")
    steps.expect_signed_in(page, site.wiki, site.alice)
    after = steps.session_of(page, site.wiki)
    assert after["token"]["access_token"] != before["token"]["access_token"]
    assert after["claims"]["auth_time"] == before["claims"]["auth_time"]


@pytest.mark.spec("OIDCC-3.1.2.6")
def test_prompt_none_without_a_session_shows_no_page(site: Site, page: Page) -> None:
    steps.start(page, site.wiki, "prompt=none")
    page.wait_for_url(f"{site.wiki.url}/")
    expect(page.locator("#error")).to_have_text("login_required")


@pytest.mark.spec("OIDCC-3.1.2.1")
def test_prompt_login_asks_again_and_moves_auth_time(site: Site, page: Page) -> None:
    steps.start_signed_in(page, site.wiki, site.alice)
    before = steps.session_of(page, site.wiki)["claims"]["auth_time"]
    page.wait_for_timeout(1100)  # auth_time counts whole seconds
    steps.start(page, site.wiki, "prompt=login")
    page.fill(steps.PASSWORD, site.alice.password)
    if page.locator(steps.IDENTIFIER).is_editable():
        page.fill(steps.IDENTIFIER, site.alice.user_name)
    page.click("main form button[type=submit]")
    steps.expect_signed_in(page, site.wiki, site.alice)
    assert steps.session_of(page, site.wiki)["claims"]["auth_time"] > before


@pytest.mark.spec("OIDCC-3.1.2.1")
def test_login_hint_fills_in_the_name(site: Site, page: Page) -> None:
    steps.start(page, site.wiki, f"login_hint={site.alice.user_name}")
    expect(page.locator(steps.IDENTIFIER)).to_have_value(site.alice.user_name)
    expect(page.locator(steps.PASSWORD)).to_be_focused()


def test_registered_origin_may_fetch_tokens_and_userinfo(site: Site, page: Page) -> None:
    steps.start_signed_in(page, site.panel, site.alice)
    authorization_code, verifier = code_for_panel(site, page)
    page.goto(f"{site.panel.url}/blank")
    discovery = fetch(page, site.url("/.well-known/openid-configuration"))
    assert discovery["body"]["issuer"] == site.provider.issuer
    form = {
        "grant_type": "authorization_code",
        "code": authorization_code,
        "code_verifier": verifier,
        "client_id": site.panel.client_id,
        "redirect_uri": site.panel.redirect_uri,
    }
    token = fetch(
        page,
        discovery["body"]["token_endpoint"],
        method="POST",
        body=urlencode(form),
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert token["status"] == 200
    # The Authorization header makes this a request that the browser asks leave for first.
    userinfo = fetch(
        page,
        discovery["body"]["userinfo_endpoint"],
        headers={"Authorization": f"Bearer {token['body']['access_token']}"},
    )
    assert (userinfo["status"], userinfo["body"]["name"]) == (200, site.alice.name)
    keys = fetch(page, discovery["body"]["jwks_uri"])
    assert keys["status"] == 200


def test_other_origins_see_no_token_answer(site: Site, page: Page) -> None:
    steps.start_signed_in(page, site.panel, site.alice)
    authorization_code, verifier = code_for_panel(site, page)
    page.goto(f"{site.wiki.url}/blank")
    form = {
        "grant_type": "authorization_code",
        "code": authorization_code,
        "code_verifier": verifier,
        "client_id": site.panel.client_id,
        "redirect_uri": site.panel.redirect_uri,
    }
    token = fetch(
        page,
        site.url("/oauth2/token"),
        method="POST",
        body=urlencode(form),
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert token["status"] == 0


@pytest.mark.security("S6")
def test_bad_redirect_uri_is_shown_and_never_followed(site: Site, page: Page) -> None:
    query = {"client_id": site.wiki.client_id, "response_type": "code", "redirect_uri": f"{site.notes.url}/callback"}
    answer = page.goto(site.url(f"/oauth2/authorize?{urlencode(query)}"))
    assert answer is not None
    assert (answer.status, urlsplit(page.url).port) == (400, site.provider.port)


def test_keys_rotate_while_relying_parties_work(site: Site, page: Page) -> None:
    steps.start_signed_in(page, site.wiki, site.alice)
    before = steps.session_of(page, site.wiki)["claims"]["kid"]
    site.provider.manage("rotate_keys", "--use", "sig", "--alg", "RS256")
    published = {key["kid"] for key in page.request.get(site.url("/oauth2/jwks")).json()["keys"]}
    assert before in published
    page.wait_for_timeout(5500)  # a process may sign with the old key for five seconds
    steps.start(page, site.wiki, "prompt=none")
    steps.expect_signed_in(page, site.wiki, site.alice)
    after = steps.session_of(page, site.wiki)["claims"]["kid"]
    assert after != before
    assert after in published
