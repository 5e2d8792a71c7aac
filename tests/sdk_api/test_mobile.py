"""Codes to mobile numbers: sending, sign-in, registration, forgotten password (OneAccess-3.2.3 to 3.2.5, 3.2.7)."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from identity import copies
from identity.models import (
    ApplicationAccess,
    AttributeEditor,
    AuditEvent,
    MFAMode,
    Organization,
    SSOSession,
    Tenant,
    User,
    VerificationCode,
)
from tests.factories import PASSWORD, make_attribute, make_organization, make_tenant
from tests.sdk_api.mobile import (
    MOBILE,
    NEW_PASSWORD,
    OTHER_MOBILE,
    Inbox,
    inbox,
    order,
    receive,
    register,
    reset,
    solve,
    told,
)
from tests.sdk_api.phone import Phone, make_phone
from tests.support.at_once import at_once

__all__ = ["inbox"]

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("inbox")]


def login(phone: Phone, code: str, mobile: str = MOBILE) -> Any:
    return phone.post("login/mobile-verify-code", {"mobile": mobile, "verify_code": code})


@pytest.fixture
def phone() -> Phone:
    """An app whose user has a number that nobody has proved."""
    return make_phone(mobile=MOBILE)


@pytest.fixture
def proved_phone() -> Phone:
    """An app whose user has proved the number."""
    return make_phone(mobile=MOBILE, phone_number_verified=True)


@pytest.fixture
def open_phone() -> Phone:
    """An app in a tenant where people may register."""
    return make_phone(make_tenant(allow_registration=True), mobile=MOBILE)


def statements(phone: Phone, work: Any) -> list[str]:
    with CaptureQueriesContext(connection) as queries:
        work()
    return [re.sub(r"[0-9a-f]{32,}|\d+", "#", query["sql"])[:60] for query in queries]


# Sending ---------------------------------------------------------------------------------------------------


@pytest.mark.spec("OneAccess-3.2.4.4")
@pytest.mark.security("S33")
@pytest.mark.parametrize("kind", ["LOGIN_SMS", "FORGET_PWD_SMS", "BIND_MOBILE_SMS", "REGISTER_SMS", "OTP_REST_SMS"])
def test_a_code_goes_to_every_number_alike(open_phone: Phone, inbox: type[Inbox], kind: str) -> None:
    tokens = [solve(open_phone, mobile) for mobile in (MOBILE, OTHER_MOBILE)]
    answers, work = [], []
    for mobile, captcha_token in zip((MOBILE, OTHER_MOBILE), tokens, strict=True):

        def send(mobile: str = mobile, captcha_token: str = captcha_token) -> None:
            response = order(open_phone, kind, mobile, captcha_token=captcha_token)
            answers.append((response.status_code, response.content))

        work.append(statements(open_phone, send))
    assert answers == [(200, b"")] * 2
    # The counters of source, device and tenant are there at the second time: one INSERT and one look less for each.
    different = set(work[0]) ^ set(work[1])
    assert all("identity_attemptcounter" in statement or "SAVEPOINT" in statement for statement in different)
    assert [message.target for message in inbox.messages] == ["+8613812345678", "+8613912345678"]


@pytest.mark.spec("OneAccess-3.2.4.4")
def test_x_l_chooses_the_language_of_the_message(phone: Phone, inbox: type[Inbox]) -> None:
    order(phone, X_L="zh")
    order(phone, "FORGET_PWD_SMS", X_L="ja-JP")
    order(phone, "BIND_MOBILE_SMS", X_L="none of ours")
    assert [message.language for message in inbox.messages] == ["zh-hans", "ja", "en"]
    assert "验证码" in inbox.messages[0].text


@pytest.mark.spec("OneAccess-3.2.4.4")
def test_where_nobody_may_register_no_such_code_is_sent(phone: Phone, inbox: type[Inbox]) -> None:
    captcha_token = solve(phone)
    assert told(order(phone, "REGISTER_SMS", captcha_token=captcha_token)) == (400, "CAPTCHA.0005")
    assert inbox.messages == []
    assert order(phone, captcha_token=captcha_token).status_code == 200  # nothing was spent


@pytest.mark.spec("OneAccess-3.2.4.4")
def test_sixty_seconds_lie_between_two_codes(phone: Phone, inbox: type[Inbox]) -> None:
    receive(phone)
    response = order(phone)
    assert told(response) == (429, "COM.0429")
    assert 0 < int(response["Retry-After"]) <= 60
    assert len(inbox.messages) == 1


@pytest.mark.spec("OneAccess-3.2.4.4")
def test_what_the_device_says_of_its_address_is_not_counted(phone: Phone) -> None:
    with CaptureQueriesContext(connection) as queries:
        order(phone, X_device_ip="203.0.113.9")
    assert not any("203.0.113.9" in query["sql"] for query in queries if "attemptcounter" in query["sql"])


# Sign-in ---------------------------------------------------------------------------------------------------


@pytest.mark.spec("OneAccess-3.2.5.2")
def test_a_code_signs_in_and_proves_the_number(phone: Phone) -> None:
    response = login(phone, receive(phone))
    body = response.json()
    assert (response.status_code, body["status"], body["expire"]) == (200, "SUCCESS", 604800)
    assert set(body) <= {"status", "session_token", "expire", "id_token"}
    assert phone.profile(phone.sign(body["session_token"])).json()["mobile"] == MOBILE
    assert SSOSession.objects.get().amr == ["sms"]
    assert User.objects.get().phone_number_verified
    kinds = set(AuditEvent.objects.filter(outcome="success").values_list("event_type", flat=True))
    assert {"login:mobile", "mobile:verified", "login:success", "verification:send"} <= kinds


@pytest.mark.spec("OneAccess-3.2.5.2")
@pytest.mark.parametrize(
    ("stored", "typed"),
    [(MOBILE, "+86-138-1234-5678"), ("+8613812345678", MOBILE), ("138-1234-5678", "+8613812345678")],
)
def test_the_own_countrys_code_may_be_left_out(stored: str, typed: str) -> None:
    phone = make_phone(mobile=stored)
    assert login(phone, receive(phone, mobile=typed), typed).json()["status"] == "SUCCESS"


@pytest.mark.spec("OneAccess-3.2.5.2")
def test_a_code_may_be_typed_in_wide_digits_and_groups(phone: Phone) -> None:
    code = receive(phone)
    wide = code.translate({ord(digit): ord(digit) + 0xFEE0 for digit in "0123456789"})
    assert login(phone, f"{wide[:3]} {wide[3:]}").status_code == 200


@pytest.mark.spec("OneAccess-3.2.5.2")
@pytest.mark.security("S29")
def test_a_code_is_spent_by_its_first_right_use(phone: Phone) -> None:
    code = receive(phone)
    assert login(phone, code).json()["status"] == "SUCCESS"
    assert told(login(phone, code)) == (400, "CAPTCHA.0007")


@pytest.mark.spec("OneAccess-3.2.5.2")
@pytest.mark.security("S33")
@pytest.mark.parametrize("mobile", [MOBILE, OTHER_MOBILE], ids=["somebody's", "nobody's"])
def test_before_the_code_is_proved_nothing_is_told(phone: Phone, mobile: str) -> None:
    answers = [login(phone, "000000", mobile)]  # no code was ever sent
    code = receive(phone, mobile=mobile)
    wrong = f"{(int(code) + 1) % 1_000_000:06d}"
    answers += [login(phone, wrong, mobile) for _try in range(4)]
    expected = {"error_code": "CAPTCHA.0007", "error_msg": "Incorrect verification code."}
    assert [(answer.status_code, answer.json()) for answer in answers] == [(400, expected)] * 5
    # S30: the tries count on the one account, the right code is locked out too; a number of nobody likewise.
    assert told(login(phone, code, mobile)) == (400, "LOGIN.0001")


@pytest.mark.spec("OneAccess-3.2.5.2")
@pytest.mark.security("S33")
def test_after_the_code_was_proved_it_is_told_that_nobody_has_the_number(phone: Phone) -> None:
    code = receive(phone, mobile=OTHER_MOBILE)
    assert told(login(phone, code, OTHER_MOBILE)) == (400, "USER.0001")
    assert told(login(phone, code, OTHER_MOBILE)) == (400, "CAPTCHA.0007")  # telling it has spent the code


@pytest.mark.spec("OneAccess-3.2.5.2")
@pytest.mark.security("S26")
def test_a_disabled_user_is_told_after_the_right_code_only(phone: Phone) -> None:
    User.objects.update(is_active=False)
    code = receive(phone)
    assert told(login(phone, "none")) == (400, "CAPTCHA.0007")
    assert told(login(phone, code)) == (400, "USER.0004")
    assert not SSOSession.objects.exists()


@pytest.mark.security("S30")
def test_passwords_and_codes_count_on_one_row(phone: Phone) -> None:
    code = receive(phone)
    for _try in range(3):
        phone.login(password="wrong")
    for _try in range(2):
        login(phone, "wrong")
    assert told(login(phone, code)) == (400, "LOGIN.0001")
    assert told(phone.login()) == (400, "LOGIN.0001")


@pytest.mark.spec("OneAccess-3.2.5.2")
@pytest.mark.parametrize("kind", ["REGISTER_SMS", "FORGET_PWD_SMS", "BIND_MOBILE_SMS", "OTP_REST_SMS"])
def test_a_code_for_something_else_does_not_sign_in(open_phone: Phone, kind: str) -> None:
    assert told(login(open_phone, receive(open_phone, kind))) == (400, "CAPTCHA.0007")


@pytest.mark.spec("OneAccess-3.2.5.2")
@pytest.mark.parametrize(
    "body",
    [
        {"mobile": MOBILE, "verify_code": "\x00"},
        {"mobile": MOBILE, "verify_code": "1" * 100_000},
        {"mobile": MOBILE, "verify_code": "１２３４５６"},
    ],
    ids=["NUL", "long", "full width"],
)
def test_odd_codes_are_wrong_codes(phone: Phone, body: dict[str, Any]) -> None:
    receive(phone)
    assert told(phone.post("login/mobile-verify-code", body)) == (400, "CAPTCHA.0007")


@pytest.mark.spec("OneAccess-3.2.5.2")
def test_a_user_without_an_account_is_denied_after_the_code() -> None:
    phone = make_phone(mobile=MOBILE, application={"access": ApplicationAccess.ASSIGNED})
    response = login(phone, receive(phone))
    assert (response.status_code, response.json()) == (200, {"status": "ACCESS_DENIED"})


@pytest.mark.security("S28")
def test_two_text_messages_are_not_two_factors() -> None:
    """Where two are demanded, a sign-in by code is denied: the app has no step that would show something else."""
    tenant = make_tenant(session_policy={"mfa_mode": MFAMode.ALWAYS})
    phone = make_phone(tenant, mobile=MOBILE, phone_number_verified=True)
    response = login(phone, receive(phone))
    assert (response.status_code, response.json()) == (200, {"status": "ACCESS_DENIED"})
    assert not SSOSession.objects.exists()


# Registration ----------------------------------------------------------------------------------------------


@pytest.mark.spec("OneAccess-3.2.3.1")
def test_registering_makes_a_user_with_a_proved_number_and_signs_in(open_phone: Phone) -> None:
    response = register(
        open_phone,
        receive(open_phone, "REGISTER_SMS", OTHER_MOBILE),
        user_name="zhangsan",
        name="张三",
        email="12345678901@example.com",
        pwd=NEW_PASSWORD,
        head_img="https://thirdwx.qlogo.cn/mmopen/vi_32/Q0j4TwGTfTIQ8QOTSn3y4cYHLlMC3sv6RCBmeMkxtOog47Zr3v2Afbqc",
        attr_gender="male",
        attr_birthday="2022-02-17",
        attr_nick_name="张三",
        first_name="zhangsan",
        middle_name=None,
    )
    body = response.json()
    assert (response.status_code, body["status"]) == (200, "SUCCESS")
    assert set(body) <= {"status", "session_token", "expire", "id_token"}
    user = User.objects.get(user_name="zhangsan")
    assert (user.mobile, user.phone_number_verified, user.email_verified) == (f"+86{OTHER_MOBILE}", True, False)
    assert (user.name, user.gender, str(user.birth_date), user.middle_name) == ("张三", "male", "2022-02-17", "")
    assert open_phone.profile(open_phone.sign(body["session_token"])).json()["user_name"] == "zhangsan"
    assert open_phone.login(user_name="zhangsan", password=NEW_PASSWORD).json()["status"] == "SUCCESS"


@pytest.mark.spec("OneAccess-3.2.3.1")
def test_a_number_is_enough_to_register(open_phone: Phone) -> None:
    code = receive(open_phone, "REGISTER_SMS", OTHER_MOBILE)
    assert register(open_phone, code).json()["status"] == "SUCCESS"
    user = User.objects.exclude(pk=open_phone.user.pk).get()
    assert re.fullmatch(r"u[a-z0-9]{11}", user.user_name)  # never the number, which is kept sealed
    assert (user.name, user.has_usable_password()) == (user.user_name, False)


@pytest.mark.spec("OneAccess-3.2.3.1")
def test_where_nobody_may_register_nobody_is_made(phone: Phone) -> None:
    response = register(phone, "123456")
    assert (response.status_code, response.json()) == (200, {"status": "ACCESS_DENIED"})
    assert User.objects.count() == 1
    assert AuditEvent.objects.latest("pk").reason == "CAPTCHA.0005"


@pytest.mark.spec("OneAccess-3.2.3.1")
@pytest.mark.security("S33")
def test_that_a_number_is_taken_is_told_to_its_holder_only(open_phone: Phone) -> None:
    assert told(register(open_phone, "123456", MOBILE)) == (400, "CAPTCHA.0007")
    assert told(register(open_phone, receive(open_phone, "REGISTER_SMS", MOBILE), MOBILE)) == (400, "USER.0030")
    spelled = "+86-13812345678"
    with time_machine.travel(timezone.now() + timedelta(seconds=61)):
        assert told(register(open_phone, receive(open_phone, "REGISTER_SMS", spelled), spelled)) == (400, "USER.0030")


@pytest.mark.spec("OneAccess-3.2.3.1")
def test_what_is_refused_leaves_no_user_and_the_code_good(open_phone: Phone) -> None:
    code = receive(open_phone, "REGISTER_SMS", OTHER_MOBILE)
    assert told(register(open_phone, code, user_name="alice")) == (400, "USER.0029")
    assert told(register(open_phone, code, pwd="short")) == (400, "PWD.0007")
    assert told(register(open_phone, code, pwd=["x"])) == (400, "PWD.0008")
    assert told(register(open_phone, code, extension=[])) == (400, "USER.0056")
    assert User.objects.count() == 1
    assert register(open_phone, code, user_name="bob").json()["status"] == "SUCCESS"


@pytest.mark.security("S33")
def test_names_cannot_be_asked_for_without_end(open_phone: Phone) -> None:
    tenant = make_tenant(allow_registration=True, password_policy={"max_failures_per_source": 3})
    phone = make_phone(tenant)
    code = receive(phone, "REGISTER_SMS", OTHER_MOBILE)
    answers = [told(register(phone, code, user_name="alice")) for _try in range(4)]
    assert answers == [(400, "USER.0029")] * 3 + [(429, "COM.0429")]


@pytest.mark.spec("OneAccess-3.2.3.1")
@pytest.mark.parametrize("is_chosen", [True, False])
def test_a_newcomer_lands_in_the_tenants_organisation(open_phone: Phone, is_chosen: bool) -> None:
    root = make_organization(open_phone.tenant)
    guests = make_organization(open_phone.tenant)
    if is_chosen:
        Tenant.objects.filter(pk=open_phone.tenant.pk).update(registration_organization=guests)
        copies.clear()
    register(open_phone, receive(open_phone, "REGISTER_SMS", OTHER_MOBILE), user_name="bob")
    chosen = Organization.objects.get(memberships__user__user_name="bob")
    assert chosen == (guests if is_chosen else root)


@pytest.mark.security("S37")
def test_a_newcomer_writes_only_what_is_a_users_to_write(open_phone: Phone) -> None:
    make_attribute(open_phone.tenant, "clearance", editable_by=AttributeEditor.OPERATOR)
    make_attribute(open_phone.tenant, "age", editable_by=AttributeEditor.USER)
    code = receive(open_phone, "REGISTER_SMS", OTHER_MOBILE)
    assert told(register(open_phone, code, extension={"clearance": "top"})) == (400, "USER.0056")
    hidden = {"employee_id": "7", "phone_number_verified": True, "is_staff": True, "user_type": "regular"}
    assert register(open_phone, code, user_name="bob", extension={"age": "18"}, **hidden).json()["status"] == "SUCCESS"
    user = User.objects.get(user_name="bob")
    assert (user.extension, user.employee_id, user.is_staff, user.user_type) == ({"age": "18"}, "", False, "")


# Forgotten password ----------------------------------------------------------------------------------------


@pytest.mark.spec("OneAccess-3.2.7.3")
def test_a_new_password_ends_sessions_and_lifts_the_lock(proved_phone: Phone) -> None:
    phone = proved_phone
    token = phone.sign_in()
    code = receive(phone, "FORGET_PWD_SMS")
    for _try in range(5):
        phone.login(password="wrong")
    assert told(phone.login()) == (400, "LOGIN.0001")
    response = reset(phone, code)
    assert (response.status_code, response.content) == (200, b"")
    assert told(phone.profile(phone.sign(token))) == (400, "PARAM.0030")
    assert told(phone.login()) == (400, "LOGIN.0002")
    assert phone.login(password=NEW_PASSWORD).json()["status"] == "SUCCESS"


@pytest.mark.security("S46")
def test_a_number_that_nobody_proved_resets_nothing(phone: Phone) -> None:
    """Somebody wrote it into the directory; the code proves only who has the number, and spends itself."""
    code = receive(phone, "FORGET_PWD_SMS")
    assert told(reset(phone, code)) == (400, "USER.0001")
    assert told(reset(phone, code)) == (400, "CAPTCHA.0007")
    assert phone.login().json()["status"] == "SUCCESS"
    assert not User.objects.get().phone_number_verified


@pytest.mark.security("S46")
@pytest.mark.parametrize(
    ("person", "answer"),
    [
        ({"is_staff": True, "phone_number_verified": True}, "SUCCESS"),
        ({"is_staff": True}, "USER.0001"),
        ({"is_superuser": True, "phone_number_verified": True}, "USER.0001"),
    ],
    ids=["operator, proved", "operator, not proved", "superuser"],
)
def test_a_message_is_no_proof_of_whoever_has_more_rights_than_those_who_send_it(
    phone: Phone, person: dict[str, bool], answer: str
) -> None:
    """A directory writes the number, and the tenant's operators choose the gateway that carries the code."""
    User.objects.update(**person)
    body = login(phone, receive(phone, "LOGIN_SMS")).json()
    assert answer in (body.get("status"), body.get("error_code"))


@pytest.mark.security("S46")
@pytest.mark.parametrize("rights", [{"is_staff": True}, {"is_superuser": True}])
def test_an_operators_password_is_not_reset_by_a_message(proved_phone: Phone, rights: dict[str, bool]) -> None:
    User.objects.update(**rights)
    code = receive(proved_phone, "FORGET_PWD_SMS")
    assert told(reset(proved_phone, code)) == (403, "RIGHT.0004")
    assert told(reset(proved_phone, code)) == (400, "CAPTCHA.0007")
    assert proved_phone.login().json()["status"] == "SUCCESS"


@pytest.mark.spec("OneAccess-3.2.7.3")
def test_a_refused_password_leaves_the_code_good(proved_phone: Phone) -> None:
    phone = proved_phone
    code = receive(phone, "FORGET_PWD_SMS")
    assert told(reset(phone, code, PASSWORD)) == (400, "PWD.0001")
    assert told(reset(phone, code, "short")) == (400, "PWD.0007")
    assert reset(phone, code).status_code == 200
    assert told(reset(phone, code)) == (400, "CAPTCHA.0007")


@pytest.mark.spec("OneAccess-3.2.7.3")
@pytest.mark.security("S30")
def test_a_code_for_a_password_is_tried_five_times(phone: Phone) -> None:
    code = receive(phone, "FORGET_PWD_SMS")
    wrong = f"{(int(code) + 1) % 1_000_000:06d}"
    assert {told(reset(phone, wrong)) for _try in range(5)} == {(400, "CAPTCHA.0007")}
    assert told(reset(phone, code)) == (400, "CAPTCHA.0007")
    assert phone.login().json()["status"] == "SUCCESS"  # nobody else's guesses lock the account


@pytest.mark.security("S33")
@pytest.mark.parametrize(("operation", "kind"), [(login, "LOGIN_SMS"), (reset, "FORGET_PWD_SMS")])
def test_a_wrong_code_costs_the_same_for_everybodys_number(phone: Phone, operation: Any, kind: str) -> None:
    for mobile in (MOBILE, OTHER_MOBILE):
        receive(phone, kind, mobile)
        operation(phone, "none", mobile=mobile)
    work = [
        statements(phone, lambda mobile=mobile: operation(phone, "none", mobile=mobile))
        for mobile in (MOBILE, OTHER_MOBILE)
    ]
    assert [line.split()[:4] for line in work[0]] == [line.split()[:4] for line in work[1]]


# All at once -----------------------------------------------------------------------------------------------


def generous_tenant() -> Tenant:
    limits = {"max_failures": 1000, "max_failures_per_source": 1000}
    return make_tenant(allow_registration=True, password_policy=limits)


@pytest.mark.security("S29")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("operation", "kind"), [(login, "LOGIN_SMS"), (register, "REGISTER_SMS")])
def test_of_a_hundred_uses_of_a_code_at_once_one_succeeds(operation: Any, kind: str) -> None:
    phone = make_phone(generous_tenant(), mobile=MOBILE)
    mobile = MOBILE if operation is login else OTHER_MOBILE
    code = receive(phone, kind, mobile)
    answers = at_once(lambda _number: operation(phone, code, mobile).json().get("status", "refused"), times=100)
    assert sorted(answers) == ["SUCCESS"] + ["refused"] * 99
    assert SSOSession.objects.count() == VerificationCode.objects.exclude(consumed_at=None).count() == 1
    assert User.objects.count() == (1 if operation is login else 2)


def test_a_new_code_makes_the_old_one_void(phone: Phone) -> None:
    first = receive(phone)
    with time_machine.travel(timezone.now() + timedelta(seconds=61)):
        second = receive(phone)
        if first != second:
            assert told(login(phone, first)) == (400, "CAPTCHA.0007")
        assert login(phone, second).json()["status"] == "SUCCESS"
