"""What a tenant asks for: which kinds, passkeys only, operators with factors of their own, and grace."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pyotp
import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.utils import timezone

from identity import assurance, copies
from identity.context import RequestContext
from identity.errors import NotAllowed
from identity.models import AuditEvent, AuthenticatorApp, SessionPolicy, SSOSession, Tenant, User
from identity.sign_in import enrolment, login
from identity.sso import access
from tests.factories import make_application, make_operator, make_user
from tests.factories.factors import enrol
from tests.pages.conftest import HOST, Browser, handle_in
from tests.pages.passkeys import ORIGIN, give_passkey, options_on
from tests.pages.steps import give, secret_on
from tests.support.authenticator import Passkey


def set_policy(tenant: Tenant, **values: Any) -> None:
    SessionPolicy.objects.filter(tenant=tenant).update(**values)


# Passkeys only ---------------------------------------------------------------------------------------------


@pytest.mark.security("S28")
def test_where_a_passkey_is_demanded_an_app_is_proved_first_and_a_passkey_is_added(browser, tenant, alice):
    set_policy(tenant, mfa_mode="phishing_resistant")
    _app, codes = enrol(alice)
    handle = handle_in(browser.sign_in(alice))
    page = browser.get(f"/login?transaction={handle}").content.decode()
    assert "authenticator app shows a code" in page
    # Not before the app is proved (S28).
    assert give(browser, handle, codes.now())["Location"].endswith(handle)
    assert not browser.is_signed_in
    page = browser.get(f"/login?transaction={handle}")
    assert "QR code" not in page.content.decode()
    key = Passkey(HOST, user_handle=alice.public_id)
    form = {"transaction": handle, "credential": key.create(options_on(page), ORIGIN)}
    assert browser.post("/login", form).status_code == 200
    session = SSOSession.objects.get()
    assert (session.amr, session.acr) == (["pwd", "otp", "hwk", "user"], assurance.PHISHING_RESISTANT)
    # From now on only the passkey is offered.
    other = Browser()
    page = other.get(other.sign_in(alice)["Location"]).content.decode()
    assert "data-passkey-get" in page
    assert "authenticator app" not in page


@pytest.mark.security("S28")
def test_where_a_passkey_is_demanded_no_app_is_added_in_its_place(browser, tenant):
    set_policy(tenant, mfa_mode="phishing_resistant")
    user = make_user(tenant, user_name="bob")
    handle = handle_in(browser.sign_in(user))
    page = browser.get(f"/login?transaction={handle}").content.decode()
    assert "data-passkey-create" in page
    assert "secret" not in page
    assert give(browser, handle, "123456").status_code == 400
    assert not AuthenticatorApp.objects.exists()


@pytest.mark.security("S28")
def test_a_session_of_two_factors_is_asked_for_the_passkey_alone(browser, tenant, alice):
    set_policy(tenant, mfa_mode="if_enrolled")
    _app, codes = enrol(alice)
    key = give_passkey(alice)
    handle = handle_in(browser.sign_in(alice))
    browser.post("/login", {"transaction": handle, "send_to": "totp"})
    assert give(browser, handle, codes.now()).status_code == 302
    vault = make_application(tenant, mfa_mode="phishing_resistant")
    session = SSOSession.objects.select_related("user__tenant__session_policy").get()
    assert not access.is_sufficient(session=session, application=vault)
    step = login.begin(
        tenant=tenant,
        binding=browser.client.cookies["monban_browser"].value,
        context=RequestContext(tenant=tenant),
        application=vault,
        session=session,
        next_url="/account",
    )
    page = browser.get(f"/login?transaction={step}")
    assert "password" not in page.content.decode()
    form = {"transaction": step, "credential": key.get(options_on(page, "get"), ORIGIN)}
    assert browser.post("/login", form)["Location"] == "/account"
    session = SSOSession.objects.select_related("user__tenant__session_policy").get()
    assert session.amr == ["pwd", "otp", "hwk", "user"]
    assert access.is_sufficient(session=session, application=vault)


def test_the_last_passkey_stays_where_one_is_demanded(tenant, alice):
    set_policy(tenant, mfa_mode="phishing_resistant")
    enrol(alice)
    give_passkey(alice)
    (row,) = enrolment.passkeys_of(alice)
    with pytest.raises(NotAllowed):
        enrolment.remove(user=alice, public_id=row.public_id, context=RequestContext(tenant=tenant))


# Kinds -----------------------------------------------------------------------------------------------------


def test_only_allowed_kinds_are_taken_and_added(browser, tenant, alice):
    set_policy(tenant, mfa_mode="always")
    enrol(alice)
    set_policy(tenant, factors_allowed="passkey email")
    handle = handle_in(browser.sign_in(alice))
    page = browser.get(f"/login?transaction={handle}").content.decode()
    assert "We have sent a code" in page
    assert "authenticator app" not in page
    assert browser.post("/login", {"transaction": handle, "send_to": "totp"}).status_code == 400
    alice = User.objects.select_related("tenant__session_policy").get(pk=alice.pk)
    with pytest.raises(NotAllowed):
        enrol(alice)
    with pytest.raises(NotAllowed):
        enrolment.make_recovery_codes(user=alice, context=RequestContext(tenant=tenant))
    assert enrolment.may_add(alice) == ["passkey"]


@pytest.mark.security("S28")
def test_where_passkeys_are_not_allowed_none_signs_in(browser, tenant, alice):
    key = give_passkey(alice)
    handle = browser.open_login()
    options = browser.post("/login/passkey", {"transaction": handle}).json()
    set_policy(tenant, factors_allowed="totp")
    copies.clear()
    form = {"transaction": handle, "credential": key.get(options, ORIGIN)}
    assert browser.post("/login", form).status_code == 400
    assert not SSOSession.objects.exists()
    assert AuditEvent.objects.filter(outcome="refused").latest("pk").reason == "CAPTCHA.0007:not_allowed"
    assert browser.post("/login/passkey", {"transaction": browser.open_login()}).status_code == 400


def test_kinds_that_are_none_are_refused(tenant):
    policy = SessionPolicy.objects.get(tenant=tenant)
    policy.factors_allowed = "totp carrier_pigeon"
    with pytest.raises(ValidationError):
        policy.full_clean()


# Operators -------------------------------------------------------------------------------------------------


@pytest.mark.security("S46")
def test_operators_need_a_factor_that_no_gateway_carries(browser, tenant, alice):
    set_policy(tenant, operators_need_own_factor=True)
    assert browser.sign_in(alice)["Location"] == "/account"
    olga = make_operator(tenant, user_name="olga", email="olga@example.org", email_verified=True)
    other = Browser()
    response = other.sign_in(olga)
    page = other.get(response["Location"])
    assert "Set up a second step" in page.content.decode()
    assert "send_to" not in page.content.decode()
    assert give(other, handle_in(response), "", skip="1").status_code == 400
    assert give(other, handle_in(response), pyotp.TOTP(secret_on(page)).now()).status_code == 200
    assert SSOSession.objects.get(user=olga).acr == assurance.MULTI_FACTOR


# Grace -----------------------------------------------------------------------------------------------------


@pytest.fixture
def bare(tenant) -> User:
    set_policy(tenant, mfa_mode="always", factor_grace_sign_ins=2)
    return make_user(tenant, user_name="bob")


def skip(user: User) -> tuple[Browser, Any]:
    browser = Browser()
    handle = handle_in(browser.sign_in(user))
    return browser, browser.post("/login", {"transaction": handle, "skip": "1"})


def test_setting_up_is_put_off_for_so_many_sign_ins(browser, bare):
    page = browser.get(browser.sign_in(bare)["Location"]).content.decode()
    assert "You may put this off 2 more times." in page
    for _sign_in in range(2):
        browser, answer = skip(bare)
        assert answer["Location"] == "/account"
        assert browser.is_signed_in
    session = SSOSession.objects.latest("pk")
    assert (session.amr, session.acr, session.factor_skipped) == (["pwd"], assurance.SINGLE_FACTOR, True)
    browser, answer = skip(bare)
    assert answer.status_code == 400
    assert "Not now" not in answer.content.decode()
    assert not browser.is_signed_in
    assert AuditEvent.objects.filter(event_type="factor:skip").count() == 2


def test_setting_up_is_put_off_for_so_many_days(tenant, bare):
    set_policy(tenant, factor_grace_sign_ins=0, factor_grace_days=3)
    assert skip(bare)[1].status_code == 302
    with time_machine.travel(timezone.now() + timedelta(days=2)):
        assert skip(bare)[1].status_code == 302
    with time_machine.travel(timezone.now() + timedelta(days=3, seconds=1)):
        assert skip(bare)[1].status_code == 400


@pytest.mark.security("S28")
def test_grace_is_nobody_elses_to_give(tenant, bare):
    """A request that asks for two factors is not put off, nor is a session with grace enough for it."""
    browser, _answer = skip(bare)
    session = SSOSession.objects.select_related("user__tenant__session_policy").get()
    assert access.is_sufficient(session=session, application=None)
    required = {"application": None, "required_acr": assurance.MULTI_FACTOR}
    assert not access.is_sufficient(session=session, **required)
    handle = login.begin(
        tenant=tenant,
        binding=browser.client.cookies["monban_browser"].value,
        context=RequestContext(tenant=tenant),
        reauthenticate=True,
        required_acr=assurance.MULTI_FACTOR,
    )
    assert handle_in(browser.sign_in(bare, transaction=handle)) == handle
    assert "Not now" not in browser.get(f"/login?transaction={handle}").content.decode()
    assert browser.post("/login", {"transaction": handle, "skip": "1"}).status_code == 400


@pytest.mark.security("S28")
def test_grace_ends_when_a_factor_is_there(bare):
    browser, _answer = skip(bare)
    enrol(bare)
    assert not browser.is_signed_in
    assert skip(bare)[1].status_code == 400


@pytest.mark.security("S46")
def test_after_a_reset_there_is_no_grace(bare):
    enrolment.reset(user=bare, context=RequestContext(tenant=bare.tenant), actor="system")
    assert skip(bare)[1].status_code == 400
