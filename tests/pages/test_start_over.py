"""'Not you?': a sign-in that begins again without the person that was named, for the same request."""

from __future__ import annotations

import pytest

from identity.context import RequestContext
from identity.models import LoginTransaction, SessionPolicy, SSOSession, User
from identity.sign_in import login
from tests.factories import make_application, make_user
from tests.factories.factors import enrol
from tests.pages.conftest import Browser, handle_in, next_query
from tests.pages.passkeys import give_passkey, options_on
from tests.pages.steps import give


@pytest.fixture
def bob(tenant):
    return make_user(tenant, user_name="bob", name="Bob")


def set_mode(tenant, mode: str) -> None:
    SessionPolicy.objects.filter(tenant=tenant).update(mfa_mode=mode)


def start_over(browser: Browser, handle: str):
    return browser.post("/login", {"transaction": handle, "start_over": "1"})


def stopped(browser: Browser, user: User, query: str = "") -> str:
    """Sign in up to the step after the password; return the handle."""
    response = browser.sign_in(user, query=query)
    handle = handle_in(response)
    page = browser.get(response["Location"]).content.decode()
    for text in ("Not you?", f'<span class="person-name">{user.name}</span>'):
        assert text in page
    return handle


def to_second_factor(tenant, alice):
    enrol(alice)
    set_mode(tenant, "if_enrolled")


def to_passkey(tenant, alice):
    give_passkey(alice)
    set_mode(tenant, "if_enrolled")


def to_enrolment(tenant, alice):
    User.objects.filter(pk=alice.pk).update(email="", email_key="", factor_required=True)
    set_mode(tenant, "if_enrolled")


def to_new_password(tenant, alice):
    User.objects.filter(pk=alice.pk).update(password_must_change=True)


@pytest.mark.parametrize("to", [to_second_factor, to_passkey, to_enrolment, to_new_password])
def test_each_step_says_who_it_is_and_begins_again_for_somebody_else(browser, tenant, alice, bob, to):
    to(tenant, alice)
    handle = stopped(browser, alice, next_query("/account/password"))
    response = start_over(browser, handle)
    assert handle_in(response) == handle
    page = browser.get(response["Location"]).content.decode()
    assert 'name="password"' in page
    assert "Alice" not in page
    assert browser.sign_in(bob, transaction=handle)["Location"] == "/account/password"
    assert SSOSession.objects.get().user == bob


@pytest.mark.security("S28")
def test_nothing_that_was_proved_goes_over_to_the_next_person(browser, tenant, alice, bob):
    _app, codes = enrol(alice)
    enrol(bob)
    set_mode(tenant, "if_enrolled")
    handle = stopped(browser, alice)
    start_over(browser, handle)
    row = LoginTransaction.objects.get()
    assert (row.state, row.user, row.amr, row.failures) == ("START", None, [], 0)
    assert give(browser, handle, codes.now()).status_code == 400
    assert not browser.is_signed_in
    assert handle_in(browser.sign_in(bob, transaction=handle)) == handle
    # The first person's code is not the second one's.
    assert give(browser, handle, codes.now()).status_code == 400
    assert not browser.is_signed_in


@pytest.mark.security("S28")
def test_a_challenge_of_the_person_before_is_over(browser, tenant, alice, bob):
    give_passkey(alice)
    key = give_passkey(bob)
    set_mode(tenant, "if_enrolled")
    handle = stopped(browser, alice)
    start_over(browser, handle)
    page = browser.get(browser.sign_in(bob, transaction=handle)["Location"])
    credential = key.get(options_on(page, "get"), "https://testserver")
    assert browser.post("/login", {"transaction": handle, "credential": credential})["Location"] == "/account"


@pytest.mark.security("S28")
def test_in_a_second_tab_the_step_before_is_not_gone_on_with(browser, tenant, alice, bob):
    _app, codes = enrol(alice)
    set_mode(tenant, "if_enrolled")
    handle = stopped(browser, alice)
    start_over(browser, handle)
    assert browser.sign_in(bob, transaction=handle).status_code == 302
    assert give(browser, handle, codes.now())["Location"] == "/account"
    assert SSOSession.objects.get().user == bob


@pytest.mark.security("S27")
def test_it_takes_the_browser_that_began(browser, tenant, alice):
    to_second_factor(tenant, alice)
    handle = stopped(browser, alice)
    other = Browser()
    other.open_login()
    assert start_over(other, handle).status_code == 400
    assert LoginTransaction.objects.order_by("pk").first().state == "MFA_AUTH"


@pytest.mark.security("S29")
def test_before_the_name_there_is_nothing_to_begin_again(browser, alice):
    assert start_over(browser, browser.open_login()).status_code == 400


@pytest.mark.security("S30")
def test_it_does_not_forget_the_tries(browser, tenant, alice):
    to_second_factor(tenant, alice)
    handle = stopped(browser, alice)
    give(browser, handle, "000000")
    start_over(browser, handle)
    assert LoginTransaction.objects.get().failures == 1


def test_who_is_asked_for_one_more_factor_may_be_somebody_else(browser, tenant, alice, bob):
    assert browser.sign_in(alice).status_code == 302
    enrol(alice)
    handle = login.begin(
        tenant=tenant,
        binding=browser.client.cookies["monban_browser"].value,
        context=RequestContext(tenant=tenant),
        session=SSOSession.objects.select_related("user__tenant__session_policy", "tenant").get(),
        application=make_application(tenant, mfa_mode="if_enrolled"),
        next_url="/account/password",
    )
    assert "Not you?" in browser.get(f"/login?transaction={handle}").content.decode()
    start_over(browser, handle)
    page = browser.get(f"/login?transaction={handle}")
    assert (page.status_code, 'name="password"' in page.content.decode()) == (200, True)
    assert browser.sign_in(bob, transaction=handle)["Location"] == "/account/password"
    assert SSOSession.objects.get(ended_at=None).user == bob
