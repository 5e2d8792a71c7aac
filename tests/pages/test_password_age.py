"""Passwords that must, or soon must, be changed at sign-in."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from identity.context import SYSTEM
from identity.models import PasswordPolicy, SessionPolicy, SSOSession, User
from identity.passwords import credentials
from tests.factories import PASSWORD
from tests.pages.conftest import Browser, alert_of, handle_in

FRESH = "Calm-Lantern-58"


def set_age(user: User, days: int, *, max_age_days: int = 90) -> None:
    PasswordPolicy.objects.filter(tenant=user.tenant).update(max_age_days=max_age_days, warn_days=7)
    User.objects.filter(pk=user.pk).update(password_changed_at=timezone.now() - timedelta(days=days))


def change(browser: Browser, handle: str, password: str, repeat: str | None = None):
    form = {"transaction": handle, "new_password": password, "repeat_password": repeat or password}
    return browser.post("/login", form)


@pytest.mark.parametrize("cause", ["expired", "must_change"])
def test_password_must_be_changed_before_anything_else(browser, alice, cause):
    if cause == "expired":
        set_age(alice, 91)
    else:
        User.objects.filter(pk=alice.pk).update(password_must_change=True)
    response = browser.sign_in(alice)
    handle = handle_in(response)
    page = browser.get(response["Location"]).content.decode()
    assert ("has expired" in page) is (cause == "expired")
    assert 'name="skip"' not in page
    assert not browser.is_signed_in
    # S28: the button that this page does not have is refused too.
    assert browser.post("/login", {"transaction": handle, "skip": "1"}).status_code == 400
    assert SSOSession.objects.count() == 0
    handle = handle_in(browser.sign_in(alice))
    assert change(browser, handle, FRESH)["Location"] == "/account"
    assert browser.is_signed_in
    assert Browser().sign_in(alice, FRESH)["Location"] == "/account"


@pytest.mark.parametrize(
    ("password", "text"),
    [
        (PASSWORD, "This password was used before. Choose another one."),
        ("short1-", "The length of the password is not allowed."),
        ("Alice-Harbour-9", "The password must not contain your user name"),
    ],
)
def test_new_password_is_held_to_the_policy_and_the_step_stays_open(browser, alice, password, text):
    set_age(alice, 91)
    handle = handle_in(browser.sign_in(alice))
    response = change(browser, handle, password)
    assert response.status_code == 400
    assert text in alert_of(response)
    assert change(browser, handle, FRESH).status_code == 302


@pytest.mark.security("S26")
def test_who_knew_the_old_password_does_not_replace_the_one_that_its_owner_chose_meanwhile(browser, alice):
    set_age(alice, 91)
    handle = handle_in(browser.sign_in(alice))
    credentials.set_password(user=User.objects.get(pk=alice.pk), password=FRESH, context=SYSTEM)
    change(browser, handle, "Thief-Garden-4821")
    assert not browser.is_signed_in
    assert User.objects.get(pk=alice.pk).check_password(FRESH)


def test_two_different_new_passwords_are_refused(browser, alice):
    set_age(alice, 91)
    handle = handle_in(browser.sign_in(alice))
    assert change(browser, handle, FRESH, "Other-Lantern-58").status_code == 400
    assert SSOSession.objects.count() == 0


def test_warning_can_be_skipped(browser, alice):
    set_age(alice, 85)
    response = browser.sign_in(alice)
    page = browser.get(response["Location"]).content.decode()
    assert 'name="skip"' in page
    assert "expires in 5 days" in page
    done = browser.post("/login", {"transaction": handle_in(response), "skip": "1"})
    assert done["Location"] == "/account"
    assert browser.is_signed_in


def test_warning_can_be_followed(browser, alice):
    set_age(alice, 85)
    handle = handle_in(browser.sign_in(alice))
    assert change(browser, handle, FRESH)["Location"] == "/account"
    assert browser.is_signed_in


@pytest.mark.security("S28")
def test_second_factor_comes_before_the_age_of_the_password(browser, alice):
    SessionPolicy.objects.filter(tenant=alice.tenant).update(mfa_mode="always")
    set_age(alice, 91)
    response = browser.sign_in(alice)
    handle = handle_in(response)
    assert "verification_code" in browser.get(response["Location"]).content.decode()
    assert change(browser, handle, FRESH).status_code == 400
    alice.refresh_from_db()
    assert alice.check_password(PASSWORD)


def test_forced_change_ends_the_persons_other_sessions(browser, alice):
    other = Browser()
    other.sign_in(alice)
    User.objects.filter(pk=alice.pk).update(password_must_change=True)
    change(browser, handle_in(browser.sign_in(alice)), FRESH)
    assert browser.is_signed_in
    assert not other.is_signed_in
