"""The ways to sign in on one page: which ones, in which order, and what is refused."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.core import checks, mail
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from identity.context import RequestContext
from identity.directory import tenants
from identity.models import AuditEvent, SessionPolicy, SSOSession, User
from tests.factories import PASSWORD, make_operator, make_user
from tests.pages.conftest import Browser, alert_of, transaction_of
from tests.pages.passkeys import ORIGIN, give_passkey

OFF = "This way of signing in is not offered here. Choose another one."


def set_policy(tenant, **values: Any) -> None:
    SessionPolicy.objects.filter(tenant=tenant).update(**values)


def links_on(response) -> list[tuple[str, bool]]:
    """The ways that a page links to, and which one it is."""
    found = re.findall(r'<a href="[^"]*method=(\w+)"( aria-current="page")?>', response.content.decode())
    return [(name, bool(current)) for name, current in found]


def fields_on(response) -> set[str]:
    return set(re.findall(r'name="(identifier|password|mobile|email)"', response.content.decode()))


# Which ones ------------------------------------------------------------------------------------------------


def test_without_a_choice_there_is_the_password_alone(browser, tenant):
    page = browser.get("/login")
    assert (links_on(page), fields_on(page)) == ([], {"identifier", "password"})
    assert "data-passkey-options" in page.content.decode()


def test_each_way_has_a_link_and_a_form_of_its_own_and_passkeys_stay(browser, tenant):
    set_policy(tenant, sign_in_by_sms=True, sign_in_by_email=True)
    handle = browser.open_login()
    for method, fields in (("password", {"identifier", "password"}), ("sms", {"mobile"}), ("email", {"email"})):
        page = browser.get(f"/login?transaction={handle}&method={method}")
        assert links_on(page) == [(name, name == method) for name in ("password", "sms", "email")]
        assert fields_on(page) == fields
        text = page.content.decode()
        assert ("data-passkey-options" in text, "Forgot your password?" in text) == (True, method == "password")
        assert 'aria-label="Ways to sign in"' in text


def test_a_tenant_without_passkeys_shows_no_button_for_them(browser, tenant):
    set_policy(tenant, factors_allowed="totp")
    browser.client.cookies["monban_method"] = "passkey"
    page = browser.get("/login").content.decode()
    assert ("data-passkey" in page, 'name="identifier"' in page) == (False, True)


def test_one_way_alone_needs_no_links(browser, tenant):
    set_policy(tenant, sign_in_by_password=False, sign_in_by_email=True)
    page = browser.get("/login")
    assert (links_on(page), fields_on(page)) == ([], {"email"})


def test_a_way_that_is_not_offered_shows_the_first_one(browser, tenant):
    set_policy(tenant, sign_in_by_email=True)
    for method in ("sms", "passkey", "%00", "x" * 500):
        page = browser.get(f"/login?transaction={browser.open_login()}&method={method}")
        assert (page.status_code, fields_on(page)) == (200, {"identifier", "password"})


def test_the_application_s_hint_fills_the_mailbox_too(browser, tenant):
    set_policy(tenant, sign_in_by_email=True)
    handle = browser.open_login("?login_hint=alice@example.org")
    page = browser.get(f"/login?transaction={handle}&method=email").content.decode()
    assert 'value="alice@example.org"' in page


@pytest.mark.security("S29")
def test_a_password_is_not_taken_where_it_is_switched_off(browser, tenant, alice):
    set_policy(tenant, sign_in_by_password=False, sign_in_by_email=True)
    response = browser.sign_in(alice)
    assert (response.status_code, alert_of(response), fields_on(response)) == (400, OFF, {"email"})
    form = {"transaction": transaction_of(response), "method": "password", "identifier": "alice", "password": PASSWORD}
    assert alert_of(browser.post("/login", form)) == OFF
    assert SSOSession.objects.count() == 0
    event = AuditEvent.objects.filter(event_type="login:password").latest("pk")
    assert (event.outcome, event.reason) == ("refused", "MFA.0004")


@pytest.mark.security("S29")
def test_no_code_is_sent_where_codes_are_switched_off(browser, tenant, alice):
    for form in ({"method": "email", "email": "alice@example.org"}, {"method": "sms", "mobile": "13812345678"}):
        response = browser.post("/login", {"transaction": browser.open_login(), **form})
        assert (response.status_code, alert_of(response)) == (400, OFF)
    assert mail.outbox == []


@pytest.mark.security("S29")
def test_a_code_that_was_sent_before_codes_were_switched_off_is_not_taken(browser, tenant, alice):
    set_policy(tenant, sign_in_by_email=True)
    handle = browser.open_login()
    browser.post("/login", {"transaction": handle, "method": "email", "email": "alice@example.org"})
    code = re.search(r"\b(\d{6})\b", mail.outbox[0].body)[1]
    change(tenant, sign_in_by_email=False)
    assert alert_of(browser.post("/login", {"transaction": handle, "verification_code": code})) == OFF
    assert SSOSession.objects.count() == 0


@pytest.mark.security("S29")
def test_the_vendors_login_form_takes_no_password_either(browser, tenant, alice):
    set_policy(tenant, sign_in_by_password=False, sign_in_by_email=True)
    browser.open_login()
    form = {"username": "alice", "password": PASSWORD}
    response = browser.post("/api/v1/login/form", form, headers={"Origin": "http://testserver"})
    assert (response.status_code, "MFA.0004" in response.content.decode()) == (400, True), response.content
    assert SSOSession.objects.count() == 0


def test_where_passwords_are_off_a_sign_in_and_no_password_is_the_fresh_proof(browser, tenant, alice):
    assert browser.sign_in(alice).status_code == 302
    session = SSOSession.objects.get()
    SSOSession.objects.update(
        authenticated_at=session.authenticated_at.replace(year=2020),
        amr=["pwd", "otp"],
        acr="urn:monban:acr:multi-factor",
    )
    assert "/confirm" in browser.get("/account/factors/app")["Location"]
    set_policy(tenant, sign_in_by_password=False, sign_in_by_email=True)
    assert browser.get("/account/factors/app")["Location"].startswith("/login?transaction=")


# The one used last -----------------------------------------------------------------------------------------


def test_the_way_used_last_comes_first_and_another_one_is_a_link_away(browser, tenant, alice):
    set_policy(tenant, sign_in_by_email=True)
    handle = browser.open_login()
    browser.post("/login", {"transaction": handle, "method": "email", "email": "alice@example.org"})
    assert "monban_method" not in browser.client.cookies
    code = re.search(r"\b(\d{6})\b", mail.outbox[0].body)[1]
    cookie = browser.post("/login", {"transaction": handle, "verification_code": code}).cookies["monban_method"]
    assert (cookie.value, cookie["httponly"], cookie["samesite"], cookie["path"]) == ("email", True, "Lax", "/")
    browser.post("/logout", {"confirm": "yes"})
    page = browser.get("/login")
    assert (links_on(page), fields_on(page)) == ([("email", True), ("password", False)], {"email"})
    page = browser.get(f"/login?transaction={transaction_of(page)}&method=password")
    assert (links_on(page), fields_on(page)) == ([("email", False), ("password", True)], {"identifier", "password"})
    # A browser that knows nothing has the page that is kept for it.
    assert links_on(Browser().get("/login")) == [("password", True), ("email", False)]


def test_the_browser_is_told_only_what_it_does_not_know(browser, alice):
    assert browser.sign_in(alice).cookies["monban_method"].value == "password"
    browser.post("/logout", {"confirm": "yes"})
    assert "monban_method" not in browser.sign_in(alice).cookies


def test_who_signed_in_by_a_passkey_finds_its_button_first(browser, alice):
    handle = browser.open_login()
    options = browser.post("/login/passkey", {"transaction": handle}).json()
    credential = give_passkey(alice).get(options, ORIGIN)
    done = browser.post("/login", {"transaction": handle, "method": "password", "credential": credential})
    assert done.cookies["monban_method"].value == "passkey"
    browser.post("/logout", {"confirm": "yes"})
    page = browser.get("/login").content.decode()
    assert page.index("data-passkey-button") < page.index('name="identifier"')
    page = Browser().get("/login").content.decode()
    assert page.index("data-passkey-button") > page.index('name="identifier"')


@pytest.mark.parametrize("value", ["sms", "nonsense", "<script>", "password; x", "x" * 200, ""])
def test_a_cookie_that_says_nothing_of_use_changes_nothing(browser, tenant, value):
    set_policy(tenant, sign_in_by_email=True)
    browser.client.cookies["monban_method"] = value
    page = browser.get("/login")
    assert links_on(page) == [("password", True), ("email", False)]
    assert "<script>" not in page.content.decode().replace("<script src", "")


# The tenant's choice ---------------------------------------------------------------------------------------


def policy_of(tenant) -> SessionPolicy:
    return SessionPolicy.objects.select_related("tenant").get(tenant=tenant)


def change(tenant, **values: Any) -> dict[str, list[Any]]:
    return tenants.update_policy(policy=policy_of(tenant), context=RequestContext(tenant=tenant), **values)


def test_a_change_is_in_the_audit(tenant):
    assert change(tenant, sign_in_by_email=True) == {"sign_in_by_email": [False, True]}
    assert AuditEvent.objects.latest("pk").changes == {"sign_in_by_email": [False, True]}


def test_a_tenant_that_offers_codes_which_nothing_carries_is_named(tenant, settings):
    settings.IDENTITY = {**settings.IDENTITY, "sms_senders": (), "email_senders": ()}
    set_policy(tenant, sign_in_by_sms=True)
    found = [each.msg for each in checks.run_checks(databases=["default"]) if each.id == "identity.W104"]
    assert found == [f"The tenant {tenant.code} lets people sign in by a code that no gateway carries: Text message."]
    set_policy(tenant, sign_in_by_sms=False)
    assert not [each for each in checks.run_checks(databases=["default"]) if each.id == "identity.W104"]


@pytest.mark.security("S50")
def test_one_way_stays(tenant):
    with pytest.raises(ValidationError, match="One way of signing in has to stay"):
        change(tenant, sign_in_by_password=False)
    with pytest.raises(IntegrityError), transaction.atomic():
        set_policy(tenant, sign_in_by_password=False)


@pytest.mark.security("S50")
def test_a_way_is_not_taken_from_people_who_have_no_other_one(tenant, alice):
    """Counted are people without a proved address, and superusers, whom no code lets in."""
    make_user(tenant, user_name="bare")
    root = make_operator(tenant, user_name="root", email="root@example.org", email_verified=True, is_superuser=True)
    with pytest.raises(ValidationError, match="2 of 3 people could not sign in any more") as refusal:
        change(tenant, sign_in_by_password=False, sign_in_by_email=True)
    assert list(refusal.value.message_dict) == ["sign_in_by_password"]
    User.objects.filter(user_name="bare").update(email="bare@example.org", email_verified=True)
    User.objects.filter(pk=root.pk).update(factor_kinds="passkey")
    assert change(tenant, sign_in_by_password=False, sign_in_by_email=True, sign_in_by_sms=True)
    # Of those that are left, too.
    User.objects.filter(user_name="bare").update(mobile_index="x", phone_number_verified=True)
    with pytest.raises(ValidationError, match="1 of 3 people"):
        change(tenant, sign_in_by_email=False)
    assert change(tenant, sign_in_by_email=False, accept_lockout=True)
    assert not policy_of(tenant).sign_in_by_email
