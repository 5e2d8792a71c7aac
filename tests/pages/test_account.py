"""The account page and what is done from it."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
import time_machine
from django.contrib.auth.hashers import make_password
from django.core import mail
from django.utils import timezone

from identity import registry
from identity.context import RequestContext
from identity.models import AuditEvent, Delivery, SessionEndReason, SessionKind, SSOSession, User
from identity.sign_in import reauthentication
from identity.signals import session_ended
from identity.sso import sessions
from tests.factories import PASSWORD, make_application, make_user
from tests.pages.conftest import Browser, alert_of, next_query

FRESH = "Calm-Lantern-58"


@pytest.mark.parametrize("path", ["/account", "/account/password", "/account/email", "/confirm-password"])
def test_pages_of_the_account_ask_for_a_sign_in_and_come_back(browser, path):
    response = browser.get(path)
    assert response.status_code == 302
    assert response["Location"] == "/login" + next_query(path)


def test_account_shows_profile_sessions_and_applications(signed_in, tenant, alice):
    session = SSOSession.objects.get()
    sessions.join(session, make_application(tenant, name="Wiki"), client_ref="wiki")
    page = signed_in.get("/account").content.decode()
    for text in ("Alice", "alice@example.org", "Wiki", f"/account/sessions/{session.sid}/end", "This device"):
        assert text in page
    assert session.handle_hash not in page


def test_account_says_what_the_applications_of_an_ended_session_answered(signed_in, tenant, alice):
    other = Browser()
    other.sign_in(alice)
    session = SSOSession.objects.order_by("pk").last()
    wiki = make_application(tenant, name="Wiki", code="wiki")
    sessions.join(session, wiki, client_ref="wiki")
    sessions.join(session, make_application(tenant, name="Notes", code="notes"), client_ref="notes")
    values = {"tenant": tenant, "application": wiki, "kind": "test", "sid": session.sid}
    Delivery.objects.create(**values, url="https://wiki.example/", jti="a", next_attempt_at=timezone.now())
    assert "Where you were signed out" not in signed_in.get("/account").content.decode()
    signed_in.post(f"/account/sessions/{session.sid}/end")
    page = signed_in.get("/account").content.decode()
    assert "Ended by the user from elsewhere" in page
    assert re.findall(r'row-name">(\w+)</p>\s*<p>([^<]+)</p>', page) == [
        ("Notes", "It takes no notice of sign-outs. Sign out there yourself."),
        ("Wiki", "It is being told."),
    ]
    Delivery.objects.update(state="delivered")
    assert "It has confirmed the sign-out." in signed_in.get("/account").content.decode()


def test_account_page_masks_the_mobile_number(signed_in, alice):
    alice.mobile = "13812345678"
    alice.save()
    page = signed_in.get("/account").content.decode()
    assert "138****5678" in page
    assert "13812345678" not in page


def test_who_has_no_password_is_led_to_set_one_by_a_code(signed_in, alice):
    """They have no present password, which changing it would ask for."""
    page = signed_in.get("/account").content.decode()
    assert ("/account/password" in page, "/forgot-password" in page) == (True, False)
    User.objects.filter(pk=alice.pk).update(password=make_password(None))
    page = signed_in.get("/account").content.decode()
    assert ("/account/password" in page, "/forgot-password" in page) == (False, True)


def test_ending_another_session_signs_that_browser_out(signed_in, alice):
    other = Browser()
    other.sign_in(alice)
    sid = SSOSession.objects.order_by("pk").last().sid
    heard = []
    session_ended.connect(
        lambda **kwargs: heard.append((kwargs["session"].sid, kwargs["reason"])), weak=False, dispatch_uid="t"
    )
    try:
        assert signed_in.post(f"/account/sessions/{sid}/end")["Location"] == "/account"
    finally:
        session_ended.disconnect(dispatch_uid="t")
    assert heard == [(sid, SessionEndReason.ENDED_BY_USER)]
    assert not other.is_signed_in
    assert signed_in.is_signed_in
    assert AuditEvent.objects.filter(event_type="session:end", sid=sid, actor_id=alice.public_id).count() == 1


def test_ending_the_present_session_signs_out(signed_in):
    sid = SSOSession.objects.get().sid
    response = signed_in.post(f"/account/sessions/{sid}/end")
    assert response["Location"] == "/logged-out"
    assert response.cookies["monban_session"].value == ""
    assert not signed_in.is_signed_in


@pytest.mark.security("S36")
def test_nobody_ends_another_persons_session(signed_in, tenant):
    bob = Browser()
    bob.sign_in(make_user(tenant))
    sid = SSOSession.objects.order_by("pk").last().sid
    assert signed_in.post(f"/account/sessions/{sid}/end").status_code == 404
    assert signed_in.post("/account/sessions/%00/end").status_code == 400
    assert bob.is_signed_in


def test_a_link_ends_no_session(signed_in):
    sid = SSOSession.objects.get().sid
    assert signed_in.get(f"/account/sessions/{sid}/end").status_code == 405
    assert signed_in.get("/logout").status_code == 200
    assert signed_in.is_signed_in


class Consents:
    """A protocol's consents, as the registry takes them."""

    def __init__(self) -> None:
        self.withdrawn: list[tuple[str, str]] = []

    def list(self, *, user: User) -> list[registry.AccountConsent]:
        return [registry.AccountConsent("c1", "Notes", ("E-mail address",), timezone.now())]

    def withdraw(self, *, user: User, consent_id: str, context: object) -> bool:
        self.withdrawn.append((user.user_name, consent_id))
        return consent_id == "c1"


def test_consents_of_a_registered_protocol_are_listed_and_withdrawn(signed_in, monkeypatch):
    source = Consents()
    monkeypatch.setattr(registry, "_consent_sources", {"test": source})
    page = signed_in.get("/account").content.decode()
    assert "Notes" in page
    assert "E-mail address" in page
    assert "/account/consents/test/c1/withdraw" in page
    assert signed_in.post("/account/consents/test/c1/withdraw")["Location"] == "/account"
    assert signed_in.post("/account/consents/test/c2/withdraw").status_code == 404
    assert signed_in.post("/account/consents/nothing/c1/withdraw").status_code == 404
    assert source.withdrawn == [("alice", "c1"), ("alice", "c2")]


# Password


def change(browser: Browser, old: str, new: str, repeat: str | None = None):
    form = {"old_password": old, "new_password": new, "repeat_password": repeat or new}
    return browser.post("/account/password", form)


@pytest.mark.security("S27")
def test_changed_password_keeps_this_browser_with_a_new_handle_and_ends_all_others(signed_in, alice):
    other = Browser()
    other.sign_in(alice)
    cookie = signed_in.session_cookie
    response = change(signed_in, PASSWORD, FRESH)
    assert response["Location"] == "/account/password?done=1"
    assert "Your password is changed" in signed_in.get(response["Location"]).content.decode()
    assert signed_in.session_cookie != cookie
    assert not other.is_signed_in
    alice.refresh_from_db()
    assert alice.epoch == 1
    assert Browser().sign_in(alice).status_code == 400
    assert Browser().sign_in(alice, FRESH).status_code == 302


@pytest.mark.security("S30")
def test_wrong_old_password_counts_like_a_wrong_password(signed_in, alice):
    statuses = [change(signed_in, "wrong", FRESH).status_code for _try in range(6)]
    assert statuses == [400, 400, 400, 400, 400, 429]
    assert Browser().sign_in(alice).status_code == 429


def test_refused_new_password_changes_nothing(signed_in, alice):
    response = change(signed_in, PASSWORD, PASSWORD)
    assert (response.status_code, alert_of(response)) == (400, "The new password is the same as the present one.")
    assert signed_in.is_signed_in
    event = AuditEvent.objects.get(event_type="password:change")
    assert (event.outcome, event.reason) == ("refused", "PARAM.0020")


# E-mail


@pytest.mark.security("S25")
def test_email_is_verified_by_the_mailed_code_only(signed_in, alice):
    User.objects.filter(pk=alice.pk).update(email_verified=False)
    assert "We will send a code" in signed_in.get("/account/email").content.decode()
    assert signed_in.post("/account/email", {"verification_code": "123456"}).status_code == 400
    assert signed_in.post("/account/email", {"resend": "1"}).status_code == 302
    code = re.search(r"\b(\d{6})\b", mail.outbox[-1].body)[1]
    assert mail.outbox[-1].to == ["alice@example.org"]
    wrong = f"{(int(code) + 1) % 1_000_000:06d}"
    assert signed_in.post("/account/email", {"verification_code": wrong}).status_code == 400
    alice.refresh_from_db()
    assert not alice.email_verified
    assert signed_in.post("/account/email", {"verification_code": code}).status_code == 302
    alice.refresh_from_db()
    assert alice.email_verified
    assert "is verified" in signed_in.get("/account/email").content.decode()


@pytest.mark.security("S25")
def test_code_for_an_old_address_does_not_verify_a_new_one(signed_in, alice):
    User.objects.filter(pk=alice.pk).update(email_verified=False)
    signed_in.post("/account/email", {"resend": "1"})
    code = re.search(r"\b(\d{6})\b", mail.outbox[-1].body)[1]
    User.objects.filter(pk=alice.pk).update(email="new@example.org", email_key="new@example.org")
    assert signed_in.post("/account/email", {"verification_code": code}).status_code == 400
    alice.refresh_from_db()
    assert not alice.email_verified


# Confirming the password


@pytest.mark.security("S27")
def test_confirmed_password_counts_for_ten_minutes_and_changes_the_handle(signed_in):
    cookie = signed_in.session_cookie
    response = signed_in.post("/confirm-password" + next_query("/account/email"), {"password": PASSWORD})
    assert response["Location"] == "/account/email"
    assert signed_in.session_cookie != cookie
    session = SSOSession.objects.get()
    assert reauthentication.is_recently_confirmed(session)
    with time_machine.travel(timezone.now() + timedelta(minutes=10, seconds=1)):
        assert not reauthentication.is_recently_confirmed(session)


@pytest.mark.security("S22")
def test_confirming_leads_to_our_own_paths_only(signed_in):
    response = signed_in.post("/confirm-password", {"password": PASSWORD, "next": "https://evil.example/"})
    assert response["Location"] == "/account"


@pytest.mark.security("S30")
def test_wrong_password_confirms_nothing_and_counts(signed_in):
    statuses = [signed_in.post("/confirm-password", {"password": "wrong"}).status_code for _try in range(6)]
    assert statuses == [400, 400, 400, 400, 400, 429]
    assert SSOSession.objects.get().password_confirmed_at is None
    assert AuditEvent.objects.filter(event_type="session:confirm_password", outcome="refused").count() >= 5


# Signing out


def test_signing_out_asks_first_and_ends_the_session(signed_in):
    assert signed_in.post("/logout", {"confirm": "no"})["Location"] == "/account"
    assert signed_in.is_signed_in
    response = signed_in.post("/logout", {"confirm": "yes"})
    assert response["Location"] == "/logged-out"
    assert response.cookies["monban_session"].value == ""
    assert "You are signed out" in signed_in.get("/logged-out").content.decode()
    assert SSOSession.objects.get().end_reason == SessionEndReason.SIGNED_OUT
    assert not signed_in.is_signed_in


# Sessions end


@pytest.mark.security("S26")
@pytest.mark.parametrize("cause", ["user disabled", "user deleted", "tenant closed", "tokens ended"])
def test_session_of_somebody_who_may_not_act_is_dead_at_once(signed_in, alice, cause):
    assert signed_in.is_signed_in
    values = {
        "user disabled": {"is_active": False},
        "user deleted": {"deleted_at": timezone.now()},
        "tokens ended": {"epoch": alice.epoch + 1},
    }
    if cause == "tenant closed":
        type(alice.tenant).objects.filter(pk=alice.tenant_id).update(is_active=False)
    else:
        User.objects.filter(pk=alice.pk).update(**values[cause])
    response = signed_in.get("/account")
    assert response.status_code == 302
    assert response.cookies["monban_session"].value == ""


def test_session_ends_when_idle_and_lives_on_when_used(signed_in):
    start = timezone.now()
    with time_machine.travel(start + timedelta(hours=7)):
        assert signed_in.is_signed_in
    with time_machine.travel(start + timedelta(hours=14)):
        assert signed_in.is_signed_in
    with time_machine.travel(start + timedelta(hours=22, seconds=5)):
        assert not signed_in.is_signed_in


def test_session_ends_after_a_day_however_much_it_is_used(signed_in):
    start = timezone.now()
    for hour in (6, 12, 18, 23):
        with time_machine.travel(start + timedelta(hours=hour)):
            assert signed_in.is_signed_in
    with time_machine.travel(start + timedelta(hours=24, seconds=5)):
        assert not signed_in.is_signed_in


def test_session_is_touched_once_a_minute(signed_in, django_assert_num_queries):
    start = SSOSession.objects.get().last_seen_at
    with time_machine.travel(start + timedelta(seconds=30)):
        signed_in.get("/account")
    assert SSOSession.objects.get().last_seen_at == start
    with time_machine.travel(start + timedelta(seconds=61)):
        signed_in.get("/account")
    assert SSOSession.objects.get().last_seen_at > start


@pytest.mark.security("S40")
def test_shortened_or_lengthened_handle_is_nobody(signed_in):
    handle = signed_in.session_cookie
    for value in (handle[:-1], handle + "A", handle[: len(handle) // 2], ""):
        signed_in.client.cookies["monban_session"] = value
        assert not signed_in.is_signed_in


@pytest.mark.security("S36")
def test_session_of_one_tenant_is_nobody_in_another(signed_in):
    from tests.factories import make_tenant

    make_tenant(host="other.monban.example")
    assert signed_in.get("/account", headers={"host": "other.monban.example"}).status_code == 302


def test_request_without_a_session_cookie_asks_no_session(browser, django_assert_num_queries):
    browser.get("/logged-out")
    with django_assert_num_queries(0):
        assert browser.get("/logged-out").status_code == 200


def test_session_is_loaded_with_one_query(signed_in, django_assert_num_queries):
    signed_in.get("/logged-out")
    with django_assert_num_queries(1):
        assert signed_in.get("/logged-out").status_code == 200


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:130.0) Gecko/20100101 Firefox/130.0", "Firefox, Windows"),
        (
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/129.0 Safari/537.36",
            "Chrome, Linux",
        ),
        ("curl/8.5", "curl/8.5"),
        ("", "Unknown device"),
    ],
)
def test_devices_have_names_for_people(db, user_agent, name):
    from identity.views.account import device_name

    assert device_name(user_agent) == name


def test_machine_endpoint_does_not_keep_a_session_alive(signed_in):
    start = SSOSession.objects.get().last_seen_at
    with time_machine.travel(start + timedelta(hours=1)):
        for path in ("/oauth2/userinfo", "/oauth2/jwks", "/.well-known/openid-configuration"):
            assert signed_in.get(path).status_code in {200, 401}, path
        assert SSOSession.objects.get().last_seen_at == start
        signed_in.get("/account")
        assert SSOSession.objects.get().last_seen_at > start


@pytest.mark.security("S27")
def test_session_token_of_an_app_is_no_cookie(browser, alice):
    _session, handle = sessions.start(
        user=alice, amr=["pwd"], context=RequestContext(tenant=alice.tenant), kind=SessionKind.SDK
    )
    browser.client.cookies["monban_session"] = handle
    assert not browser.is_signed_in


def test_person_without_an_address_has_none_to_verify(signed_in, alice):
    User.objects.filter(pk=alice.pk).update(email="", email_key="", email_verified=False)
    assert signed_in.get("/account/email")["Location"] == "/account"
