"""What a person does in the browser, in words."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page, expect

from tests.browser.conftest import Person
from tests.clients.provider import RelyingPartyProcess

IDENTIFIER = "input[name=identifier]"
PASSWORD = "input[name=password]"


def sign_in(page: Page, person: Person) -> None:
    """Fill in the sign-in page that is shown."""
    page.fill(IDENTIFIER, person.user_name)
    page.fill(PASSWORD, person.password)
    page.click("main form button[type=submit]")


def allow(page: Page) -> None:
    page.click("button[name=decision][value=allow]")


def expect_signed_in(page: Page, party: RelyingPartyProcess, person: Person) -> None:
    page.wait_for_url(f"{party.url}/")
    expect(page.locator("#who")).to_have_text(person.name)


def session_of(page: Page, party: RelyingPartyProcess) -> dict[str, Any]:
    """What the relying party remembers of this browser."""
    document: dict[str, Any] = page.request.get(f"{party.url}/session.json").json()
    return document


def start(page: Page, party: RelyingPartyProcess, query: str = "") -> None:
    page.goto(f"{party.url}/start?{query}")


def start_signed_in(page: Page, party: RelyingPartyProcess, person: Person) -> None:
    """Sign in at a relying party that asks for no consent."""
    start(page, party)
    sign_in(page, person)
    expect_signed_in(page, party, person)
