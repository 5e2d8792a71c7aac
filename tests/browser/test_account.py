"""The account page of the signed-in user."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.browser import steps
from tests.browser.conftest import NewBrowser, Site


def test_ending_a_session_signs_the_other_browser_out(site: Site, new_browser: NewBrowser) -> None:
    here, elsewhere = new_browser(), new_browser(user_agent="Another browser/1.0")
    steps.start_signed_in(elsewhere, site.wiki, site.bob)
    steps.start_signed_in(here, site.wiki, site.bob)
    sid = steps.session_of(elsewhere, site.wiki)["claims"]["sid"]
    here.goto(site.url("/account"))
    here.click(f"form[action*='{sid}'] button")
    steps.start(elsewhere, site.panel)
    expect(elsewhere.locator(steps.PASSWORD)).to_be_visible()
    # The browser that ended it is still signed in.
    steps.start(here, site.panel)
    steps.expect_signed_in(here, site.panel, site.bob)


def test_withdrawn_consent_is_asked_for_again(site: Site, page: Page) -> None:
    steps.start_signed_in(page, site.wiki, site.alice)
    steps.start(page, site.notes, "prompt=consent")
    steps.allow(page)
    steps.expect_signed_in(page, site.notes, site.alice)
    page.goto(site.url("/account"))
    consent = page.locator("form", has=page.locator("button")).filter(has_text="Withdraw")
    expect(consent).to_have_count(1)
    consent.locator("button").click()
    expect(page.locator("form").filter(has_text="Withdraw")).to_have_count(0)
    steps.start(page, site.notes)
    expect(page.locator("button[name=decision][value=allow]")).to_be_visible()
    # The tokens that the consent gave are gone with it.
    assert page.request.get(f"{site.notes.url}/refresh").status == 502
