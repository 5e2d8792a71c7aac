"""Sign-in by password, the steps about passwords, profile and sign-out (OneAccess-3.2.5, 3.2.7, 3.2.9)."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import jwt
import pytest
import time_machine
from django.utils import timezone

from identity import copies, crypto
from identity.models import (
    ApplicationAccess,
    AuditEvent,
    LoginTransaction,
    MFAMode,
    SessionPolicy,
    SSOSession,
    User,
)
from oidc_provider.clients import registration
from tests.factories import PASSWORD, make_application, make_tenant
from tests.factories.oidc import make_client
from tests.sdk_api.phone import Phone, make_phone
from tests.support.turns import turns_taken

NEW_PASSWORD = "Amber-Meadow-77"
DEVICE = {"error_code": "PARAM.0001", "error_msg": "Incomplete device information."}
INVALID_STATE = {"error_code": "PARAM.0014", "error_msg": "Invalid state token."}


def told(response: Any) -> tuple[int, str]:
    return response.status_code, response.json()["error_code"]


@pytest.fixture
def expired(db: None) -> Phone:
    """An app whose user must change the password."""
    return make_phone(password_must_change=True)


@pytest.fixture
def warned(db: None) -> Phone:
    """An app whose user's password will expire in two days."""
    tenant = make_tenant(password_policy={"max_age_days": 30, "warn_days": 7})
    return make_phone(tenant, password_changed_at=timezone.now() - timedelta(days=28))


def state_token(phone: Phone, status: str) -> str:
    body = phone.login().json()
    assert body["status"] == status
    token: str = body["state_token"]
    return token


def update(phone: Phone, token: str | None, old: str = PASSWORD, new: str = NEW_PASSWORD, **headers: str | None) -> Any:
    body = {"old_password": old, "new_password": new}
    return phone.post("pwd/update", body, X_state_token=token, **headers)


# Sign-in ---------------------------------------------------------------------------------------------------


@pytest.mark.spec("OneAccess-3.2.5.1")
def test_the_right_password_opens_an_app_session(phone: Phone) -> None:
    response = phone.login()
    body = response.json()
    assert response.status_code == 200
    told_once = {name: body[name] for name in ("session_token", "id_token")}
    assert body == {"status": "SUCCESS", "expire": 604800, **told_once}
    assert response["Cache-Control"] == "no-store"
    session = SSOSession.objects.get()
    assert (session.kind, session.amr, session.user_agent) == ("sdk", ["pwd"], phone.device["X-agent"])
    assert len(body["session_token"]) <= 120  # it has to fit into one block
    assert body["session_token"] not in str(SSOSession.objects.values())
    assert AuditEvent.objects.filter(event_type="login:success", outcome="success").count() == 1


@pytest.mark.spec("OneAccess-3.2.5.1")
@pytest.mark.security("S33")
def test_unknown_name_and_wrong_password_are_one_error(phone: Phone) -> None:
    answers = [phone.login(user_name="nobody"), phone.login(password="wrong")]
    assert [answer.status_code for answer in answers] == [400, 400]
    assert answers[0].json() == answers[1].json()
    assert answers[0].json() == {
        "error_code": "LOGIN.0002",
        "error_msg": "Invalid account name or password. Remaining attempts: 4",
    }
    refused = AuditEvent.objects.filter(event_type="login:password", outcome="refused")
    assert sorted(refused.values_list("reason", flat=True)) == ["LOGIN.0002", "LOGIN.0002:unknown"]


@pytest.mark.spec("OneAccess-3.2.5.1")
@pytest.mark.security("S30")
def test_failures_lock_and_the_right_password_is_locked_too(phone: Phone) -> None:
    for _try in range(5):
        phone.login(password="wrong")
    with time_machine.travel(timezone.now() + timedelta(seconds=1), tick=False):
        response = phone.login()
    assert told(response) == (400, "LOGIN.0001")
    assert "will be unlocked in 14 minutes" in response.json()["error_msg"]


@pytest.mark.spec("OneAccess-3.2.5.1")
def test_a_disabled_user_is_told_after_the_right_password_only(phone: Phone) -> None:
    User.objects.update(is_active=False)
    assert told(phone.login(password="wrong")) == (400, "LOGIN.0002")
    assert told(phone.login()) == (400, "USER.0004")


@pytest.mark.spec("OneAccess-3.2.5.1")
@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"password": PASSWORD}, "PARAM.0010"),
        ({"user_name": "", "password": ""}, "PARAM.0010"),
        ({"user_name": ["alice"], "password": PASSWORD}, "PARAM.0010"),
        ({"user_name": "alice"}, "PWD.0008"),
        ({"user_name": "alice", "password": None}, "PWD.0008"),
        ("{", "COM.0400"),
        ("[]", "COM.0400"),
        ("", "PARAM.0010"),
    ],
)
def test_what_is_empty_is_told_by_its_code(phone: Phone, body: Any, code: str) -> None:
    assert told(phone.post("login", body)) == (400, code)
    assert not LoginTransaction.objects.exists()


@pytest.mark.security("S33")
@pytest.mark.parametrize("name", ["alice", "nobody"])
def test_remaining_attempts_are_those_until_the_lock_for_unknown_names_too(phone: Phone, name: str) -> None:
    limit = phone.tenant.password_policy.max_failures
    texts = [phone.login(user_name=name, password="wrong").json()["error_msg"] for _try in range(limit)]
    assert texts == [f"Invalid account name or password. Remaining attempts: {left}" for left in reversed(range(limit))]
    assert told(phone.login(user_name=name, password="wrong")) == (400, "LOGIN.0001")


@pytest.mark.spec("OneAccess-3.2.5.1")
def test_a_user_without_an_account_is_denied(db: None) -> None:
    phone = make_phone(application={"access": ApplicationAccess.ASSIGNED})
    response = phone.login()
    assert (response.status_code, response.json()) == (200, {"status": "ACCESS_DENIED"})
    assert not SSOSession.objects.exists()


@pytest.mark.spec("OneAccess-3.2.5.1")
@pytest.mark.security("S28")
def test_a_second_factor_comes_before_the_age_of_the_password(expired: Phone) -> None:
    SessionPolicy.objects.update(mfa_mode=MFAMode.ALWAYS)
    expired.user.mobile, expired.user.phone_number_verified = "13812345678", True
    expired.user.save()
    response = expired.login()
    body = response.json()
    assert (response.status_code, body) == (200, {"status": "MFA_AUTH", "state_token": body["state_token"]})
    # The road round it is closed.
    assert update(expired, body["state_token"]).json() == INVALID_STATE
    assert expired.get("pwd/skip-update", X_state_token=body["state_token"]).json() == INVALID_STATE
    assert not SSOSession.objects.exists()


# Headers ---------------------------------------------------------------------------------------------------


@pytest.mark.spec("OneAccess-3.2.1")
@pytest.mark.parametrize("header", ["X_operating_sys_version", "X_device_fingerprint", "X_agent"])
@pytest.mark.parametrize("value", [None, "", "  "], ids=["missing", "empty", "blank"])
def test_every_call_names_its_device(phone: Phone, header: str, value: str | None) -> None:
    for path in ("server-date", "public-key", "logout", "profile", "pwd/skip-update"):
        response = phone.get(path, X_client_id=None, **{header: value})
        assert (response.status_code, response.json()) == (400, DEVICE)
    for path in ("login", "pwd/update"):
        response = phone.post(path, {}, **{header: value})
        assert (response.status_code, response.json()) == (400, DEVICE)


@pytest.mark.spec("OneAccess-3.2.1")
def test_every_call_names_an_enabled_application_of_the_tenant(phone: Phone) -> None:
    assert told(phone.get("server-date", X_client_id=None)) == (400, "PARAM.0002")
    assert told(phone.get("server-date", X_client_id="unknown")) == (400, "APP.0001")
    foreign = make_client(make_application(make_tenant()))
    assert told(phone.get("server-date", X_client_id=foreign.client_id)) == (400, "APP.0001")
    registration.update_client(phone.client, is_active=False)
    assert told(phone.get("server-date")) == (400, "APP.0003")


@pytest.mark.spec("OneAccess-3.2.1")
def test_on_the_shared_host_the_tenant_is_named(phone: Phone, settings: Any) -> None:
    settings.IDENTITY = {**settings.IDENTITY, "shared_host": "api.monban.example"}
    phone.host = "api.monban.example"
    assert told(phone.get("server-date")) == (400, "APP.0001")
    assert told(phone.get("server-date", X_tenant_id=make_tenant().public_id)) == (400, "APP.0001")
    phone.device["X-tenant-id"] = phone.tenant.public_id
    assert phone.get("server-date").status_code == 200
    assert phone.profile(phone.sign(phone.sign_in())).json()["user_name"] == "alice"


@pytest.mark.spec("OneAccess-3.2.1")
def test_x_l_chooses_the_language_where_the_tenant_says_so(phone: Phone) -> None:
    before = phone.profile(None).json()["error_msg"]
    phone.tenant.localize_errors = True
    phone.tenant.save()
    copies.clear()
    assert before == "Signature invalid or expired."
    answer = phone.get("profile", X_signature=None, X_L="zh").json()
    assert (answer["error_code"], answer["error_msg"] != before) == ("PARAM.0030", True)


def test_other_methods_are_refused(phone: Phone) -> None:
    response = phone.http.put("/api/v2/sdk/logout", headers=phone.headers(), secure=True)
    assert (response.status_code, response["Allow"]) == (405, "GET, HEAD")
    assert phone.get("login").status_code == 405


# Clock and key ---------------------------------------------------------------------------------------------


@pytest.mark.spec("OneAccess-3.2.2.1")
def test_the_clock_is_a_text_of_thirteen_digits(phone: Phone) -> None:
    with time_machine.travel("2021-08-09 08:14:55.102Z", tick=False):
        response = phone.get("server-date")
    assert (response.status_code, response.json()) == (200, {"timestamp": "1628496895102"})


@pytest.mark.spec("OneAccess-3.2.2.2")
def test_the_key_is_a_pem_without_a_last_line_feed(phone: Phone) -> None:
    response = phone.get("public-key")
    lines = response.json()["public_key"].split("\n")
    assert (response.status_code, lines[0], lines[-1]) == (
        200,
        "-----BEGIN PUBLIC KEY-----",
        "-----END PUBLIC KEY-----",
    )
    assert {len(line) for line in lines[1:-2]} == {64}


# Passwords that are too old --------------------------------------------------------------------------------


@pytest.mark.spec("OneAccess-3.2.7.2")
def test_an_expired_password_must_be_changed(expired: Phone) -> None:
    body = expired.login().json()
    assert (body["status"], set(body)) == ("PASSWORD_EXPIRED", {"status", "state_token", "data"})
    assert json.loads(body["data"]) == {"maxLength": 64, "minLength": 8, "regEx": "^.{8,64}$"}
    assert jwt.get_unverified_header(body["state_token"]) == {"alg": "HS256", "typ": "JWT"}
    answer = update(expired, body["state_token"])
    assert (answer.status_code, answer.json()) == (
        200,
        {
            "status": "SUCCESS",
            "session_token": answer.json()["session_token"],
            "expire": 604800,
            "id_token": answer.json()["id_token"],
        },
    )
    assert expired.profile(expired.sign(answer.json()["session_token"])).status_code == 200
    assert expired.login(password=NEW_PASSWORD).json()["status"] == "SUCCESS"


@pytest.mark.security("S53")
@pytest.mark.spec("OneAccess-3.2.7.1")
@pytest.mark.security("S28")
def test_an_expired_password_cannot_be_skipped(expired: Phone) -> None:
    token = state_token(expired, "PASSWORD_EXPIRED")
    response = expired.get("pwd/skip-update", X_state_token=token)
    assert (response.status_code, response.json()) == (400, INVALID_STATE)
    assert update(expired, token).json()["status"] == "SUCCESS"


@pytest.mark.spec("OneAccess-3.2.7.1")
def test_a_warning_can_be_skipped_or_heeded(warned: Phone) -> None:
    skipped = warned.get("pwd/skip-update", X_state_token=state_token(warned, "PASSWORD_WARN"))
    assert (skipped.status_code, skipped.json()["status"], skipped.json()["expire"]) == (200, "SUCCESS", 604800)
    assert warned.profile(warned.sign(skipped.json()["session_token"])).status_code == 200
    assert update(warned, state_token(warned, "PASSWORD_WARN")).json()["status"] == "SUCCESS"


@pytest.mark.spec("OneAccess-3.2.7.2")
@pytest.mark.security("S29")
def test_a_state_token_is_spent_once(warned: Phone) -> None:
    token = state_token(warned, "PASSWORD_WARN")
    assert warned.get("pwd/skip-update", X_state_token=token).status_code == 200
    assert warned.get("pwd/skip-update", X_state_token=token).json() == INVALID_STATE
    assert update(warned, token).json() == INVALID_STATE


@pytest.mark.spec("OneAccess-3.2.7.2")
@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("", NEW_PASSWORD, "PARAM.0018"),
        (PASSWORD, "", "PARAM.0019"),
        (PASSWORD, PASSWORD, "PARAM.0020"),
        ("wrong", NEW_PASSWORD, "PARAM.0028"),
        (PASSWORD, "ecila-Amber-77", "PWD.0002"),
        (PASSWORD, "alice-Amber-77", "PWD.0003"),
        (PASSWORD, "password1", "PWD.0004"),
        (PASSWORD, "aaaabbbbcccc", "PWD.0005"),
        (PASSWORD, "Short-1", "PWD.0007"),
    ],
)
def test_a_refused_password_leaves_the_state_token_good(expired: Phone, old: str, new: str, code: str) -> None:
    token = state_token(expired, "PASSWORD_EXPIRED")
    assert told(update(expired, token, old, new)) == (400, code)
    assert not SSOSession.objects.exists()
    assert update(expired, token).json()["status"] == "SUCCESS"


@pytest.mark.security("S30")
def test_guesses_of_the_old_password_count(expired: Phone) -> None:
    token = state_token(expired, "PASSWORD_EXPIRED")
    for _try in range(5):
        assert told(update(expired, token, "wrong")) == (400, "PARAM.0028")
    assert told(update(expired, token)) == (400, "LOGIN.0001")


def forged(token: str, phone: Phone) -> str:
    claims = jwt.decode(token, options={"verify_signature": False})
    return jwt.encode(claims, "k" * 32, algorithm="HS256")


def unsigned(token: str, phone: Phone) -> str:
    claims = jwt.decode(token, options={"verify_signature": False})
    return jwt.encode(claims, None, algorithm="none")


def relabelled(token: str, phone: Phone) -> str:
    """Signed by us, for another kind of step than the sign-in stands at."""
    claims = jwt.decode(token, options={"verify_signature": False})
    key = crypto.envelope_keys("sdk_api.state_token")[0]
    return jwt.encode({**claims, "step": "PASSWORD_WARN"}, key, algorithm="HS256")


def of_another_issuer(token: str, phone: Phone) -> str:
    """Signed by us, for this client, at another tenant."""
    claims = jwt.decode(token, options={"verify_signature": False})
    key = crypto.envelope_keys("sdk_api.state_token")[0]
    return jwt.encode({**claims, "iss": make_tenant().public_id}, key, algorithm="HS256")


def of_another_device(token: str, phone: Phone) -> str:
    phone.device["X-device-fingerprint"] = "another"
    return token


def of_another_client(token: str, phone: Phone) -> str:
    phone.device["X-client-id"] = make_client(make_application(phone.tenant), may_use_sdk=True).client_id
    return token


def of_another_tenant(token: str, phone: Phone) -> str:
    other = make_phone(make_tenant())
    phone.host, phone.device = other.host, {**phone.device, "X-client-id": other.client.client_id}
    return token


def shortened(token: str, phone: Phone) -> str:
    return token[:-2]


def no_token(token: str, phone: Phone) -> str:
    return "x.y.z"


@pytest.mark.security("S44")
@pytest.mark.spec("OneAccess-3.2.7.1")
@pytest.mark.parametrize(
    "change",
    [
        forged,
        unsigned,
        relabelled,
        of_another_issuer,
        of_another_device,
        of_another_client,
        of_another_tenant,
        shortened,
        no_token,
    ],
)
def test_any_other_state_token_is_refused(expired: Phone, change: Callable[[str, Phone], str]) -> None:
    token = change(state_token(expired, "PASSWORD_EXPIRED"), expired)
    # The relabelled one would open the road that an expired password may not take.
    response = expired.get("pwd/skip-update", X_state_token=token)
    assert (response.status_code, response.json()) == (400, INVALID_STATE)
    if change is not relabelled:
        assert update(expired, token).json() == INVALID_STATE
    assert not SSOSession.objects.exists()


@pytest.mark.spec("OneAccess-3.2.7.1")
def test_a_state_token_is_needed_and_runs_out(warned: Phone) -> None:
    assert told(warned.get("pwd/skip-update")) == (400, "PARAM.0013")
    assert told(update(warned, None)) == (400, "PARAM.0013")
    token = state_token(warned, "PASSWORD_WARN")
    with time_machine.travel(timezone.now() + timedelta(minutes=11)):
        assert warned.get("pwd/skip-update", X_state_token=token).json() == INVALID_STATE


# Profile and sign-out --------------------------------------------------------------------------------------


@pytest.mark.spec("OneAccess-3.2.9.1")
def test_the_profile_tells_what_is_set_and_never_a_password(db: None) -> None:
    phone = make_phone(
        user_name="zhangsan",
        name="张三",
        mobile="12345678901",
        email="12345678901@example.com",
        picture_url="https://thirdwx.qlogo.cn/mmopen/vi_32/Q0j4TwGTfTIQ8QOTSn3y4cYHLlMC3sv6RCBmeMkxtOog47Zr3v2Afb",
        gender="male",
        birth_date=date(2022, 2, 17),
        nick_name="张三",
        extension={"age": "18"},
    )
    response = phone.profile(phone.sign(phone.sign_in()))
    assert (response.status_code, response["Cache-Control"]) == (200, "no-store")
    assert response.json() == {
        "user_name": "zhangsan",
        "name": "张三",
        "mobile": "12345678901",
        "email": "12345678901@example.com",
        "head_img": "https://thirdwx.qlogo.cn/mmopen/vi_32/Q0j4TwGTfTIQ8QOTSn3y4cYHLlMC3sv6RCBmeMkxtOog47Zr3v2Afb",
        "attr_gender": "male",
        "attr_birthday": "2022-02-17",
        "attr_nick_name": "张三",
        "extension": {"age": "18"},
    }


@pytest.mark.spec("OneAccess-3.2.5.5")
def test_sign_out_ends_the_session_for_every_call(phone: Phone) -> None:
    token = phone.sign_in()
    response = phone.get("logout", X_signature=phone.sign(token))
    assert (response.status_code, response.content, response["Cache-Control"]) == (200, b"", "no-store")
    assert SSOSession.objects.get().end_reason == "signed_out"
    event = AuditEvent.objects.get(event_type="session:end")
    assert (event.outcome, event.actor_id) == ("success", phone.user.public_id)
    assert told(phone.get("logout", X_signature=phone.sign(token))) == (400, "PARAM.0030")
    assert AuditEvent.objects.latest("pk").event_type == "logout:request"
    assert told(phone.profile(phone.sign(token))) == (400, "PARAM.0030")


@pytest.mark.spec("OneAccess-3.2.5.5")
def test_sign_out_leaves_other_devices_signed_in(phone: Phone) -> None:
    first, second = phone.sign_in(), phone.sign_in()
    assert phone.get("logout", X_signature=phone.sign(first)).status_code == 200
    assert phone.profile(phone.sign(second)).status_code == 200


@pytest.mark.spec("OneAccess-3.2.5.1")
def test_a_session_lasts_seven_days(phone: Phone) -> None:
    token = phone.sign_in()
    with time_machine.travel(timezone.now() + timedelta(days=7, seconds=-10)):
        assert phone.profile(phone.sign(token)).status_code == 200
    with time_machine.travel(timezone.now() + timedelta(days=7, seconds=1)):
        assert told(phone.profile(phone.sign(token))) == (400, "PARAM.0030")


@pytest.mark.parametrize("password", [PASSWORD, "wrong"])
@pytest.mark.security("S30", "S33")
def test_an_app_is_told_to_come_back_where_too_many_passwords_are_hashed(phone: Phone, password: str) -> None:
    with turns_taken():
        response = phone.login(password=password)
    assert (told(response), response["Retry-After"]) == ((503, "COM.0002"), "5")
    event = AuditEvent.objects.latest("pk")
    assert (event.event_type, event.outcome, event.reason) == ("login:password", "refused", "COM.0002")
