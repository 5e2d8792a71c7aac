"""OpenID Connect Front-Channel Logout 1.0: the frames of the signed-out page, and where the browser goes afterwards."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from typing import Any
from urllib.parse import urlencode

import pytest

from identity.models import SSOSession, Tenant
from tests.specs.conformance import AFTER_LOGOUT, ISSUER, Browser, Callback, Page, RelyingParty, new_transport

pytestmark = pytest.mark.django_db

ADDRESS = "https://rp.example.org/frontchannel;v=1?from=monban"
NewClient = Callable[..., RelyingParty]


@pytest.fixture
def party(new_client: NewClient) -> RelyingParty:
    """A client that wants to be told by the browser."""
    return new_client(frontchannel_logout_uri=ADDRESS, application={"skip_consent": True, "name": "Notes"})


@pytest.fixture
def session(party: RelyingParty, browser: Browser) -> SSOSession:
    party.authorize(browser).tokens()
    return SSOSession.objects.get()


def sign_out(browser: Browser) -> Page:
    page = browser.get("/logout")
    assert isinstance(page, Page)
    form = page.form_with("confirm")
    assert form is not None
    place = browser.submit(page, form, confirm="yes")
    assert isinstance(place, Page)
    return place


def frames(page: Page) -> list[str]:
    return [unescape(address) for address in re.findall(r'<iframe src="([^"]*)"', page.text)]


def policy(page: Page, directive: str) -> list[str]:
    """The sources of one directive of the page's content security policy."""
    rules = [rule.split() for rule in page.headers["Content-Security-Policy"].split(";")]
    return next((rule[1:] for rule in rules if rule and rule[0] == directive), [])


def refresh(page: Page) -> str:
    """Where the page goes by itself, without any script."""
    found = re.search(r'<meta http-equiv="refresh" content="\d;url=([^"]*)">', page.text)
    assert found is not None
    return unescape(found[1])


@pytest.mark.spec("OIDCFCL-2", "OIDCFCL-3")
def test_the_signed_out_page_loads_the_address_with_iss_and_sid(browser: Browser, session: SSOSession) -> None:
    page = sign_out(browser)
    assert frames(page) == [f"{ADDRESS}&{urlencode({'iss': ISSUER, 'sid': session.sid})}"]
    assert policy(page, "frame-src") == ["https://rp.example.org/frontchannel%3Bv=1"]
    assert policy(page, "default-src") == ["'none'"]
    assert policy(page, "script-src") == ["'self'"]


@pytest.mark.spec("OIDCFCL-2")
def test_iss_and_sid_are_those_of_the_id_token(party: RelyingParty, browser: Browser) -> None:
    claims = party.authorize(browser).tokens().claims
    assert frames(sign_out(browser))[0].endswith(urlencode({"iss": claims["iss"], "sid": claims["sid"]}))


@pytest.mark.spec("OIDCFCL-3")
def test_every_client_of_the_session_has_a_frame_and_no_other(
    party: RelyingParty, new_client: NewClient, browser: Browser
) -> None:
    wiki = new_client(
        frontchannel_logout_uri="https://wiki.example/out", application={"code": "wiki", "skip_consent": True}
    )
    silent = new_client(application={"code": "silent", "skip_consent": True})
    new_client(frontchannel_logout_uri="https://unused.example/", application={"code": "unused"})
    for one in (party, wiki, silent):
        one.authorize(browser)
    page = sign_out(browser)
    assert [address.partition("?")[0] for address in frames(page)] == [
        "https://rp.example.org/frontchannel;v=1",
        "https://wiki.example/out",
    ]
    assert len(policy(page, "frame-src")) == 2


def test_without_frames_no_frame_is_allowed(new_client: NewClient, browser: Browser) -> None:
    new_client(application={"skip_consent": True}).authorize(browser)
    page = sign_out(browser)
    assert (frames(page), policy(page, "frame-src")) == ([], [])


def test_frames_cannot_lead_the_page_away_and_learn_nothing_of_it(browser: Browser, session: SSOSession) -> None:
    (tag,) = re.findall(r"<iframe [^>]*>", sign_out(browser).text)
    assert 'sandbox="allow-scripts allow-same-origin"' in tag
    assert 'referrerpolicy="no-referrer"' in tag
    assert re.search(r'title="[^"]+"', tag)


@pytest.mark.spec("OIDCFCL-3", "OIDCRIL-3")
def test_after_the_frames_the_browser_goes_on_to_the_post_logout_address(party: RelyingParty, browser: Browser) -> None:
    hint = party.authorize(browser).tokens().id_token
    page = party.logout(browser, id_token_hint=hint, post_logout_redirect_uri=AFTER_LOGOUT, state="a b/&")
    assert isinstance(page, Page)
    assert len(frames(page)) == 1
    assert refresh(page) in [unescape(link) for link in re.findall(r'<a class="button" href="([^"]*)"', page.text)]
    arrived = browser.get(refresh(page))
    assert isinstance(arrived, Callback)
    assert (arrived.address, arrived.params) == (AFTER_LOGOUT, {"state": "a b/&"})


def test_without_frames_the_browser_goes_on_at_once(new_client: NewClient, browser: Browser) -> None:
    party = new_client(application={"skip_consent": True})
    hint = party.authorize(browser).tokens().id_token
    arrived = party.logout(browser, id_token_hint=hint, post_logout_redirect_uri=AFTER_LOGOUT)
    assert isinstance(arrived, Callback)
    assert arrived.address == AFTER_LOGOUT


@pytest.mark.parametrize("path", ["/api/v1/logout", "/api/v1/cas/logout"])
def test_other_protocols_sign_outs_lead_through_the_frames_too(
    browser: Browser, session: SSOSession, path: str
) -> None:
    page = browser.get(path)
    assert isinstance(page, Page)
    assert len(frames(page)) == 1
    arrived = browser.get(refresh(page))
    assert isinstance(arrived, Page)
    assert arrived.is_sign_in


def test_a_frame_is_given_out_once_and_the_page_says_what_is_known(browser: Browser, session: SSOSession) -> None:
    page = sign_out(browser)
    assert "This browser has told it." in page.text
    again = browser.get(page.path)
    assert isinstance(again, Page)
    assert (frames(again), "Notes" in again.text) == ([], True)


def test_another_browser_learns_nothing_from_the_address(browser: Browser, session: SSOSession) -> None:
    page = sign_out(browser)
    other = Browser()
    other.get("/login")
    for path in (page.path, page.path.replace("/logged-out", "/logged-out/next")):
        seen = other.get(path)
        assert isinstance(seen, Page)
        assert (seen.status, "Notes" in seen.text, frames(seen)) == (200, False, [])


@pytest.mark.parametrize("handle", ["", "x", "%00", "%ED%A0%80", "a" * 5000])
def test_nonsense_handles_show_the_plain_page(browser: Browser, session: SSOSession, handle: str) -> None:
    for path in ("/logged-out", "/logged-out/next"):
        page = browser.get(f"{path}?sign_out={handle}&look=%00")
        assert isinstance(page, Page)
        assert page.status == 200
    look = browser.get(sign_out(browser).path + "&look=-1")
    assert isinstance(look, Page)
    assert look.status == 200


@pytest.mark.spec("OIDCFCL-3")
def test_discovery_claims_it(tenant: Tenant) -> None:
    document: dict[str, Any] = new_transport().get("/.well-known/openid-configuration", secure=True).json()
    assert document["frontchannel_logout_supported"] is True
    assert document["frontchannel_logout_session_supported"] is True
