"""Attacks on the SDK API that go from one operation to another."""

from __future__ import annotations

from typing import Any

import pytest

from identity.context import SYSTEM
from identity.models import Device, MFAMode, SSOSession, User
from identity.passwords import credentials
from tests.factories import make_tenant, make_user
from tests.sdk_api.mobile import MOBILE, OTHER_MOBILE, inbox, receive
from tests.sdk_api.phone import Phone, make_phone

__all__ = ["inbox"]

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("inbox")]

OWNERS_PASSWORD = "Amber-Meadow-77"
THIEFS_PASSWORD = "Thief-Garden-4821"
INVALID_STATE = {"error_code": "PARAM.0014", "error_msg": "Invalid state token."}


def step(phone: Phone, status: str) -> str:
    """The state_token after the password."""
    body = phone.login().json()
    assert body["status"] == status
    token: str = body["state_token"]
    return token


# A sign-in that is half done when its owner ends everything --------------------------------------------------


@pytest.mark.security("S26")
def test_a_warned_sign_in_ends_with_the_password_that_began_it() -> None:
    tenant = make_tenant(password_policy={"max_age_days": 30, "warn_days": 30})
    phone = make_phone(tenant)
    User.objects.filter(pk=phone.user.pk).update(password_changed_at=phone.user.created_at)
    token = step(phone, "PASSWORD_WARN")
    credentials.set_password(user=User.objects.get(), password=OWNERS_PASSWORD, context=SYSTEM)
    assert phone.get("pwd/skip-update", X_state_token=token).json() == INVALID_STATE
    body = {"old_password": OWNERS_PASSWORD, "new_password": THIEFS_PASSWORD}
    assert phone.post("pwd/update", body, X_state_token=token).json() == INVALID_STATE
    assert not SSOSession.objects.exists()


@pytest.mark.security("S26")
def test_a_sign_in_that_waits_for_its_second_factor_ends_with_the_password_that_began_it() -> None:
    tenant = make_tenant(session_policy={"mfa_mode": MFAMode.ALWAYS})
    phone = make_phone(tenant, mobile=MOBILE, phone_number_verified=True)
    token = step(phone, "MFA_AUTH")
    credentials.set_password(user=User.objects.get(), password=OWNERS_PASSWORD, context=SYSTEM)
    code = receive(phone, "OTP_REST_SMS")
    response = phone.post("mfa/sms", {"mobile": MOBILE, "verify_code": code}, X_state_token=token)
    assert response.json() == INVALID_STATE
    assert not SSOSession.objects.exists()


# Devices -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["fe80::1%eth0", "::1%" + "x" * 290, "fe80::1%\x01", "1" * 300, "10.0.0.1/8"])
def test_an_address_that_no_column_takes_is_not_kept(phone: Phone, address: str) -> None:
    assert phone.login(X_device_ip=address).status_code == 200
    assert Device.objects.get().claimed_ip in (None, "fe80::1", "::1")


# One telephone, one account ----------------------------------------------------------------------------------


@pytest.mark.security("S31")
@pytest.mark.parametrize("before", ["0086", "86", "0", "+86-0", "+860", "-0-"])
def test_a_telephone_registers_once_however_it_is_spelled(before: str) -> None:
    phone, spelling = make_phone(make_tenant(allow_registration=True)), before + OTHER_MOBILE
    first = phone.post(
        "register/mobile-verify-code",
        {"mobile": spelling, "verify_code": receive(phone, "REGISTER_SMS", spelling), "user_name": "bob"},
    )
    assert first.json()["status"] == "SUCCESS"
    code = receive(phone, "LOGIN_SMS", OTHER_MOBILE)
    body = {"mobile": OTHER_MOBILE, "verify_code": code}
    assert phone.post("login/mobile-verify-code", body).json()["status"] == "SUCCESS"


@pytest.mark.security("S31")
@pytest.mark.parametrize("before", ["0086", "86", "0", "+86-"])
def test_a_number_that_an_operator_spelled_otherwise_is_found(before: str) -> None:
    phone = make_phone(make_tenant(allow_registration=True))
    make_user(phone.tenant, user_name="bob", mobile=before + OTHER_MOBILE)
    code = receive(phone, "REGISTER_SMS", OTHER_MOBILE)
    body = {"mobile": OTHER_MOBILE, "verify_code": code}
    assert phone.post("register/mobile-verify-code", body).json()["error_code"] == "USER.0030"
    code = receive(phone, "LOGIN_SMS", OTHER_MOBILE)
    assert phone.post("login/mobile-verify-code", {**body, "verify_code": code}).json()["status"] == "SUCCESS"


# Types -------------------------------------------------------------------------------------------------------

NONSENSE: list[Any] = [None, 0, 1e300, True, "", "\x00", "é" * 100_000, [], ["a"], {}, {"a": {"b": [1]}}, "\ud800"]
FIELDS = {
    "login": ("user_name", "password"),
    "login/mobile-verify-code": ("mobile", "verify_code"),
    "login/wechat": ("code",),
    "captcha/verify": ("point_json", "token", "sender"),
    "sms/send": ("mobile", "type", "captcha_token"),
    "pwd/update-by-mobile": ("mobile", "verify_code", "password"),
    "register/mobile-verify-code": (
        "mobile",
        "verify_code",
        "pwd",
        "email",
        "user_name",
        "name",
        "head_img",
        "attr_gender",
        "attr_birthday",
        "extension",
    ),
}


@pytest.mark.parametrize("path", FIELDS)
def test_nonsense_is_refused_and_breaks_nothing(path: str) -> None:
    phone = make_phone(make_tenant(allow_registration=True), mobile=MOBILE)
    good = {"mobile": OTHER_MOBILE, "verify_code": "123456", "token": "a", "point_json": '{"x":1,"y":5}'}
    for name in FIELDS[path]:
        for value in NONSENSE:
            body = {**{field: good.get(field, "a") for field in FIELDS[path]}, name: value}
            assert phone.post(path, body).status_code in (200, 400, 429), (name, str(value)[:20])


def test_nonsense_in_a_registration_with_a_good_code_breaks_nothing() -> None:
    phone = make_phone(make_tenant(allow_registration=True))
    code = receive(phone, "REGISTER_SMS", OTHER_MOBILE)
    for name in ("email", "user_name", "name", "head_img", "attr_gender", "attr_birthday", "extension", "pwd"):
        for value in (1e300, True, "\x00", "é" * 100_000, ["a"], {"a": {"b": [1]}}, {"\x00": "a"}):
            body = {"mobile": OTHER_MOBILE, "verify_code": code, name: value}
            assert phone.post("register/mobile-verify-code", body).status_code in (400, 429), (name, str(value)[:20])


@pytest.mark.parametrize("name", ["X_client_id", "X_device_fingerprint", "X_state_token", "X_signature", "X_L"])
@pytest.mark.parametrize("value", ["\x00", "é" * 5000, "%00", "{}", "a.b.c", "eyJhbGciOiJub25lIn0.e30."])
def test_nonsense_in_headers_breaks_nothing(phone: Phone, name: str, value: str) -> None:
    for path in ("login", "mfa/sms", "pwd/update"):
        assert phone.post(path, {"user_name": "alice", "password": "x"}, **{name: value}).status_code in (400, 429)
    for path in ("profile", "mobile-by-token", "pwd/skip-update", "captcha"):
        assert phone.get(path, **{name: value}).status_code in (200, 400, 429)
