"""docs/contract/sdk_api.yaml: every documented code and answer of the operations that are built.

A row of an operation listed here that has no cause below fails. The operations that are not built yet are counted, so
that building one without listing it fails too.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import cache
from typing import Any

import pytest
from django.urls import get_resolver
from django.utils import timezone
from jsonschema import Draft202012Validator

from identity.errors import catalogue
from identity.models import MFAMode, PasswordHistory, PasswordPolicy, SessionPolicy, User
from oidc_provider.clients import registration
from tests.contract import oidc_contract, sdk_mobile_cases, sdk_social_cases, sdk_sso_cases
from tests.contract.sdk_social_cases import providers
from tests.factories import PASSWORD, make_tenant
from tests.factories.oidc import make_client
from tests.sdk_api.conftest import fresh_process
from tests.sdk_api.mobile import inbox
from tests.sdk_api.phone import Phone, make_phone
from tests.support.contracts import read_contract

__all__ = ["fresh_process", "inbox", "providers"]

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("inbox", "providers")]

NEW_PASSWORD = "Amber-Meadow-77"
BUILT = {
    "getServerDate",
    "getPublicKey",
    "listCountryCodes",
    "loginByPassword",
    "logout",
    "getProfile",
    "skipPasswordUpdate",
    "updateExpiredPassword",
    *sdk_mobile_cases.OPERATIONS,
    *sdk_social_cases.OPERATIONS,
    *sdk_sso_cases.OPERATIONS,
}
Cause = Callable[[Phone], Any]


def document() -> dict[str, Any]:
    return read_contract("sdk_api")


@cache
def operations() -> dict[str, tuple[str, str, dict[str, Any]]]:
    return {
        item[method]["operationId"]: (method, path, item[method])
        for path, item in document()["paths"].items()
        for method in ("get", "post")
        if method in item
    }


def call(phone: Phone, operation: str, **headers: str | None) -> Any:
    """One request of the operation, good but for what the headers say."""
    method, path, description = operations()[operation]
    path = path.removeprefix("/api/v2/sdk/")
    if operation in sdk_mobile_cases.PATHS:
        return sdk_mobile_cases.ask(phone, operation, headers)
    if operation in sdk_social_cases.OPERATIONS:
        return sdk_social_cases.ask(phone, operation, headers)
    if operation in sdk_sso_cases.BACK_END:
        return sdk_sso_cases.ask(phone, operation)
    required = description["x-headers"]["required"]
    if "X-signature" in required and "X_signature" not in headers:
        headers["X_signature"] = phone.sign(phone.sign_in())
    if "X-state-token" in required and "X_state_token" not in headers:
        headers["X_state_token"] = phone.login().json()["state_token"]
    if method == "get":
        return phone.get(path, **headers)
    bodies = {
        "loginByPassword": {"user_name": phone.user.user_name, "password": PASSWORD},
        "refreshIdToken": "",
        "updateExpiredPassword": {"old_password": PASSWORD, "new_password": NEW_PASSWORD},
    }
    return phone.post(path, bodies[operation], **headers)


def new_phone(operation: str) -> Phone:
    """An app whose user stands where the operation begins."""
    if operation in sdk_mobile_cases.OPERATIONS:
        return sdk_mobile_cases.new_phone(operation)
    if operation in sdk_social_cases.OPERATIONS:
        return sdk_social_cases.new_phone(operation)
    if operation in ("skipPasswordUpdate", "updateExpiredPassword"):
        tenant = make_tenant(password_policy={"max_age_days": 30, "warn_days": 7})
        return make_phone(tenant, password_changed_at=timezone.now() - timedelta(days=28), mobile="13812345678")
    return make_phone()


def login_with(**body: str) -> Cause:
    return lambda phone: phone.post("login", {"user_name": "alice", "password": PASSWORD, **body})


def locked(phone: Phone) -> Any:
    for _try in range(5):
        phone.login(password="wrong")
    return phone.login()


def disabled_user(phone: Phone) -> Any:
    User.objects.update(is_active=False)
    return phone.login()


def updated_with(**body: str) -> Cause:
    def cause(phone: Phone) -> Any:
        token = phone.login().json()["state_token"]
        body_sent = {"old_password": PASSWORD, "new_password": NEW_PASSWORD, **body}
        return phone.post("pwd/update", body_sent, X_state_token=token)

    return cause


def one_of_the_last(phone: Phone) -> Any:
    """The present password is refused as PARAM.0020 before; so an older one."""
    older = make_phone(make_tenant()).user
    older.set_password(NEW_PASSWORD)
    PasswordHistory.objects.create(user=phone.user, password=older.password)
    return updated_with()(phone)


def too_many_identical(phone: Phone) -> Any:
    PasswordPolicy.objects.update(max_identical=2)
    return updated_with(new_password="Ammmber-Meadow-7")(phone)


CAUSES: dict[tuple[str, str], Cause] = {
    ("loginByPassword", "PARAM.0010"): login_with(user_name=""),
    ("loginByPassword", "PWD.0008"): login_with(password=""),
    ("loginByPassword", "LOGIN.0002"): login_with(password="wrong"),
    ("loginByPassword", "LOGIN.0001"): locked,
    ("loginByPassword", "USER.0004"): disabled_user,
    ("logout", "PARAM.0030"): lambda phone: call(phone, "logout", X_signature=None),
    ("getProfile", "PARAM.0030"): lambda phone: call(phone, "getProfile", X_signature=None),
    ("skipPasswordUpdate", "PARAM.0013"): lambda phone: call(phone, "skipPasswordUpdate", X_state_token=None),
    ("skipPasswordUpdate", "PARAM.0014"): lambda phone: call(phone, "skipPasswordUpdate", X_state_token="x"),
    ("updateExpiredPassword", "PARAM.0013"): lambda phone: call(phone, "updateExpiredPassword", X_state_token=None),
    ("updateExpiredPassword", "PARAM.0014"): lambda phone: call(phone, "updateExpiredPassword", X_state_token="x"),
    ("updateExpiredPassword", "PARAM.0018"): updated_with(old_password=""),
    ("updateExpiredPassword", "PARAM.0019"): updated_with(new_password=""),
    ("updateExpiredPassword", "PARAM.0020"): updated_with(new_password=PASSWORD),
    ("updateExpiredPassword", "PARAM.0028"): updated_with(old_password="wrong"),
    ("updateExpiredPassword", "PWD.0001"): one_of_the_last,
    ("updateExpiredPassword", "PWD.0002"): updated_with(new_password="ecila-Amber-77"),
    ("updateExpiredPassword", "PWD.0003"): updated_with(new_password="alice-Amber-77"),
    ("updateExpiredPassword", "PWD.0004"): updated_with(new_password="password1"),
    ("updateExpiredPassword", "PWD.0005"): updated_with(new_password="meadowamber"),
    ("updateExpiredPassword", "PWD.0006"): too_many_identical,
    ("updateExpiredPassword", "PWD.0007"): updated_with(new_password="Sh-1"),
    **sdk_mobile_cases.CAUSES,
    **sdk_social_cases.CAUSES,
    **sdk_sso_cases.CAUSES,
}


def without_signing_keys(operation: str) -> Cause:
    """LOGIN.0003, the same at the end of every sign-in."""

    def cause(phone: Phone) -> Any:
        sdk_sso_cases.lose_signing_keys()
        return call(phone, operation)

    return cause


def disabled_client(phone: Phone, operation: str) -> Any:
    """Another one than the phone's, which goes on to make what the request needs."""
    disabled = make_client(phone.client.catalogue_entry, may_use_sdk=True)
    registration.update_client(disabled, is_active=False)
    return call(phone, operation, X_client_id=disabled.client_id)


COMMON: dict[str, Callable[[Phone, str], Any]] = {
    "PARAM.0001": lambda phone, operation: call(phone, operation, X_agent=None),
    "PARAM.0002": lambda phone, operation: call(phone, operation, X_client_id=None),
    "APP.0001": lambda phone, operation: call(phone, operation, X_client_id="unknown"),
    "APP.0003": disabled_client,
}


def documented_rows() -> list[Any]:
    return [
        pytest.param(operation, row["code"], id=f"{operation}-{row['code']}")
        for operation in sorted(BUILT)
        for row in operations()[operation][2]["x-error-codes"]
    ]


def check_refusal(response: Any, code: str) -> None:
    body = response.json()
    assert (response.status_code, body["error_code"], set(body)) == (400, code, {"error_code", "error_msg"})
    assert body["error_msg"].startswith(catalogue()[code].message.partition("{")[0])


@pytest.mark.parametrize(("operation", "code"), documented_rows())
def test_every_documented_code_is_caused(operation: str, code: str) -> None:
    causes = {(operation, "LOGIN.0003"): without_signing_keys(operation), **CAUSES}
    check_refusal(causes[operation, code](new_phone(operation)), code)


@pytest.mark.parametrize("code", COMMON)
@pytest.mark.parametrize("operation", sorted(BUILT - sdk_sso_cases.BACK_END))
def test_every_code_that_all_calls_share_is_caused(operation: str, code: str) -> None:
    check_refusal(COMMON[code](new_phone(operation), operation), code)


@pytest.mark.parametrize("operation", sorted(BUILT))
def test_every_good_answer_fits_its_schema(operation: str) -> None:
    response = call(new_phone(operation), operation)
    answer = operations()[operation][2]["responses"]["200"]
    assert response.status_code == 200
    if "$ref" in answer:
        assert (answer["$ref"], response.content) == ("#/components/responses/EmptyOk", b"")
        return
    schema = answer["content"]["application/json"]["schema"]
    Draft202012Validator({"components": document()["components"], **schema}).validate(response.json())


@pytest.mark.parametrize("status", ["PASSWORD_WARN", "PASSWORD_EXPIRED", "MFA_AUTH"])
def test_every_status_of_the_login_fits_the_schema(status: str) -> None:
    phone = new_phone("skipPasswordUpdate")
    if status == "PASSWORD_EXPIRED":
        User.objects.update(password_changed_at=timezone.now() - timedelta(days=31))
    if status == "MFA_AUTH":
        SessionPolicy.objects.update(mfa_mode=MFAMode.ALWAYS)
        User.objects.update(phone_number_verified=True)
    body = phone.login().json()
    assert body["status"] == status
    schema = {"components": document()["components"], "$ref": "#/components/schemas/PasswordLoginResult"}
    Draft202012Validator(schema).validate(body)


@pytest.mark.parametrize("row", ["signature", "device", "client"])
def test_the_logout_as_it_is_printed_a_second_time(row: str) -> None:
    printed = oidc_contract.document("oneaccess")["paths"]["/api/v2/sdk/logout"]["get"]["x-errors"]
    expected = {entry["id"]: entry for entry in printed}
    assert set(expected) == {"signature", "device", "client"}
    changes: dict[str, dict[str, str | None]] = {
        "signature": {"X_signature": "x"},
        "device": {"X_agent": None},
        "client": {"X_client_id": None},
    }
    response = call(make_phone(), "logout", **changes[row])
    members = {name: expected[row][name] for name in ("error_code", "error_msg")}
    assert (response.status_code, response.json()) == (expected[row]["status"], members)


def test_what_is_routed_is_what_is_listed_here() -> None:
    routed = {
        f"/{pattern.pattern}"
        for resolver in get_resolver().url_patterns
        if getattr(resolver, "app_name", None) == "sdk_api"
        for pattern in resolver.url_patterns
    }
    listed = {operations()[operation][1] for operation in BUILT}
    aliases = {path for operation in BUILT for path in operations()[operation][2].get("x-alias-paths", [])}
    # Second factors that the document does not know (docs/sdk_api.md).
    ours = {"/api/v2/sdk/mfa/totp", "/api/v2/sdk/mfa/recovery-code"}
    assert routed == listed | aliases | ours
    assert set(operations()) == BUILT
