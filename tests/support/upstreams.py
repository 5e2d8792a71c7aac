"""WeChat and Alipay on loopback: they check what they are sent, and answer with the vendors' own bodies.

The error bodies are those that the vendors' documents and public bug reports show, `hints` and escapes included.
"""

from __future__ import annotations

import base64
import json
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

Answer = tuple[int, bytes]
Fault = Callable[["Provider", str, dict[str, str]], "Answer | None"]


@dataclass
class Person:
    """Somebody who has an account at the provider."""

    openid: str = ""
    unionid: str = ""
    nickname: str = "小明"
    picture_url: str = "https://thirdwx.qlogo.cn/mmopen/vi_32/Q0j4TwGTfTIQ8/132"
    user_id: str = ""  # Alipay only
    scope: str = "snsapi_login"
    is_snapshot: bool = False


@dataclass
class Provider:
    """A provider with one application of ours. `fault` may answer in its place."""

    client_id: str
    people: dict[str, Person] = field(default_factory=dict)  # by authorization code
    spent: set[str] = field(default_factory=set)
    tokens: dict[str, Person] = field(default_factory=dict)
    calls: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    fault: Fault | None = None
    url: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)
    closing: threading.Event = field(default_factory=threading.Event)

    def code_for(self, person: Person) -> str:
        """An authorization code as the provider's app would hand it over."""
        code = secrets.token_hex(16)
        self.people[code] = person
        return code

    def spend(self, code: str) -> Person | None:
        with self.lock:
            person = self.people.get(code)
            if person is not None:
                self.spent.add(code)
                del self.people[code]
        return person

    def answer(self, path: str, fields: dict[str, str]) -> Answer:
        self.calls.append((path, fields))
        if self.fault is not None and (given := self.fault(self, path, fields)) is not None:
            return given
        return self.respond(path, fields)

    def respond(self, path: str, fields: dict[str, str]) -> Answer:
        raise NotImplementedError


# WeChat ----------------------------------------------------------------------------------------------------


@dataclass
class WeChatStub(Provider):
    """`sns/oauth2/access_token` and `sns/userinfo`. Errors have status 200."""

    secret: str = "0123456789abcdef0123456789abcdef"

    def respond(self, path: str, fields: dict[str, str]) -> Answer:
        known = {"/sns/oauth2/access_token": self.token, "/sns/userinfo": self.profile}
        return known[path](fields) if path in known else (404, b"")

    def token(self, fields: dict[str, str]) -> Answer:
        if fields.get("appid") != self.client_id:
            return self.error(40013, "invalid appid, rid: 613033ae-4a5a9224-3a2b9999")
        if fields.get("secret") != self.secret:
            return self.error(40125, "invalid appsecret, view more at http://t.cn/RAEkdVq, hints: [ req_id: x ]")
        if fields.get("grant_type") != "authorization_code":
            return self.error(40002, "invalid grant_type rid: 5f386c70-441d34a9-7baebd7c")
        code = fields.get("code", "")
        person = self.spend(code)
        if person is None and code in self.spent:
            return self.error(40163, "code been used, hints: [ req_id: YeLFya0574th50 ]")
        if person is None:
            return self.error(40029, "invalid code, hints: [ req_id: EhKBzQaLRa-FOo9Da ]")
        access_token = secrets.token_hex(40)
        self.tokens[access_token] = person
        body: dict[str, Any] = {
            "access_token": access_token,
            "expires_in": 7200,
            "refresh_token": secrets.token_hex(40),
            "openid": person.openid,
            "scope": person.scope,
        }
        if person.unionid:
            body["unionid"] = person.unionid
        if person.is_snapshot:
            body["is_snapshotuser"] = 1
        return 200, json.dumps(body).encode()

    def profile(self, fields: dict[str, str]) -> Answer:
        person = self.tokens.get(fields.get("access_token", ""))
        if person is None:
            return self.error(40001, "invalid credential, access_token is invalid or not latest, hints: [ req_id: x ]")
        if fields.get("openid") != person.openid:
            return self.error(40003, "invalid openid rid: 613033ae")
        body = {
            "openid": person.openid,
            "nickname": person.nickname,
            "sex": 0,
            "language": "",
            "city": "",
            "province": "",
            "country": "",
            "headimgurl": person.picture_url,
            "privilege": [],
        }
        if person.unionid:
            body["unionid"] = person.unionid
        return 200, json.dumps(body, ensure_ascii=False).replace("/", "\\/").encode()

    @staticmethod
    def error(errcode: int, errmsg: str) -> Answer:
        return 200, json.dumps({"errcode": errcode, "errmsg": errmsg}).encode()


# Alipay ----------------------------------------------------------------------------------------------------


@cache
def key_pair(name: str) -> RSAPrivateKey:
    """A key for the tests, made once in a process."""
    return generate_private_key(public_exponent=65537, key_size=2048)


def private_key_text(key: RSAPrivateKey) -> str:
    """As Alipay's key tool writes it: PKCS #8 in Base64, without armour."""
    return base64.b64encode(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())).decode()


def public_key_text(key: RSAPrivateKey) -> str:
    """As Alipay's console shows it."""
    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(der).decode()


@dataclass
class AlipayStub(Provider):
    """The gateway: one address, the operation in `method`."""

    app_key: RSAPrivateKey = field(default_factory=lambda: key_pair("app"))
    own_key: RSAPrivateKey = field(default_factory=lambda: key_pair("alipay"))

    def respond(self, path: str, fields: dict[str, str]) -> Answer:
        if path != "/gateway.do":
            return 404, b""
        refused = self.check(fields)
        if refused is not None:
            return refused
        operations = {"alipay.system.oauth.token": self.token, "alipay.user.info.share": self.profile}
        operation = operations.get(fields["method"])
        if operation is None:
            return self.error("40002", "Invalid Arguments", "isv.invalid-method", "不存在的方法名")
        return operation(fields)

    def check(self, fields: dict[str, str]) -> Answer | None:
        if fields.get("app_id") != self.client_id:
            return self.error("40002", "Invalid Arguments", "isv.invalid-app-id", "无效的AppID参数", is_signed=False)
        constants = {"format": "JSON", "charset": "utf-8", "sign_type": "RSA2", "version": "1.0"}
        if any(fields.get(name) != value for name, value in constants.items()):
            return self.error("40002", "Invalid Arguments", "isv.invalid-parameter", "参数无效", is_signed=False)
        sent_at = datetime.strptime(fields["timestamp"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=ZoneInfo("Asia/Shanghai"))
        if abs((datetime.now(ZoneInfo("Asia/Shanghai")) - sent_at).total_seconds()) > 600:
            return self.error(
                "40002", "Invalid Arguments", "isv.invalid-timestamp", "非法的时间戳参数", is_signed=False
            )
        covered = "&".join(f"{name}={fields[name]}" for name in sorted(set(fields) - {"sign"}) if fields[name])
        try:
            signature = base64.b64decode(fields["sign"])
            self.app_key.public_key().verify(signature, covered.encode(), PKCS1v15(), SHA256())
        except (InvalidSignature, ValueError):
            return self.error("40002", "Invalid Arguments", "isv.invalid-signature", "无效签名", is_signed=False)
        return None

    def token(self, fields: dict[str, str]) -> Answer:
        person = self.spend(fields.get("code", ""))
        if person is None:
            return self.error("40002", "Invalid Arguments", "isv.code-invalid", "授权码code无效")
        access_token = f"authusrB{secrets.token_hex(16)}"
        self.tokens[access_token] = person
        body = {
            "access_token": access_token,
            "auth_start": "2026-11-22 11:00:00",
            "expires_in": 1296000,
            "re_expires_in": 2592000,
            "refresh_token": f"authusrB{secrets.token_hex(16)}",
            **self.ids(person),
        }
        return self.signed("alipay_system_oauth_token_response", json.dumps(body, separators=(",", ":")))

    def profile(self, fields: dict[str, str]) -> Answer:
        name = "alipay_user_info_share_response"
        person = self.tokens.get(fields.get("auth_token", ""))
        if person is None:
            refused = {
                "code": "20001",
                "msg": "Insufficient Token Permissions",
                "sub_code": "aop.invalid-auth-token",
                "sub_msg": "无效的访问令牌",
            }
            return self.signed(name, json.dumps(refused, ensure_ascii=False))
        body = {
            "code": "10000",
            "msg": "Success",
            "avatar": person.picture_url,
            "nick_name": person.nickname,
            **self.ids(person),
        }
        # The gateway escapes slashes, which no serializer of ours would: the signature is over these characters.
        return self.signed(name, json.dumps(body, ensure_ascii=False, separators=(",", ":")).replace("/", "\\/"))

    @staticmethod
    def ids(person: Person) -> dict[str, str]:
        given = {"user_id": person.user_id, "open_id": person.openid, "union_id": person.unionid}
        return {name: value for name, value in given.items() if value}

    def error(self, code: str, msg: str, sub_code: str, sub_msg: str, *, is_signed: bool = True) -> Answer:
        members = {"code": code, "msg": msg, "sub_code": sub_code, "sub_msg": sub_msg}
        raw = json.dumps(members, ensure_ascii=False, separators=(",", ":"))
        if not is_signed:
            return 200, f'{{"error_response":{raw}}}'.encode()
        return self.signed("error_response", raw)

    def signed(self, name: str, raw: str, *, key: RSAPrivateKey | None = None) -> Answer:
        signature = base64.b64encode((key or self.own_key).sign(raw.encode(), PKCS1v15(), SHA256())).decode()
        return 200, f'{{"{name}":{raw},"sign":"{signature}"}}'.encode()


# Faults ----------------------------------------------------------------------------------------------------


def slow(provider: Provider, path: str, fields: dict[str, str]) -> Answer | None:
    """Answer long after anybody waits."""
    provider.closing.wait(20)
    return None


def always(status: int, body: bytes) -> Fault:
    """Give this answer to everything."""
    return lambda provider, path, fields: (status, body)


# Serving ---------------------------------------------------------------------------------------------------


@contextmanager
def serving(provider: Provider) -> Iterator[Provider]:
    """Serve on loopback, in threads of its own. `url` is where."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            self.reply(parts.path, parts.query)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            self.reply(urlsplit(self.path).path, body.decode())

        def reply(self, path: str, query: str) -> None:
            values = parse_qs(query, keep_blank_values=True)
            assert all(len(given) == 1 for given in values.values()), "a parameter twice"
            status, body = provider.answer(path, {name: given[0] for name, given in values.items()})
            try:
                self.send_response(status)
                self.send_header("Content-Type", "text/plain")  # as WeChat does
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            except OSError:
                return  # whoever asked has left, which some tests are about

        def log_message(self, *args: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    provider.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield provider
    finally:
        provider.closing.set()
        server.shutdown()
        server.server_close()
        thread.join(5)
