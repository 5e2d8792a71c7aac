"""Signing in and out, as a person sees it."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser import steps
from tests.browser.conftest import NewBrowser, Site

PHONE = {"width": 360, "height": 740}
TITLES = {"en": "Sign in", "zh-CN": "登录", "ja": "サインイン"}


@pytest.mark.spec("OIDCC-3.1.2.4")
def test_first_sign_in_asks_for_consent_and_later_ones_do_not(site: Site, page: Page) -> None:
    steps.start(page, site.notes)
    expect(page.locator("body")).to_contain_text("Notes")
    steps.sign_in(page, site.alice)
    expect(page.locator("button[name=decision][value=allow]")).to_be_visible()
    steps.allow(page)
    steps.expect_signed_in(page, site.notes, site.alice)
    claims = steps.session_of(page, site.notes)["claims"]
    assert claims["iss"] == site.provider.issuer
    steps.start(page, site.notes)
    steps.expect_signed_in(page, site.notes, site.alice)


@pytest.mark.spec("OIDCC-3.1.2.6")
def test_refusing_consent_tells_the_relying_party(site: Site, page: Page) -> None:
    steps.start(page, site.notes)
    steps.sign_in(page, site.bob)
    page.click("button[name=decision][value=deny]")
    page.wait_for_url(f"{site.notes.url}/")
    expect(page.locator("#error")).to_have_text("access_denied")


def test_second_relying_party_asks_for_no_password(site: Site, page: Page) -> None:
    steps.start_signed_in(page, site.wiki, site.alice)
    first = steps.session_of(page, site.wiki)["claims"]
    steps.start(page, site.panel)
    steps.expect_signed_in(page, site.panel, site.alice)
    second = steps.session_of(page, site.panel)["claims"]
    assert (first["sub"], first["auth_time"], first["sid"]) == (second["sub"], second["auth_time"], second["sid"])


@pytest.mark.spec("RFC6749-6")
def test_refresh_rotates_the_refresh_token(site: Site, page: Page) -> None:
    steps.start_signed_in(page, site.wiki, site.alice)
    before = steps.session_of(page, site.wiki)
    page.goto(f"{site.wiki.url}/refresh")
    steps.expect_signed_in(page, site.wiki, site.alice)
    after = steps.session_of(page, site.wiki)
    assert after["refreshes"] == before["refreshes"] + 1
    assert after["token"]["refresh_token"] != before["token"]["refresh_token"]
    assert after["token"]["access_token"] != before["token"]["access_token"]


@pytest.mark.spec("OIDCRIL-2")
def test_sign_out_lands_at_the_post_logout_address_and_ends_single_sign_on(site: Site, page: Page) -> None:
    steps.start_signed_in(page, site.wiki, site.alice)
    page.goto(f"{site.wiki.url}/logout")
    page.wait_for_url(re.compile(re.escape(f"{site.wiki.url}/signed-out?")))
    expect(page.locator("#signed-out")).to_be_visible()
    steps.start(page, site.panel)
    expect(page.locator(steps.PASSWORD)).to_be_visible()


def test_sign_out_at_one_relying_party_ends_what_the_other_was_given(site: Site, page: Page) -> None:
    steps.start_signed_in(page, site.wiki, site.bob)
    steps.start(page, site.notes)
    steps.allow(page)
    steps.expect_signed_in(page, site.notes, site.bob)
    page.goto(f"{site.wiki.url}/logout")
    page.wait_for_url(re.compile(re.escape(f"{site.wiki.url}/signed-out?")))
    assert page.request.get(f"{site.notes.url}/refresh").status == 502
    steps.start(page, site.notes)
    expect(page.locator(steps.PASSWORD)).to_be_visible()


@pytest.mark.security("S33")
def test_wrong_password_and_unknown_user_are_told_the_same(site: Site, page: Page) -> None:
    answers = []
    for identifier in (site.alice.user_name, "nobody-of-that-name"):
        steps.start(page, site.wiki)
        page.fill(steps.IDENTIFIER, identifier)
        page.fill(steps.PASSWORD, "not the password")
        page.click("main form button[type=submit]")
        answers.append(page.locator("[role=alert]").first.inner_text())
        expect(page.locator(steps.PASSWORD)).to_have_value("")
    assert answers[0] == answers[1] != ""


def test_sign_in_works_with_the_keyboard_alone(site: Site, page: Page) -> None:
    steps.start(page, site.notes)
    expect(page.locator(steps.IDENTIFIER)).to_be_focused()
    page.keyboard.type(site.alice.user_name)
    # Between the two fields nothing else takes the focus.
    page.keyboard.press("Tab")
    expect(page.locator(steps.PASSWORD)).to_be_focused()
    page.keyboard.type(site.alice.password)
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "/login" not in url)
    if page.locator("button[name=decision]").count():
        for _ in range(20):
            if page.evaluate("document.activeElement.value") == "allow":
                break
            page.keyboard.press("Tab")
        page.keyboard.press("Enter")
    steps.expect_signed_in(page, site.notes, site.alice)


@pytest.mark.parametrize("language", TITLES)
def test_sign_in_page_speaks_the_browsers_language(site: Site, new_browser: NewBrowser, language: str) -> None:
    page = new_browser(locale=language)
    steps.start(page, site.wiki)
    expect(page.locator("h1")).to_contain_text(TITLES[language])
    assert (page.locator("html").get_attribute("lang") or "").lower().startswith(language[:2])


@pytest.mark.spec("OIDCC-3.1.2.1")
@pytest.mark.parametrize(("ui_locales", "expected"), [("ja", "ja"), ("zh-CN en", "zh-CN"), ("fr en", "en")])
def test_ui_locales_wins_over_the_browsers_language(
    site: Site, new_browser: NewBrowser, ui_locales: str, expected: str
) -> None:
    page = new_browser(locale="ja" if expected == "en" else "en-GB")
    steps.start(page, site.wiki, f"ui_locales={ui_locales}")
    expect(page.locator("h1")).to_contain_text(TITLES[expected])


@pytest.mark.parametrize("language", TITLES)
def test_pages_fit_a_phone(site: Site, new_browser: NewBrowser, language: str) -> None:
    page = new_browser(locale=language, viewport=PHONE)
    for path in ("/login", "/forgot-password", "/oauth2/authorize?client_id=unknown"):
        page.goto(site.url(path))
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= PHONE["width"], path
    steps.start(page, site.wiki)
    steps.sign_in(page, site.alice)
    steps.expect_signed_in(page, site.wiki, site.alice)
    page.goto(site.url("/account"))
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
