"""Sign-in with WeChat and Alipay in a phone app: the roads of the state machine; ways round it are shut."""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace
from typing import Any

import pytest

from identity.context import SYSTEM
from identity.directory import users
from identity.models import (
    ApplicationAccess,
    AuditEvent,
    ExternalAccount,
    ExternalIdentity,
    LoginTransaction,
    MFAMode,
    SessionPolicy,
    SSOSession,
    UnknownUser,
    Upstream,
    User,
    VerificationCode,
)
from tests.factories import make_application, make_tenant, make_user
from tests.factories.oidc import make_client
from tests.factories.upstreams import make_link
from tests.sdk_api.mobile import MOBILE, OTHER_MOBILE, inbox, receive
from tests.sdk_api.phone import Phone, make_phone
from tests.support import upstreams
from tests.support.upstream_fixtures import alipay, alipay_source, wechat, wechat_source
from tests.support.upstreams import AlipayStub, Person, WeChatStub

__all__ = ["alipay", "inbox", "wechat"]

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("inbox")]

SOMEBODY = Person(
    openid="o6_bmjrPTlm6_2sgVt7hMZOPfL2M", unionid="o6_bmasdasdsad6_2sgVt7hMZOPfL", user_id="2088702746395409"
)
DATA = '{"socialBindOrRegisterFlow":["VERIFY_PHONE"]}'


@pytest.fixture
def phone() -> Phone:
    return make_phone(mobile=MOBILE, phone_number_verified=True)


@pytest.fixture
def source(phone: Phone, wechat: WeChatStub) -> Upstream:
    return wechat_source(phone.tenant, wechat)


def login(phone: Phone, provider: WeChatStub, person: Person = SOMEBODY, **headers: str | None) -> Any:
    return phone.post("login/wechat", {"code": provider.code_for(person)}, **headers)


def state_token(phone: Phone, provider: WeChatStub, person: Person = SOMEBODY) -> str:
    body = login(phone, provider, person).json()
    assert body["status"] in ("SOCIAL_BIND", "USER_REGISTER", "MFA_AUTH"), body
    token: str = body["state_token"]
    return token


def bind(phone: Phone, token: str, *, mobile: str = MOBILE, code: str | None = None) -> Any:
    code = code if code is not None else receive(phone, "BIND_MOBILE_SMS", mobile)
    return phone.post("social/bind", {"mobile": mobile, "verify_code": code}, X_state_token=token)


def register_bind(phone: Phone, token: str, *, mobile: str = MOBILE) -> Any:
    code = receive(phone, "REGISTER_SMS", mobile)
    return phone.post("social/register-bind", {"mobile": mobile, "verify_code": code}, X_state_token=token)


def refusal(response: Any) -> tuple[int, str]:
    return response.status_code, response.json()["error_code"]


# Linked already --------------------------------------------------------------------------------------------


@pytest.mark.spec("OneAccess-3.2.5.3")
def test_a_linked_person_is_signed_in(phone: Phone, wechat: WeChatStub, source: Upstream) -> None:
    make_link(phone.user, source, subject=SOMEBODY.unionid)
    body = login(phone, wechat).json()
    assert (body["status"], body["expire"]) == ("SUCCESS", 604800)
    assert phone.profile(phone.sign(body["session_token"])).json()["user_name"] == "alice"
    assert SSOSession.objects.get().amr == ["fed"]
    event = AuditEvent.objects.get(event_type="login:external")
    assert (event.outcome, event.actor_id) == ("success", phone.user.public_id)


@pytest.mark.security("S46")
def test_another_providers_word_is_no_proof_of_a_superuser(phone: Phone, wechat: WeChatStub, source: Upstream) -> None:
    """Operators of the tenant say where the provider is asked, and a superuser has more rights than they."""
    make_link(phone.user, source, subject=SOMEBODY.unionid)
    User.objects.update(is_staff=True, is_superuser=True)
    assert refusal(login(phone, wechat)) == (403, "RIGHT.0005")
    assert not SSOSession.objects.exists()
    event = AuditEvent.objects.get(event_type="login:external")
    assert (event.outcome, event.reason) == ("refused", "RIGHT.0005")
    User.objects.update(is_superuser=False)
    assert login(phone, wechat).json()["status"] == "SUCCESS"


@pytest.mark.security("S46")
@pytest.mark.parametrize("how", [UnknownUser.BIND, UnknownUser.BIND_OR_REGISTER])
@pytest.mark.parametrize(
    "rights",
    [{"is_staff": True, "phone_number_verified": False}, {"is_superuser": True}],
    ids=["operator", "superuser"],
)
def test_a_number_that_a_directory_wrote_links_nobody_to_an_operator(
    phone: Phone, wechat: WeChatStub, source: Upstream, how: str, rights: dict[str, bool]
) -> None:
    Upstream.objects.update(unknown_user=how)
    User.objects.update(**rights)
    token = state_token(phone, wechat)
    answer = (bind if how == UnknownUser.BIND else register_bind)(phone, token)
    assert refusal(answer) == (400, "USER.0001")
    assert not ExternalIdentity.objects.exists()
    assert not SSOSession.objects.exists()


@pytest.mark.spec("OneAccess-3.2.5.4")
@pytest.mark.parametrize("path", ["/api/v3/sdk/login/alipay", "/api/v2/sdk/login/alipay"])
def test_alipay_has_two_paths(phone: Phone, alipay: AlipayStub, path: str) -> None:
    source = alipay_source(phone.tenant, alipay)
    make_link(phone.user, source, subject=SOMEBODY.user_id)
    text = json.dumps({"code": alipay.code_for(SOMEBODY)})
    answer = phone.http.post(path, text, content_type="application/json", headers=phone.headers(), secure=True)
    assert answer.json()["status"] == "SUCCESS"


@pytest.mark.security("S24")
def test_a_new_nickname_is_the_same_person_and_an_old_one_is_nobody(
    phone: Phone, wechat: WeChatStub, source: Upstream
) -> None:
    link = make_link(phone.user, source, subject=SOMEBODY.unionid, nickname="小明")
    assert login(phone, wechat, replace(SOMEBODY, nickname="小红", openid="o-new")).json()["status"] == "SUCCESS"
    link.refresh_from_db()
    assert link.nickname == "小红"
    assert login(phone, wechat, Person(openid="o-2", unionid="u-2")).json()["status"] == "SOCIAL_BIND"


def test_a_sign_in_asks_the_database_a_fixed_number_of_times(
    phone: Phone, wechat: WeChatStub, source: Upstream, django_assert_max_num_queries: Any
) -> None:
    make_link(phone.user, source, subject=SOMEBODY.unionid, openid=SOMEBODY.openid, nickname="小明")
    person = replace(SOMEBODY, picture_url="")
    body = {"code": wechat.code_for(person)}
    login(phone, wechat, person)
    with django_assert_max_num_queries(30):
        assert phone.post("login/wechat", body).json()["status"] == "SUCCESS"


@pytest.mark.security("S26")
def test_a_disabled_user_is_told_so(phone: Phone, wechat: WeChatStub, source: Upstream) -> None:
    make_link(phone.user, source, subject=SOMEBODY.unionid)
    User.objects.update(is_active=False)
    assert refusal(login(phone, wechat)) == (400, "USER.0004")
    assert AuditEvent.objects.get(event_type="login:external").reason == "USER.0004"


def test_a_deleted_user_is_nobody(phone: Phone, wechat: WeChatStub, source: Upstream) -> None:
    make_link(phone.user, source, subject=SOMEBODY.unionid, openid=SOMEBODY.openid, nickname="小明")
    users.delete(user=phone.user, context=SYSTEM)
    assert not ExternalIdentity.objects.exists()
    assert login(phone, wechat).json()["status"] == "SOCIAL_BIND"


def test_an_application_that_the_user_may_not_use_denies(wechat: WeChatStub) -> None:
    phone = make_phone(application={"access": ApplicationAccess.ASSIGNED})
    make_link(phone.user, wechat_source(phone.tenant, wechat), subject=SOMEBODY.unionid)
    assert login(phone, wechat).json() == {"status": "ACCESS_DENIED"}


# The second factor -----------------------------------------------------------------------------------------


@pytest.mark.security("S28")
def test_the_second_factor_is_asked_for_after_a_social_sign_in(
    phone: Phone, wechat: WeChatStub, source: Upstream
) -> None:
    make_link(phone.user, source, subject=SOMEBODY.unionid)
    SessionPolicy.objects.update(mfa_mode=MFAMode.ALWAYS)
    body = login(phone, wechat).json()
    assert set(body) == {"status", "state_token"}
    assert body["status"] == "MFA_AUTH"
    token = body["state_token"]
    assert not SSOSession.objects.exists()
    assert phone.get("mobile-by-token", X_state_token=token).json()["mobile"] == MOBILE
    code = receive(phone, "OTP_REST_SMS")
    answer = phone.post("mfa/sms", {"mobile": MOBILE, "verify_code": code}, X_state_token=token)
    assert answer.json()["status"] == "SUCCESS"
    session = SSOSession.objects.get()
    assert (session.amr, session.acr) == (["fed", "sms"], "urn:monban:acr:multi-factor")


@pytest.mark.security("S28")
@pytest.mark.parametrize("path", ["social/bind", "social/register-bind", "pwd/skip-update", "pwd/update"])
def test_the_token_of_the_second_factor_opens_no_other_step(
    phone: Phone, wechat: WeChatStub, source: Upstream, path: str
) -> None:
    make_link(phone.user, source, subject=SOMEBODY.unionid)
    SessionPolicy.objects.update(mfa_mode=MFAMode.ALWAYS)
    token = state_token(phone, wechat)
    body = {"mobile": MOBILE, "verify_code": "123456", "old_password": "x", "new_password": "y"}
    call = phone.get(path, X_state_token=token) if "skip" in path else phone.post(path, body, X_state_token=token)
    assert refusal(call) == (400, "PARAM.0014")


@pytest.mark.security("S28")
def test_linking_is_no_way_round_the_second_factor(phone: Phone, wechat: WeChatStub, source: Upstream) -> None:
    """A telephone alone is one factor, and its holder has an account at the provider too."""
    SessionPolicy.objects.update(mfa_mode=MFAMode.ALWAYS)
    assert bind(phone, state_token(phone, wechat)).json() == {"status": "ACCESS_DENIED"}
    assert not SSOSession.objects.exists()
    assert not ExternalIdentity.objects.exists()


# Linking ---------------------------------------------------------------------------------------------------


@pytest.mark.spec("OneAccess-3.2.6.1")
def test_an_unknown_person_is_linked_by_a_code_to_the_mobile(
    phone: Phone, wechat: WeChatStub, source: Upstream
) -> None:
    body = login(phone, wechat).json()
    assert {**body, "state_token": ""} == {"status": "SOCIAL_BIND", "state_token": "", "data": DATA}
    answer = bind(phone, body["state_token"]).json()
    assert (answer["status"], answer["expire"]) == ("SUCCESS", 604800)
    link = ExternalIdentity.objects.get()
    assert (link.user, link.subject, link.nickname) == (phone.user, SOMEBODY.unionid, "小明")
    assert link.accounts.get().openid == SOMEBODY.openid
    assert login(phone, wechat).json()["status"] == "SUCCESS"
    assert AuditEvent.objects.filter(event_type="external_identity:link", outcome="success").count() == 1


def test_a_state_token_is_spent_by_the_success(phone: Phone, wechat: WeChatStub, source: Upstream) -> None:
    token = state_token(phone, wechat)
    bind(phone, token)
    assert refusal(bind(phone, token, code="123456")) == (400, "PARAM.0014")


@pytest.mark.security("S23")
def test_a_wrong_code_links_nothing_and_leaves_the_state(phone: Phone, wechat: WeChatStub, source: Upstream) -> None:
    token = state_token(phone, wechat)
    code = receive(phone, "BIND_MOBILE_SMS")
    wrong = f"{(int(code) + 1) % 10**6:06d}"
    assert refusal(bind(phone, token, code=wrong)) == (400, "CAPTCHA.0007")
    assert not ExternalIdentity.objects.exists()
    assert bind(phone, token, code=code).json()["status"] == "SUCCESS"


@pytest.mark.security("S23")
@pytest.mark.parametrize("kind", ["LOGIN_SMS", "REGISTER_SMS", "FORGET_PWD_SMS"])
def test_a_code_for_something_else_links_nothing(phone: Phone, wechat: WeChatStub, source: Upstream, kind: str) -> None:
    Upstream.objects.update(unknown_user=UnknownUser.BIND_OR_REGISTER)  # so that REGISTER_SMS is sent
    token_source = Upstream.objects.get()
    Upstream.objects.update(unknown_user=UnknownUser.BIND)
    token = state_token(phone, wechat)
    Upstream.objects.update(unknown_user=token_source.unknown_user)
    code = receive(phone, kind)
    assert refusal(bind(phone, token, code=code)) == (400, "CAPTCHA.0007")


@pytest.mark.security("S23")
def test_a_code_to_my_number_does_not_link_yours(phone: Phone, wechat: WeChatStub, source: Upstream) -> None:
    make_user(phone.tenant, mobile=OTHER_MOBILE)
    token = state_token(phone, wechat)
    mine = receive(phone, "BIND_MOBILE_SMS", OTHER_MOBILE)
    assert refusal(bind(phone, token, mobile=MOBILE, code=mine)) == (400, "CAPTCHA.0007")


def test_a_number_that_nobody_has_is_told_after_the_code(phone: Phone, wechat: WeChatStub, source: Upstream) -> None:
    token = state_token(phone, wechat)
    assert refusal(bind(phone, token, mobile=OTHER_MOBILE)) == (400, "USER.0001")


def test_a_disabled_user_is_not_linked(phone: Phone, wechat: WeChatStub, source: Upstream) -> None:
    User.objects.update(is_active=False)
    assert refusal(bind(phone, state_token(phone, wechat))) == (400, "USER.0004")
    assert not ExternalIdentity.objects.exists()


def test_a_user_who_is_linked_to_another_account_is_told_so(phone: Phone, wechat: WeChatStub, source: Upstream) -> None:
    make_link(phone.user, source, subject="u-other", openid="o-other")
    assert refusal(bind(phone, state_token(phone, wechat))) == (400, "SOCIAL.0001")


def test_of_two_sign_ins_of_one_account_only_one_links(phone: Phone, wechat: WeChatStub, source: Upstream) -> None:
    other = make_user(phone.tenant, mobile=OTHER_MOBILE)
    first, second = state_token(phone, wechat), state_token(phone, wechat)
    assert bind(phone, first).json()["status"] == "SUCCESS"
    assert refusal(bind(phone, second, mobile=OTHER_MOBILE)) == (400, "SOCIAL.0001")
    assert not ExternalIdentity.objects.filter(user=other).exists()
    assert SSOSession.objects.filter(user=other).count() == 0


@pytest.mark.parametrize("change", ["device", "client"])
@pytest.mark.security("S27")
def test_another_device_or_client_cannot_go_on(phone: Phone, wechat: WeChatStub, source: Upstream, change: str) -> None:
    token = state_token(phone, wechat)
    code = receive(phone, "BIND_MOBILE_SMS")
    other = make_client(make_application(phone.tenant), may_use_sdk=True).client_id
    headers = {"X_device_fingerprint": "other"} if change == "device" else {"X_client_id": other}
    answer = phone.post("social/bind", {"mobile": MOBILE, "verify_code": code}, X_state_token=token, **headers)
    assert refusal(answer) == (400, "PARAM.0014")


def test_a_source_that_is_switched_off_meanwhile_links_nobody(
    phone: Phone, wechat: WeChatStub, source: Upstream
) -> None:
    token = state_token(phone, wechat)
    Upstream.objects.update(is_active=False)
    assert refusal(bind(phone, token)) == (400, "PARAM.0014")
    assert not ExternalIdentity.objects.exists()


def test_what_a_sign_in_keeps_of_an_unlinked_person_is_sealed(
    phone: Phone, wechat: WeChatStub, source: Upstream
) -> None:
    state_token(phone, wechat)
    kept = json.dumps(LoginTransaction.objects.get().data)
    assert SOMEBODY.unionid not in kept
    assert SOMEBODY.openid not in kept


# Registering -----------------------------------------------------------------------------------------------


@pytest.fixture
def registering(source: Upstream) -> Upstream:
    Upstream.objects.update(unknown_user=UnknownUser.BIND_OR_REGISTER)
    return source


@pytest.mark.spec("OneAccess-3.2.6.2")
def test_a_newcomer_becomes_a_user(phone: Phone, wechat: WeChatStub, registering: Upstream) -> None:
    body = login(phone, wechat).json()
    assert {**body, "state_token": ""} == {"status": "USER_REGISTER", "state_token": "", "data": DATA}
    assert register_bind(phone, body["state_token"], mobile=OTHER_MOBILE).json()["status"] == "SUCCESS"
    user = User.objects.exclude(pk=phone.user.pk).get()
    assert (user.mobile, user.phone_number_verified, user.nick_name) == (f"+86{OTHER_MOBILE}", True, "小明")
    assert not user.has_usable_password()
    assert ExternalIdentity.objects.get().user == user


def test_a_number_that_a_user_has_is_linked_to_that_user(
    phone: Phone, wechat: WeChatStub, registering: Upstream
) -> None:
    assert register_bind(phone, state_token(phone, wechat)).json()["status"] == "SUCCESS"
    assert ExternalIdentity.objects.get().user == phone.user
    assert User.objects.count() == 1


def test_a_nickname_that_the_tenant_would_refuse_keeps_nobody_out(
    phone: Phone, wechat: WeChatStub, registering: Upstream
) -> None:
    token = state_token(phone, wechat, replace(SOMEBODY, nickname="<script>\u202e" * 40, picture_url="javascript:1"))
    assert register_bind(phone, token, mobile=OTHER_MOBILE).json()["status"] == "SUCCESS"
    assert User.objects.exclude(pk=phone.user.pk).get().picture_url == ""


def test_a_race_lost_registers_nobody(phone: Phone, wechat: WeChatStub, registering: Upstream) -> None:
    first, second = state_token(phone, wechat), state_token(phone, wechat)
    assert register_bind(phone, first).json()["status"] == "SUCCESS"
    assert refusal(register_bind(phone, second, mobile=OTHER_MOBILE)) == (400, "SOCIAL.0001")
    assert User.objects.count() == 1


@pytest.mark.parametrize(("setting", "path"), [("bind", "register-bind"), ("bind_or_register", "bind")])
def test_the_token_of_one_way_does_not_open_the_other(
    phone: Phone, wechat: WeChatStub, source: Upstream, setting: str, path: str
) -> None:
    Upstream.objects.update(unknown_user=setting)
    token = state_token(phone, wechat)
    body = {"mobile": MOBILE, "verify_code": "123456"}
    assert refusal(phone.post(f"social/{path}", body, X_state_token=token)) == (400, "PARAM.0014")


# One person with several applications ----------------------------------------------------------------------


@pytest.fixture
def second_app(phone: Phone, source: Upstream) -> Any:
    """Another app of the tenant, with an application of its own at WeChat."""
    application = make_application(phone.tenant)
    other = Phone(phone.user, make_client(application, may_use_sdk=True))
    with upstreams.serving(WeChatStub("wx0000000000000002")) as provider:
        assert isinstance(provider, WeChatStub)
        wechat_source(phone.tenant, provider, application=application)
        yield other, provider


def test_one_person_with_two_apps_is_one_person_by_unionid(
    phone: Phone, wechat: WeChatStub, source: Upstream, second_app: tuple[Phone, WeChatStub]
) -> None:
    bind(phone, state_token(phone, wechat))
    other, provider = second_app
    assert login(other, provider, replace(SOMEBODY, openid="o-in-two")).json()["status"] == "SUCCESS"
    assert wechat.calls
    assert provider.calls
    assert sorted(ExternalAccount.objects.values_list("openid", flat=True)) == sorted([SOMEBODY.openid, "o-in-two"])
    assert ExternalIdentity.objects.count() == 1


def test_a_unionid_that_is_told_later_joins_what_was_linked_before(
    phone: Phone, wechat: WeChatStub, source: Upstream, second_app: tuple[Phone, WeChatStub]
) -> None:
    bind(phone, state_token(phone, wechat, Person(openid="o-1")))
    assert ExternalIdentity.objects.get().subject == ""
    assert login(phone, wechat, Person(openid="o-1", unionid="u-1")).json()["status"] == "SUCCESS"
    assert ExternalIdentity.objects.get().subject == "u-1"
    other, provider = second_app
    assert login(other, provider, Person(openid="o-2", unionid="u-1")).json()["status"] == "SUCCESS"


def test_an_openid_goes_on_to_be_known_when_no_unionid_is_told(
    phone: Phone, wechat: WeChatStub, source: Upstream
) -> None:
    bind(phone, state_token(phone, wechat))
    assert login(phone, wechat, Person(openid=SOMEBODY.openid)).json()["status"] == "SUCCESS"
    assert ExternalIdentity.objects.get().subject == SOMEBODY.unionid


def test_an_openid_of_one_application_is_nobody_in_another(
    phone: Phone, wechat: WeChatStub, source: Upstream, second_app: tuple[Phone, WeChatStub]
) -> None:
    bind(phone, state_token(phone, wechat, Person(openid="o-1")))
    other, provider = second_app
    assert login(other, provider, Person(openid="o-1")).json()["status"] == "SOCIAL_BIND"


def test_two_apps_without_unionid_are_linked_one_by_one_and_merged_when_it_comes(
    phone: Phone, wechat: WeChatStub, source: Upstream, second_app: tuple[Phone, WeChatStub]
) -> None:
    other, provider = second_app
    bind(phone, state_token(phone, wechat, Person(openid="o-1")))
    token = state_token(other, provider, Person(openid="o-2"))
    VerificationCode.objects.all().delete()  # instead of waiting a minute
    assert bind(other, token).json()["status"] == "SUCCESS"
    assert ExternalIdentity.objects.count() == 2
    assert login(phone, wechat, Person(openid="o-1", unionid="u-1")).json()["status"] == "SUCCESS"
    assert login(other, provider, Person(openid="o-2", unionid="u-1")).json()["status"] == "SUCCESS"
    link = ExternalIdentity.objects.get()
    assert sorted(account.openid for account in link.accounts.all()) == ["o-1", "o-2"]
    assert AuditEvent.objects.filter(event_type="external_identity:merge").count() == 1


def test_where_two_links_turn_out_to_be_one_person_the_unionids_stays(
    phone: Phone, wechat: WeChatStub, source: Upstream, second_app: tuple[Phone, WeChatStub]
) -> None:
    other, provider = second_app
    somebody_else = make_user(phone.tenant)
    make_link(phone.user, source, subject="u-1", openid="o-1")
    make_link(somebody_else, Upstream.objects.get(client_id=provider.client_id), openid="o-2")
    assert login(other, provider, Person(openid="o-2", unionid="u-1")).json()["status"] == "SUCCESS"
    assert SSOSession.objects.get().user == phone.user
    assert ExternalIdentity.objects.get().user == phone.user
    event = AuditEvent.objects.get(event_type="external_identity:merge")
    assert event.details == {
        "kind": "wechat", "from_user": somebody_else.public_id, "to_user": phone.user.public_id,
    }  # fmt: skip


@pytest.mark.security("S45")
def test_the_same_id_at_another_provider_is_somebody_else(
    phone: Phone, wechat: WeChatStub, source: Upstream, alipay: AlipayStub
) -> None:
    alipay_source(phone.tenant, alipay)
    make_link(phone.user, source, subject="same", openid="same")
    person = Person(openid="same", user_id="same")
    body = {"code": alipay.code_for(person)}
    answer = phone.http.post(
        "/api/v3/sdk/login/alipay",
        json.dumps(body),
        content_type="application/json",
        headers=phone.headers(),
        secure=True,
    )
    assert answer.json()["status"] == "SOCIAL_BIND"


@pytest.mark.security("S36")
def test_a_link_of_another_tenant_is_nobodys(phone: Phone, wechat: WeChatStub, source: Upstream) -> None:
    stranger = make_user(make_tenant())
    make_link(stranger, wechat_source(stranger.tenant, wechat), subject=SOMEBODY.unionid, openid=SOMEBODY.openid)
    assert login(phone, wechat).json()["status"] == "SOCIAL_BIND"


# Which source ----------------------------------------------------------------------------------------------


def test_an_app_uses_the_source_of_its_own_application(
    phone: Phone, wechat: WeChatStub, source: Upstream, second_app: tuple[Phone, WeChatStub]
) -> None:
    other, provider = second_app
    login(other, provider)
    assert (len(wechat.calls), len(provider.calls)) == (0, 2)


@pytest.mark.parametrize("change", [{"is_active": False}, {"for_apps": False}], ids=["off", "browsers only"])
def test_without_a_source_the_policy_refuses(
    phone: Phone, wechat: WeChatStub, source: Upstream, change: dict[str, bool]
) -> None:
    Upstream.objects.update(**change)
    assert login(phone, wechat).json() == {"status": "ACCESS_DENIED"}
    assert not wechat.calls


def test_a_kind_whose_connector_was_taken_away_is_no_source(phone: Phone, wechat: WeChatStub, source: Upstream) -> None:
    make_link(phone.user, source, subject=SOMEBODY.unionid)
    ExternalIdentity.objects.update(kind="gone")
    listed = phone.get("social", X_signature=phone.sign(phone.sign_in())).json()
    assert listed["social"][0]["socialType"] == "gone"


# The provider in trouble -----------------------------------------------------------------------------------


def test_a_code_that_is_refused_is_told_as_documented(phone: Phone, wechat: WeChatStub, source: Upstream) -> None:
    assert refusal(phone.post("login/wechat", {"code": "unknown"})) == (400, "PARAM.0011")
    code = wechat.code_for(SOMEBODY)
    assert phone.post("login/wechat", {"code": code}).json()["status"] == "SOCIAL_BIND"
    assert refusal(phone.post("login/wechat", {"code": code})) == (400, "PARAM.0011")


def test_a_provider_that_is_down_is_told_within_three_seconds(
    phone: Phone, wechat: WeChatStub, source: Upstream
) -> None:
    wechat.fault = upstreams.slow
    began = time.monotonic()
    response = login(phone, wechat)
    assert time.monotonic() - began < 3
    assert (refusal(response), response["Retry-After"]) == ((503, "COM.0002"), "5")


def test_a_source_that_brings_bad_codes_without_end_is_stopped(
    phone: Phone, wechat: WeChatStub, source: Upstream
) -> None:
    phone.tenant.password_policy.max_failures_per_source = 3
    phone.tenant.password_policy.save()
    for _try in range(3):
        assert refusal(phone.post("login/wechat", {"code": "unknown"})) == (400, "PARAM.0011")
    calls = len(wechat.calls)
    assert refusal(login(phone, wechat)) == (429, "COM.0429")
    assert len(wechat.calls) == calls


def test_a_provider_that_is_down_keeps_nobody_out_when_it_is_back(
    phone: Phone, wechat: WeChatStub, source: Upstream
) -> None:
    phone.tenant.password_policy.max_failures_per_source = 3
    phone.tenant.password_policy.save()
    wechat.fault = upstreams.always(502, b"")
    for _try in range(5):
        assert refusal(login(phone, wechat)) == (503, "COM.0002")
    wechat.fault = None
    assert login(phone, wechat).json()["status"] == "SOCIAL_BIND"


def test_good_codes_are_not_counted(phone: Phone, wechat: WeChatStub, source: Upstream) -> None:
    phone.tenant.password_policy.max_failures_per_source = 3
    phone.tenant.password_policy.save()
    for _try in range(5):
        assert login(phone, wechat).status_code == 200


@pytest.mark.parametrize(
    "body,told",
    [
        ("", "PARAM.0011"),
        ("[]", "COM.0400"),
        ('{"code":1}', "PARAM.0011"),
        ('{"code":["x"]}', "PARAM.0011"),
        ('{"code":"\\u0000"}', "PARAM.0011"),
        ('{"code":"\\ud800"}', "COM.0400"),
        ('{"code":""}', "PARAM.0011"),
    ],
)
def test_what_is_no_code_is_refused_without_asking(
    phone: Phone, wechat: WeChatStub, source: Upstream, body: str, told: str
) -> None:
    assert refusal(phone.post("login/wechat", body)) == (400, told)
    assert not wechat.calls


# The list, and unlinking -----------------------------------------------------------------------------------


@pytest.mark.spec("OneAccess-3.2.6.3")
def test_the_list_is_spelled_as_documented(phone: Phone, source: Upstream) -> None:
    link = make_link(
        phone.user, source, subject="u-1", openid="o-1", nickname="zhangsan", picture_url="https://thirdwx.qlogo.cn/x"
    )
    make_link(make_user(phone.tenant), source, subject="u-2", openid="o-2")
    body = phone.get("social", X_signature=phone.sign(phone.sign_in())).json()
    entry = body["social"][0]
    moments = {name: entry.pop(name) for name in ("createdAt", "updatedAt")}
    assert body == {
        "social": [
            {
                "id": link.public_id,
                "userId": phone.user.public_id,
                "socialType": "weixin",
                "social_uid": "u-1",
                "socialNickname": "zhangsan",
                "socialHeadImage": "https://thirdwx.qlogo.cn/x",
                "socialAccountDetails": "zhangsan",
            }
        ]
    }
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}", text) for text in moments.values())


def test_nobody_linked_is_an_empty_list(phone: Phone) -> None:
    assert phone.get("social", X_signature=phone.sign(phone.sign_in())).json() == {"social": []}


def unbind(phone: Phone, public_id: Any) -> Any:
    return phone.post("social/unbind-account", {"id": public_id}, X_signature=phone.sign(phone.sign_in()))


@pytest.mark.spec("OneAccess-3.2.6.4")
def test_unlinking_ends_the_sign_in_by_that_account(phone: Phone, wechat: WeChatStub, source: Upstream) -> None:
    link = make_link(phone.user, source, subject=SOMEBODY.unionid, openid=SOMEBODY.openid)
    response = unbind(phone, link.public_id)
    assert (response.status_code, response.content) == (200, b"")
    assert login(phone, wechat).json()["status"] == "SOCIAL_BIND"
    assert AuditEvent.objects.filter(event_type="external_identity:unlink", outcome="success").count() == 1


@pytest.mark.security("S36")
def test_somebody_elses_link_is_neither_told_nor_touched(phone: Phone, source: Upstream) -> None:
    link = make_link(make_user(phone.tenant), source, subject="u-2")
    for public_id in (link.public_id, "u-2", "unknown", "", "\x00", 7, None, ["x"]):
        assert refusal(unbind(phone, public_id)) == (400, "SOCIAL.0003")
    assert ExternalIdentity.objects.count() == 1


def test_the_last_way_to_sign_in_is_not_taken_away(wechat: WeChatStub) -> None:
    phone = make_phone(email_verified=False)
    source = wechat_source(phone.tenant, wechat)
    link = make_link(phone.user, source, subject=SOMEBODY.unionid)
    token = login(phone, wechat).json()["session_token"]
    User.objects.update(password="!", email="", email_key="")
    response = phone.post("social/unbind-account", {"id": link.public_id}, X_signature=phone.sign(token))
    assert refusal(response) == (400, "SOCIAL.0002")
    assert ExternalIdentity.objects.count() == 1
