"""A browser that a person of whom a second factor is asked trusts, for any protocol."""

from __future__ import annotations

import pyotp

from identity.models import User
from tests.factories.factors import trust
from tests.specs.conformance import Browser, Callback, Page


def trust_browser(browser: Browser, user: User) -> pyotp.TOTP:
    """Have the browser trusted by the person; return what makes their codes. Nobody is signed in."""
    browser.get("/login")
    cookies = browser.transport.cookies
    handle, codes = trust(user, binding=cookies["__Host-monban_browser"].value)
    cookies["__Host-monban_trusted"] = handle
    browser.shown.clear()
    return codes


def is_asked_for_a_code(browser: Browser, place: Page | Callback, user_name: str, password: str) -> bool:
    """Sign in where the password is asked for; tell whether the second factor is asked for then."""
    place = browser.sign_in(place, user_name, password)
    return isinstance(place, Page) and place.form_with("verification_code") is not None
