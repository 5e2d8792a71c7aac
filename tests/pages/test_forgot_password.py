"""A forgotten password, over HTTP."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
import time_machine
from django.core import mail
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from identity import copies
from identity.context import RequestContext
from identity.messaging import messages
from identity.models import AttemptCounter, AuditEvent, LoginTransaction, PasswordPolicy, SSOSession, VerificationCode
from identity.sign_in import captcha, verification
from tests.factories import PASSWORD, make_user
from tests.pages.conftest import Browser, alert_of, handle_in
from tests.pages.forgot_password import FRESH, ask, mailed_code, reset, wrong
from tests.pages.puzzles import answer_to, token_in
from tests.sdk_api.mobile import MOBILE, OTHER_MOBILE, inbox
from tests.support.turns import turns_taken

__all__ = ["inbox"]


def test_mailed_code_sets_a_new_password_and_ends_every_session(browser, alice):
    other = Browser()
    other.sign_in(alice)
    handle = ask(browser, "alice")
    assert mail.outbox[-1].to == ["alice@example.org"]
    response = reset(browser, handle, mailed_code())
    assert response["Location"] == "/forgot-password/done"
    assert "Your password is changed" in browser.get(response["Location"]).content.decode()
    assert not other.is_signed_in
    # S29: the proof of a mailbox sets a password; it signs nobody in.
    assert not browser.is_signed_in
    assert browser.sign_in(alice, FRESH).status_code == 302
    assert Browser().sign_in(alice, PASSWORD).status_code == 400


@pytest.mark.security("S30")
def test_where_too_many_passwords_are_hashed_no_try_counts_and_the_code_stays_good(browser, alice):
    handle, code = ask(browser, "alice"), mailed_code()
    with turns_taken():
        for _number in range(3):
            assert reset(browser, handle, code).status_code == 503
    assert set(AttemptCounter.objects.filter(kind="source").values_list("failures", flat=True)) == {0}
    assert LoginTransaction.objects.latest("pk").failures == 0
    assert reset(browser, handle, code)["Location"] == "/forgot-password/done"


@pytest.mark.parametrize("spelling", ["{0} {1}", "{0}-{1}", "\u200b{0}{1}"])
def test_mailed_code_may_be_typed_in_groups(browser, alice, spelling):
    handle = ask(browser, "alice")
    code = mailed_code()
    assert reset(browser, handle, spelling.format(code[:3], code[3:])).status_code == 302


@pytest.mark.security("S33")
def test_unknown_unverified_and_disabled_get_the_same_answer_and_the_same_work(tenant, alice):
    make_user(tenant, user_name="unverified", email="u@example.org", email_verified=False)
    make_user(tenant, user_name="disabled", email="d@example.org", email_verified=True, is_active=False)
    make_user(tenant, user_name="mailless")
    ask(Browser(), "first-of-this-source")
    answers, costs, pages = set(), set(), set()
    for name in ("alice", "nobody", "unverified", "disabled", "mailless"):
        browser = Browser()
        with CaptureQueriesContext(connection) as queries:
            response = browser.post("/forgot-password", {"identifier": name})
        handle = handle_in(response)
        answers.add((response.status_code, response["Location"].replace(handle, ""), len(handle)))
        # What became of the message is written beside the answer, where the gateway is waited for.
        costs.add(sum("identity_sentmessage" not in query["sql"] for query in queries))
        page = browser.get(response["Location"]).content.decode()
        pages.add(re.sub(r'value="[^"]*"', "", page))
        refused = reset(browser, handle, wrong(mailed_code()))
        answers.add((refused.status_code, alert_of(refused)))
    assert answers == {
        (302, "/forgot-password/code?transaction=", 43),
        (400, "The code is not right, or it is no longer valid."),
    }
    assert len(costs) == 1
    assert len(pages) == 1
    assert [message.to for message in mail.outbox] == [["alice@example.org"]]


@pytest.mark.security("S33")
@pytest.mark.security("S46")
@pytest.mark.parametrize("rights", [{"is_staff": True}, {"is_superuser": True}])
def test_no_code_goes_to_an_operator(browser, alice, rights):
    """The answer is that of everybody; an operator's mailbox is worth the console."""
    type(alice).objects.filter(pk=alice.pk).update(**rights)
    ask(browser, "alice")
    assert mail.outbox == []


@pytest.fixture
def olga(tenant):
    """An operator with a proved mailbox and a proved number, in a tenant that allows the reset."""
    PasswordPolicy.objects.filter(tenant=tenant).update(operators_may_reset=True)
    copies.clear()
    proved = {"email": "olga@example.org", "email_verified": True, "mobile": MOBILE, "phone_number_verified": True}
    return make_user(tenant, user_name="olga", password=PASSWORD, is_staff=True, **proved)


@pytest.mark.security("S46")
def test_an_operator_needs_a_code_to_the_mailbox_and_one_to_the_telephone(browser, olga, inbox):
    handle = ask(browser, "olga")
    assert (mail.outbox[-1].to, inbox.messages) == (["olga@example.org"], [])
    first = mailed_code()
    second_page = reset(browser, handle, first)["Location"]
    assert "another one is needed" in browser.get(second_page).content.decode()
    olga.refresh_from_db()
    assert olga.check_password(PASSWORD)
    # The first code is spent, and is no second one.
    assert reset(browser, handle, first).status_code == 400
    assert len(inbox.messages) == 1
    code = inbox.messages[-1].verification_code
    assert reset(browser, handle, code)["Location"] == "/forgot-password/done"
    olga.refresh_from_db()
    assert olga.check_password(FRESH)


@pytest.mark.security("S46")
@pytest.mark.parametrize(
    "change", [{"email_verified": False}, {"phone_number_verified": False}, {"is_superuser": True}]
)
def test_an_operator_without_both_and_a_superuser_get_no_code(browser, olga, inbox, change):
    type(olga).objects.filter(pk=olga.pk).update(**change)
    ask(browser, "olga")
    assert (mail.outbox, inbox.messages) == ([], [])


@pytest.mark.security("S46")
def test_whoever_became_an_operator_meanwhile_finishes_no_reset(browser, alice):
    handle = ask(browser, "alice")
    type(alice).objects.filter(pk=alice.pk).update(is_staff=True)
    assert reset(browser, handle, mailed_code()).status_code == 400
    alice.refresh_from_db()
    assert alice.check_password(PASSWORD)


def test_asking_twice_by_two_names_does_not_tell_that_they_are_one_persons(tenant, alice):
    for name in ("alice", "alice@example.org", "alice", "nobody", "nobody"):
        ask(Browser(), name)
    assert len(mail.outbox) == 1


def test_sending_does_not_hold_up_the_answer(browser, alice, settings, monkeypatch):
    settings.IDENTITY = {**settings.IDENTITY, "send_beside_answer": True}
    submitted = []

    monkeypatch.setattr(messages._background(), "submit", lambda work, *args: submitted.append((work, args)))
    monkeypatch.setattr(messages, "close_old_connections", lambda: None)  # it runs in this test's own transaction
    ask(browser, "alice")
    assert mail.outbox == []
    ((work, args),) = submitted
    work(*args)
    assert len(mail.outbox) == 1


@pytest.mark.security("S30")
def test_code_takes_five_tries(browser, alice):
    handle = ask(browser, "alice")
    code = mailed_code()
    assert [reset(browser, handle, wrong(code)).status_code for _try in range(5)] == [400] * 5
    assert reset(browser, handle, code).status_code == 400
    assert Browser().sign_in(alice).status_code == 302


def test_guesses_at_the_password_do_not_keep_the_owner_from_the_reset(browser, alice):
    for _try in range(6):
        Browser().sign_in(alice, "wrong")
    assert reset(browser, ask(browser, "alice"), mailed_code()).status_code == 302
    assert Browser().sign_in(alice, FRESH).status_code == 302


@pytest.mark.security("S29")
def test_refused_password_leaves_the_code_open(browser, alice):
    handle = ask(browser, "alice")
    response = reset(browser, handle, mailed_code(), PASSWORD)
    assert (response.status_code, alert_of(response)) == (400, "This password was used before. Choose another one.")
    assert reset(browser, handle, mailed_code()).status_code == 302


@pytest.mark.security("S30")
def test_refused_passwords_are_no_guesses_at_the_code_and_wrong_codes_stay_counted(browser, alice):
    handle, code = ask(browser, "alice"), mailed_code()
    wrong = f"{(int(code) + 1) % 1_000_000:06d}"
    for _ in range(verification.MAX_TRIES - 1):
        assert reset(browser, handle, wrong).status_code == 400
    for _ in range(3):
        response = reset(browser, handle, code, PASSWORD)
        assert alert_of(response) == "This password was used before. Choose another one."
    assert VerificationCode.objects.get().failures == verification.MAX_TRIES - 1
    assert reset(browser, handle, wrong).status_code == 400
    assert reset(browser, handle, code).status_code == 400


@pytest.mark.security("S29")
def test_code_is_spent_once_and_a_reset_is_finished_once(browser, alice):
    handle = ask(browser, "alice")
    code = mailed_code()
    assert reset(browser, handle, code).status_code == 302
    assert reset(browser, handle, code, "Other-Lantern-58").status_code == 400


@pytest.mark.security("S27")
def test_reset_in_another_browser_is_refused(browser, alice):
    handle = ask(browser, "alice")
    assert reset(Browser(), handle, mailed_code()).status_code == 400


@pytest.mark.security("S29")
def test_a_reset_is_no_sign_in_and_a_sign_in_is_no_reset(browser, alice):
    handle = ask(browser, "alice")
    assert browser.sign_in(alice, transaction=handle).status_code == 400
    assert reset(browser, browser.open_login(), mailed_code()).status_code == 400
    assert SSOSession.objects.count() == 0


def test_code_runs_out(browser, alice):
    handle = ask(browser, "alice")
    code = mailed_code()
    with time_machine.travel(timezone.now() + timedelta(minutes=6)):
        assert reset(browser, handle, code).status_code == 400


def test_one_source_asks_thirty_times_an_hour(tenant, alice):
    for number in range(30):
        ask(Browser(), f"nobody{number}")
    response = Browser().post("/forgot-password", {"identifier": "alice"})
    assert response.status_code == 429
    assert int(response["Retry-After"]) > 3000
    assert mail.outbox == []


def test_address_is_not_kept_in_clear(browser, alice):
    ask(browser, "alice")
    row = LoginTransaction.objects.get()
    assert "alice@example.org" not in str(row.data)
    assert "alice@example.org" not in VerificationCode.objects.get().target_masked
    events = AuditEvent.objects.filter(event_type="verification:send")
    assert events.count() == 1
    assert "alice@example.org" not in str(events.values())


def test_mail_is_in_the_language_of_the_page(alice):
    browser = Browser()
    browser.post("/forgot-password", {"identifier": "alice"}, headers={"accept-language": "ja"})
    assert mail.outbox[0].body != ""
    assert not mail.outbox[0].subject.isascii()


# By text message -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "has_mailbox", "goes_to"),
    [("alice", True, "mail"), (MOBILE, True, "sms"), ("alice", False, "sms"), ("alice@example.org", True, "mail")],
)
def test_a_code_goes_to_the_number_that_was_typed_or_is_all_there_is(
    browser, alice, inbox, typed, has_mailbox, goes_to
):
    alice.mobile, alice.phone_number_verified, alice.email_verified = f"+86{MOBILE}", True, has_mailbox
    alice.save()
    handle = ask(browser, typed)
    assert (len(mail.outbox), len(inbox.messages)) == ((1, 0) if goes_to == "mail" else (0, 1))
    code = mailed_code() if goes_to == "mail" else inbox.messages[0].verification_code
    assert reset(browser, handle, code)["Location"] == "/forgot-password/done"
    assert browser.sign_in(alice, FRESH).status_code == 302


PLACE = "/forgot-password"


@pytest.fixture
def anna(tenant, inbox):
    """Somebody with a telephone and no mailbox, in a tenant that sends text messages."""
    return make_user(tenant, user_name="anna", password=PASSWORD, mobile=MOBILE, phone_number_verified=True)


@pytest.mark.security("S30")
def test_no_text_message_goes_out_without_a_right_answer(browser, anna, inbox):
    page = browser.post(PLACE, {"identifier": "anna"})
    assert (page.status_code, alert_of(page)) == (200, "")
    assert 'value="anna"' in page.content.decode()
    wrong = browser.post(PLACE, {"identifier": "anna", **answer_to(page, off_by=9)})
    assert (wrong.status_code, alert_of(wrong)) == (
        400,
        "The piece did not fit, or it took too long. Here is a new puzzle.",
    )
    assert token_in(wrong) not in ("", token_in(page))
    # The puzzle that was answered wrongly is over: it is no second guess.
    assert browser.post(PLACE, {"identifier": "anna", **answer_to(page)}).status_code == 400
    assert (inbox.messages, VerificationCode.objects.count()) == ([], 0)
    assert browser.post(PLACE, {"identifier": "anna", **answer_to(wrong, off_by=-5)}).status_code == 302
    assert len(inbox.messages) == 1


@pytest.mark.security("S30")
def test_a_puzzle_is_good_for_one_message_in_the_browser_that_was_shown_it(browser, anna, inbox):
    answer = answer_to(browser.post(PLACE, {"identifier": "anna"}))
    assert Browser().post(PLACE, {"identifier": "anna", **answer}).status_code == 400
    assert browser.post(PLACE, {"identifier": "anna", **answer}).status_code == 302
    assert browser.post(PLACE, {"identifier": "somebody-else", **answer}).status_code == 400
    late = answer_to(browser.post(PLACE, {"identifier": "anna"}))
    with time_machine.travel(timezone.now() + timedelta(seconds=121)):
        assert browser.post(PLACE, {"identifier": "anna", **late}).status_code == 400
    assert len(inbox.messages) == 1


@pytest.mark.parametrize("position", ["", "left", "-1", "1e2", "9" * 5000, "١٢٠", "120.0"])
def test_what_is_no_position_is_a_wrong_answer(browser, anna, inbox, position):
    answer = {**answer_to(browser.post(PLACE, {"identifier": "anna"})), "captcha_position": position}
    assert browser.post(PLACE, {"identifier": "anna", **answer}).status_code == 400
    assert inbox.messages == []


@pytest.mark.parametrize("token", ["unknown", "\x00", "x" * 5000, "é"])
def test_a_puzzle_that_is_none_is_a_wrong_answer(browser, anna, inbox, token):
    answer = {"captcha": token, "captcha_position": "120"}
    assert browser.post(PLACE, {"identifier": "anna", **answer}).status_code == 400
    assert inbox.messages == []


@pytest.mark.security("S33")
def test_every_name_that_is_no_mailbox_costs_the_same_puzzle_and_the_same_work(tenant, alice, anna, inbox):
    make_user(tenant, user_name="disabled", mobile=OTHER_MOBILE, phone_number_verified=True, is_active=False)
    make_user(tenant, user_name="bert", mobile="+8613612345678", phone_number_verified=True)
    ask(Browser(), "first-of-this-source")
    answers, costs, pages = set(), set(), set()
    for name in ("alice", "anna", "nobody", "disabled", "13612345678", OTHER_MOBILE, "13712345678"):
        browser = Browser()
        with CaptureQueriesContext(connection) as asked:
            page = browser.post(PLACE, {"identifier": name})
        with CaptureQueriesContext(connection) as answered:
            response = browser.post(PLACE, {"identifier": name, **answer_to(page)})
        answers.add((response.status_code, response["Location"].replace(handle_in(response), "")))
        costs.add((len(asked), sum("identity_sentmessage" not in query["sql"] for query in answered)))
        pages.add(re.sub(r'value="[^"]*"|src="data:[^"]*"', "", page.content.decode()))
    assert answers == {(302, "/forgot-password/code?transaction=")}
    assert len(costs) == 1
    assert len(pages) == 1
    assert [message.target for message in inbox.messages] == ["+8613812345678", "+8613612345678"]
    assert [message.to for message in mail.outbox] == [["alice@example.org"]]


@pytest.mark.security("S33")
def test_who_is_named_by_a_mailbox_needs_no_puzzle_and_gets_no_text_message(tenant, alice, anna, inbox):
    type(anna).objects.filter(pk=anna.pk).update(email="anna@example.org", email_key="anna@example.org")
    for name in ("alice@example.org", "anna@example.org", "nobody@example.org"):
        assert Browser().post(PLACE, {"identifier": name}).status_code == 302
    assert ([message.to for message in mail.outbox], inbox.messages) == ([["alice@example.org"]], [])


def test_a_tenant_that_sends_no_text_messages_asks_nobody_for_a_puzzle(browser, alice):
    assert browser.post(PLACE, {"identifier": "alice"}).status_code == 302
    assert len(mail.outbox) == 1


def test_whoever_has_drawn_too_many_puzzles_is_told_to_wait(browser, tenant, anna):
    context = RequestContext(tenant=tenant, ip="127.0.0.1")
    for _number in range(captcha.PER_SOURCE.count):
        captcha.draw(tenant=tenant, binding="b", context=context)
    response = browser.post(PLACE, {"identifier": "anna"})
    assert (response.status_code, token_in(response), "Too many" in alert_of(response)) == (429, "", True)
    assert int(response["Retry-After"]) > 0


@pytest.mark.security("S23")
@pytest.mark.parametrize("number", [{"phone_number_verified": False}, {"mobile": "+12025550123"}])
def test_no_code_goes_to_a_number_that_is_not_proved_or_not_paid_for(browser, alice, inbox, number):
    alice.mobile, alice.phone_number_verified, alice.email_verified = MOBILE, True, False
    for name, value in number.items():
        setattr(alice, name, value)
    alice.save()
    ask(browser, "alice")
    assert (mail.outbox, inbox.messages) == ([], [])
