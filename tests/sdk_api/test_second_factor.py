"""The second factor in apps (OneAccess-3.2.8): by text message, after the first one, once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from identity import copies
from identity.context import RequestContext
from identity.models import AuditEvent, MFAMode, SSOSession, User
from identity.sign_in import enrolment
from tests.factories import PASSWORD, make_application, make_tenant, make_user
from tests.factories.factors import enrol
from tests.factories.oidc import make_client
from tests.sdk_api.mobile import MOBILE, OTHER_MOBILE, Inbox, inbox, receive
from tests.sdk_api.phone import Phone, make_phone
from tests.support.at_once import at_once

__all__ = ["inbox"]

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("inbox")]

INVALID_STATE = {"error_code": "PARAM.0014", "error_msg": "Invalid state token."}


def told(response: Any) -> tuple[int, str]:
    return response.status_code, response.json()["error_code"]


def make_guarded_phone(mode: str = MFAMode.ALWAYS, **user: Any) -> Phone:
    """An app whose tenant asks for a second factor."""
    limits = user.pop("limits", {})
    tenant = make_tenant(session_policy={"mfa_mode": mode}, password_policy=limits)
    return make_phone(tenant, **{"mobile": MOBILE, "phone_number_verified": True, **user})


@pytest.fixture
def phone() -> Phone:
    return make_guarded_phone()


def begin(phone: Phone) -> str:
    """The state_token after the password."""
    body = phone.login().json()
    assert (body["status"], set(body)) == ("MFA_AUTH", {"status", "state_token"})
    token: str = body["state_token"]
    return token


def prove(phone: Phone, token: str | None, code: str, mobile: str = MOBILE, **headers: str | None) -> Any:
    return phone.post("mfa/sms", {"mobile": mobile, "verify_code": code}, X_state_token=token, **headers)


@pytest.mark.spec("OneAccess-3.2.8.1")
@pytest.mark.spec("OneAccess-3.2.8.2")
def test_number_code_and_session(phone: Phone) -> None:
    token = begin(phone)
    response = phone.get("mobile-by-token", X_state_token=token)
    assert (response.status_code, response.json(), response["Cache-Control"]) == (200, {"mobile": MOBILE}, "no-store")
    assert phone.get("mobile-by-token", X_state_token=token).json() == {"mobile": MOBILE}  # it spends nothing
    response = prove(phone, token, receive(phone, "OTP_REST_SMS"))
    body = response.json()
    assert (response.status_code, body["status"], body["expire"]) == (200, "SUCCESS", 604800)
    session = SSOSession.objects.get()
    assert (session.amr, session.acr) == (["pwd", "sms"], "urn:monban:acr:multi-factor")
    assert phone.profile(phone.sign(body["session_token"])).status_code == 200
    # Spent: by SUCCESS, and by nothing before.
    assert prove(phone, token, "123456").json() == INVALID_STATE
    assert phone.get("mobile-by-token", X_state_token=token).json() == INVALID_STATE
    event = AuditEvent.objects.get(event_type="login:second_factor", outcome="success")
    assert event.actor_id == phone.user.public_id


@pytest.mark.spec("OneAccess-3.2.8.2")
@pytest.mark.security("S29")
def test_a_wrong_code_leaves_the_state_token_good_and_no_session(phone: Phone) -> None:
    token, code = begin(phone), receive(phone, "OTP_REST_SMS")
    for wrong in ("", f"{(int(code) + 1) % 1_000_000:06d}", "\x00"):
        assert told(prove(phone, token, wrong))[0] == 400
    assert not SSOSession.objects.exists()
    assert prove(phone, token, code).json()["status"] == "SUCCESS"


@pytest.mark.spec("OneAccess-3.2.8.2")
@pytest.mark.security("S28")
@pytest.mark.parametrize("kind", ["LOGIN_SMS", "FORGET_PWD_SMS", "BIND_MOBILE_SMS"])
def test_a_code_for_something_else_is_no_second_factor(phone: Phone, kind: str) -> None:
    token = begin(phone)
    assert told(prove(phone, token, receive(phone, kind))) == (400, "CAPTCHA.0007")


@pytest.mark.spec("OneAccess-3.2.8.2")
@pytest.mark.security("S28")
def test_the_number_must_be_the_users(phone: Phone) -> None:
    bob = make_user(phone.tenant, user_name="bob", mobile=OTHER_MOBILE, phone_number_verified=True)
    token, bobs = begin(phone), receive(phone, "OTP_REST_SMS", OTHER_MOBILE)
    assert told(prove(phone, token, bobs, OTHER_MOBILE)) == (400, "MOBILE.0002")
    assert told(prove(phone, token, bobs, MOBILE)) == (400, "CAPTCHA.0007")
    assert not SSOSession.objects.filter(user__in=[phone.user, bob]).exists()
    assert prove(phone, token, receive(phone, "OTP_REST_SMS"), "+86-138-1234-5678").json()["status"] == "SUCCESS"


@pytest.mark.security("S30")
def test_passwords_and_codes_count_on_one_row(phone: Phone) -> None:
    token, code = begin(phone), receive(phone, "OTP_REST_SMS")
    for _try in range(2):
        phone.login(password="wrong")
    for _try in range(3):
        assert told(prove(phone, token, "wrong")) == (400, "CAPTCHA.0007")
    assert told(prove(phone, token, code)) == (400, "LOGIN.0001")
    assert told(phone.login()) == (400, "LOGIN.0001")


@pytest.mark.security("S28")
@pytest.mark.parametrize("step", ["pwd/skip-update", "pwd/update", "social/bind", "social/register-bind"])
def test_there_is_no_road_round_it(phone: Phone, step: str) -> None:
    token = begin(phone)
    bodies = {
        "pwd/update": {"old_password": "x", "new_password": "y"},
        "social/bind": {"mobile": MOBILE, "verify_code": "1"},
        "social/register-bind": {"mobile": MOBILE, "verify_code": "1"},
    }
    if step in bodies:
        response = phone.post(step, bodies[step], X_state_token=token)
    else:
        response = phone.get(step, X_state_token=token)
    assert (response.status_code, response.json()) == (400, INVALID_STATE)
    assert not SSOSession.objects.exists()


def other_device(phone: Phone) -> None:
    phone.device["X-device-fingerprint"] = "another"


def other_client(phone: Phone) -> None:
    phone.device["X-client-id"] = make_client(make_application(phone.tenant), may_use_sdk=True).client_id


@pytest.mark.security("S27")
@pytest.mark.parametrize("move", [other_device, other_client])
def test_the_state_token_belongs_to_the_device_and_the_client(phone: Phone, move: Any) -> None:
    token, code = begin(phone), receive(phone, "OTP_REST_SMS")
    move(phone)
    assert phone.get("mobile-by-token", X_state_token=token).json() == INVALID_STATE
    assert prove(phone, token, code).json() == INVALID_STATE


def test_the_state_token_lasts_ten_minutes(phone: Phone) -> None:
    token = begin(phone)
    with time_machine.travel(timezone.now() + timedelta(minutes=11)):
        assert phone.get("mobile-by-token", X_state_token=token).json() == INVALID_STATE


@pytest.mark.security("S28")
@pytest.mark.parametrize(
    "user",
    [{"mobile": ""}, {"phone_number_verified": False}, {"mobile": "", "email_verified": True}],
    ids=["no number", "not verified", "a mailbox only, for which apps have no step"],
)
def test_who_has_no_factor_is_denied(user: dict[str, Any]) -> None:
    response = make_guarded_phone(**user).login()
    assert (response.status_code, response.json()) == (200, {"status": "ACCESS_DENIED"})
    assert not SSOSession.objects.exists()


@pytest.mark.parametrize("is_enrolled", [True, False])
def test_where_enrolment_decides_it_is_asked_of_who_enrolled(is_enrolled: bool) -> None:
    phone = make_guarded_phone(MFAMode.IF_ENROLLED)
    if is_enrolled:
        User.objects.filter(pk=phone.user.pk).update(factor_kinds="totp")
    assert phone.login().json()["status"] == ("MFA_AUTH" if is_enrolled else "SUCCESS")


@pytest.mark.security("S28")
def test_a_number_that_changed_meanwhile_ends_the_step(phone: Phone) -> None:
    token, code = begin(phone), receive(phone, "OTP_REST_SMS")
    phone.user.mobile, phone.user.phone_number_verified = OTHER_MOBILE, False
    phone.user.save()
    assert phone.get("mobile-by-token", X_state_token=token).json() == INVALID_STATE
    assert prove(phone, token, code).json() == INVALID_STATE


@pytest.mark.security("S26")
def test_a_user_who_was_disabled_meanwhile_gets_no_session(phone: Phone) -> None:
    token, code = begin(phone), receive(phone, "OTP_REST_SMS")
    User.objects.update(is_active=False)
    assert told(prove(phone, token, code)) == (400, "USER.0004")
    assert not SSOSession.objects.exists()


@pytest.mark.security("S28")
def test_an_expired_password_is_still_to_be_changed_after_it() -> None:
    phone = make_guarded_phone(password_must_change=True)
    body = prove(phone, begin(phone), receive(phone, "OTP_REST_SMS")).json()
    assert body["status"] == "PASSWORD_EXPIRED"
    assert phone.get("pwd/skip-update", X_state_token=body["state_token"]).json() == INVALID_STATE
    assert not SSOSession.objects.exists()


@pytest.mark.security("S29")
@pytest.mark.django_db(transaction=True)
def test_of_a_hundred_codes_at_once_one_opens_a_session() -> None:
    phone = make_guarded_phone(limits={"max_failures": 1000, "max_failures_per_source": 1000})
    copies.clear()
    token, code = begin(phone), receive(phone, "OTP_REST_SMS")
    answers = at_once(lambda _number: prove(phone, token, code).json().get("status", "refused"), times=100)
    assert sorted(answers) == ["SUCCESS"] + ["refused"] * 99
    assert SSOSession.objects.count() == 1
    assert len(Inbox.messages) == 1


@pytest.mark.security("S28")
@pytest.mark.security("S29")
def test_the_state_token_of_an_earlier_step_opens_no_later_one(phone: Phone) -> None:
    User.objects.filter(pk=phone.user.pk).update(password_must_change=True)
    earlier = begin(phone)
    body = prove(phone, earlier, receive(phone, "OTP_REST_SMS")).json()
    assert body["status"] == "PASSWORD_EXPIRED"
    form = {"old_password": PASSWORD, "new_password": "Amber-Meadow-77"}
    answers = [phone.post("pwd/update", form, X_state_token=token) for token in (earlier, body["state_token"])]
    assert (answers[0].status_code, answers[0].json()) == (400, INVALID_STATE)
    assert answers[1].json()["status"] == "SUCCESS"


# What people have enrolled themselves: calls of ours -------------------------------------------------------------


def prove_held(phone: Phone, token: str, code: str, path: str = "mfa/totp") -> Any:
    return phone.post(path, {"verify_code": code}, X_state_token=token)


def test_an_authenticator_app_is_the_second_factor() -> None:
    phone = make_guarded_phone(MFAMode.IF_ENROLLED, mobile="")
    _app, codes = enrol(phone.user)
    body = phone.login().json()
    assert (body["status"], body["mfa_methods"]) == ("MFA_AUTH", ["totp"])
    token = body["state_token"]
    assert phone.get("mobile-by-token", X_state_token=token).json() == INVALID_STATE
    assert told(prove_held(phone, token, "")) == (400, "PARAM.0009")
    assert told(prove_held(phone, token, "000000")) == (400, "CAPTCHA.0007")
    assert told(prove_held(phone, token, "AAAAA-AAAAA", "mfa/recovery-code")) == (400, "PARAM.0014")
    answer = prove_held(phone, token, codes.now())
    assert answer.json()["status"] == "SUCCESS"
    assert SSOSession.objects.get().amr == ["pwd", "otp"]
    assert prove_held(phone, token, codes.now()).json() == INVALID_STATE


@pytest.mark.parametrize("steps", [-1, 1])
def test_a_code_one_step_away_in_wide_digits_with_spaces_is_taken(steps: int) -> None:
    phone = make_guarded_phone(MFAMode.IF_ENROLLED)
    _app, codes = enrol(phone.user)
    with time_machine.travel(timezone.now(), tick=False):  # no step may end meanwhile
        token = phone.login().json()["state_token"]
        now = int(timezone.now().timestamp())
        for far in (-2, 2):
            assert told(prove_held(phone, token, codes.at(now + 30 * far))) == (400, "CAPTCHA.0007")
        code = " ".join(codes.at(now + 30 * steps)).translate(str.maketrans("0123456789", "０１２３４５６７８９"))
        assert prove_held(phone, token, code).json()["status"] == "SUCCESS"


def test_who_has_several_factors_takes_any_of_them() -> None:
    phone = make_guarded_phone()
    _app, codes = enrol(phone.user)
    sheet = enrolment.make_recovery_codes(user=phone.user, context=RequestContext(tenant=phone.tenant))
    body = phone.login().json()
    assert body["mfa_methods"] == ["totp", "sms", "recovery_code"]
    assert phone.get("mobile-by-token", X_state_token=body["state_token"]).json() == {"mobile": MOBILE}
    assert prove(phone, body["state_token"], receive(phone, "OTP_REST_SMS")).json()["status"] == "SUCCESS"
    token = phone.login().json()["state_token"]
    assert prove_held(phone, token, sheet[0], "mfa/recovery-code").json()["status"] == "SUCCESS"
    token = phone.login().json()["state_token"]
    assert told(prove_held(phone, token, sheet[0], "mfa/recovery-code")) == (400, "CAPTCHA.0007")
    assert prove_held(phone, token, codes.now()).json()["status"] == "SUCCESS"


@pytest.mark.security("S30")
def test_codes_of_an_app_count_on_the_row_of_passwords() -> None:
    phone = make_guarded_phone(MFAMode.IF_ENROLLED)
    enrol(phone.user)
    token = phone.login().json()["state_token"]
    answers = [prove_held(phone, token, "wrong").json()["error_code"] for _try in range(6)]
    assert answers == ["CAPTCHA.0007"] * 5 + ["LOGIN.0001"]
