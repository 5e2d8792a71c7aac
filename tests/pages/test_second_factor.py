"""The second factor: a code by mail or text message."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core import mail
from django.http import HttpResponse
from django.utils import timezone

from identity.context import RequestContext
from identity.models import (
    AuditEvent,
    LoginTransaction,
    SessionPolicy,
    SSOSession,
    User,
    VerificationCode,
    VerificationPurpose,
)
from identity.sign_in import login, verification
from identity.sso import access
from tests.factories import PASSWORD, make_application, make_user
from tests.pages.conftest import Browser, alert_of, handle_in
from tests.sdk_api.mobile import MOBILE, inbox

__all__ = ["inbox"]


@pytest.fixture(autouse=True)
def always(tenant):
    """The tenant always asks for a second factor."""
    SessionPolicy.objects.filter(tenant=tenant).update(mfa_mode="always")


def mailed_code() -> str:
    found = re.search(r"\b(\d{6})\b", str(mail.outbox[-1].body))
    assert found
    return found[1]


def first_step(browser: Browser, user: User) -> tuple[str, HttpResponse]:
    """Give the password; return the handle and the page that asks for the code."""
    response = browser.sign_in(user)
    handle = handle_in(response)
    return handle, browser.get(response["Location"])


def give_code(browser: Browser, handle: str, code: str, **extra: Any) -> HttpResponse:
    return browser.post("/login", {"transaction": handle, "verification_code": code, **extra})


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06d}"


def test_mailed_code_finishes_the_sign_in_with_two_factors(browser, alice):
    handle, page = first_step(browser, alice)
    assert "a***@example.org" in page.content.decode()
    assert [message.to for message in mail.outbox] == [["alice@example.org"]]
    assert not browser.is_signed_in
    assert give_code(browser, handle, mailed_code())["Location"] == "/account"
    session = SSOSession.objects.get()
    assert (session.amr, session.acr) == (["pwd", "otp"], "urn:monban:acr:multi-factor")
    types = list(AuditEvent.objects.filter(outcome="success").values_list("event_type", flat=True))
    assert types[-3:] == ["login:second_factor", "session:start", "login:success"]


@pytest.mark.security("S28")
def test_no_other_page_is_reached_between_the_factors(browser, alice):
    handle, _page = first_step(browser, alice)
    for path in ("/account", "/account/password", "/confirm-password"):
        assert browser.get(path).status_code == 302
    assert browser.post("/login", {"transaction": handle, "skip": "1"}).status_code == 400
    assert browser.post("/login", {"transaction": handle, "choice": "continue"}).status_code == 400
    form = {"transaction": handle, "new_password": "Fresh-Harbour-77", "repeat_password": "Fresh-Harbour-77"}
    assert browser.post("/login", form).status_code == 400
    assert SSOSession.objects.count() == 0


@pytest.mark.security("S28")
def test_password_once_more_does_not_count_as_a_second_factor(browser, alice):
    handle, _page = first_step(browser, alice)
    form = {"transaction": handle, "identifier": "alice", "password": PASSWORD}
    assert browser.post("/login", form).status_code == 400
    assert SSOSession.objects.count() == 0


@pytest.mark.security("S29")
@pytest.mark.parametrize("code", ["", "000000", "\x00", "１２３４５６", "a" * 40])
def test_empty_or_wrong_code_does_not_pass(browser, alice, code):
    handle, _page = first_step(browser, alice)
    if code == mailed_code():
        code = wrong(code)
    assert give_code(browser, handle, code).status_code == 400
    assert SSOSession.objects.count() == 0


@pytest.mark.security("S29")
def test_code_of_another_person_does_not_pass(browser, tenant, alice):
    bob = make_user(tenant, user_name="bob", email="bob@example.org", email_verified=True)
    handle, _page = first_step(browser, alice)
    alices = mailed_code()
    first_step(Browser(), bob)
    if mailed_code() == alices:
        pytest.skip("two random codes are equal")
    assert give_code(browser, handle, mailed_code()).status_code == 400


@pytest.mark.security("S29")
def test_code_is_spent_once(browser, alice):
    handle, _page = first_step(browser, alice)
    code = mailed_code()
    assert give_code(browser, handle, code).status_code == 302
    other = Browser()
    handle = handle_in(other.sign_in(alice))
    assert give_code(other, handle, code).status_code == 400


@pytest.mark.security("S29")
def test_a_code_is_good_for_the_sign_in_alone_that_it_was_sent_for(browser, alice):
    """Somebody who knows the password is not let in by the code of the person's own sign-in."""
    handle, _page = first_step(browser, alice)
    code = mailed_code()
    thief = Browser()
    other, page = first_step(thief, alice)
    # The limit held it back, so the page does not say that anything was sent.
    text = page.content.decode()
    assert (page.status_code, len(mail.outbox)) == (429, 1)
    assert "We have sent a code" not in text
    assert "There is no code on its way" in text
    assert give_code(thief, other, code).status_code == 400
    assert not thief.is_signed_in
    with time_machine.travel(timezone.now() + timedelta(seconds=61)):
        assert "We have sent a code" in thief.get(f"/login?transaction={other}").content.decode()
        # Which is another one, good for nothing in the first sign-in, whose page says so now.
        assert give_code(browser, handle, mailed_code()).status_code == 400
        assert "There is no code on its way" in browser.get(f"/login?transaction={handle}").content.decode()
        assert give_code(thief, other, mailed_code()).status_code == 302


@pytest.mark.security("S29")
def test_a_code_that_an_app_may_order_opens_no_browsers_sign_in(browser, tenant, alice):
    """Apps order theirs by the number alone, so anybody does."""
    verification.send(
        tenant=tenant,
        purpose=VerificationPurpose.SECOND_FACTOR,
        target=verification.email_of(alice),
        user=alice,
        context=RequestContext(tenant=tenant),
        is_ordered_freely=True,
    )
    handle, _page = first_step(browser, alice)
    assert give_code(browser, handle, mailed_code()).status_code == 400
    assert not browser.is_signed_in


@pytest.mark.security("S27")
def test_second_step_in_another_browser_is_refused(browser, alice):
    handle, _page = first_step(browser, alice)
    thief = Browser()
    assert give_code(thief, handle, mailed_code()).status_code == 400
    assert not thief.is_signed_in


@pytest.mark.security("S30")
def test_wrong_codes_lock_the_account_like_wrong_passwords(browser, alice):
    handle, _page = first_step(browser, alice)
    code = mailed_code()
    answers = [give_code(browser, handle, wrong(code)).status_code for _try in range(6)]
    assert answers == [400, 400, 400, 400, 400, 429]
    alice.refresh_from_db()
    assert alice.locked_until > timezone.now()
    locked = give_code(browser, handle, code)
    assert (locked.status_code, int(locked["Retry-After"]) > 800) == (429, True)
    assert Browser().sign_in(alice).status_code == 429
    assert SSOSession.objects.count() == 0


@pytest.mark.security("S30")
def test_password_and_code_count_together(browser, alice):
    handle, _page = first_step(browser, alice)
    code = mailed_code()
    for _try in range(3):
        give_code(browser, handle, wrong(code))
    for _try in range(2):
        Browser().sign_in(alice, "wrong")
    assert give_code(browser, handle, code).status_code == 429


@pytest.mark.security("S30")
def test_a_code_takes_five_tries_even_where_the_account_takes_more(browser, tenant, alice):
    tenant.password_policy.max_failures = 50
    tenant.password_policy.save()
    handle, _page = first_step(browser, alice)
    code = mailed_code()
    for _try in range(5):
        assert give_code(browser, handle, wrong(code)).status_code == 400
    assert give_code(browser, handle, code).status_code == 400


def test_code_is_valid_for_five_minutes(browser, alice):
    handle, _page = first_step(browser, alice)
    code = mailed_code()
    with time_machine.travel(timezone.now() + timedelta(minutes=5, seconds=1)):
        assert give_code(browser, handle, code).status_code == 400


def test_new_code_is_sent_after_a_minute_and_voids_the_old_one(browser, alice):
    handle, _page = first_step(browser, alice)
    early = give_code(browser, handle, "", resend="1")
    assert (early.status_code, len(mail.outbox)) == (429, 1)
    assert 0 < int(early["Retry-After"]) <= 60
    old = mailed_code()
    with time_machine.travel(timezone.now() + timedelta(seconds=61)):
        assert give_code(browser, handle, "", resend="1").status_code == 302
        assert len(mail.outbox) == 2
        if mailed_code() != old:
            assert give_code(browser, handle, old).status_code == 400
        assert give_code(browser, handle, mailed_code()).status_code == 302
    assert VerificationCode.objects.filter(consumed_at=None).count() == 0


def test_at_most_five_codes_an_hour_go_to_one_mailbox(browser, alice):
    handle, _page = first_step(browser, alice)
    start = timezone.now()
    statuses = []
    for step in range(1, 7):
        with time_machine.travel(start + timedelta(seconds=70 * step)):
            statuses.append(give_code(browser, handle, "", resend="1").status_code)
    assert statuses == [302, 302, 302, 302, 429, 429]


def test_code_is_not_stored_nor_recorded_in_clear(browser, alice):
    first_step(browser, alice)
    code = mailed_code()
    row = VerificationCode.objects.get()
    assert code not in {row.code_hash, row.target_index, row.target_masked}
    assert "alice@example.org" not in f"{row.target_index}{row.target_masked}"
    assert not any(code in f"{event.details}{event.personal}" for event in AuditEvent.objects.all())


@pytest.mark.security("S28")
def test_without_a_verified_mailbox_nobody_gets_past_the_rule(browser, tenant):
    user = make_user(tenant, email="x@example.org", email_verified=False)
    response = browser.sign_in(user)
    # The password was right, so the person may hear what is missing, and set it up.
    assert "Set up a second step" in browser.get(response["Location"]).content.decode()
    assert mail.outbox == []
    assert LoginTransaction.objects.get().state == "FACTOR_ENROL"
    assert SSOSession.objects.count() == 0


def test_rule_of_the_application_wins_over_the_tenants(browser, tenant, alice):
    context = RequestContext(tenant=tenant)
    for mode, asks in [("never", False), ("always", True)]:
        SessionPolicy.objects.filter(tenant=tenant).update(mfa_mode="always" if mode == "never" else "never")
        one = Browser()
        one.open_login()
        binding = one.client.cookies["monban_browser"].value
        application = make_application(tenant, mfa_mode=mode)
        handle = login.begin(tenant=tenant, binding=binding, context=context, application=application)
        assert ("transaction=" in one.sign_in(alice, transaction=handle)["Location"]) is asks


@pytest.mark.security("S28")
def test_step_up_asks_only_for_the_missing_factor_and_keeps_the_session(browser, tenant, alice):
    SessionPolicy.objects.filter(tenant=tenant).update(mfa_mode="never")
    browser.sign_in(alice)
    session = SSOSession.objects.select_related("user__tenant__session_policy").get()
    application = make_application(tenant, mfa_mode="always")
    assert not access.is_sufficient(session=session, application=application)
    cookie = browser.session_cookie
    handle = login.begin(
        tenant=tenant,
        binding=browser.client.cookies["monban_browser"].value,
        context=RequestContext(tenant=tenant),
        application=application,
        session=session,
        next_url="/account/password",
    )
    assert "verification_code" in browser.get(f"/login?transaction={handle}").content.decode()
    assert give_code(browser, handle, mailed_code())["Location"] == "/account/password"
    after = SSOSession.objects.select_related("user__tenant__session_policy").get()
    assert (after.pk, after.amr, after.authenticated_at) == (session.pk, ["pwd", "otp"], session.authenticated_at)
    assert access.is_sufficient(session=after, application=application)
    assert browser.session_cookie != cookie
    assert browser.is_signed_in


@pytest.mark.security("S26")
def test_user_disabled_between_the_steps_is_not_signed_in(browser, alice):
    handle, _page = first_step(browser, alice)
    User.objects.filter(pk=alice.pk).update(is_active=False)
    response = give_code(browser, handle, mailed_code())
    assert (response.status_code, alert_of(response)) == (400, "The user name or the password is not right.")
    assert SSOSession.objects.count() == 0


def test_mail_that_cannot_be_sent_is_told_and_can_be_tried_again(browser, alice, settings):
    settings.EMAIL_BACKEND = "tests.support.mail.BrokenBackend"
    handle, page = first_step(browser, alice)
    assert alert_of(page) == "The code could not be sent. Please try again later."
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    assert give_code(browser, handle, "", resend="1").status_code == 302
    assert give_code(browser, handle, mailed_code()).status_code == 302


# Text message or mail --------------------------------------------------------------------------------------


@pytest.fixture
def with_number(alice, inbox):
    """Alice has a verified number, beside her mailbox."""
    alice.mobile, alice.phone_number_verified = MOBILE, True
    alice.save()
    return alice


def test_a_text_message_is_the_second_factor_of_a_verified_number(browser, with_number, inbox):
    User.objects.update(email_verified=False)
    handle, page = first_step(browser, with_number)
    assert "138****5678" in page.content.decode()
    assert "send_to" not in page.content.decode()
    assert ([message.target for message in inbox.messages], mail.outbox) == (["+8613812345678"], [])
    assert give_code(browser, handle, inbox.messages[0].verification_code)["Location"] == "/account"
    session = SSOSession.objects.get()
    assert (session.amr, session.acr) == (["pwd", "sms"], "urn:monban:acr:multi-factor")


def test_who_has_both_chooses(browser, with_number, inbox):
    handle, page = first_step(browser, with_number)
    assert "138****5678" in page.content.decode()
    assert 'name="send_to" value="email"' in page.content.decode()
    response = browser.post("/login", {"transaction": handle, "send_to": "email"})
    page = browser.get(response["Location"])
    assert "a***@example.org" in page.content.decode()
    assert 'name="send_to" value="sms"' in page.content.decode()
    assert [message.to for message in mail.outbox] == [["alice@example.org"]]
    if inbox.messages[0].verification_code != mailed_code():
        assert give_code(browser, handle, inbox.messages[0].verification_code).status_code == 400
    assert give_code(browser, handle, mailed_code())["Location"] == "/account"
    assert SSOSession.objects.get().amr == ["pwd", "otp"]


@pytest.mark.security("S29")
@pytest.mark.parametrize("place", ["sms", "", "totp", "\x00"])
def test_what_is_no_place_of_this_person_cannot_be_chosen(browser, alice, inbox, place):
    handle, _page = first_step(browser, alice)
    browser.post("/login", {"transaction": handle, "send_to": place})
    assert (inbox.messages, SSOSession.objects.count()) == ([], 0)
    assert LoginTransaction.objects.get(user=alice).data.get("second_factor") is None


@pytest.mark.security("S30")
def test_both_places_count_on_one_row(browser, with_number, inbox):
    handle, _page = first_step(browser, with_number)
    sent = inbox.messages[0].verification_code
    for _try in range(3):
        give_code(browser, handle, wrong(sent))
    page = browser.get(browser.post("/login", {"transaction": handle, "send_to": "email"})["Location"])
    assert page.status_code == 200
    answers = [give_code(browser, handle, wrong(mailed_code())).status_code for _try in range(3)]
    assert answers == [400, 400, 429]
