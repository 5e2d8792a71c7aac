"""Signing in with a password, over HTTP."""

from __future__ import annotations

import logging

import pytest
from django.contrib.auth.hashers import make_password
from django.test import Client
from django.utils import timezone

from identity.models import (
    AttemptCounter,
    AuditEvent,
    LoginTransaction,
    PasswordPolicy,
    SessionEndReason,
    SSOSession,
    User,
)
from tests.factories import PASSWORD, make_application, make_tenant, make_user
from tests.pages.conftest import Browser, alert_of, next_query, transaction_of
from tests.support.hashers import CountedArgon2id
from tests.support.turns import turns_taken


def test_right_password_signs_in_and_leads_to_the_account(browser, alice):
    response = browser.sign_in(alice)
    assert (response.status_code, response["Location"]) == (302, "/account")
    assert browser.is_signed_in
    session = SSOSession.objects.get(user=alice)
    assert (session.amr, session.acr) == (["pwd"], "urn:monban:acr:single-factor")
    assert AuditEvent.objects.filter(event_type="login:success", actor_id=alice.public_id, sid=session.sid).count() == 1


def test_session_cookie_is_opaque_hidden_from_scripts_and_lax(browser, alice):
    cookie = browser.sign_in(alice).cookies["monban_session"]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", "/")
    assert cookie["domain"] == ""
    assert not SSOSession.objects.filter(handle_hash=cookie.value).exists()
    assert not SSOSession.objects.filter(sid=cookie.value).exists()


@pytest.mark.security("S27")
def test_over_https_the_cookies_carry_the_host_prefix_and_no_other_name_is_read(alice):
    client = Client()
    handle = transaction_of(client.get("/login", secure=True))
    form = {"identifier": "alice", "password": PASSWORD, "transaction": handle}
    response = client.post("/login", form, secure=True)
    assert set(response.cookies) == {"__Host-monban_session", "__Host-monban_csrf", "__Host-monban_method"}
    cookie = response.cookies["__Host-monban_session"]
    assert (cookie["secure"], cookie["path"], cookie["domain"]) == (True, "/", "")
    planted = Client()
    planted.cookies["monban_session"] = cookie.value
    assert planted.get("/account", secure=True).status_code == 302


@pytest.mark.parametrize(
    "spelling", ["alice", " ALICE ", "Ａlice", "alice@example.org", "Alice@Example.ORG", "+8613812345678"]
)
def test_user_name_email_and_mobile_all_name_the_person(browser, alice, spelling):
    alice.mobile = "+8613812345678"
    alice.save()
    assert browser.sign_in(spelling).status_code == 302


def test_a_user_name_wins_over_another_persons_address(browser, tenant, alice):
    other = make_user(tenant, user_name="mallory", password="Other-Harbour-42")
    User.objects.filter(pk=other.pk).update(email="alice", email_key="alice")
    assert browser.sign_in("alice").status_code == 302
    assert SSOSession.objects.get().user == alice


@pytest.mark.security("S36")
def test_a_user_of_another_tenant_is_unknown_here(browser, alice):
    stranger = make_user(make_tenant(), user_name="stranger")
    assert browser.sign_in(stranger).status_code == 400


@pytest.mark.security("S33")
def test_unknown_wrong_and_disabled_get_one_answer(tenant, alice):
    make_user(tenant, user_name="gone", is_active=False)
    answers = set()
    for name, password in [("nobody", PASSWORD), ("alice", "wrong"), ("gone", PASSWORD), ("gone", "wrong")]:
        browser = Browser()
        response = browser.sign_in(name, password)
        answers.add((response.status_code, alert_of(response), response.get("Retry-After")))
        assert not browser.session_cookie
    assert answers == {(400, "The user name or the password is not right.", None)}


@pytest.mark.security("S33")
def test_unknown_wrong_and_disabled_cost_the_same_queries_and_one_hash(tenant, alice, monkeypatch):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    from identity.passwords.hashers import Argon2id

    make_user(tenant, user_name="gone", is_active=False)
    encode, verify, hashes = Argon2id.encode, Argon2id.verify, []
    monkeypatch.setattr(Argon2id, "encode", lambda *args: hashes.append("encode") or encode(*args))
    monkeypatch.setattr(Argon2id, "verify", lambda *args: hashes.append("verify") or verify(*args))
    Browser().sign_in("first-try-of-this-source", "wrong")  # makes the source's counter
    costs = []
    for name, password in [("nobody", "wrong"), ("alice", "wrong"), ("gone", "wrong")]:
        browser = Browser()
        handle = browser.open_login()
        hashes.clear()
        with CaptureQueriesContext(connection) as queries:
            browser.sign_in(name, password, transaction=handle)
        costs.append((len(queries), len(hashes)))
    assert len(set(costs)) == 1
    assert costs[0][1] == 1


def test_disabled_user_with_the_right_password_is_recorded_as_such(browser, tenant):
    gone = make_user(tenant, is_active=False)
    browser.sign_in(gone)
    event = AuditEvent.objects.get(event_type="login:password")
    assert (event.outcome, event.reason, event.target_id) == ("refused", "USER.0004", gone.public_id)


@pytest.mark.security("S33")
def test_audit_of_an_unknown_name_does_not_keep_what_was_typed(browser):
    browser.sign_in("hunter2-typed-into-the-wrong-field", "x")
    event = AuditEvent.objects.get(event_type="login:password")
    assert event.reason == "LOGIN.0002:unknown"
    assert "hunter2" not in f"{event.details}{event.personal}{event.changes}{event.target_id}"


@pytest.mark.security("S27")
def test_sign_in_begun_in_another_browser_is_refused(browser, alice):
    handle = Browser().open_login()
    response = browser.sign_in(alice, transaction=handle)
    assert response.status_code == 400
    assert not browser.is_signed_in


@pytest.mark.security("S27")
def test_a_planted_session_handle_does_not_survive_the_sign_in(browser, alice):
    browser.sign_in(alice)
    first = browser.session_cookie
    browser.post("/logout", {"confirm": "yes"})
    browser.sign_in(alice)
    assert browser.session_cookie != first
    planted = Browser()
    planted.client.cookies["monban_session"] = first
    assert not planted.is_signed_in


@pytest.mark.security("S29")
def test_a_sign_in_is_finished_once(browser, alice):
    handle = browser.open_login()
    assert browser.sign_in(alice, transaction=handle).status_code == 302
    again = Browser(client=Client())
    again.client.cookies["monban_browser"] = browser.client.cookies["monban_browser"].value
    assert again.sign_in(alice, transaction=handle).status_code == 400
    assert SSOSession.objects.count() == 1


def test_signing_in_again_as_the_same_person_keeps_the_session_and_changes_the_handle(signed_in, alice):
    before = SSOSession.objects.get()
    cookie = signed_in.session_cookie
    handle = signed_in_reauthentication(signed_in)
    signed_in.sign_in(alice, transaction=handle)
    after = SSOSession.objects.get()
    assert (after.pk, after.sid) == (before.pk, before.sid)
    assert after.authenticated_at > before.authenticated_at
    assert signed_in.session_cookie != cookie


def test_signing_in_as_another_person_ends_the_session(signed_in, tenant):
    bob = make_user(tenant, user_name="bob")
    signed_in.sign_in(bob, transaction=signed_in_reauthentication(signed_in))
    old, new = SSOSession.objects.order_by("pk")
    assert (old.end_reason, new.user) == (SessionEndReason.REPLACED, bob)


def signed_in_reauthentication(browser: Browser) -> str:
    """Begin as a protocol does that wants the password again."""
    from identity.context import RequestContext
    from identity.sign_in import login

    tenant = SSOSession.objects.first().tenant
    return login.begin(
        tenant=tenant,
        binding=browser.client.cookies["monban_browser"].value,
        context=RequestContext(tenant=tenant),
        reauthenticate=True,
    )


def test_old_page_begins_anew_and_keeps_the_target(browser, alice):
    handle = browser.open_login(next_query("/account/password"))
    LoginTransaction.objects.update(expires_at=timezone.now())
    response = browser.sign_in(alice, transaction=handle)
    assert response.status_code == 400
    assert alert_of(response) == "This page is out of date. Please start again."
    response = browser.sign_in(alice, transaction=transaction_of(response))
    assert response["Location"] == "/account/password"


def test_form_without_a_csrf_token_is_refused(alice):
    client = Client(enforce_csrf_checks=True)
    handle = transaction_of(client.get("/login"))
    response = client.post("/login", {"identifier": "alice", "password": PASSWORD, "transaction": handle})
    assert response.status_code == 403
    assert "This page has expired" in response.content.decode()


@pytest.mark.security("S22")
@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "\\\\evil.example",
        "/%09/evil.example",
        "/\t/evil.example",
        "javascript:alert(1)",
        "http:evil.example",
        "/no-such-page",
        "account",
        "///evil.example/account",
        "/account\r\nLocation: https://evil.example",
        "/" + "a" * 9000,
    ],
)
def test_only_our_own_paths_are_gone_to_after_sign_in(browser, alice, target):
    response = browser.sign_in(alice, query=next_query(target))
    assert response["Location"] == "/account"
    assert browser.get("/login" + next_query(target)).status_code == 200


def test_own_path_is_gone_to_after_sign_in(browser, alice):
    assert browser.sign_in(alice, query=next_query("/account/password?x=1"))["Location"] == "/account/password?x=1"
    assert browser.get("/login" + next_query("/account/password"))["Location"] == "/account/password"


def test_sign_in_page_of_a_signed_in_person_says_so(signed_in):
    assert "You are signed in" in signed_in.get("/login").content.decode()


def test_nul_bytes_oversized_values_and_empty_fields_are_refused(browser, alice):
    for form in (
        {"identifier": "alice\x00", "password": PASSWORD},
        {"identifier": "alice", "password": "x" * 2000},
        {"identifier": "a" * 400, "password": PASSWORD},
        {},
    ):
        assert browser.post("/login", {**form, "transaction": browser.open_login()}).status_code == 400
    assert browser.post("/login", {"transaction": "\x00"}).status_code == 400
    assert browser.get("/login?transaction=%00%ff").status_code == 400


def test_imported_hash_is_verified_once_and_upgraded(browser, alice):
    User.objects.filter(pk=alice.pk).update(password=make_password(PASSWORD, hasher="sha1"))
    assert browser.sign_in(alice).status_code == 302
    alice.refresh_from_db()
    assert alice.password.startswith("argon2$")


def test_pages_are_not_cached(browser, signed_in):
    for path in ("/login", "/account", "/account/password", "/logout", "/forgot-password"):
        assert "no-store" in signed_in.get(path)["Cache-Control"], path


def test_login_hint_fills_the_name(browser):
    assert 'value="alice"' in browser.get("/login?login_hint=alice").content.decode()


def test_application_that_is_signed_in_to_is_named_and_may_be_a_forms_target(browser, tenant):
    from identity.context import RequestContext
    from identity.sign_in import login

    browser.open_login()
    handle = login.begin(
        tenant=tenant,
        binding=browser.client.cookies["monban_browser"].value,
        context=RequestContext(tenant=tenant),
        application=make_application(tenant, name="Wiki"),
        return_origins=["https://wiki.example"],
    )
    response = browser.get(f"/login?transaction={handle}")
    assert "Wiki" in response.content.decode()
    assert "form-action 'self' https://wiki.example https:" in response["Content-Security-Policy"]


@pytest.mark.security("S27")
def test_form_token_of_the_time_before_the_sign_in_is_void(alice):
    client = Client(enforce_csrf_checks=True)
    page = client.get("/login")
    name = next(name for name in client.cookies if name.endswith("monban_csrf"))
    planted = client.cookies[name].value
    form = {"identifier": "alice", "password": PASSWORD, "transaction": transaction_of(page)}
    assert client.post("/login", {**form, "csrfmiddlewaretoken": planted}).status_code == 302
    assert client.post("/logout", {"confirm": "yes", "csrfmiddlewaretoken": planted}).status_code == 403
    fresh = client.cookies[name].value
    assert client.post("/logout", {"confirm": "yes", "csrfmiddlewaretoken": fresh}).status_code == 303


@pytest.fixture
def hashing(settings) -> type[CountedArgon2id]:
    """The hasher of this test, which counts its calls."""
    settings.PASSWORD_HASHERS = ["tests.support.hashers.CountedArgon2id"]
    return CountedArgon2id


@pytest.mark.security("S31")
@pytest.mark.parametrize("limit", ["max_failures", "max_failures_per_source"])
@pytest.mark.parametrize("name", ["alice", "nobody"])
def test_a_locked_account_or_source_costs_no_hashing(tenant, alice, hashing, limit, name):
    PasswordPolicy.objects.filter(tenant=tenant).update(**{limit: 2})
    for _try in range(2):
        before = hashing.calls
        Browser().sign_in(name, "wrong")
        assert hashing.calls > before
    before = hashing.calls
    for password in ("wrong", PASSWORD):
        browser = Browser()
        assert browser.sign_in(name, password).status_code in (400, 429)
        assert not browser.session_cookie
    assert hashing.calls == before


@pytest.mark.security("S41")
def test_no_log_line_of_a_refused_sign_in_holds_what_was_typed(alice, caplog):
    name, password = "Typed-Name-4711", "Typed-Password-0815"
    with caplog.at_level(logging.DEBUG):
        browser = Browser()
        browser.sign_in(name, password)
        browser.sign_in("alice", password)
        browser.sign_in(password, name)  # people type passwords into the wrong field
        handle = browser.open_login()
        browser.client.post("/login", {"identifier": name, "password": password, "transaction": handle + "x"})
        browser.client.post("/login", {"identifier": name + "\x00", "password": password, "transaction": handle})
    written = [record for record in caplog.records if record.getMessage() == "login.refused"]
    assert len(written) >= 3
    for record in caplog.records:
        told = f"{record.getMessage()} {record.__dict__}".lower()
        if record.name.startswith("django.db"):
            continue  # never logged in production: statements with their parameters
        assert name.lower() not in told, told
        assert password.lower() not in told, told


@pytest.mark.parametrize("name", ["alice", "nobody"])
@pytest.mark.parametrize("password", [PASSWORD, "wrong"])
@pytest.mark.security("S30", "S33")
def test_where_too_many_passwords_are_hashed_everybody_is_told_to_come_back_and_nothing_counts(
    browser, alice, name, password
):
    handle = browser.open_login()
    with turns_taken():
        response = browser.sign_in(name, password, transaction=handle)
    assert (response.status_code, response["Retry-After"]) == (503, "5")
    assert alert_of(response).endswith("Too many people are signing in right now. Please try again in a few seconds.")
    assert f'value="{name}"' in response.text
    assert not AttemptCounter.objects.exists()
    event = AuditEvent.objects.latest("pk")
    assert (event.event_type, event.outcome, event.reason) == ("login:password", "refused", "COM.0002")
    assert LoginTransaction.objects.get().failures == 0
    assert browser.sign_in(alice, transaction=transaction_of(response)).status_code == 302  # the same page goes on


@pytest.mark.security("S30")
def test_an_own_password_is_not_changed_where_too_many_are_hashed_and_nothing_counts(signed_in, alice):
    AttemptCounter.objects.all().delete()
    form = {"old_password": "wrong", "new_password": "Silent-Bridge-58", "repeat_password": "Silent-Bridge-58"}
    with turns_taken():
        response = signed_in.post("/account/password", form)
    assert (response.status_code, response["Retry-After"]) == (503, "5")
    assert not AttemptCounter.objects.exists()
    event = AuditEvent.objects.latest("pk")
    assert (event.event_type, event.outcome, event.reason) == ("password:change", "refused", "COM.0002")
