"""A one-time code in place of the password, by text message or by mail."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core import mail
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from identity import assurance, throttle
from identity.context import RequestContext
from identity.models import (
    AttemptCounter,
    AuditEvent,
    LoginTransaction,
    PasswordPolicy,
    SessionPolicy,
    SSOSession,
    User,
    VerificationCode,
)
from identity.sign_in import login
from tests.factories import PASSWORD, make_operator, make_user
from tests.factories.factors import enrol
from tests.pages.conftest import Browser, alert_of, handle_in
from tests.pages.passkeys import ORIGIN, give_passkey, options_on
from tests.pages.puzzles import answer_to, token_in
from tests.sdk_api.mobile import MOBILE, OTHER_MOBILE, inbox
from tests.support.authenticator import UP

__all__ = ["inbox"]

WRONG = "The code is not right, or it is no longer valid."


@pytest.fixture(autouse=True)
def codes(tenant):
    """The tenant lets people sign in by codes."""
    set_policy(tenant, sign_in_by_sms=True, sign_in_by_email=True)


@pytest.fixture
def anna(tenant, inbox):
    """Somebody with a telephone and no mailbox, in a tenant that sends text messages."""
    return make_user(tenant, user_name="anna", mobile=MOBILE, phone_number_verified=True)


def set_policy(tenant, **values: Any) -> None:
    SessionPolicy.objects.filter(tenant=tenant).update(**values)


def order(browser: Browser, email: str = "alice@example.org", *, handle: str = "") -> str:
    """Have a code sent by mail; return the handle of the sign-in."""
    handle = handle or browser.open_login()
    response = browser.post("/login", {"transaction": handle, "method": "email", "email": email})
    assert (response.status_code, handle_in(response)) == (302, handle), response.content.decode()
    return handle


def order_text(browser: Browser, mobile: str = MOBILE) -> str:
    """Have a code sent by text message, for a puzzle."""
    handle = browser.open_login()
    form = {"transaction": handle, "method": "sms", "mobile": mobile}
    page = browser.post("/login", form)
    assert browser.post("/login", {**form, **answer_to(page)}).status_code == 302
    return handle


def give(browser: Browser, handle: str, code: str) -> HttpResponse:
    return browser.post("/login", {"transaction": handle, "verification_code": code})


def mailed_code() -> str:
    found = re.search(r"\b(\d{6})\b", str(mail.outbox[-1].body))
    assert found
    return found[1]


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06d}"


# What a code is ---------------------------------------------------------------------------------------------


def test_a_mailed_code_signs_in_by_one_factor_and_the_audit_says_by_what(browser, alice):
    handle = order(browser)
    page = browser.get(f"/login?transaction={handle}").content.decode()
    assert "If somebody here has the address <strong>a" in page
    assert "alice@example.org" not in page
    assert give(browser, handle, mailed_code())["Location"] == "/account"
    session = SSOSession.objects.get(user=alice)
    assert (session.amr, session.acr) == (["otp"], assurance.SINGLE_FACTOR)
    event = AuditEvent.objects.get(event_type="login:code")
    assert (event.outcome, event.details["method"], event.actor_id) == ("success", "email", alice.public_id)
    assert AuditEvent.objects.get(event_type="login:success").details["amr"] == ["otp"]


def test_a_code_by_text_message_signs_in_and_says_so(browser, anna, inbox):
    handle = order_text(browser)
    page = browser.get(f"/login?transaction={handle}").content.decode()
    assert "If somebody here has the number" in page
    assert give(browser, handle, inbox.messages[0].verification_code).status_code == 302
    assert SSOSession.objects.get().amr == ["sms", "otp"]
    assert AuditEvent.objects.get(event_type="login:code").details["method"] == "sms"


def test_a_password_that_was_not_used_is_not_to_be_changed(browser, tenant, alice):
    User.objects.filter(pk=alice.pk).update(password_must_change=True)
    assert give(browser, order(browser), mailed_code())["Location"] == "/account"


@pytest.mark.security("S29")
@pytest.mark.parametrize("code", ["", "000000000", "\x00"])
def test_no_code_and_a_wrong_code_sign_nobody_in(browser, alice, code):
    handle = order(browser)
    response = give(browser, handle, code or "")
    assert response.status_code == 400
    assert give(browser, handle, wrong(mailed_code())).status_code == 400
    assert not browser.is_signed_in


@pytest.mark.security("S29")
def test_without_an_order_there_is_no_code_to_give(browser, alice):
    order(browser)
    other = browser.open_login()
    assert give(browser, other, mailed_code()).status_code == 400
    assert not browser.is_signed_in


@pytest.mark.security("S29")
def test_a_code_signs_in_once(browser, alice):
    handle = order(browser)
    code = mailed_code()
    assert give(browser, handle, code).status_code == 302
    again = Browser(client=Client())
    again.client.cookies["monban_browser"] = browser.client.cookies["monban_browser"].value
    assert give(again, handle, code).status_code == 400
    assert SSOSession.objects.count() == 1


@pytest.mark.security("S29")
def test_of_two_who_give_the_code_at_the_same_moment_one_is_let_in(browser, alice, monkeypatch):
    """The second one has compared the code before the first one spends it."""
    handle = order(browser)
    succeed, answers = throttle.succeed, []

    def overtaken(*args: Any, **options: Any) -> None:
        monkeypatch.setattr(throttle, "succeed", succeed)
        other = Browser(client=Client())
        other.client.cookies["monban_browser"] = browser.client.cookies["monban_browser"].value
        answers.append(give(other, handle, mailed_code()).status_code)
        succeed(*args, **options)

    monkeypatch.setattr(throttle, "succeed", overtaken)
    answers.append(give(browser, handle, mailed_code()).status_code)
    assert answers == [302, 400]
    assert SSOSession.objects.count() == 1


@pytest.mark.security("S28")
def test_a_code_is_good_in_its_own_browser_alone(browser, alice):
    handle = order(browser)
    other = Browser()
    other.open_login()
    assert give(other, handle, mailed_code()).status_code == 400
    assert not other.session_cookie


@pytest.mark.security("S28")
def test_a_code_of_another_tab_is_no_good_even_for_the_same_address(browser, alice):
    """Somebody is talked out of the code of their own sign-in: it opens no other one."""
    first = order(browser)
    code = mailed_code()
    thief = Browser()
    handle = thief.open_login()
    asked = thief.post("/login", {"transaction": handle, "method": "email", "email": "alice@example.org"})
    assert asked.status_code == 429
    assert give(thief, handle, code).status_code == 400
    with time_machine.travel(timezone.now() + timedelta(seconds=61)):
        order(thief, handle=handle)
        assert give(thief, handle, code).status_code == 400
        # The newer order has made the older code void, and the newer code is the thief's sign-in's alone.
        assert give(browser, first, mailed_code()).status_code == 400
    assert SSOSession.objects.count() == 0


@pytest.mark.security("S28")
def test_a_second_tab_that_orders_for_somebody_else_does_not_take_the_first_tabs_code(browser, tenant, alice):
    make_user(tenant, user_name="bob", email="bob@example.org", email_verified=True)
    handle = order(browser)
    code = mailed_code()
    order(browser, "bob@example.org", handle=handle)
    assert give(browser, handle, code).status_code == 400
    assert give(browser, handle, mailed_code()).status_code == 302
    assert SSOSession.objects.get().user.user_name == "bob"


@pytest.mark.security("S28")
def test_a_code_for_a_password_reset_signs_nobody_in(browser, alice):
    handle = order(browser)
    browser.post("/forgot-password", {"identifier": "alice@example.org"})
    assert give(browser, handle, mailed_code()).status_code == 400


def test_a_code_runs_out(browser, alice):
    handle = order(browser)
    with time_machine.travel(timezone.now() + timedelta(minutes=5, seconds=1)):
        assert alert_of(give(browser, handle, mailed_code())) == WRONG


@pytest.mark.security("S30")
def test_of_a_hundred_tries_at_one_code_five_count(browser, tenant, alice):
    PasswordPolicy.objects.filter(tenant=tenant).update(max_failures=1000, max_failures_per_source=1000)
    handle = order(browser)
    code = mailed_code()
    for number in range(100):
        guess = f"{(int(code) + 1 + number) % 1_000_000:06d}"
        # After so many the sign-in itself is over, and a new one is begun.
        assert give(browser, handle, guess).status_code == 400
    assert VerificationCode.objects.get().failures == 5
    assert LoginTransaction.objects.order_by("pk").first().failures == 20
    assert give(browser, handle, code).status_code == 400
    assert not browser.is_signed_in


@pytest.mark.security("S30")
def test_wrong_codes_and_wrong_passwords_lock_the_account_together(browser, tenant, alice):
    PasswordPolicy.objects.filter(tenant=tenant).update(max_failures=2)
    handle = order(browser)
    code = mailed_code()
    assert give(browser, handle, wrong(code)).status_code == 400
    assert browser.sign_in(alice, "wrong").status_code == 400
    locked = give(browser, handle, code)
    assert (locked.status_code, "Too many failed attempts" in alert_of(locked)) == (429, True)
    assert browser.sign_in(alice).status_code == 429
    assert SSOSession.objects.count() == 0


@pytest.mark.security("S30")
def test_tries_count_for_their_source_too(tenant, alice):
    PasswordPolicy.objects.filter(tenant=tenant).update(max_failures=1000, max_failures_per_source=3)
    for number in range(3):
        browser = Browser()
        assert give(browser, order(browser, f"nobody-{number}@example.org"), "123456").status_code == 400
    browser = Browser()
    assert give(browser, order(browser), mailed_code()).status_code == 429


def test_a_right_code_takes_its_try_back(browser, alice):
    handle = order(browser)
    give(browser, handle, wrong(mailed_code()))
    assert give(browser, handle, mailed_code()).status_code == 302
    assert set(AttemptCounter.objects.filter(kind="account").values_list("failures", flat=True)) == {0}


# Who is let in ---------------------------------------------------------------------------------------------


@pytest.mark.security("S33")
def test_whoever_is_named_the_answer_the_pages_and_the_work_are_the_same(tenant, alice):
    def person(name: str, **values: Any) -> None:
        make_user(tenant, user_name=name, email=f"{name}@example.org", **values)

    person("gone", email_verified=True, is_active=False)
    person("unproved")
    person("root", email_verified=True, is_superuser=True, is_staff=True)
    make_user(tenant, user_name="taken@example.org")
    first = Browser()
    give(first, order(first, "first-of-this-source@example.org"), "123456")
    pages, costs = set(), set()
    for name in ("alice", "nobody", "gone", "unproved", "root", "taken"):
        browser = Browser()
        handle = browser.open_login()
        with CaptureQueriesContext(connection) as ordering:
            order(browser, f"{name}@example.org", handle=handle)
        page = browser.get(f"/login?transaction={handle}").content.decode()
        with CaptureQueriesContext(connection) as giving:
            refused = give(browser, handle, "no code")
        pages.add(re.sub(r'value="[^"]*"|<strong>[^<]*</strong>|transaction=[^&"]*|in \d+ seconds', "", page))
        costs.add((sum("identity_sentmessage" not in query["sql"] for query in ordering), len(giving)))
        assert (refused.status_code, alert_of(refused)) == (400, WRONG)
    assert len(pages) == 1
    assert len(costs) == 1
    assert [message.to for message in mail.outbox] == [["alice@example.org"]]


@pytest.mark.security("S33")
def test_a_code_of_nobody_signs_nobody_in_even_if_it_is_guessed(browser, tenant, monkeypatch):
    monkeypatch.setattr("identity.sign_in.verification.secrets.randbelow", lambda _most: 123456)
    handle = order(browser, "nobody@example.org")
    for _ in range(2):  # over by the first one
        assert alert_of(give(browser, handle, "123456")) == WRONG
    assert mail.outbox == []
    event = AuditEvent.objects.filter(event_type="login:code").first()
    assert (event.outcome, event.target_id) == ("refused", "")
    assert "nobody" not in f"{event.details}{event.personal}"


@pytest.mark.security("S26")
@pytest.mark.parametrize("change", [{"is_active": False}, {"email_verified": False}, {"is_superuser": True}])
def test_who_may_not_any_more_is_refused_with_the_right_code(browser, alice, change):
    handle = order(browser)
    User.objects.filter(pk=alice.pk).update(**change)
    assert alert_of(give(browser, handle, mailed_code())) == WRONG
    assert not browser.session_cookie
    reason = AuditEvent.objects.get(event_type="login:code").reason
    assert reason == ("USER.0004" if "is_active" in change else "CAPTCHA.0007")


@pytest.mark.security("S46")
def test_a_number_that_is_not_proved_gets_no_code(browser, anna, inbox):
    User.objects.filter(pk=anna.pk).update(phone_number_verified=False)
    order_text(browser)
    assert inbox.messages == []


@pytest.mark.security("S46")
def test_an_operators_code_goes_to_a_proved_address(browser, tenant):
    make_operator(tenant, user_name="olga", email="olga@example.org", email_verified=True)
    assert give(browser, order(browser, "olga@example.org"), mailed_code()).status_code == 302


@pytest.mark.security("S23")
def test_the_code_goes_to_the_address_as_the_person_has_it(browser, alice):
    """Two spellings that are compared as one may be two mailboxes elsewhere."""
    order(browser, "ＡLICE@example.org")
    assert mail.outbox[0].to == ["alice@example.org"]


def test_a_number_that_has_changed_hands_lets_its_new_holder_in_by_no_old_code(browser, tenant, anna, inbox):
    handle = order_text(browser)
    anna.mobile = OTHER_MOBILE
    anna.save()
    make_user(tenant, user_name="bert", mobile=MOBILE, phone_number_verified=True)
    assert give(browser, handle, inbox.messages[0].verification_code).status_code == 400


# Sending ---------------------------------------------------------------------------------------------------


@pytest.mark.security("S30")
def test_a_text_message_costs_a_puzzle_and_mail_is_offered_in_its_place(browser, anna, inbox):
    handle = browser.open_login()
    form = {"transaction": handle, "method": "sms", "mobile": MOBILE}
    page = browser.post("/login", form)
    assert (page.status_code, alert_of(page), f'value="{MOBILE}"' in page.content.decode()) == (200, "", True)
    assert "have the code sent by mail: that needs no puzzle" in page.content.decode()
    missed = browser.post("/login", {**form, **answer_to(page, off_by=9)})
    assert (missed.status_code, token_in(missed) not in ("", token_in(page))) == (400, True)
    assert browser.post("/login", {**form, **answer_to(page)}).status_code == 400
    assert inbox.messages == []
    solved = answer_to(missed)
    assert browser.post("/login", {**form, **solved}).status_code == 302
    # One puzzle, one message.
    assert browser.post("/login", {**form, **solved}).status_code == 400
    assert len(inbox.messages) == 1


def test_another_text_message_costs_another_puzzle(browser, anna, inbox):
    handle = order_text(browser)
    code = inbox.messages[0].verification_code
    with time_machine.travel(timezone.now() + timedelta(seconds=61)):
        page = browser.post("/login", {"transaction": handle, "resend": "1"})
        assert (page.status_code, len(inbox.messages)) == (200, 1)
        again = browser.post("/login", {"transaction": handle, "resend": "1", **answer_to(page)})
        assert (again.status_code, len(inbox.messages)) == (302, 2)
        assert give(browser, handle, code).status_code == 400
        assert give(browser, handle, inbox.messages[1].verification_code).status_code == 302


def test_another_mail_is_sent_after_a_minute(browser, alice):
    handle = order(browser)
    assert browser.post("/login", {"transaction": handle, "resend": "1"}).status_code == 429
    with time_machine.travel(timezone.now() + timedelta(seconds=61)):
        assert browser.post("/login", {"transaction": handle, "resend": "1"}).status_code == 302
        assert give(browser, handle, mailed_code()).status_code == 302


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ({"method": "email", "email": "alice"}, "Enter an e-mail address."),
        ({"method": "email", "email": "a@b\x00"}, "Null characters are not allowed."),
        ({"method": "sms", "mobile": "no number"}, "This is no mobile number that a code can be sent to."),
        ({"method": "sms"}, "This field is required."),
    ],
)
def test_what_is_no_address_is_asked_for_again(browser, alice, form, text):
    response = browser.post("/login", {"transaction": browser.open_login(), **form})
    assert (response.status_code, text in alert_of(response)) == (400, True)
    assert f'name="method" value="{form["method"]}"' in response.content.decode()


def test_the_address_is_not_kept_in_clear(browser, alice):
    order(browser)
    assert "alice@example.org" not in str(LoginTransaction.objects.get().data)


def test_the_way_to_the_other_page_and_back_keeps_the_code(browser, alice):
    handle = order(browser)
    assert 'name="password"' in browser.get(f"/login?transaction={handle}&method=password").content.decode()
    assert give(browser, handle, mailed_code()).status_code == 302


# After it ---------------------------------------------------------------------------------------------------


def step_page(browser: Browser, handle: str, code: str) -> str:
    response = give(browser, handle, code)
    assert handle_in(response) == handle
    return browser.get(response["Location"]).content.decode()


@pytest.mark.security("S28")
def test_after_a_code_the_second_factor_is_no_code_again_but_the_password(browser, tenant, alice):
    alice.mobile, alice.phone_number_verified = MOBILE, True
    alice.save()
    enrol(alice)
    set_policy(tenant, mfa_mode="always")
    handle = order(browser)
    page = step_page(browser, handle, mailed_code())
    assert "after the code, your password" in page
    assert "send_to" not in page
    assert not browser.is_signed_in
    for name in ("email", "sms", "totp", "recovery_code"):
        assert browser.post("/login", {"transaction": handle, "send_to": name}).status_code == 400
        handle = order_after_a_minute(browser)
    assert browser.post("/login", {"transaction": handle, "password": "wrong"}).status_code == 400
    assert browser.post("/login", {"transaction": handle, "password": PASSWORD})["Location"] == "/account"
    session = SSOSession.objects.get()
    assert (session.amr, session.acr) == (["otp", "pwd"], assurance.MULTI_FACTOR)


def order_after_a_minute(browser: Browser) -> str:
    """Sign in by a code once more, as if the last one was long ago."""
    VerificationCode.objects.all().delete()
    AttemptCounter.objects.all().delete()
    handle = order(browser)
    give(browser, handle, mailed_code())
    return handle


@pytest.mark.security("S28")
def test_after_a_code_a_passkey_has_to_know_its_person(browser, tenant, alice):
    key = give_passkey(alice)
    set_policy(tenant, mfa_mode="always")
    for flags, status in ((UP, 400), (None, 302)):
        handle = order_after_a_minute(browser)
        options = options_on(browser.get(f"/login?transaction={handle}"), "get")
        assert options["userVerification"] == "required"
        credential = key.get(options, ORIGIN, **({"flags": flags} if flags is not None else {}))
        response = browser.post("/login", {"transaction": handle, "credential": credential})
        assert response.status_code == status
    session = SSOSession.objects.get()
    assert (session.amr, session.acr) == (["otp", "hwk", "user"], assurance.PHISHING_RESISTANT)


@pytest.mark.security("S28")
def test_where_mail_is_no_second_factor_a_password_after_it_is_none_either(browser, tenant, alice):
    """Whoever reads the mailbox has the password replaced by mail: the two are one proof there."""
    enrol(alice)
    set_policy(tenant, mfa_mode="always", factors_allowed="totp passkey")
    assert give(browser, order(browser), mailed_code()).status_code == 403
    assert SSOSession.objects.count() == 0


@pytest.mark.security("S28")
def test_whoever_reads_the_mailbox_adds_no_factor_beside_an_app(browser, tenant, alice):
    enrol(alice)
    User.objects.filter(pk=alice.pk).update(password="!")
    set_policy(tenant, mfa_mode="always")
    assert give(browser, order(browser), mailed_code()).status_code == 403


def test_who_has_nothing_else_adds_a_passkey_after_the_code(browser, tenant, alice):
    User.objects.filter(pk=alice.pk).update(password="!")
    set_policy(tenant, mfa_mode="always")
    handle = order(browser)
    page = step_page(browser, handle, mailed_code())
    assert "data-passkey-create" in page
    assert "QR code" not in page


@pytest.mark.security("S28")
def test_operators_who_need_a_factor_of_their_own_are_not_content_with_code_and_password(browser, tenant):
    make_operator(tenant, user_name="olga", email="olga@example.org", email_verified=True, password=PASSWORD)
    set_policy(tenant, operators_need_own_factor=True)
    page = step_page(browser, order(browser, "olga@example.org"), mailed_code())
    assert "data-passkey-create" in page


@pytest.mark.security("S28")
def test_a_session_of_a_code_changes_no_factor_before_the_password(browser, tenant, alice):
    assert give(browser, order(browser), mailed_code()).status_code == 302
    response = browser.get("/account/factors/app")
    assert "after the code, your password" in browser.get(response["Location"]).content.decode()


def test_the_request_of_the_application_is_kept(browser, tenant, alice):
    browser.open_login()
    handle = login.begin(
        tenant=tenant,
        binding=browser.client.cookies["monban_browser"].value,
        context=RequestContext(tenant=tenant),
        next_url="/account/password",
    )
    order(browser, handle=handle)
    assert give(browser, handle, mailed_code())["Location"] == "/account/password"
