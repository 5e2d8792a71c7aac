"""An operator registers a client in the admin, and a relying party works with what the page showed."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser import steps
from tests.browser.conftest import NewBrowser, Site
from tests.clients.provider import RelyingPartyProcess

# Labels and values of the page that shows a new client.
SHOWN = """() => Object.fromEntries([...document.querySelectorAll("dt")].map(
    (label) => [label.textContent.trim(), label.nextElementSibling.textContent.trim()]))"""


@pytest.mark.security("S41")
def test_client_made_in_the_admin_works_and_its_secret_is_shown_once(
    site: Site, new_browser: NewBrowser, tmp_path: Path
) -> None:
    party = RelyingPartyProcess(tmp_path, client_id="not-known-yet")
    admin = new_browser()
    register(admin, site, party)
    try:
        party.start(site.provider.issuer)
        person = new_browser()
        steps.start(person, party)
        steps.sign_in(person, site.alice)
        steps.allow(person)
        steps.expect_signed_in(person, party, site.alice)
    finally:
        party.close()
    # S41: a secret is shown once, and the page of the client does not hold it any more.
    admin.click("text=I have stored it")
    expect(admin.locator("body")).to_contain_text(party.client_id)
    assert party.client_secret not in admin.content()


def register(admin: Page, site: Site, party: RelyingPartyProcess) -> None:
    """Sign in as the operator, register the relying party, note what the page shows."""
    admin.goto(site.url("/admin/oidc_provider/client/add/"))
    steps.sign_in(admin, site.operator)
    # Registering a client is sensitive: the password is asked for once more.
    admin.wait_for_url(lambda url: "/confirm-password" in url)
    admin.fill(steps.PASSWORD, site.operator.password)
    admin.click("main form button[type=submit]")
    admin.wait_for_url(site.url("/admin/oidc_provider/client/add/"))
    admin.fill("input[name=new_name]", "Made by hand")
    admin.fill("input[name=new_code]", "made-by-hand")
    admin.select_option("select[name=kind]", "web")
    admin.fill("textarea[name=redirect_uris]", party.redirect_uri)
    admin.fill("textarea[name=post_logout_redirect_uris]", party.post_logout_redirect_uri)
    admin.click("button[name=confirm]")
    expect(admin.locator("[data-shown-once]")).to_be_visible()
    shown = admin.evaluate(SHOWN)
    party.client_id, party.client_secret = shown["client_id"], shown["client_secret"]
    assert site.provider.issuer in shown.values()


def test_somebody_who_is_no_operator_does_not_get_in(site: Site, page: Page) -> None:
    page.goto(site.url("/admin/"))
    steps.sign_in(page, site.alice)
    page.wait_for_load_state()
    answer = page.request.get(site.url("/admin/oidc_provider/client/"), max_redirects=0)
    assert answer.status in (302, 403)
    expect(page.locator("body")).not_to_contain_text("Connect an application")


@pytest.mark.security("S50")
def test_no_page_of_the_console_breaks_its_own_policy(site: Site, new_browser: NewBrowser) -> None:
    admin = new_browser()
    admin.add_init_script(
        "document.addEventListener('securitypolicyviolation', (event) => console.error("
        "`POLICY ${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`));"
    )
    broken: list[str] = []
    admin.on("console", lambda message: broken.append(message.text) if "POLICY" in message.text else None)
    admin.goto(site.url("/admin/"))
    steps.sign_in(admin, site.operator)
    admin.wait_for_url(site.url("/admin/"))
    for path in (
        "/admin/",
        "/admin/identity/user/",
        "/admin/identity/auditevent/",
        "/admin/identity/application/",
        "/admin/identity/application/add/",
        "/admin/identity/tenant/1/change/",
        "/admin/oidc_provider/client/add/",
        "/admin/cas_saml/casservice/add/",
    ):
        admin.goto(site.url(path))
        if "/confirm-password" in admin.url:
            admin.fill(steps.PASSWORD, site.operator.password)
            admin.click("main form button[type=submit]")
            admin.wait_for_url(site.url(path))
        admin.wait_for_load_state("networkidle")
        # The theme is at work: its colours are there, and what Alpine hides at the start is shown.
        assert admin.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--color-primary-600')")
        expect(admin.locator("body")).to_be_visible()
    assert broken == []
