"""WeChat's and Alipay's protocols, against stubs of theirs on loopback that check every request."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from identity.errors import ExternalCodeRefused, SystemBusy
from identity.federation.connectors.alipay import is_signed, raw_members, sign, signed_text
from identity.federation.connectors.base import (
    Account,
    ExternalPerson,
    ask,
    clean_nickname,
    clean_picture_url,
    connectors,
)
from tests.support import upstreams
from tests.support.upstreams import AlipayStub, Person, WeChatStub, key_pair, private_key_text, public_key_text, serving

WECHAT, ALIPAY = connectors()["wechat"], connectors()["alipay"]
PICTURE = "https://thirdwx.qlogo.cn/mmopen/vi_32/Q0j4TwGTfTIQ8/132"


@pytest.fixture
def wechat() -> Iterator[WeChatStub]:
    with serving(WeChatStub("wx520c15f417810387")) as provider:
        assert isinstance(provider, WeChatStub)
        yield provider


@pytest.fixture
def alipay() -> Iterator[AlipayStub]:
    with serving(AlipayStub("2014072300007148")) as provider:
        assert isinstance(provider, AlipayStub)
        yield provider


def account_of(provider: WeChatStub | AlipayStub) -> Account:
    if isinstance(provider, WeChatStub):
        return Account(provider.client_id, provider.secret, api_url=provider.url, is_internal=True)
    return Account(
        provider.client_id,
        private_key_text(provider.app_key),
        public_key_text(provider.own_key),
        api_url=f"{provider.url}/gateway.do",
        is_internal=True,
    )


@pytest.fixture(params=["wechat", "alipay"])
def provider(request: pytest.FixtureRequest) -> WeChatStub | AlipayStub:
    found: WeChatStub | AlipayStub = request.getfixturevalue(request.param)
    return found


def ask_with(provider: WeChatStub | AlipayStub, person: Person) -> ExternalPerson:
    connector = WECHAT if isinstance(provider, WeChatStub) else ALIPAY
    return ask(connector, account_of(provider), authorization_code=provider.code_for(person))


SOMEBODY = Person(
    openid="o6_bmjrPTlm6_2sgVt7hMZOPfL2M", unionid="o6_bmasdasdsad6_2sgVt7hMZOPfL", user_id="2088702746395409"
)


# Who it is -------------------------------------------------------------------------------------------------


def test_wechat_tells_unionid_and_profile(wechat: WeChatStub) -> None:
    found = ask_with(wechat, SOMEBODY)
    assert found == ExternalPerson(SOMEBODY.unionid, SOMEBODY.openid, "小明", PICTURE)
    assert [path for path, _fields in wechat.calls] == ["/sns/oauth2/access_token", "/sns/userinfo"]


def test_wechat_without_unionid_tells_the_openid_alone(wechat: WeChatStub) -> None:
    assert ask_with(wechat, Person(openid="o-1")) == ExternalPerson("", "o-1", "小明", PICTURE)


def test_wechat_is_not_asked_for_a_profile_that_the_scope_does_not_open(wechat: WeChatStub) -> None:
    found = ask_with(wechat, replace(SOMEBODY, scope="snsapi_base"))
    assert found == ExternalPerson(SOMEBODY.unionid, SOMEBODY.openid)
    assert [path for path, _fields in wechat.calls] == ["/sns/oauth2/access_token"]


def test_alipay_tells_user_id_open_id_and_profile(alipay: AlipayStub) -> None:
    found = ask_with(alipay, replace(SOMEBODY, unionid=""))
    assert found == ExternalPerson("2088702746395409", SOMEBODY.openid, "小明", PICTURE)
    assert [fields["method"] for _path, fields in alipay.calls] == [
        "alipay.system.oauth.token",
        "alipay.user.info.share",
    ]


@pytest.mark.parametrize(
    ("person", "subject", "openid"),
    [
        (Person(user_id="2088702746395409"), "2088702746395409", ""),
        (Person(openid="o-1"), "", "o-1"),
        (Person(openid="o-1", unionid="u-1"), "u-1", "o-1"),
    ],
    ids=["user_id", "open_id", "union_id"],
)
def test_alipay_names_people_in_several_ways(alipay: AlipayStub, person: Person, subject: str, openid: str) -> None:
    found = ask_with(alipay, person)
    assert (found.subject, found.openid) == (subject, openid)


def test_alipay_without_the_right_to_the_profile_still_tells_who_it_is(alipay: AlipayStub) -> None:
    def fault(stub: upstreams.Provider, path: str, fields: dict[str, str]) -> upstreams.Answer | None:
        if fields["method"] == "alipay.user.info.share":
            raw = '{"code":"40006","msg":"Insufficient Permissions","sub_code":"isv.insufficient-isv-permissions"}'
            return alipay.signed("alipay_user_info_share_response", raw)
        return None

    alipay.fault = fault
    assert ask_with(alipay, SOMEBODY) == ExternalPerson("2088702746395409", SOMEBODY.openid)


# Codes that are refused ------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["unknown", "", "a" * 513, "line\nbreak", "代码", "\ud800"], ids=ascii)
def test_a_code_that_the_provider_does_not_take_is_refused(provider: WeChatStub | AlipayStub, code: str) -> None:
    connector = WECHAT if isinstance(provider, WeChatStub) else ALIPAY
    with pytest.raises(ExternalCodeRefused) as refusal:
        ask(connector, account_of(provider), authorization_code=code)
    assert refusal.value.error_code == ("PARAM.0011" if connector is WECHAT else "PARAM.0012")


def test_a_code_is_good_once(provider: WeChatStub | AlipayStub) -> None:
    connector = WECHAT if isinstance(provider, WeChatStub) else ALIPAY
    code = provider.code_for(SOMEBODY)
    ask(connector, account_of(provider), authorization_code=code)
    with pytest.raises(ExternalCodeRefused):
        ask(connector, account_of(provider), authorization_code=code)


def test_wechats_snapshot_user_is_nobody(wechat: WeChatStub) -> None:
    with pytest.raises(ExternalCodeRefused):
        ask_with(wechat, replace(SOMEBODY, is_snapshot=True))


# Providers in trouble --------------------------------------------------------------------------------------

TROUBLE: dict[str, tuple[int, bytes]] = {
    "500": (500, b"Internal Server Error"),
    "502": (502, b"<html>Bad Gateway</html>"),
    "302": (302, b""),
    "html": (200, b"<html>maintenance</html>"),
    "cut off": (200, b'{"access_token":"x","openid":'),
    "empty": (200, b""),
    "list": (200, b"[]"),
    "null": (200, b"null"),
    "not utf-8": (200, b'{"openid":"\xff"}'),
    "deep": (200, b'{"a":' + b"[" * 20_000 + b"]" * 20_000 + b"}"),
    "too large": (200, b'{"a":"' + b"x" * 100_000 + b'"}'),
    "wrong types": (200, b'{"access_token":1,"openid":["x"],"expires_in":{},"errcode":[]}'),
    "half a character": (200, b'{"access_token":"\\ud800","openid":"o-1","scope":"snsapi_login"}'),
    "nothing in it": (200, b"{}"),
    "id with a NUL": (200, b'{"access_token":"x","openid":"a\\u0000b"}'),
    "huge id": (200, json.dumps({"access_token": "x", "openid": "o" * 5000}).encode()),
    "system busy": (200, b'{"errcode":-1,"errmsg":"system error"}'),
    "too often": (200, b'{"errcode":45011,"errmsg":"api minute-quota reach limit"}'),
    "unsigned error": (200, b'{"error_response":{"code":"40002","sub_code":"isv.code-invalid"}}'),
}


@pytest.mark.parametrize("trouble", TROUBLE)
def test_whatever_else_comes_means_that_the_provider_is_down(provider: WeChatStub | AlipayStub, trouble: str) -> None:
    provider.fault = upstreams.always(*TROUBLE[trouble])
    with pytest.raises(SystemBusy) as refusal:
        ask_with(provider, SOMEBODY)
    assert refusal.value.error_code == "COM.0002"


def test_a_provider_that_does_not_answer_is_given_up_within_three_seconds(provider: WeChatStub | AlipayStub) -> None:
    provider.fault = upstreams.slow
    began = time.monotonic()
    with pytest.raises(SystemBusy):
        ask_with(provider, SOMEBODY)
    assert time.monotonic() - began < 3


def test_the_second_call_has_only_what_the_first_one_left(wechat: WeChatStub) -> None:
    def fault(stub: upstreams.Provider, path: str, fields: dict[str, str]) -> upstreams.Answer | None:
        stub.closing.wait(1.6 if path == "/sns/oauth2/access_token" else 20)
        return None

    wechat.fault = fault
    began = time.monotonic()
    with pytest.raises(SystemBusy):
        ask_with(wechat, SOMEBODY)
    assert 1.6 < time.monotonic() - began < 3


def test_nobody_listening_is_trouble() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(SystemBusy):
        ask(WECHAT, Account("wx", "s", api_url=f"http://127.0.0.1:{port}", is_internal=True), authorization_code="x")


@pytest.mark.security("S34")
@pytest.mark.parametrize("url", ["https://127.0.0.1", "https://169.254.169.254", "http://api.weixin.qq.com"])
def test_private_and_plain_addresses_are_for_internal_sources_only(url: str) -> None:
    with pytest.raises(ValueError, match=r"address|https"):
        WECHAT.check(Account("wx", "s" * 32, api_url=url))


@pytest.mark.parametrize("wrong", ["secret", "application"])
def test_what_the_operator_got_wrong_is_not_told_as_a_wrong_code(wechat: WeChatStub, wrong: str) -> None:
    account = account_of(wechat)
    account = replace(account, secret="x") if wrong == "secret" else replace(account, client_id="wx0")
    with pytest.raises(SystemBusy):
        ask(WECHAT, account, authorization_code=wechat.code_for(SOMEBODY))


@pytest.mark.security("S45")
@pytest.mark.parametrize("member", ["openid", "unionid"])
def test_a_wechat_profile_of_somebody_else_is_not_believed(wechat: WeChatStub, member: str) -> None:
    def fault(stub: upstreams.Provider, path: str, fields: dict[str, str]) -> upstreams.Answer | None:
        if path != "/sns/userinfo":
            return None
        body = {"openid": SOMEBODY.openid, "unionid": SOMEBODY.unionid, "nickname": "x", member: "o-other"}
        return 200, json.dumps(body).encode()

    wechat.fault = fault
    with pytest.raises(SystemBusy):
        ask_with(wechat, SOMEBODY)


@pytest.mark.security("S45")
@pytest.mark.parametrize("member", ["user_id", "open_id"])
def test_an_alipay_profile_of_somebody_else_is_not_believed(alipay: AlipayStub, member: str) -> None:
    def fault(stub: upstreams.Provider, path: str, fields: dict[str, str]) -> upstreams.Answer | None:
        if fields["method"] != "alipay.user.info.share":
            return None
        raw = json.dumps({"code": "10000", **AlipayStub.ids(SOMEBODY), member: "2088000000000000"})
        return alipay.signed("alipay_user_info_share_response", raw)

    alipay.fault = fault
    with pytest.raises(SystemBusy):
        ask_with(alipay, SOMEBODY)


# Alipay's signatures ---------------------------------------------------------------------------------------


def test_an_answer_signed_by_another_key_is_not_believed(alipay: AlipayStub) -> None:
    alipay.own_key, account = key_pair("somebody else"), account_of(alipay)
    account = replace(account, public_key=public_key_text(key_pair("alipay")))
    with pytest.raises(SystemBusy):
        ask(ALIPAY, account, authorization_code=alipay.code_for(SOMEBODY))


@pytest.mark.parametrize("change", ["value", "space", "escape", "no signature", "two members", "number"])
def test_one_changed_character_of_a_signed_answer_is_not_believed(alipay: AlipayStub, change: str) -> None:
    def fault(stub: upstreams.Provider, path: str, fields: dict[str, str]) -> upstreams.Answer | None:
        stub.fault = None
        status, body = stub.respond(path, fields)
        text = body.decode()
        other = text.replace("2088702746395409", "2088702746395408").partition(',"sign"')[0][1:]
        changed = {
            "value": text.replace("2088702746395409", "2088702746395408"),
            "space": text.replace('"expires_in":', '"expires_in": '),
            "escape": text.replace("2088702746395409", "\\u0032088702746395409"),
            "no signature": text.partition(',"sign"')[0] + "}",
            # The first member is signed; a parser that takes the last one would read the second.
            "two members": f"{text[:-1]},{other}}}",
            "number": text.partition(',"sign"')[0] + ',"sign":1}',
        }[change]
        assert changed != text
        return status, changed.encode()

    alipay.fault = fault
    with pytest.raises(SystemBusy):
        ask_with(alipay, SOMEBODY)


def test_a_request_is_signed_over_its_sorted_fields() -> None:
    fields = {"method": "alipay.system.oauth.token", "app_id": "2014", "code": "4b20=&", "empty": "", "sign": "x"}
    assert signed_text(fields) == b"app_id=2014&code=4b20=&&method=alipay.system.oauth.token"
    signature = sign(fields, private_key=private_key_text(key_pair("app")))
    text = signed_text(fields).decode()
    assert is_signed(text, signature=signature, public_key=public_key_text(key_pair("app")))
    assert not is_signed(text + " ", signature=signature, public_key=public_key_text(key_pair("app")))


@pytest.mark.parametrize(
    ("text", "members"),
    [
        ('{"a": {"b":"}\\"," } , "sign" : "x"}', {"a": '{"b":"}\\"," }', "sign": '"x"'}),
        (" { } ", {}),
        ('{"a_response":{"url":"https:\\/\\/x"},"sign":""}', {"a_response": '{"url":"https:\\/\\/x"}', "sign": '""'}),
    ],
    ids=["nested", "empty", "escaped"],
)
def test_members_are_read_as_they_were_sent(text: str, members: dict[str, str]) -> None:
    assert raw_members(text) == members


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", '{"a"}', '{"a":1', '{"a":1,}', '{"a":1 "b":2}', '{"a":1,"a":2}', '{"a":1}x', '{"a":NaN}', "{1:2}"],
)
def test_what_is_no_json_object_has_no_members(text: str) -> None:
    with pytest.raises(ValueError):
        raw_members(text)


@pytest.mark.parametrize(
    ("secret", "public_key"),
    [
        ("", public_key_text(key_pair("alipay"))),
        ("not a key", public_key_text(key_pair("alipay"))),
        (private_key_text(rsa.generate_private_key(65537, 1024)), public_key_text(key_pair("alipay"))),
        (private_key_text(ec.generate_private_key(ec.SECP256R1())), public_key_text(key_pair("alipay"))),  # type: ignore[arg-type]
        (private_key_text(key_pair("app")), ""),
        (private_key_text(key_pair("app")), private_key_text(key_pair("app"))),
    ],
    ids=["no private key", "no key at all", "too short", "not RSA", "no public key", "a private one as public"],
)
def test_keys_that_cannot_work_are_refused_when_they_are_set_up(secret: str, public_key: str) -> None:
    with pytest.raises(ValueError, match="key"):
        ALIPAY.check(Account("2014", secret, public_key))


# Where browsers are sent -----------------------------------------------------------------------------------


def test_wechats_page_for_scanning() -> None:
    url = urlsplit(WECHAT.authorization_url(Account("wx1", "s"), redirect_uri="https://a/b?c=d", state="00ff"))
    assert (url.scheme, url.netloc, url.path, url.fragment) == (
        "https", "open.weixin.qq.com", "/connect/qrconnect", "wechat_redirect",
    )  # fmt: skip
    assert list(parse_qs(url.query).items()) == [
        ("appid", ["wx1"]),
        ("redirect_uri", ["https://a/b?c=d"]),
        ("response_type", ["code"]),
        ("scope", ["snsapi_login"]),
        ("state", ["00ff"]),
    ]


def test_wechats_question_inside_wechat() -> None:
    account = Account("wx1", "s", is_in_app=True)
    url = WECHAT.authorization_url(account, redirect_uri="https://a/b", state="00ff")
    assert url.startswith("https://open.weixin.qq.com/connect/oauth2/authorize?appid=wx1&")
    assert "scope=snsapi_userinfo" in url
    assert WECHAT.is_offered(account, user_agent="… MicroMessenger/8.0.47 …")
    assert not WECHAT.is_offered(account, user_agent="Firefox/133.0")
    assert not WECHAT.is_offered(Account("wx1", "s"), user_agent="… MicroMessenger/8.0.47 …")


def test_alipays_page() -> None:
    url = urlsplit(ALIPAY.authorization_url(Account("2014", "s"), redirect_uri="https://a/b", state="00ff"))
    assert f"{url.scheme}://{url.netloc}{url.path}" == "https://openauth.alipay.com/oauth2/publicAppAuthorize.htm"
    assert parse_qs(url.query) == {
        "app_id": ["2014"], "scope": ["auth_user"], "redirect_uri": ["https://a/b"], "state": ["00ff"],
    }  # fmt: skip


# What people call themselves -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "kept"),
    [("小明", "小明"), ("a\x00b\u202ec", "abc"), ("x" * 400, "x" * 150), ("\ud83d!", "!"), (None, ""), (["x"], "")],
    ids=ascii,
)
def test_a_nickname_is_made_storable(given: object, kept: str) -> None:
    assert clean_nickname(given) == kept


@pytest.mark.parametrize(
    ("given", "kept"),
    [(PICTURE, PICTURE), ("javascript:alert(1)", ""), ("https://x/\n", ""), ("https://x/" + "a" * 500, ""), (1, "")],
    ids=["https", "script", "line break", "long", "number"],
)
def test_a_picture_is_an_address(given: object, kept: str) -> None:
    assert clean_picture_url(given) == kept


def test_secrets_are_not_in_the_representation(wechat: WeChatStub) -> None:
    assert wechat.secret not in repr(account_of(wechat))
