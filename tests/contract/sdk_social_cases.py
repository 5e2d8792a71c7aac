"""What causes each documented code of the operations about WeChat and Alipay, with both of them on loopback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from identity.models import ExternalIdentity, UnknownUser, Upstream, User
from tests.factories.upstreams import make_link
from tests.sdk_api import mobile
from tests.sdk_api.mobile import MOBILE, OTHER_MOBILE
from tests.sdk_api.phone import Phone, make_phone
from tests.support.upstream_fixtures import alipay_source, wechat_source
from tests.support.upstreams import AlipayStub, Person, WeChatStub, serving

Cause = Callable[[Phone], Any]
LOGINS = {"loginByWechat": "wechat", "loginByAlipay": "alipay"}
LINKS = {"bindSocialAccount": "BIND_MOBILE_SMS", "registerBindSocialAccount": "REGISTER_SMS"}
SIGNED = {"listSocialAccounts", "unbindSocialAccount"}
OPERATIONS = {*LOGINS, *LINKS, *SIGNED}
PATHS = {
    "loginByWechat": "/api/v2/sdk/login/wechat",
    "loginByAlipay": "/api/v3/sdk/login/alipay",
    "bindSocialAccount": "/api/v2/sdk/social/bind",
    "registerBindSocialAccount": "/api/v2/sdk/social/register-bind",
    "listSocialAccounts": "/api/v2/sdk/social",
    "unbindSocialAccount": "/api/v2/sdk/social/unbind-account",
}
SOMEBODY = Person(openid="o-1", unionid="u-1", user_id="2088702746395409")

_providers: dict[str, WeChatStub | AlipayStub] = {}


@pytest.fixture(scope="module")
def providers() -> Iterator[None]:
    """Both providers, for all tests of a module."""
    with ExitStack() as stack:
        stack.enter_context(serving(_providers.setdefault("wechat", WeChatStub("wx520c15f417810387"))))
        stack.enter_context(serving(_providers.setdefault("alipay", AlipayStub("2014072300007148"))))
        yield
    _providers.clear()


def new_phone(operation: str) -> Phone:
    """An app of a tenant with both sources. Who signs in is linked where the operation begins with a sign-in."""
    phone = make_phone(mobile=MOBILE, phone_number_verified=True)
    wechat, alipay = _providers["wechat"], _providers["alipay"]
    assert isinstance(wechat, WeChatStub)
    assert isinstance(alipay, AlipayStub)
    may_register = operation == "registerBindSocialAccount"
    setting = UnknownUser.BIND_OR_REGISTER if may_register else UnknownUser.BIND
    sources = [wechat_source(phone.tenant, wechat, unknown_user=setting), alipay_source(phone.tenant, alipay)]
    if operation not in LINKS:
        for source, subject in zip(sources, (SOMEBODY.unionid, SOMEBODY.user_id), strict=True):
            make_link(phone.user, source, subject=subject, nickname="zhangsan")
    return phone


def sign_in(phone: Phone, kind: str = "wechat", *, code: str | None = None, **headers: str | None) -> Any:
    """The request of a sign-in at the provider."""
    code = code if code is not None else _providers[kind].code_for(SOMEBODY)
    path = PATHS[{kind: operation for operation, kind in LOGINS.items()}[kind]]
    return post(phone, path, {"code": code}, **headers)


def post(phone: Phone, path: str, body: Any, **headers: str | None) -> Any:
    return phone.http.post(path, body, content_type="application/json", headers=phone.headers(**headers), secure=True)


def ask(phone: Phone, operation: str, headers: dict[str, str | None] | None = None, **changes: Any) -> Any:
    """Call an operation with a body that is good but for `changes`."""
    headers = dict(headers or {})
    if operation in LOGINS:
        return sign_in(phone, LOGINS[operation], code=changes.get("code"), **headers)
    if operation in SIGNED and "X_signature" not in headers:
        headers["X_signature"] = phone.sign(phone.sign_in())
    if operation == "listSocialAccounts":
        return phone.get("social", **headers)
    if operation == "unbindSocialAccount":
        return post(phone, PATHS[operation], {"id": ExternalIdentity.objects.all()[0].public_id}, **headers)
    is_at_step = "X_state_token" not in headers
    if is_at_step:
        headers["X_state_token"] = sign_in(phone).json()["state_token"]
    body = {"mobile": MOBILE, **({} if is_at_step else {"verify_code": "1"}), **changes}
    if "verify_code" not in body:
        body["verify_code"] = mobile.receive(phone, LINKS[operation], body["mobile"])
    return post(phone, PATHS[operation], body, **headers)


def having(operation: str, **changes: Any) -> Cause:
    """A request with these members changed."""
    return lambda phone: ask(phone, operation, **changes)


def disabled_user(operation: str) -> Cause:
    def cause(phone: Phone) -> Any:
        User.objects.update(is_active=False)
        return ask(phone, operation)

    return cause


def linked_elsewhere(operation: str) -> Cause:
    def cause(phone: Phone) -> Any:
        make_link(phone.user, Upstream.objects.get(kind="wechat"), subject="u-other", openid="o-other")
        return ask(phone, operation)

    return cause


def without_token(operation: str) -> Cause:
    return lambda phone: ask(phone, operation, {"X_state_token": None})


def with_bad_token(operation: str) -> Cause:
    return lambda phone: ask(phone, operation, {"X_state_token": "x"})


def unsigned(operation: str) -> Cause:
    return lambda phone: ask(phone, operation, {"X_signature": None})


CAUSES: dict[tuple[str, str], Cause] = {
    ("loginByWechat", "PARAM.0011"): having("loginByWechat", code=""),
    ("loginByAlipay", "PARAM.0012"): having("loginByAlipay", code="none of Alipay's"),
    ("bindSocialAccount", "USER.0001"): having("bindSocialAccount", mobile=OTHER_MOBILE),
    **{(operation, "USER.0004"): disabled_user(operation) for operation in (*LOGINS, *LINKS)},
    **{(operation, "PARAM.0013"): without_token(operation) for operation in LINKS},
    **{(operation, "PARAM.0014"): with_bad_token(operation) for operation in LINKS},
    **{(operation, "USER.0010"): having(operation, mobile="", verify_code="1") for operation in LINKS},
    **{(operation, "USER.0038"): having(operation, mobile="x", verify_code="1") for operation in LINKS},
    **{(operation, "PARAM.0009"): having(operation, verify_code="") for operation in LINKS},
    **{(operation, "CAPTCHA.0007"): having(operation, verify_code="000000") for operation in LINKS},
    **{(operation, "SOCIAL.0001"): linked_elsewhere(operation) for operation in LINKS},
    **{(operation, "PARAM.0030"): unsigned(operation) for operation in SIGNED},
}
