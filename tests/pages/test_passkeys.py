"""Passkeys on our pages: added, asked for as the second factor, and signed in with in place of name and password."""

from __future__ import annotations

import html
import json
import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.http import HttpResponse
from django.utils import timezone

from identity.context import RequestContext
from identity.models import (
    AuditEvent,
    FactorCeremony,
    LoginTransaction,
    SessionPolicy,
    SSOSession,
    TenantDomain,
    User,
)
from identity.models import Passkey as PasskeyRow
from identity.sign_in import enrolment
from identity.sign_in.factors import ceremonies
from tests.factories import PASSWORD, make_tenant, make_user
from tests.factories.factors import enrol
from tests.pages.conftest import HOST, Browser, alert_of, handle_in, note_second_factor, transaction_of
from tests.pages.passkeys import ORIGIN, give_passkey, options_on
from tests.support.authenticator import UP, UV, Passkey

REFUSED = "This passkey was not accepted. Try again, or choose another way."


def ask(browser: Browser, handle: str) -> dict[str, Any]:
    """Order options for a sign-in without a name, as the script of the page does."""
    answer = browser.post("/login/passkey", {"transaction": handle})
    assert answer.status_code == 200, answer.content
    options: dict[str, Any] = answer.json()
    return options


def sign_in(browser: Browser, key: Passkey, **wrong: Any) -> HttpResponse:
    handle = browser.open_login()
    credential = key.get(ask(browser, handle), wrong.pop("origin", ORIGIN), **wrong)
    return browser.post("/login", {"transaction": handle, "credential": credential})


def set_mode(tenant, mode: str) -> None:
    SessionPolicy.objects.filter(tenant=tenant).update(mfa_mode=mode)


def reason() -> str:
    return AuditEvent.objects.filter(outcome="refused").latest("pk").reason


# Adding ----------------------------------------------------------------------------------------------------


def test_a_passkey_is_added_named_and_counts_for_the_session(signed_in_twice, tenant, alice):
    set_mode(tenant, "if_enrolled")
    options = options_on(signed_in_twice.get("/account/factors/passkey"))
    assert options["rp"] == {"id": HOST, "name": tenant.name}
    assert options["attestation"] == "none"
    key = Passkey(HOST, aaguid=bytes.fromhex("d548826e79b4db40a3d811116f7e8349"), is_synced=True)
    done = signed_in_twice.post("/account/factors/passkey", {"credential": key.create(options, ORIGIN), "name": ""})
    assert "Your recovery codes" in done.content.decode()
    row = PasskeyRow.objects.get()
    assert (row.name, row.is_backup_eligible, row.is_backed_up, row.transports) == (
        "Bitwarden",
        True,
        True,
        ["hybrid", "internal"],
    )
    assert (row.is_discoverable, row.attestation_format, row.algorithm) == (True, "none", -7)
    assert SSOSession.objects.get().amr == ["pwd", "otp", "swk", "user"]
    alice.refresh_from_db()
    assert alice.factor_kinds == "passkey recovery_code"
    page = signed_in_twice.get("/account/factors")
    assert "Bitwarden" in page.content.decode()
    signals = json.loads(html.unescape(re.search(r'data-passkey-signals="([^"]+)"', page.content.decode())[1]))
    assert (signals["rpId"], signals["ids"]) == (HOST, [row.credential_id])


def test_present_passkeys_are_excluded(signed_in_twice, alice):
    key = give_passkey(alice)
    SSOSession.objects.update(amr=["pwd", "otp"])
    options = options_on(signed_in_twice.get("/account/factors/passkey"))
    assert [each["id"] for each in options["excludeCredentials"]] == [PasskeyRow.objects.get().credential_id]
    answer = signed_in_twice.post("/account/factors/passkey", {"credential": key.create(options, ORIGIN)})
    assert (answer.status_code, alert_of(answer)) == (400, REFUSED)
    assert PasskeyRow.objects.count() == 1


def test_a_credential_id_belongs_to_one_person_of_one_tenant(signed_in_twice):
    key = give_passkey(make_user(make_tenant()))
    key.rp_id = HOST
    answer = signed_in_twice.post(
        "/account/factors/passkey",
        {"credential": key.create(options_on(signed_in_twice.get("/account/factors/passkey")), ORIGIN)},
    )
    assert answer.status_code == 400
    assert PasskeyRow.objects.count() == 1


@pytest.mark.parametrize(
    "wrong", [{"origin": "https://evil.example"}, {"rp_id": "evil.example"}, {"flags": UV}, {"attestation": b"\xff"}]
)
def test_a_wrong_answer_adds_nothing_and_the_next_challenge_is_another_one(signed_in_twice, wrong):
    options = options_on(signed_in_twice.get("/account/factors/passkey"))
    key = Passkey(HOST)
    credential = key.create(options, wrong.pop("origin", ORIGIN), **wrong)
    answer = signed_in_twice.post("/account/factors/passkey", {"credential": credential})
    assert (answer.status_code, alert_of(answer)) == (400, REFUSED)
    assert options_on(answer)["challenge"] != options["challenge"]
    right = key.create(options, ORIGIN)
    assert signed_in_twice.post("/account/factors/passkey", {"credential": right}).status_code == 400
    assert not PasskeyRow.objects.exists()


@pytest.mark.parametrize("credential", ["", "x", "x" * 900_000, "{}", "\x00"])
def test_what_is_no_credential_adds_nothing(signed_in_twice, credential):
    signed_in_twice.get("/account/factors/passkey")
    assert signed_in_twice.post("/account/factors/passkey", {"credential": credential}).status_code == 400
    assert not PasskeyRow.objects.exists()


@pytest.mark.security("S29")
def test_a_challenge_is_good_for_five_minutes(signed_in_twice):
    options = options_on(signed_in_twice.get("/account/factors/passkey"))
    with time_machine.travel(timezone.now() + timedelta(minutes=5, seconds=1)):
        credential = Passkey(HOST).create(options, ORIGIN)
        assert signed_in_twice.post("/account/factors/passkey", {"credential": credential}).status_code == 400


@pytest.mark.security("S28")
def test_a_challenge_of_another_session_adds_nothing(tenant, alice):
    one, other = Browser(), Browser()
    one.sign_in(alice)
    other.sign_in(alice)
    note_second_factor(alice)
    options = options_on(one.get("/account/factors/passkey"))
    other.get("/account/factors/passkey")
    credential = Passkey(HOST).create(options, ORIGIN)
    assert other.post("/account/factors/passkey", {"credential": credential}).status_code == 400


def test_the_answer_may_come_from_another_host_of_the_tenant(signed_in_twice, tenant):
    TenantDomain.objects.create(tenant=tenant, host="id.example.com", position=5)
    TenantDomain.objects.create(tenant=make_tenant(), host="id.example.net", position=5)
    for origin, status in (("https://id.example.net", 400), ("https://id.example.com", 200)):
        options = options_on(signed_in_twice.get("/account/factors/passkey"))
        assert options["rp"]["id"] == HOST
        credential = Passkey(HOST).create(options, origin)
        assert signed_in_twice.post("/account/factors/passkey", {"credential": credential}).status_code == status


# As the second factor --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("is_synced", "flags", "amr"),
    [
        (True, None, ["pwd", "swk", "user"]),
        (False, None, ["pwd", "hwk", "user"]),
        (False, UP, ["pwd", "hwk"]),
    ],
)
def test_password_and_passkey_make_two_factors(browser, tenant, alice, is_synced, flags, amr):
    set_mode(tenant, "if_enrolled")
    key = give_passkey(alice, is_synced=is_synced)
    response = browser.sign_in(alice)
    options = options_on(browser.get(response["Location"]), "get")
    assert (options["rpId"], options["userVerification"]) == (HOST, "preferred")
    assert [each["id"] for each in options["allowCredentials"]] == [PasskeyRow.objects.get().credential_id]
    form = {"transaction": handle_in(response), "credential": key.get(options, ORIGIN, flags=flags)}
    assert browser.post("/login", form)["Location"] == "/account"
    assert SSOSession.objects.get().amr == amr
    row = PasskeyRow.objects.get()
    assert (row.sign_count, row.last_used_at is not None) == (1, True)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"origin": "https://evil.example"}, "origin"),
        ({"client_data": {"challenge": "AAAA"}}, "challenge"),
        ({"rp_id": "evil.example"}, "rp_id"),
        ({"signature": b"x"}, "signature"),
        ({"user_handle": "somebody"}, "user_handle"),
        ({"flags": UV}, "user_presence"),
        ({"id": "AAAA", "rawId": "AAAA"}, "unknown_credential"),
    ],
)
def test_a_wrong_answer_is_one_refusal_with_the_reason_in_the_audit(browser, tenant, alice, wrong, why):
    set_mode(tenant, "if_enrolled")
    key = give_passkey(alice)
    response = browser.sign_in(alice)
    options = options_on(browser.get(response["Location"]), "get")
    credential = key.get(options, wrong.pop("origin", ORIGIN), **wrong)
    answer = browser.post("/login", {"transaction": handle_in(response), "credential": credential})
    assert (answer.status_code, alert_of(answer), reason()) == (400, REFUSED, f"CAPTCHA.0007:{why}")
    assert not SSOSession.objects.exists()


@pytest.mark.security("S30")
def test_wrong_answers_lock_the_account_like_wrong_passwords(browser, tenant, alice):
    set_mode(tenant, "if_enrolled")
    key = give_passkey(alice)
    response = browser.sign_in(alice)
    statuses = []
    for _try in range(6):
        options = options_on(browser.get(response["Location"]), "get")
        form = {"transaction": handle_in(response), "credential": key.get(options, ORIGIN, signature=b"x")}
        statuses.append(browser.post("/login", form).status_code)
    assert statuses == [400, 400, 400, 400, 400, 429]
    assert Browser().sign_in(alice).status_code == 429


@pytest.mark.security("S29")
def test_an_answer_counts_once(browser, tenant, alice):
    set_mode(tenant, "if_enrolled")
    key = give_passkey(alice)
    response = browser.sign_in(alice)
    credential = key.get(options_on(browser.get(response["Location"]), "get"), ORIGIN)
    assert browser.post("/login", {"transaction": handle_in(response), "credential": credential}).status_code == 302
    other = Browser()
    response = other.sign_in(alice)
    other.get(response["Location"])
    assert other.post("/login", {"transaction": handle_in(response), "credential": credential}).status_code == 400
    assert reason() == "CAPTCHA.0007:challenge"


@pytest.mark.security("S28")
def test_an_answer_to_the_challenge_of_another_tab_is_refused(browser, tenant, alice):
    set_mode(tenant, "if_enrolled")
    key = give_passkey(alice)
    one, other = browser.sign_in(alice), browser.sign_in(alice)
    credential = key.get(options_on(browser.get(one["Location"]), "get"), ORIGIN)
    browser.get(other["Location"])
    assert browser.post("/login", {"transaction": handle_in(other), "credential": credential}).status_code == 400
    assert not SSOSession.objects.exists()


@pytest.mark.security("S28")
def test_a_passkey_of_another_person_proves_nothing(browser, tenant, alice):
    set_mode(tenant, "if_enrolled")
    give_passkey(alice)
    bobs = give_passkey(make_user(tenant, user_name="bob"))
    response = browser.sign_in(alice)
    for handle in (alice.public_id, "", bobs.user_handle):
        options = options_on(browser.get(response["Location"]), "get")
        form = {"transaction": handle_in(response), "credential": bobs.get(options, ORIGIN, user_handle=handle)}
        assert browser.post("/login", form).status_code == 400


@pytest.mark.parametrize(("is_synced", "status"), [(False, 400), (True, 302)])
def test_a_counter_that_goes_back_is_audited_and_fatal_only_for_keys_that_are_never_copied(
    browser, tenant, alice, is_synced, status
):
    set_mode(tenant, "if_enrolled")
    key = give_passkey(alice, is_synced=is_synced)
    PasskeyRow.objects.update(sign_count=7)
    response = browser.sign_in(alice)
    credential = key.get(options_on(browser.get(response["Location"]), "get"), ORIGIN)
    answer = browser.post("/login", {"transaction": handle_in(response), "credential": credential})
    assert answer.status_code == status
    event = AuditEvent.objects.get(event_type="factor:counter")
    assert (event.details["stored"], event.details["received"]) == (7, 1)
    assert PasskeyRow.objects.get().sign_count == (1 if is_synced else 7)


def test_who_has_both_may_take_the_app_without_scripts(browser, tenant, alice):
    set_mode(tenant, "if_enrolled")
    give_passkey(alice)
    _app, codes = enrol(alice)
    response = browser.sign_in(alice)
    handle = handle_in(response)
    assert "runs no scripts" in browser.get(response["Location"]).content.decode()
    assert browser.post("/login", {"transaction": handle, "send_to": "totp"}).status_code == 302
    assert browser.post("/login", {"transaction": handle, "verification_code": codes.now()}).status_code == 302


# Without a name --------------------------------------------------------------------------------------------


def test_the_sign_in_page_offers_passkeys_beside_names(browser):
    page = browser.get("/login").content.decode()
    assert 'autocomplete="username webauthn"' in page
    assert 'data-passkey-options="/login/passkey"' in page
    assert "monban/passkeys" in page
    assert not FactorCeremony.objects.exists()  # only where a script asks


@pytest.mark.parametrize("mode", ["never", "if_enrolled", "always"])
@pytest.mark.parametrize("is_synced", [True, False])
def test_a_passkey_signs_in_without_a_name_and_counts_as_two_factors(browser, tenant, alice, mode, is_synced):
    set_mode(tenant, mode)
    key = give_passkey(alice, is_synced=is_synced)
    handle = browser.open_login("?next=/account/password")
    options = ask(browser, handle)
    assert (options["allowCredentials"], options["userVerification"]) == ([], "required")
    assert ask(browser, handle) == options
    form = {"transaction": handle, "identifier": "", "password": "", "credential": key.get(options, ORIGIN)}
    assert browser.post("/login", form)["Location"] == "/account/password"
    session = SSOSession.objects.get()
    assert session.amr == ["swk" if is_synced else "hwk", "user"]
    assert session.user == alice
    assert browser.is_signed_in
    types = AuditEvent.objects.filter(outcome="success").values_list("event_type", flat=True)
    assert list(types)[-3:] == ["login:passkey", "session:start", "login:success"]


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"flags": UP}, "user_verification"),
        ({"origin": "https://evil.example"}, "origin"),
        ({"user_handle": ""}, "user_handle"),
        ({"user_handle": "20210621095935811-5E16-6B3060ABC"}, "unknown_credential"),
        ({"user_handle": "\x00"}, "user_handle"),
        ({"signature": b""}, "signature"),
        ({"rp_id": "evil.example"}, "rp_id"),
        ({"client_data": {"crossOrigin": True}}, "cross_origin"),
    ],
)
def test_a_wrong_answer_without_a_name_is_one_refusal(browser, tenant, alice, wrong, why):
    answer = sign_in(browser, give_passkey(alice), **wrong)
    assert (answer.status_code, alert_of(answer), reason()) == (400, REFUSED, f"CAPTCHA.0007:{why}")
    assert not SSOSession.objects.exists()
    # The page asks for name and password still.
    assert browser.sign_in(alice, transaction=transaction_of(answer)).status_code == 302


def test_an_unknown_passkey_is_told_to_the_password_manager(browser, alice):
    key = give_passkey(alice)
    PasskeyRow.objects.all().delete()
    page = sign_in(browser, key).content.decode()
    signals = json.loads(html.unescape(re.search(r'data-passkey-signals="([^"]+)"', page)[1]))
    assert signals == {"rpId": HOST, "unknown": json.loads(key.get({"challenge": ""}, ORIGIN))["id"]}


@pytest.mark.security("S30")
def test_wrong_answers_without_a_name_count_on_whom_they_name(browser, alice):
    key = give_passkey(alice)
    statuses = [sign_in(Browser(), key, signature=b"x").status_code for _try in range(6)]
    assert statuses == [400, 400, 400, 400, 400, 429]
    assert sign_in(browser, key).status_code == 429


@pytest.mark.security("S36")
def test_a_passkey_of_another_tenant_signs_nobody_in(browser, alice):
    stranger = make_user(make_tenant(), user_name="alice")
    key = give_passkey(stranger)
    key.rp_id = HOST
    assert sign_in(browser, key).status_code == 400
    assert sign_in(browser, key, user_handle=alice.public_id).status_code == 400
    assert not SSOSession.objects.exists()


@pytest.mark.security("S26")
def test_a_disabled_person_is_not_signed_in(browser, alice):
    key = give_passkey(alice)
    User.objects.filter(pk=alice.pk).update(is_active=False)
    assert sign_in(browser, key).status_code == 400
    assert not SSOSession.objects.exists()


@pytest.mark.security("S27")
def test_options_and_answers_belong_to_the_browser_that_began(browser, alice):
    key = give_passkey(alice)
    handle = browser.open_login()
    thief = Browser()
    assert thief.post("/login/passkey", {"transaction": handle}).status_code == 400
    credential = key.get(ask(browser, handle), ORIGIN)
    assert thief.post("/login", {"transaction": handle, "credential": credential}).status_code == 400
    assert not SSOSession.objects.exists()


@pytest.mark.security("S29")
def test_a_passkey_is_no_way_round_the_second_factor_of_somebody_else(browser, tenant, alice):
    """In the step of the second factor an answer without a name opens nothing."""
    set_mode(tenant, "if_enrolled")
    enrol(alice)
    mallory = give_passkey(make_user(tenant, user_name="mallory"))
    handle = browser.open_login()
    credential = mallory.get(ask(browser, handle), ORIGIN)
    browser.sign_in(alice, transaction=handle)
    assert browser.post("/login", {"transaction": handle, "credential": credential}).status_code == 400
    assert browser.post("/login/passkey", {"transaction": handle}).status_code == 400
    assert not SSOSession.objects.exists()


@pytest.mark.security("S27")
def test_options_need_a_form_of_ours(browser):
    browser.client.handler.enforce_csrf_checks = True
    assert browser.post("/login/passkey", {"transaction": "x"}).status_code == 403


# In the middle of a sign-in --------------------------------------------------------------------------------


@pytest.mark.security("S28")
def test_who_has_no_factor_adds_a_passkey_in_the_sign_in(browser, tenant):
    set_mode(tenant, "always")
    user = make_user(tenant, user_name="bob")
    response = browser.sign_in(user)
    handle = handle_in(response)
    options = options_on(browser.get(response["Location"]))
    bad = Passkey(HOST).create(options, "https://evil.example")
    answer = browser.post("/login", {"transaction": handle, "credential": bad})
    assert (answer.status_code, alert_of(answer), reason()) == (400, REFUSED, "CAPTCHA.0007:origin")
    assert browser.post("/login", {"transaction": handle, "credential": "x" * 40_000}).status_code == 400
    good = Passkey(HOST).create(options_on(answer), ORIGIN)
    done = browser.post("/login", {"transaction": handle, "credential": good})
    assert "Your recovery codes" in done.content.decode()
    assert SSOSession.objects.get().amr == ["pwd", "hwk", "user"]


@pytest.mark.security("S28")
def test_nobody_adds_a_passkey_in_a_sign_in_whose_factor_is_not_proved(browser, tenant, alice):
    set_mode(tenant, "always")
    enrol(alice)
    handle = handle_in(browser.sign_in(alice))
    row = LoginTransaction.objects.get()
    made = enrolment.begin_passkey(user=alice, owner=ceremonies.owner_of(row), context=RequestContext(tenant=tenant))
    form = {"transaction": handle, "credential": Passkey(HOST).create(made, ORIGIN), "verification_code": ""}
    assert browser.post("/login", form).status_code == 400
    assert not PasskeyRow.objects.exists()


# Well-known addresses --------------------------------------------------------------------------------------


def test_related_origins_and_endpoints_are_told(browser, tenant):
    TenantDomain.objects.create(tenant=tenant, host="id.example.com", position=5)
    answer = browser.get("/.well-known/webauthn")
    assert answer["Content-Type"] == "application/json"
    assert answer.json() == {"origins": ["https://id.example.com", ORIGIN]}
    assert browser.get("/.well-known/passkey-endpoints").json() == {
        "enroll": f"{ORIGIN}/account/factors/passkey",
        "manage": f"{ORIGIN}/account/factors",
    }
    assert browser.get("/.well-known/change-password")["Location"] == "/account/password"


def test_a_confirmed_password_is_no_passkey(signed_in):
    """Whoever changes the password keeps what else was proved."""
    SSOSession.objects.update(amr=["swk", "user"])
    form = {"old_password": PASSWORD, "new_password": "Fresh-Harbour-77", "repeat_password": "Fresh-Harbour-77"}
    assert signed_in.post("/account/password", form).status_code == 302
    assert SSOSession.objects.latest("pk").amr == ["pwd", "swk", "user"]
