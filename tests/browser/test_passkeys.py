"""Passkeys in Chromium, with its virtual authenticators. What they answer is verified a second time by another library.

Chromium has no passkeys for an address of numbers, so these tests know the server as `localhost`.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import pyotp
import pytest
import webauthn as second_verifier
from playwright.sync_api import CDPSession, Page, Request, expect

from identity.sign_in.webauthn import decode, encode
from tests.browser import steps
from tests.browser.conftest import NewBrowser, Person, Site

PRESS = "[data-passkey-button]"
# A virtual authenticator takes an offer at once. This is somebody who lets it lie until the page breaks it off; a
# question that is asked meanwhile fails, as in a browser, which has one at a time.
IGNORE_OFFERS = """
const get = navigator.credentials.get.bind(navigator.credentials);
navigator.credentials.get = (options) => {
  const shown = document.documentElement.dataset;
  if (options.mediation !== "conditional") {
    return shown.offer ? Promise.reject(new DOMException("", "NotAllowedError")) : get(options);
  }
  shown.offer = "lies";
  return new Promise((resolve, reject) => options.signal.addEventListener("abort", () => {
    delete shown.offer;
    reject(options.signal.reason);
  }));
};
"""


@dataclass
class Authenticators:
    """The virtual authenticators of one page, and what they were seen to answer."""

    page: Page
    origin: str
    devtools: CDPSession
    keys: dict[str, tuple[bytes, int]] = field(default_factory=dict)  # id to public key and counter
    verified: list[str] = field(default_factory=list)

    def add(self, **options: Any) -> str:
        chosen = {
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": True,
            "automaticPresenceSimulation": True,
            **options,
        }
        made = self.devtools.send("WebAuthn.addVirtualAuthenticator", {"options": chosen})
        return str(made["authenticatorId"])

    def remove(self, authenticator: str) -> None:
        self.devtools.send("WebAuthn.removeVirtualAuthenticator", {"authenticatorId": authenticator})

    def credentials(self, authenticator: str) -> list[dict[str, Any]]:
        found = self.devtools.send("WebAuthn.getCredentials", {"authenticatorId": authenticator})
        return list(found["credentials"])

    def see(self, request: Request) -> None:
        """Verify what a form carries to the server, by another library."""
        document = parse_qs(request.post_data or "").get("credential", [""])[0] if request.method == "POST" else ""
        if not document:
            return
        credential = json.loads(document)
        client_data = json.loads(decode(credential["response"]["clientDataJSON"]))
        common: dict[str, Any] = {
            "credential": document,
            "expected_challenge": decode(client_data["challenge"]),
            "expected_rp_id": "localhost",
            "expected_origin": self.origin,
        }
        if client_data["type"] == "webauthn.create":
            made = second_verifier.verify_registration_response(**common)
            self.keys[encode(made.credential_id)] = (made.credential_public_key, made.sign_count)
        else:
            key, count = self.keys[credential["id"]]
            checked = second_verifier.verify_authentication_response(
                **common, credential_public_key=key, credential_current_sign_count=count
            )
            self.keys[credential["id"]] = (key, checked.new_sign_count)
        self.verified.append(client_data["type"])


@pytest.fixture
def person(site: Site, request: pytest.FixtureRequest) -> Person:
    """Somebody of this test's own."""
    name = re.sub(r"[^a-z]", "", request.node.name.lower())[-40:]
    person = Person(name, "Carol Carter")
    user = {"user_name": person.user_name, "password": person.password, "name": person.name}
    site.provider.apply({"tenant": "default", "users": [user]})
    return person


@pytest.fixture
def origin(site: Site) -> str:
    return f"http://localhost:{site.provider.port}"


@pytest.fixture
def new_authenticators(new_browser: NewBrowser, origin: str) -> Iterator[Any]:
    def make(**options: Any) -> Authenticators:
        page = new_browser(**options)
        devtools = page.context.new_cdp_session(page)
        devtools.send("WebAuthn.enable", {"enableUI": False})
        made = Authenticators(page, origin, devtools)
        page.on("request", made.see)
        return made

    return make


def sign_in(page: Page, origin: str, person: Person) -> None:
    page.goto(f"{origin}/login?next=/account/factors")
    steps.sign_in(page, person)
    page.wait_for_url(f"{origin}/account/factors")


def sign_out(page: Page, origin: str) -> None:
    page.goto(f"{origin}/logout")
    page.click("main form button[type=submit]")
    expect(page.locator("h1")).to_contain_text("signed out")


def add_passkey(page: Page, origin: str, name: str = "") -> None:
    page.goto(f"{origin}/account/factors/passkey")
    page.fill("input[name=name]", name)
    page.click(PRESS)


def prove(page: Page) -> None:
    """Answer the page of the second factor."""
    expect(page.locator("h1")).to_have_text("Use your passkey")
    page.click(PRESS)


@pytest.mark.parametrize("is_synced", [True, False])
def test_a_passkey_is_added_and_signs_in_without_a_name(
    new_authenticators: Any, origin: str, person: Person, is_synced: bool
) -> None:
    authenticators = new_authenticators()
    page = authenticators.page
    authenticators.add(defaultBackupEligibility=is_synced, defaultBackupState=is_synced)
    page.goto(f"{origin}/login?next=/account/factors")
    steps.sign_in(page, person)
    page.wait_for_url(f"{origin}/account/factors")
    add_passkey(page, origin, "Laptop")
    expect(page.locator("h1")).to_have_text("Your recovery codes")
    expect(page.locator(".codes li")).to_have_count(10)
    page.click("text=I have kept them")
    expect(page.locator(".row-text h2")).to_have_text("Laptop")
    sign_out(page, origin)
    # The browser offers it among the names; its virtual authenticator takes the offer at once.
    page.goto(f"{origin}/login?next=/account/factors")
    page.wait_for_url(f"{origin}/account/factors")
    assert authenticators.verified == ["webauthn.create", "webauthn.get"]


def test_the_button_asks_for_a_passkey_and_breaks_the_offer_off(
    new_authenticators: Any, origin: str, person: Person
) -> None:
    authenticators = new_authenticators()
    page = authenticators.page
    authenticators.add()
    sign_in(page, origin, person)
    add_passkey(page, origin)
    expect(page.locator("h1")).to_have_text("Your recovery codes")
    sign_out(page, origin)
    page.add_init_script(IGNORE_OFFERS)
    page.goto(f"{origin}/login?next=/account/factors")
    expect(page.locator("html")).to_have_attribute("data-offer", "lies")
    page.click(PRESS)
    page.wait_for_url(f"{origin}/account/factors")
    assert authenticators.verified == ["webauthn.create", "webauthn.get"]


def test_a_key_without_a_pin_is_a_second_factor_and_proves_itself_before_it_is_removed(
    new_authenticators: Any, origin: str, person: Person
) -> None:
    authenticators = new_authenticators(viewport={"width": 390, "height": 844})
    page = authenticators.page
    key = authenticators.add(transport="usb", hasResidentKey=False, hasUserVerification=False, isUserVerified=False)
    sign_in(page, origin, person)
    add_passkey(page, origin, "Key")
    page.click("text=I have kept them")
    sign_out(page, origin)
    sign_in(page, origin, person)  # the tenant asks for no second factor
    page.click("form[action*=remove] button")
    prove(page)
    page.wait_for_url(f"{origin}/account/factors")
    page.click("form[action*=remove] button")
    expect(page.locator(".panel-list")).to_contain_text("not added anything")
    assert authenticators.verified == ["webauthn.create", "webauthn.get"]
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    authenticators.remove(key)


def test_of_two_authenticators_the_second_passkey_goes_to_the_other_one(
    new_authenticators: Any, origin: str, person: Person
) -> None:
    authenticators = new_authenticators()
    page = authenticators.page
    laptop = authenticators.add()
    sign_in(page, origin, person)
    add_passkey(page, origin, "Laptop")
    page.click("text=I have kept them")
    add_passkey(page, origin, "Laptop again")
    expect(page.locator("[data-passkey-failed]")).to_be_visible()  # excludeCredentials
    key = authenticators.add(transport="usb")
    page.click(PRESS)
    expect(page.locator(".row-text h2")).to_have_text(["Laptop", "Laptop again"])
    assert [len(authenticators.credentials(each)) for each in (laptop, key)] == [1, 1]


def test_a_removed_passkey_vanishes_from_the_password_manager(
    new_authenticators: Any, origin: str, person: Person
) -> None:
    authenticators = new_authenticators()
    page = authenticators.page
    key = authenticators.add()
    sign_in(page, origin, person)
    add_passkey(page, origin)
    page.click("text=I have kept them")
    assert len(authenticators.credentials(key)) == 1
    page.click("form[action*=remove] button")
    expect(page.locator(".panel-list")).to_contain_text("not added anything")
    if page.evaluate("!PublicKeyCredential.signalAllAcceptedCredentials"):
        pytest.skip("this Chromium has no Signal API")
    for _second in range(20):
        if not authenticators.credentials(key):
            break
        page.wait_for_timeout(200)
    assert authenticators.credentials(key) == []


def test_without_scripts_the_password_and_an_app_sign_in(new_browser: NewBrowser, origin: str, person: Person) -> None:
    page = new_browser(java_script_enabled=False)
    page.goto(f"{origin}/login?next=/account/factors/app")
    expect(page.locator(PRESS)).to_be_hidden()
    steps.sign_in(page, person)
    codes = pyotp.TOTP(page.locator(".secret").inner_text().replace(" ", ""))
    expect(page.locator(".qr svg")).to_be_visible()
    page.fill("input[name=verification_code]", codes.now())
    page.click("main form button[type=submit]")
    page.click("text=I have kept them")
    sign_out(page, origin)
    page.goto(f"{origin}/login?next=/account/factors/app")
    steps.sign_in(page, person)
    # The code of the present step was spent by adding the app.
    page.fill("input[name=verification_code]", codes.at(time.time() + 30))
    page.click("main form button[type=submit]")
    page.wait_for_url(f"{origin}/account/factors/app")
