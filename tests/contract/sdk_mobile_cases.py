"""What causes each documented code of the operations about captchas, codes and mobile numbers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import time_machine
from django.utils import timezone

from identity import copies
from identity.directory import attributes
from identity.models import (
    AttributeDefinition,
    AttributeEditor,
    MFAMode,
    PasswordHistory,
    PasswordPolicy,
    Tenant,
    User,
)
from tests.factories import make_tenant, make_user
from tests.sdk_api import mobile
from tests.sdk_api.mobile import MOBILE, OTHER_MOBILE, Inbox
from tests.sdk_api.phone import Phone, make_phone

Cause = Callable[[Phone], Any]
NEW_PASSWORD = "Amber-Meadow-77"
OPERATIONS = {
    "getCaptcha",
    "verifyCaptcha",
    "sendSmsCode",
    "loginByMobileCode",
    "registerByMobileCode",
    "resetPasswordByMobile",
    "getMobileByStateToken",
    "secondFactorBySms",
    "updateProfile",
}
WITH_FACTOR = {"getMobileByStateToken", "secondFactorBySms"}


def new_phone(operation: str) -> Phone:
    """An app in a tenant where all of this is switched on, with a user who has a number."""
    mode = MFAMode.ALWAYS if operation in WITH_FACTOR else MFAMode.NEVER
    tenant = make_tenant(allow_registration=True, session_policy={"mfa_mode": mode})
    return make_phone(tenant, mobile=MOBILE, phone_number_verified=True)


def change_tenant(phone: Phone, **values: Any) -> None:
    Tenant.objects.filter(pk=phone.tenant.pk).update(**values)
    copies.clear()


# Bodies: what each operation is sent, good but for `changes` -------------------------------------------------


def body_of(phone: Phone, operation: str, **changes: Any) -> dict[str, Any]:
    """The body of one good request. A change to None leaves a member out; no code is ordered that is not needed."""
    makers: dict[str, dict[str, Callable[[], Any]]] = {
        "verifyCaptcha": {
            "token": lambda: mobile.draw(phone)["token"],
            "point_json": lambda: "",
            "sender": lambda: MOBILE,
        },
        "sendSmsCode": {
            "mobile": lambda: MOBILE,
            "type": lambda: "LOGIN_SMS",
            "captcha_token": lambda: mobile.solve(phone),
        },
        "loginByMobileCode": {
            "mobile": lambda: MOBILE,
            "verify_code": lambda: mobile.receive(phone, "LOGIN_SMS"),
        },
        "registerByMobileCode": {
            "mobile": lambda: OTHER_MOBILE,
            "verify_code": lambda: mobile.receive(phone, "REGISTER_SMS", OTHER_MOBILE),
        },
        "resetPasswordByMobile": {
            "mobile": lambda: MOBILE,
            "verify_code": lambda: mobile.receive(phone, "FORGET_PWD_SMS"),
            "password": lambda: NEW_PASSWORD,
        },
        "secondFactorBySms": {
            "mobile": lambda: MOBILE,
            "verify_code": lambda: mobile.receive(phone, "OTP_REST_SMS"),
        },
        "updateProfile": {"name": lambda: "Alice Changed"},
    }
    body = {name: changes[name] if name in changes else make() for name, make in makers[operation].items()}
    body |= {name: value for name, value in changes.items() if name not in body}
    if operation == "verifyCaptcha" and "point_json" not in changes:
        body["point_json"] = f'{{"x":{mobile.true_x(body["token"])}.0,"y":5.0}}'
    return {name: value for name, value in body.items() if value is not None}


PATHS = {
    "verifyCaptcha": "captcha/verify",
    "sendSmsCode": "sms/send",
    "loginByMobileCode": "login/mobile-verify-code",
    "registerByMobileCode": "register/mobile-verify-code",
    "resetPasswordByMobile": "pwd/update-by-mobile",
    "secondFactorBySms": "mfa/sms",
    "updateProfile": "profile/update",
}


def ask(phone: Phone, operation: str, headers: dict[str, str | None] | None = None, **changes: Any) -> Any:
    """Call an operation with a body that is good but for `changes`."""
    headers = dict(headers or {})
    if operation == "secondFactorBySms" and "X_state_token" not in headers:
        headers["X_state_token"] = phone.login().json()["state_token"]
    if operation == "updateProfile" and "X_signature" not in headers:
        headers["X_signature"] = phone.sign(phone.sign_in())
    return phone.post(PATHS[operation], body_of(phone, operation, **changes), **headers)


def having(operation: str, **changes: Any) -> Cause:
    """A request with these members changed."""
    return lambda phone: ask(phone, operation, **changes)


# Causes ----------------------------------------------------------------------------------------------------


def expired_captcha_token(phone: Phone) -> Any:
    captcha_token = mobile.solve(phone)
    with time_machine.travel(timezone.now() + timedelta(seconds=181)):
        return mobile.order(phone, captcha_token=captcha_token)


def gateway_away(phone: Phone) -> Any:
    Inbox.is_away = True
    return ask(phone, "sendSmsCode")


def nobodys_number(operation: str, kind: str) -> Cause:
    def cause(phone: Phone) -> Any:
        code = mobile.receive(phone, kind, OTHER_MOBILE)
        return ask(phone, operation, mobile=OTHER_MOBILE, verify_code=code)

    return cause


def disabled_user(operation: str) -> Cause:
    def cause(phone: Phone) -> Any:
        User.objects.update(is_active=False)
        return ask(phone, operation)

    return cause


def number_taken(phone: Phone) -> Any:
    code = mobile.receive(phone, "REGISTER_SMS", MOBILE)
    return ask(phone, "registerByMobileCode", mobile=MOBILE, verify_code=code)


def defined(operation: str, name: str, *, given: dict[str, Any] | None = None, **rule: Any) -> Cause:
    """The tenant has a rule for an attribute."""

    def cause(phone: Phone) -> Any:
        AttributeDefinition.objects.create(
            tenant=phone.tenant, name=name, **{"editable_by": AttributeEditor.USER, **rule}
        )
        return ask(phone, operation, **(given or {}))

    return cause


def taken_badge(operation: str) -> Cause:
    def cause(phone: Phone) -> Any:
        definition = AttributeDefinition.objects.create(
            tenant=phone.tenant, name="badge", is_unique=True, editable_by=AttributeEditor.USER
        )
        make_user(phone.tenant, extension={"badge": "7"})
        attributes.index_existing_values(definition)
        return ask(phone, operation, extension={"badge": "7"})

    return cause


def too_many_identical(operation: str, member: str) -> Cause:
    def cause(phone: Phone) -> Any:
        PasswordPolicy.objects.update(max_identical=2)
        copies.clear()
        return ask(phone, operation, **{member: "Ammmber-Meadow-7"})

    return cause


def one_of_the_last(phone: Phone) -> Any:
    older = make_user(make_tenant(), password=NEW_PASSWORD)
    PasswordHistory.objects.create(user=phone.user, password=older.password)
    return ask(phone, "resetPasswordByMobile")


def other_purpose(operation: str, kind: str) -> Cause:
    """A good code that was sent for something else."""
    return lambda phone: ask(phone, operation, verify_code=mobile.receive(phone, kind))


def required(name: str, code: str) -> tuple[tuple[str, str], Cause]:
    return ("registerByMobileCode", code), defined("registerByMobileCode", name, is_required=True)


def broken(name: str, wire: str, code: str) -> tuple[tuple[str, str], Cause]:
    return ("registerByMobileCode", code), defined(
        "registerByMobileCode", name, given={wire: "not so"}, pattern="[a-z]+"
    )


def emptied(name: str, wire: str, code: str, value: Any = "before") -> tuple[tuple[str, str], Cause]:
    """Somebody takes out of their profile what the tenant demands."""

    def cause(phone: Phone) -> Any:
        User.objects.filter(pk=phone.user.pk).update(**{name: value})
        return defined("updateProfile", name, given={wire: ""}, is_required=True)(phone)

    return ("updateProfile", code), cause


def emptied_badge(phone: Phone) -> Any:
    User.objects.filter(pk=phone.user.pk).update(extension={"badge": "7"})
    return defined("updateProfile", "badge", given={"extension": {"badge": ""}}, is_required=True)(phone)


def spoiled(name: str, wire: str, code: str) -> tuple[tuple[str, str], Cause]:
    return ("updateProfile", code), defined("updateProfile", name, given={wire: "not so"}, pattern="[a-z]+")


def passwords(operation: str, member: str, name: str, **kept: str) -> dict[tuple[str, str], Cause]:
    refused = {
        "PWD.0002": f"{name[::-1]}-Amber-77",
        "PWD.0003": f"{name}-Amber-77",
        "PWD.0004": "password1",
        "PWD.0005": "meadowamber",
        "PWD.0007": "Sh-1",
    }
    causes = {(operation, code): having(operation, **{member: password, **kept}) for code, password in refused.items()}
    return causes | {(operation, "PWD.0006"): too_many_identical(operation, member)}


CAUSES: dict[tuple[str, str], Cause] = {
    ("verifyCaptcha", "PARAM.0004"): having("verifyCaptcha", point_json=""),
    ("verifyCaptcha", "PARAM.0005"): having("verifyCaptcha", token="", point_json='{"x":1,"y":5}'),
    ("verifyCaptcha", "PARAM.0006"): having("verifyCaptcha", sender=""),
    ("verifyCaptcha", "CAPTCHA.0002"): having("verifyCaptcha", point_json='{"x":1.0,"y":5.0}'),
    ("sendSmsCode", "USER.0010"): having("sendSmsCode", mobile=""),
    ("sendSmsCode", "USER.0038"): having("sendSmsCode", mobile="one-three-eight"),
    ("sendSmsCode", "PARAM.0007"): having("sendSmsCode", type=""),
    ("sendSmsCode", "CAPTCHA.0005"): having("sendSmsCode", type="OTP_RESET_SMS"),
    ("sendSmsCode", "PARAM.0008"): having("sendSmsCode", captcha_token=""),
    ("sendSmsCode", "CAPTCHA.0003"): expired_captcha_token,
    ("sendSmsCode", "CAPTCHA.0004"): having("sendSmsCode", captcha_token='0123---{"x":237.0,"y":5.0}'),
    ("sendSmsCode", "CAPTCHA.0006"): gateway_away,
    ("loginByMobileCode", "USER.0010"): having("loginByMobileCode", mobile="", verify_code="1"),
    ("loginByMobileCode", "USER.0038"): having("loginByMobileCode", mobile="x", verify_code="1"),
    ("loginByMobileCode", "PARAM.0009"): having("loginByMobileCode", verify_code=""),
    ("loginByMobileCode", "CAPTCHA.0007"): other_purpose("loginByMobileCode", "FORGET_PWD_SMS"),
    ("loginByMobileCode", "USER.0001"): nobodys_number("loginByMobileCode", "LOGIN_SMS"),
    ("loginByMobileCode", "USER.0004"): disabled_user("loginByMobileCode"),
    ("registerByMobileCode", "USER.0010"): having("registerByMobileCode", mobile=None, verify_code="1"),
    ("registerByMobileCode", "USER.0038"): having("registerByMobileCode", mobile="1", verify_code="1"),
    ("registerByMobileCode", "PARAM.0009"): having("registerByMobileCode", verify_code=None),
    ("registerByMobileCode", "CAPTCHA.0007"): having("registerByMobileCode", verify_code="1234"),
    ("registerByMobileCode", "USER.0030"): number_taken,
    ("registerByMobileCode", "USER.0029"): having("registerByMobileCode", user_name="ALICE"),
    ("registerByMobileCode", "USER.0031"): having("registerByMobileCode", email="Alice@example.org"),
    ("registerByMobileCode", "USER.0035"): taken_badge("registerByMobileCode"),
    ("registerByMobileCode", "USER.0028"): defined("registerByMobileCode", "badge", is_required=True),
    ("registerByMobileCode", "USER.0056"): defined(
        "registerByMobileCode", "badge", given={"extension": {"badge": "not so"}}, pattern="[a-z]+"
    ),
    ("registerByMobileCode", "USER.0044"): having("registerByMobileCode", attr_birthday="17.2.2022"),
    ("registerByMobileCode", "USER.0045"): having("registerByMobileCode", attr_gender="yes"),
    **dict(
        [
            required("user_name", "USER.0008"),
            required("name", "USER.0009"),
            required("email", "USER.0011"),
            required("first_name", "USER.0012"),
            required("middle_name", "USER.0013"),
            required("last_name", "USER.0014"),
            required("nick_name", "USER.0015"),
            required("birth_date", "USER.0016"),
            required("gender", "USER.0017"),
            broken("user_name", "user_name", "USER.0036"),
            broken("name", "name", "USER.0037"),
            broken("email", "email", "USER.0039"),
            broken("first_name", "first_name", "USER.0040"),
            broken("middle_name", "middle_name", "USER.0041"),
            broken("last_name", "last_name", "USER.0042"),
            broken("nick_name", "attr_nick_name", "USER.0043"),
        ]
    ),
    **passwords("registerByMobileCode", "pwd", "carol", user_name="carol"),
    ("resetPasswordByMobile", "USER.0010"): having("resetPasswordByMobile", mobile=["1"], verify_code="1"),
    ("resetPasswordByMobile", "USER.0038"): having("resetPasswordByMobile", mobile="#" * 30, verify_code="1"),
    ("resetPasswordByMobile", "PARAM.0009"): having("resetPasswordByMobile", verify_code=7),
    ("resetPasswordByMobile", "CAPTCHA.0007"): other_purpose("resetPasswordByMobile", "LOGIN_SMS"),
    ("resetPasswordByMobile", "PWD.0008"): having("resetPasswordByMobile", password="", verify_code="1"),
    ("resetPasswordByMobile", "USER.0001"): nobodys_number("resetPasswordByMobile", "FORGET_PWD_SMS"),
    ("resetPasswordByMobile", "USER.0004"): disabled_user("resetPasswordByMobile"),
    ("resetPasswordByMobile", "PWD.0001"): one_of_the_last,
    **passwords("resetPasswordByMobile", "password", "alice"),
    ("getMobileByStateToken", "PARAM.0013"): lambda phone: phone.get("mobile-by-token"),
    ("getMobileByStateToken", "PARAM.0014"): lambda phone: phone.get("mobile-by-token", X_state_token="x"),
    ("secondFactorBySms", "PARAM.0013"): lambda phone: ask(
        phone, "secondFactorBySms", {"X_state_token": None}, verify_code="1"
    ),
    ("secondFactorBySms", "PARAM.0014"): lambda phone: ask(
        phone, "secondFactorBySms", {"X_state_token": "x"}, verify_code="1"
    ),
    ("secondFactorBySms", "USER.0010"): having("secondFactorBySms", mobile="", verify_code="1"),
    ("secondFactorBySms", "USER.0038"): having("secondFactorBySms", mobile="x", verify_code="1"),
    ("secondFactorBySms", "PARAM.0009"): having("secondFactorBySms", verify_code=""),
    ("secondFactorBySms", "CAPTCHA.0007"): having("secondFactorBySms", verify_code="none"),
    ("secondFactorBySms", "MOBILE.0002"): having("secondFactorBySms", mobile=OTHER_MOBILE),
    ("updateProfile", "PARAM.0030"): lambda phone: ask(phone, "updateProfile", {"X_signature": None}),
    ("updateProfile", "USER.0029"): lambda phone: (
        make_user(phone.tenant, user_name="bob"),
        ask(phone, "updateProfile", user_name="Bob"),
    )[1],
    ("updateProfile", "USER.0035"): taken_badge("updateProfile"),
    ("updateProfile", "USER.0028"): emptied_badge,
    ("updateProfile", "USER.0044"): having("updateProfile", attr_birthday="2022-13-01"),
    ("updateProfile", "USER.0045"): having("updateProfile", attr_gender=["male"]),
    ("updateProfile", "USER.0056"): having("updateProfile", extension={"undefined": "7"}),
    **dict(
        [
            (("updateProfile", "USER.0008"), having("updateProfile", user_name="")),
            emptied("name", "name", "USER.0009"),
            emptied("first_name", "first_name", "USER.0012"),
            emptied("middle_name", "middle_name", "USER.0013"),
            emptied("last_name", "last_name", "USER.0014"),
            emptied("nick_name", "attr_nick_name", "USER.0015"),
            emptied("birth_date", "attr_birthday", "USER.0016", date(2000, 2, 29)),
            emptied("gender", "attr_gender", "USER.0017", "male"),
            spoiled("user_name", "user_name", "USER.0036"),
            spoiled("name", "name", "USER.0037"),
            spoiled("first_name", "first_name", "USER.0040"),
            spoiled("middle_name", "middle_name", "USER.0041"),
            spoiled("last_name", "last_name", "USER.0042"),
            spoiled("nick_name", "attr_nick_name", "USER.0043"),
        ]
    ),
}
