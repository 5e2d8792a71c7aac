"""Second factors that people enrol themselves: authenticator apps and recovery codes."""

from __future__ import annotations

import hashlib
import re
from datetime import timedelta

import pyotp
import pytest
import time_machine
from django.core import mail
from django.http import HttpResponse
from django.utils import timezone

from identity.context import RequestContext
from identity.errors import NotAllowed, StateInvalid, VerificationRefused
from identity.models import (
    AttemptCounter,
    AuditEvent,
    AuthenticatorApp,
    FactorCeremony,
    LoginTransaction,
    RecoveryCode,
    SessionPolicy,
    SSOSession,
    TOTPAlgorithm,
    User,
)
from identity.sign_in import enrolment
from identity.sign_in.factors import ceremonies, recovery_code, totp
from tests.factories import PASSWORD, make_tenant, make_user
from tests.factories.factors import enrol
from tests.pages.conftest import Browser, handle_in, note_second_factor
from tests.pages.steps import give, secret_on

MULTI = "urn:monban:acr:multi-factor"


def set_mode(tenant, mode: str) -> None:
    SessionPolicy.objects.filter(tenant=tenant).update(mfa_mode=mode)


def code_of(codes: pyotp.TOTP, *, steps: int = 0) -> str:
    return codes.at(timezone.now() + timedelta(seconds=30 * steps))


def wrong(codes: pyotp.TOTP) -> str:
    near = {code_of(codes, steps=steps) for steps in (-1, 0, 1)}
    return next(code for code in ("000000", "000001", "000002", "000003") if code not in near)


def codes_on(response: HttpResponse) -> list[str]:
    return re.findall(r"<li><code>([^<]+)</code></li>", response.content.decode())


# The code --------------------------------------------------------------------------------------------------


@pytest.mark.spec("RFC6238-5.1")
@pytest.mark.parametrize(
    ("moment", "algorithm", "code"),
    [
        (59, "sha1", "94287082"),
        (1111111109, "sha1", "07081804"),
        (1234567890, "sha1", "89005924"),
        (20000000000, "sha1", "65353130"),
        (59, "sha256", "46119246"),
        (1111111109, "sha256", "68084774"),
        (20000000000, "sha256", "77737706"),
    ],
)
def test_published_codes_are_ours(moment, algorithm, code):
    """RFC 6238, appendix B: its codes have eight digits, ours are the last six of them."""
    secret = {"sha1": "12345678901234567890", "sha256": "12345678901234567890123456789012"}[algorithm]
    base32 = __import__("base64").b32encode(secret.encode()).decode()
    now = timezone.datetime.fromtimestamp(moment, tz=timezone.get_default_timezone())
    step = totp.matching_step(base32, code[2:], algorithm=TOTPAlgorithm(algorithm), now=now)
    assert step == moment // 30


@pytest.mark.spec("RFC6238-5.2")
@pytest.mark.parametrize(("steps", "is_taken"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_one_step_either_side_is_taken(alice, steps, is_taken):
    _app, codes = enrol(alice)
    if is_taken:
        totp.take(alice, code_of(codes, steps=steps))
    else:
        with pytest.raises(VerificationRefused):
            totp.take(alice, code_of(codes, steps=steps))


@pytest.mark.spec("RFC6238-5.2")
@pytest.mark.security("S29")
def test_each_time_step_is_taken_once_and_none_before_it(alice):
    _app, codes = enrol(alice)
    totp.take(alice, code_of(codes))
    for steps in (0, -1):
        with pytest.raises(VerificationRefused):
            totp.take(alice, code_of(codes, steps=steps))
    totp.take(alice, code_of(codes, steps=1))


@pytest.mark.security("S29")
def test_the_code_that_added_an_app_proves_nothing_more(alice):
    context = RequestContext(tenant=alice.tenant)
    made = enrolment.begin_totp(user=alice, owner="session 1")
    code = pyotp.TOTP(made.secret).now()
    enrolment.finish_totp(user=alice, owner="session 1", name="", verification_code=code, context=context)
    with pytest.raises(VerificationRefused):
        totp.take(alice, code)


def test_an_app_with_sha256_is_taken(alice):
    app, _codes = enrol(alice)
    app.algorithm = TOTPAlgorithm.SHA256
    app.save()
    secret = totp.crypto.unseal(app.secret_sealed, purpose=totp.SECRET)
    totp.take(alice, pyotp.TOTP(secret, digest=hashlib.sha256).now())


@pytest.mark.security("S29")
def test_a_code_of_another_person_is_not_taken(tenant, alice):
    bob = make_user(tenant, user_name="bob")
    enrol(alice)
    _app, bobs = enrol(bob)
    with pytest.raises(VerificationRefused):
        totp.take(alice, code_of(bobs))


# In the sign-in --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["if_enrolled", "always"])
def test_password_and_app_make_two_factors(browser, tenant, alice, mode):
    set_mode(tenant, mode)
    _app, codes = enrol(alice)
    handle = handle_in(browser.sign_in(alice))
    page = browser.get(f"/login?transaction={handle}").content.decode()
    assert "authenticator app shows a code" in page
    assert not browser.is_signed_in
    typed = " ".join(code_of(codes)).translate(str.maketrans("0123456789", "０１２３４５６７８９"))
    assert give(browser, handle, typed)["Location"] == "/account"
    session = SSOSession.objects.get()
    assert (session.amr, session.acr) == (["pwd", "otp"], MULTI)
    assert AuthenticatorApp.objects.get().last_used_at is not None


@pytest.mark.security("S28")
def test_who_has_enrolled_nothing_is_asked_for_nothing_where_enrolment_decides(browser, tenant, alice):
    set_mode(tenant, "if_enrolled")
    assert browser.sign_in(alice)["Location"] == "/account"


@pytest.mark.security("S30")
def test_wrong_codes_lock_the_account_like_wrong_passwords(browser, tenant, alice):
    set_mode(tenant, "if_enrolled")
    _app, codes = enrol(alice)
    handle = handle_in(browser.sign_in(alice))
    answers = [give(browser, handle, wrong(codes)).status_code for _try in range(6)]
    assert answers == [400, 400, 400, 400, 400, 429]
    assert give(browser, handle, code_of(codes)).status_code == 429
    assert Browser().sign_in(alice).status_code == 429
    assert SSOSession.objects.count() == 0


@pytest.mark.security("S30")
def test_the_right_password_gives_no_further_guesses_at_codes(browser, tenant, alice):
    set_mode(tenant, "if_enrolled")
    _app, codes = enrol(alice)
    tries = tenant.password_policy.max_failures
    for _number in range(tries - 1):
        handle = handle_in(browser.sign_in(alice))
        assert give(browser, handle, wrong(codes)).status_code == 400
    handle = handle_in(browser.sign_in(alice))
    assert give(browser, handle, wrong(codes)).status_code == 400
    assert browser.sign_in(alice).status_code == 429
    assert give(browser, handle, code_of(codes)).status_code == 429


@pytest.mark.security("S30")
def test_a_whole_sign_in_begins_the_count_anew(browser, tenant, alice):
    set_mode(tenant, "if_enrolled")
    _app, codes = enrol(alice)
    handle = handle_in(browser.sign_in(alice))
    give(browser, handle, wrong(codes))
    account = AttemptCounter.objects.get(kind="account")
    assert account.failures == 1
    assert give(browser, handle, code_of(codes)).status_code == 302
    account.refresh_from_db()
    assert account.failures == 0


@pytest.mark.security("S29")
@pytest.mark.parametrize("code", ["", "\x00", "a" * 40, "000", "१२३"])
def test_what_is_no_code_does_not_pass(browser, tenant, alice, code):
    set_mode(tenant, "if_enrolled")
    enrol(alice)
    handle = handle_in(browser.sign_in(alice))
    assert give(browser, handle, code).status_code == 400
    assert browser.post("/login", {"transaction": handle}).status_code == 400
    assert SSOSession.objects.count() == 0


@pytest.mark.security("S29")
def test_a_code_spent_in_one_tab_opens_no_other_sign_in(browser, tenant, alice):
    set_mode(tenant, "if_enrolled")
    _app, codes = enrol(alice)
    handle, code = handle_in(browser.sign_in(alice)), code_of(codes)
    other = Browser()
    others = handle_in(other.sign_in(alice))
    assert give(browser, handle, code).status_code == 302
    assert give(other, others, code).status_code == 400


def test_another_factor_is_chosen(browser, tenant, alice):
    set_mode(tenant, "always")
    _app, codes = enrol(alice)
    handle = handle_in(browser.sign_in(alice))
    page = browser.get(f"/login?transaction={handle}").content.decode()
    assert "Send the code to a***@example.org instead" in page
    assert mail.outbox[-1].subject.endswith("has changed")  # of the enrolment: no code was sent yet
    assert give(browser, handle, "", send_to="email").status_code == 302
    page = browser.get(f"/login?transaction={handle}").content.decode()
    assert "Use your authenticator app instead" in page
    assert give(browser, handle, code_of(codes)).status_code == 400  # it is no mailed code
    assert give(browser, handle, "", send_to="totp").status_code == 302
    assert give(browser, handle, code_of(codes)).status_code == 302


# Recovery codes --------------------------------------------------------------------------------------------


@pytest.fixture
def with_codes(tenant, alice) -> list[str]:
    set_mode(tenant, "if_enrolled")
    enrol(alice)
    return enrolment.make_recovery_codes(user=alice, context=RequestContext(tenant=tenant))


def recover(browser: Browser, user: User, code: str) -> HttpResponse:
    handle = handle_in(browser.sign_in(user))
    assert give(browser, handle, "", send_to="recovery_code").status_code == 302
    assert "Enter a recovery code" in browser.get(f"/login?transaction={handle}").content.decode()
    return browser.post("/login", {"transaction": handle, "recovery_code": code})


def test_a_recovery_code_signs_in_once(alice, with_codes):
    assert len(set(with_codes)) == 10
    browser = Browser()
    assert recover(browser, alice, with_codes[3])["Location"] == "/account"
    assert SSOSession.objects.get().acr == MULTI
    assert mail.outbox[-1].body.startswith("A recovery code of your")
    assert "9 codes are left" in mail.outbox[-1].body
    assert recover(Browser(), alice, with_codes[3]).status_code == 400
    typed = with_codes[4].lower().replace("-", " ").replace("0", "o").replace("1", "l")
    assert recover(Browser(), alice, typed).status_code == 302


@pytest.mark.security("S30")
def test_wrong_recovery_codes_count_on_the_same_row(alice, with_codes):
    browser = Browser()
    assert recover(browser, alice, "AAAAA-AAAAA").status_code == 400
    handle = LoginTransaction.objects.latest("pk")
    assert handle.failures == 1
    for _try in range(4):
        Browser().sign_in(alice, "wrong")
    assert Browser().sign_in(alice).status_code == 429


def test_new_recovery_codes_end_the_old_ones(tenant, alice, with_codes):
    fresh = enrolment.make_recovery_codes(user=alice, context=RequestContext(tenant=tenant))
    assert recover(Browser(), alice, with_codes[0]).status_code == 400
    assert recover(Browser(), alice, fresh[0]).status_code == 302


def test_recovery_codes_are_stored_as_keyed_hashes_of_one_person(tenant, alice, with_codes):
    stored = set(RecoveryCode.objects.values_list("code_hash", flat=True))
    assert all(re.fullmatch(r"[0-9a-f]{64}", code) for code in stored)
    bob = make_user(tenant)
    assert stored.isdisjoint({one for code in with_codes for one in recovery_code.hashes_of(code, user=bob)})


def test_the_last_recovery_code_takes_the_kind_with_it(alice, with_codes):
    for code in with_codes:
        assert "recovery_code" in alice.factor_kinds
        recovery_code.take(alice, code)
    alice.refresh_from_db()
    assert alice.factor_kinds == "totp"


def test_few_codes_are_warned_of(browser, alice, with_codes):
    for code in with_codes[:7]:
        recovery_code.take(alice, code)
    recover(browser, alice, with_codes[7])
    page = browser.get("/account/factors").content.decode()
    assert re.search(r'class="notice">2 recovery codes are left', page)


# On the account page ---------------------------------------------------------------------------------------


def test_an_app_is_added_and_recovery_codes_are_shown_once(signed_in_twice, tenant, alice):
    set_mode(tenant, "if_enrolled")
    page = signed_in_twice.get("/account/factors/app")
    secret, cookie = secret_on(page), signed_in_twice.session_cookie
    assert "<svg" in page.content.decode()
    assert secret_on(signed_in_twice.get("/account/factors/app")) == secret
    done = signed_in_twice.post(
        "/account/factors/app", {"verification_code": pyotp.TOTP(secret).now(), "name": " iPhone "}
    )
    codes = codes_on(done)
    assert len(codes) == 10
    assert "no-store" in done["Cache-Control"]
    session, app = SSOSession.objects.get(), AuthenticatorApp.objects.get()
    assert (session.acr, app.name) == (MULTI, "iPhone")
    assert signed_in_twice.session_cookie != cookie
    assert secret not in app.secret_sealed
    page = signed_in_twice.get("/account/factors").content.decode()
    assert "iPhone" in page
    assert "10 recovery codes are left" in page
    assert not any(code in page for code in codes)
    event = AuditEvent.objects.get(event_type="factor:add")
    assert (event.actor_id, event.target_id) == (alice.public_id, alice.public_id)
    assert event.details == {"kind": "totp", "factor": app.public_id}
    assert [message.subject for message in mail.outbox] == [
        f"{tenant.name}: the second step of your sign-in has changed"
    ] * 2
    assert "iPhone" in mail.outbox[0].body


def test_a_wrong_code_adds_nothing(signed_in_twice, alice):
    secret = secret_on(signed_in_twice.get("/account/factors/app"))
    answer = signed_in_twice.post("/account/factors/app", {"verification_code": wrong(pyotp.TOTP(secret))})
    assert answer.status_code == 400
    assert secret_on(answer) == secret
    assert not AuthenticatorApp.objects.exists()


@pytest.mark.security("S29")
def test_a_secret_is_good_for_one_app_and_ten_minutes(signed_in_twice, alice):
    secret = secret_on(signed_in_twice.get("/account/factors/app"))
    with time_machine.travel(timezone.now() + timedelta(minutes=9)):
        signed_in_twice.get("/account/factors")
    with time_machine.travel(timezone.now() + timedelta(minutes=10, seconds=1)):
        signed_in_twice.post("/confirm-password", {"password": PASSWORD})
        form = {"verification_code": pyotp.TOTP(secret).now()}
        assert signed_in_twice.post("/account/factors/app", form).status_code == 400
        fresh = secret_on(signed_in_twice.get("/account/factors/app"))
        assert fresh != secret
        form = {"verification_code": pyotp.TOTP(fresh).now()}
        assert signed_in_twice.post("/account/factors/app", form).status_code == 200
        assert signed_in_twice.post("/account/factors/app", form).status_code == 400
    assert AuthenticatorApp.objects.count() == 1


@pytest.mark.security("S28")
def test_a_secret_made_in_one_session_is_no_good_in_another(tenant, alice):
    one, other = Browser(), Browser()
    one.sign_in(alice)
    other.sign_in(alice)
    note_second_factor(alice)
    secret = secret_on(one.get("/account/factors/app"))
    other.get("/account/factors/app")
    assert other.post("/account/factors/app", {"verification_code": pyotp.TOTP(secret).now()}).status_code == 400


@pytest.mark.security("S27")
@pytest.mark.parametrize("path", ["/account/factors/app", "/account/factors/recovery-codes"])
def test_factors_change_after_a_fresh_proof_only(signed_in_twice, alice, path):
    with time_machine.travel(timezone.now() + timedelta(minutes=30)):
        response = signed_in_twice.post(path)
        assert response["Location"].startswith("/confirm-password")
        assert signed_in_twice.get("/account/factors").status_code == 200


@pytest.mark.security("S28")
def test_who_has_a_factor_proves_it_before_it_is_changed_whatever_the_tenant_asks(browser, alice):
    app, codes = enrol(alice)
    browser.sign_in(alice)
    response = browser.post(f"/account/factors/{app.public_id}/remove")
    assert response["Location"].startswith("/login?transaction=")
    assert AuthenticatorApp.objects.exists()
    assert give(browser, handle_in(response), code_of(codes))["Location"] == "/account/factors"
    assert browser.post(f"/account/factors/{app.public_id}/remove")["Location"] == "/account/factors"
    assert not AuthenticatorApp.objects.exists()


@pytest.mark.security("S28")
@pytest.mark.parametrize("path", ["app", "passkey"])
def test_a_stolen_password_adds_no_factor_beside_a_proved_mailbox(browser, alice, path):
    """An application that always asks for two factors would take the thief's app in place of the code by mail."""
    browser.sign_in(alice)
    response = browser.get(f"/account/factors/{path}")
    assert response["Location"].startswith("/login?transaction=")
    handle = handle_in(response)
    page = browser.get(f"/login?transaction={handle}")
    sent = re.search(r"\b(\d{6})\b", mail.outbox[-1].body)
    assert page.status_code == 200
    assert browser.post(f"/account/factors/{path}", {"verification_code": sent[1], "name": ""}).status_code == 302
    assert give(browser, handle, sent[1])["Location"] == f"/account/factors/{path}"
    assert browser.get(f"/account/factors/{path}").status_code == 200


@pytest.mark.security("S28")
@pytest.mark.parametrize(
    "person",
    [{"email_verified": False}, {"email": "", "mobile_index": "x", "phone_number_verified": True}],
    ids=["nothing is proved", "nothing sends to the number"],
)
def test_who_can_prove_nothing_more_adds_the_first_factor_by_the_password(browser, alice, person):
    User.objects.filter(pk=alice.pk).update(**person)
    browser.sign_in(alice)
    assert browser.get("/account/factors/app").status_code == 200


def sign_in_with(browser: Browser, user: User, codes: pyotp.TOTP) -> None:
    handle = handle_in(browser.sign_in(user))
    assert give(browser, handle, code_of(codes)).status_code == 302


def test_an_app_is_renamed_and_removed_with_mail_and_audit(browser, tenant, alice):
    set_mode(tenant, "if_enrolled")
    app, codes = enrol(alice)
    enrolment.make_recovery_codes(user=alice, context=RequestContext(tenant=tenant))
    sign_in_with(browser, alice, codes)
    mail.outbox.clear()
    assert browser.get(f"/account/factors/{app.public_id}/rename").status_code == 200
    assert browser.post(f"/account/factors/{app.public_id}/rename", {"name": ""}).status_code == 400
    assert browser.post(f"/account/factors/{app.public_id}/rename", {"name": "Tablet"}).status_code == 302
    assert AuthenticatorApp.objects.get().name == "Tablet"
    assert browser.post(f"/account/factors/{app.public_id}/remove").status_code == 302
    alice.refresh_from_db()
    assert (alice.factor_kinds, RecoveryCode.objects.count()) == ("", 0)
    assert ["Tablet" in message.body for message in mail.outbox] == [True, True]
    types = AuditEvent.objects.filter(event_type__startswith="factor:").values_list("event_type", flat=True)
    assert list(types) == ["factor:add", "factor:recovery_codes", "factor:rename", "factor:remove"]


@pytest.mark.security("S37")
@pytest.mark.parametrize("action", ["rename", "remove"])
def test_factors_of_others_are_not_found(browser, tenant, alice, action):
    bob = make_user(tenant, user_name="bob")
    app, _codes = enrol(bob)
    browser.sign_in(alice)
    note_second_factor(alice)
    for public_id in (app.public_id, "nothing"):
        assert browser.post(f"/account/factors/{public_id}/{action}", {"name": "Mine"}).status_code == 404
    assert AuthenticatorApp.objects.get().name == "Telephone"


def test_the_last_factor_stays_while_the_tenant_demands_one(browser, tenant, alice):
    set_mode(tenant, "always")
    User.objects.filter(pk=alice.pk).update(email_verified=False)
    app, codes = enrol(alice)
    sign_in_with(browser, alice, codes)
    answer = browser.post(f"/account/factors/{app.public_id}/remove")
    assert answer.status_code == 400
    assert "last second factor" in answer.content.decode()
    assert AuthenticatorApp.objects.exists()
    second, _codes = enrol(alice, "Tablet")
    assert browser.post(f"/account/factors/{app.public_id}/remove").status_code == 302
    assert AuthenticatorApp.objects.get() == second


def test_recovery_codes_stand_for_another_factor_only(alice):
    with pytest.raises(NotAllowed):
        enrolment.make_recovery_codes(user=alice, context=RequestContext(tenant=alice.tenant))


def test_nobody_has_more_than_ten_apps(alice):
    for number in range(enrolment.PER_KIND):
        enrol(alice, f"App {number}")
    with pytest.raises(NotAllowed):
        enrol(alice)


# In the middle of a sign-in --------------------------------------------------------------------------------


@pytest.fixture
def bare(tenant) -> User:
    """Somebody without any factor, where the tenant always asks for one."""
    set_mode(tenant, "always")
    return make_user(tenant, user_name="bob", email="bob@example.org")


def test_who_has_no_factor_sets_one_up_in_the_sign_in(browser, bare):
    response = browser.sign_in(bare, query="?next=/account/password")
    handle = handle_in(response)
    page = browser.get(response["Location"])
    assert "Set up a second step" in page.content.decode()
    assert not browser.is_signed_in
    done = give(browser, handle, pyotp.TOTP(secret_on(page)).now(), name="Telephone")
    assert len(codes_on(done)) == 10
    assert 'href="/account/password"' in done.content.decode()
    session = SSOSession.objects.get()
    assert (session.amr, session.acr) == (["pwd", "otp"], MULTI)
    assert browser.is_signed_in
    bare.refresh_from_db()
    assert bare.factor_kinds == "totp recovery_code"


@pytest.mark.security("S28")
def test_nobody_enrols_in_a_sign_in_whose_factor_is_not_proved(browser, tenant, alice):
    """Zitadel CVE-2025-64103: whoever knows the password added a factor of their own in place of the second step."""
    set_mode(tenant, "always")
    enrol(alice)
    handle = handle_in(browser.sign_in(alice))
    row = LoginTransaction.objects.get()
    made = enrolment.begin_totp(user=alice, owner=ceremonies.owner_of(row))
    code = pyotp.TOTP(made.secret).now()
    assert give(browser, handle, code, name="Thief").status_code == 400
    with pytest.raises(StateInvalid):
        enrolment.finish_totp(
            user=alice,
            owner=ceremonies.owner_of(row),
            name="Thief",
            verification_code=code,
            context=RequestContext(tenant=tenant),
            after=["pwd"],
        )
    assert AuthenticatorApp.objects.get().name == "Telephone"
    assert SSOSession.objects.count() == 0


@pytest.mark.security("S28")
def test_a_factor_that_was_added_meanwhile_has_to_be_proved(browser, bare):
    response = browser.sign_in(bare)
    secret = secret_on(browser.get(response["Location"]))
    enrol(bare)
    assert give(browser, handle_in(response), pyotp.TOTP(secret).now()).status_code == 400
    assert AuthenticatorApp.objects.count() == 1
    assert SSOSession.objects.count() == 0


@pytest.mark.security("S28")
def test_a_secret_of_another_tabs_sign_in_is_refused(browser, bare):
    one = browser.sign_in(bare)
    secret = secret_on(browser.get(one["Location"]))
    other = browser.sign_in(bare)
    browser.get(other["Location"])
    assert give(browser, handle_in(other), pyotp.TOTP(secret).now()).status_code == 400
    assert SSOSession.objects.count() == 0


@pytest.mark.security("S29")
def test_enrolment_is_not_skipped_by_posting_the_next_step(browser, bare):
    handle = handle_in(browser.sign_in(bare))
    forms = [
        {},
        {"skip": "1"},
        {"identifier": "bob", "password": PASSWORD},
        {"new_password": "Fresh-Harbour-77", "repeat_password": "Fresh-Harbour-77"},
        {"recovery_code": "AAAAA-AAAAA"},
        {"verification_code": "123456"},
    ]
    for form in forms:
        assert browser.post("/login", {"transaction": handle, **form}).status_code == 400
    assert SSOSession.objects.count() == 0


@pytest.mark.security("S27")
def test_enrolment_in_another_browser_is_refused(browser, bare):
    response = browser.sign_in(bare)
    secret = secret_on(browser.get(response["Location"]))
    thief = Browser()
    assert give(thief, handle_in(response), pyotp.TOTP(secret).now()).status_code == 400
    assert not AuthenticatorApp.objects.exists()


def test_ceremonies_that_are_over_are_purged(alice):
    enrolment.begin_totp(user=alice, owner="session 1")
    now = timezone.now()
    assert ceremonies.purge(now + timedelta(hours=24), 10) == 0
    assert ceremonies.purge(now + timedelta(hours=25), 10) == 1
    assert not FactorCeremony.objects.exists()


def test_factors_of_a_tenant_stay_there(alice):
    stranger = make_user(make_tenant(), user_name="alice")
    enrol(alice)
    assert enrolment.list_of(stranger) == []
