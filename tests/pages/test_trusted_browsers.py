"""Browsers in which the second factor is left out: offered, used, ended, and what they are never enough for."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core import mail
from django.db import connection
from django.http import HttpResponse
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from identity import assurance, copies
from identity.context import RequestContext
from identity.directory import users
from identity.models import AuditEvent, LoginTransaction, SessionPolicy, SSOSession, Tenant, TrustedDevice, User
from identity.passwords import credentials
from identity.sign_in import enrolment, login
from identity.sso import access, trusted_devices
from tests.factories import make_application, make_operator, make_tenant, make_user
from tests.factories.factors import enrol
from tests.pages.conftest import Browser, handle_in
from tests.pages.steps import give

NEW_PASSWORD = "Another-long-passphrase-7"
OFFER = "trust_browser"


def set_policy(tenant: Tenant, **values: Any) -> None:
    SessionPolicy.objects.filter(tenant=tenant).update(**values)
    copies.clear()


@pytest.fixture(autouse=True)
def policy(tenant: Tenant) -> None:
    set_policy(tenant, mfa_mode="always", trusted_device_days=30)


@pytest.fixture
def codes(alice: User) -> Any:
    return enrol(alice)[1]


@pytest.fixture
def trusted(browser: Browser, alice: User, codes: Any) -> Browser:
    """A browser that alice trusts, and in which nobody is signed in."""
    trust(browser, alice, codes)
    leave(browser)
    return browser


def trust(browser: Browser, user: User, codes: Any) -> HttpResponse:
    response = give(browser, handle_in(browser.sign_in(user)), codes.now(), trust_browser="1")
    assert browser.is_signed_in
    assert "monban_trusted" in browser.client.cookies
    return response


def leave(browser: Browser) -> None:
    del browser.client.cookies["monban_session"]


def is_asked(browser: Browser, user: User, **demands: Any) -> bool:
    """Sign in with the password; tell whether the second factor is asked for."""
    if demands:
        tenant = user.tenant
        handle = login.begin(
            tenant=tenant,
            binding=browser.client.cookies["monban_browser"].value,
            context=RequestContext(tenant=tenant),
            next_url="/account",
            **demands,
        )
        response = browser.sign_in(user, transaction=handle)
    else:
        response = browser.sign_in(user)
    assert response.status_code == 302
    return "transaction=" in response["Location"]


def newest_session() -> SSOSession:
    return SSOSession.objects.select_related("user__tenant__session_policy").latest("pk")


# Offered and used ------------------------------------------------------------------------------------------


def test_it_is_offered_only_where_the_tenant_turns_it_on(browser, tenant, alice, codes):
    page = browser.get(browser.sign_in(alice)["Location"]).content.decode()
    assert f'name="{OFFER}"' in page
    assert "30 days" in page
    set_policy(tenant, trusted_device_days=0)
    handle = handle_in(browser.sign_in(alice))
    assert OFFER not in browser.get(f"/login?transaction={handle}").content.decode()
    # Nor is it done for whoever posts the field all the same.
    give(browser, handle, codes.now(), trust_browser="1")
    assert browser.is_signed_in
    assert "monban_trusted" not in browser.client.cookies
    assert not TrustedDevice.objects.exists()


def test_without_the_wish_no_browser_is_trusted(browser, alice, codes):
    give(browser, handle_in(browser.sign_in(alice)), codes.now())
    assert browser.is_signed_in
    assert "monban_trusted" not in browser.client.cookies


@pytest.mark.security("S28")
@pytest.mark.parametrize("mode", ["always", "if_enrolled"])
def test_a_trusted_browser_is_not_asked_and_the_session_says_what_it_proved(trusted, tenant, alice, mode):
    set_policy(tenant, mfa_mode=mode)
    assert not is_asked(trusted, alice)
    assert trusted.is_signed_in
    session = newest_session()
    assert (session.amr, session.acr) == (["pwd"], assurance.SINGLE_FACTOR)
    assert session.device_trusted
    assert TrustedDevice.objects.get().last_used_at
    assert AuditEvent.objects.filter(event_type="factor:trust_device", target_id=alice.public_id).exists()
    assert AuditEvent.objects.filter(event_type="login:success").latest("pk").details["device_trusted"] is True


def test_only_keyed_hashes_are_kept(trusted):
    row, cookies = TrustedDevice.objects.get(), trusted.client.cookies
    kept = f"{row.__dict__}"
    assert cookies["monban_trusted"].value not in kept
    assert cookies["monban_browser"].value not in kept
    assert cookies["monban_trusted"]["httponly"]
    assert cookies["monban_trusted"]["max-age"] == 30 * 24 * 3600


def test_a_sign_in_without_the_cookie_asks_the_database_nothing_more(browser, trusted, alice):
    other = Browser()
    handle = other.open_login()
    with CaptureQueriesContext(
        connection,
    ) as queries:
        other.sign_in(alice, transaction=handle)
    assert not [each for each in queries if "trusteddevice" in each["sql"]]
    handle = trusted.open_login()
    with CaptureQueriesContext(connection) as queries:
        trusted.sign_in(alice, transaction=handle)
    # It is looked up, and held to in the statement that writes the session.
    assert len([each for each in queries if "trusteddevice" in each["sql"]]) == 2


# Whose cookie ----------------------------------------------------------------------------------------------


@pytest.mark.security("S28")
def test_a_stolen_cookie_is_worthless_in_another_browser(trusted, alice):
    other = Browser()
    other.open_login()
    other.client.cookies["monban_trusted"] = trusted.client.cookies["monban_trusted"].value
    assert is_asked(other, alice)


@pytest.mark.security("S28")
@pytest.mark.parametrize("value", ["", "guess", "x" * 4000, "\x00"])
def test_nonsense_in_the_cookie_is_no_trust(trusted, alice, value):
    trusted.client.cookies["monban_trusted"] = value
    assert is_asked(trusted, alice)


@pytest.mark.security("S28")
def test_the_cookie_of_one_person_is_nothing_of_another(trusted, tenant):
    bob = make_user(tenant, user_name="bob")
    enrol(bob)
    assert is_asked(trusted, bob)


@pytest.mark.security("S36")
def test_the_cookie_of_one_tenant_is_nothing_in_another(trusted, alice):
    elsewhere = make_tenant(host="elsewhere.example")
    set_policy(elsewhere, mfa_mode="always", trusted_device_days=30)
    namesake = make_user(elsewhere, user_name="alice")
    enrol(namesake)
    trusted.client.defaults["HTTP_HOST"] = "elsewhere.example"
    assert is_asked(trusted, namesake)


# How it ends -----------------------------------------------------------------------------------------------


def end_on_the_page(browser: Browser, alice: User) -> None:
    row = TrustedDevice.objects.get()
    trusted_devices.end(user=alice, public_id=row.public_id, context=RequestContext(tenant=alice.tenant))


def change_password(browser: Browser, alice: User) -> None:
    credentials.set_password(
        user=alice, password=NEW_PASSWORD, context=RequestContext(tenant=alice.tenant), actor="system"
    )


def add_factor(browser: Browser, alice: User) -> None:
    enrol(alice, "Second telephone")


def remove_factor(browser: Browser, alice: User) -> None:
    enrol(alice, "Second telephone")
    # The one that was there is gone; trust it anew, so that the removal alone is what ends it.
    session = newest_session()
    SSOSession.objects.filter(pk=session.pk).update(amr=["pwd", "otp"])
    session.amr = ["pwd", "otp"]
    binding = browser.client.cookies["monban_browser"].value
    made = trusted_devices.trust(session=session, binding=binding, context=RequestContext(tenant=alice.tenant))
    assert made
    browser.client.cookies["monban_trusted"] = made[0]
    factor = enrolment.list_of(alice)[-1]
    enrolment.remove(user=alice, public_id=factor.public_id, context=RequestContext(tenant=alice.tenant))


def make_codes(browser: Browser, alice: User) -> None:
    enrolment.make_recovery_codes(user=alice, context=RequestContext(tenant=alice.tenant))


def disable_and_enable(browser: Browser, alice: User) -> None:
    for switch in (users.disable, users.enable):
        switch(user=alice, context=RequestContext(tenant=alice.tenant), actor="system")


def end_everything(browser: Browser, alice: User) -> None:
    access.revoke_everything(user=alice, reason="signed_out", context=RequestContext(tenant=alice.tenant))


def change_address(browser: Browser, alice: User) -> None:
    users.update(user=alice, email="other@example.org", context=RequestContext(tenant=alice.tenant), actor="system")


def turn_off(browser: Browser, alice: User) -> None:
    set_policy(alice.tenant, trusted_device_days=0)


def make_an_operator(browser: Browser, alice: User) -> None:
    User.objects.filter(pk=alice.pk).update(is_staff=True)


def demand_passkeys(browser: Browser, alice: User) -> None:
    set_policy(alice.tenant, mfa_mode="phishing_resistant")


ENDS = [
    end_on_the_page,
    change_password,
    add_factor,
    remove_factor,
    make_codes,
    disable_and_enable,
    end_everything,
    change_address,
    turn_off,
    make_an_operator,
    demand_passkeys,
]


@pytest.mark.security("S28")
@pytest.mark.security("S48")
@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
def test_what_ends_it(trusted, alice, end):
    end(trusted, alice)
    password = {"password": NEW_PASSWORD} if end is change_password else {}
    assert "transaction=" in trusted.sign_in(alice, **password)["Location"]


@pytest.mark.security("S28")
@pytest.mark.parametrize(
    "end",
    [end_on_the_page, add_factor, make_codes, change_address, turn_off, make_an_operator, demand_passkeys],
    ids=lambda end: end.__name__,
)
def test_a_session_that_began_by_it_is_not_enough_when_it_has_ended(trusted, alice, end):
    assert not is_asked(trusted, alice)
    assert trusted.is_signed_in
    end(trusted, alice)
    assert not trusted.is_signed_in


@pytest.mark.security("S28")
def test_it_is_over_after_so_many_days(trusted, alice):
    with time_machine.travel(timezone.now() + timedelta(days=29)):
        assert not is_asked(trusted, alice)
        leave(trusted)
    with time_machine.travel(timezone.now() + timedelta(days=30, minutes=1)):
        assert is_asked(trusted, alice)
        trusted_devices.purge(timezone.now(), 10)
        assert not TrustedDevice.objects.exists()


@pytest.mark.security("S28")
def test_fewer_days_count_for_browsers_that_are_trusted_already(trusted, tenant, alice):
    set_policy(tenant, trusted_device_days=7)
    with time_machine.travel(timezone.now() + timedelta(days=8)):
        assert is_asked(trusted, alice)


def test_the_person_ends_it_on_the_page_of_factors(trusted, alice, codes):
    assert not is_asked(trusted, alice)
    page = trusted.get("/account/factors").content.decode()
    address = re.search(r'action="(/account/trusted-browsers/[^"]+/end)"', page)
    assert address
    assert trusted.post(address[1]).status_code == 302
    assert not TrustedDevice.objects.exists()
    assert AuditEvent.objects.filter(event_type="factor:end_trust", target_id=alice.public_id).exists()
    assert not trusted.is_signed_in


@pytest.mark.security("S36")
def test_nobody_ends_it_for_another_person(trusted, tenant):
    bob = make_user(tenant, user_name="bob")
    _app, codes = enrol(bob)
    other = Browser()
    give(other, handle_in(other.sign_in(bob)), codes.now())
    row = TrustedDevice.objects.get()
    assert other.post(f"/account/trusted-browsers/{row.public_id}/end").status_code == 404
    assert other.post("/account/trusted-browsers/guess/end").status_code == 404
    assert TrustedDevice.objects.exists()


# Never enough ----------------------------------------------------------------------------------------------


@pytest.mark.security("S28")
@pytest.mark.parametrize(
    "demands",
    [
        {"reauthenticate": True},
        {"max_age_seconds": 3600},
        {"max_age_seconds": 0},
        {"required_acr": assurance.MULTI_FACTOR},
        {"required_acr": assurance.PHISHING_RESISTANT},
    ],
    ids=str,
)
def test_a_request_that_demands_a_proof_has_the_factor_asked_for(trusted, alice, demands):
    assert is_asked(trusted, alice, **demands)


@pytest.mark.security("S28")
def test_a_request_for_one_factor_is_content_with_it(trusted, alice):
    assert not is_asked(trusted, alice, required_acr=assurance.SINGLE_FACTOR)


@pytest.mark.security("S28")
def test_an_application_that_demands_passkeys_is_not_content_with_it(trusted, tenant, alice):
    assert not is_asked(trusted, alice)
    session = newest_session()
    assert access.is_sufficient(session=session, application=make_application(tenant, mfa_mode="always"))
    vault = make_application(tenant, mfa_mode="phishing_resistant")
    assert not access.is_sufficient(session=session, application=vault)
    assert not access.is_sufficient(session=session, application=None, required_acr=assurance.MULTI_FACTOR)


@pytest.mark.security("S28")
def test_an_operator_is_offered_none(browser, tenant):
    operator = make_operator(tenant, user_name="operator")
    _app, codes = enrol(operator)
    handle = handle_in(browser.sign_in(operator))
    assert OFFER not in browser.get(f"/login?transaction={handle}").content.decode()
    give(browser, handle, codes.now(), trust_browser="1")
    assert browser.is_signed_in
    assert not TrustedDevice.objects.exists()


@pytest.mark.security("S28")
def test_factors_are_not_changed_on_the_strength_of_it(trusted, alice):
    assert not is_asked(trusted, alice)
    response = trusted.get("/account/factors/app")
    assert "transaction=" in response["Location"]
    assert "code of six digits" in trusted.get(response["Location"]).content.decode()


@pytest.mark.security("S28")
def test_an_expired_password_is_changed_and_then_the_factor_is_asked_for(trusted, alice):
    User.objects.filter(pk=alice.pk).update(password_must_change=True)
    handle = handle_in(trusted.sign_in(alice))
    form = {"transaction": handle, "new_password": NEW_PASSWORD, "repeat_password": NEW_PASSWORD}
    assert trusted.post("/login", form).status_code == 302
    assert not newest_session().device_trusted
    assert not trusted.is_signed_in


def test_trust_that_ends_while_the_session_is_written_opens_none(trusted, alice, monkeypatch):
    known = trusted_devices.is_known

    def ended_meanwhile(**values: Any) -> bool:
        was = known(**values)
        TrustedDevice.objects.filter(user=alice).delete()
        return was

    monkeypatch.setattr(trusted_devices, "is_known", ended_meanwhile)
    finished = LoginTransaction.objects.exclude(finished_at=None)
    before = SSOSession.objects.count(), finished.count()
    trusted.sign_in(alice)
    assert not trusted.is_signed_in
    assert (SSOSession.objects.count(), finished.count()) == before


# Told ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("language", "subject"), [("en", "a browser is trusted now"), ("ja", "ブラウザー")])
def test_the_person_is_told_by_mail(browser, alice, codes, language, subject):
    User.objects.filter(pk=alice.pk).update(email="alice@example.org", email_verified=True, language=language)
    mail.outbox.clear()
    trust(browser, alice, codes)
    (message,) = [message for message in mail.outbox if subject in message.subject]
    assert "30" in message.body
