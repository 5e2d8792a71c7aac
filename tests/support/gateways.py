"""Gateways on loopback that check what they are sent, written from the vendors' documents and not from our senders."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import socket
import socketserver
import ssl
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, quote, urlsplit

Answer = tuple[int, bytes] | tuple[int, bytes, dict[str, str]]  # status, body and headers


class Loopback:
    """An HTTP server of one address, in a thread; `answer` gets each request."""

    def __init__(self) -> None:
        self.received: list[dict[str, Any]] = []  # what was good
        self.delay_seconds = 0.0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                time.sleep(outer.delay_seconds)
                status, answer, *more = outer.answer(self.path, headers, body)
                try:
                    self.send_response(status)
                    for name, value in {"Content-Length": str(len(answer)), **(more[0] if more else {})}.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(answer)
                except OSError:
                    return  # the client did not wait

            def do_GET(self) -> None:
                self.do_POST()

            def log_message(self, *args: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(5)

    def answer(self, path: str, headers: dict[str, str], body: bytes) -> Answer:
        raise NotImplementedError


class AliyunStub(Loopback):
    """Aliyun's SendSms: "V3 request structure and signature", "SendSms" and "API error codes" of its help centre."""

    KEY_ID, SECRET = "LTAI-test-key", "a secret of the tests, long enough"
    SIGN_NAME = "北方测试"
    TEMPLATES = frozenset({"SMS_100", "SMS_200", "SMS_900"})

    def __init__(self) -> None:
        super().__init__()
        self.nonces: set[str] = set()
        self.scripted: list[Answer | Callable[[], Answer]] = []  # in place of the good answer

    def answer(self, path: str, headers: dict[str, str], body: bytes) -> Answer:
        parts = urlsplit(path)
        parameters = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=True))
        refusal = self._authenticate(parts.path, parts.query, parameters, headers, body)
        if refusal is not None:
            return refusal
        if self.scripted:
            scripted = self.scripted.pop(0)
            return scripted() if callable(scripted) else scripted
        return self._send(parameters)

    def _authenticate(
        self, path: str, query: str, parameters: dict[str, str], headers: dict[str, str], body: bytes
    ) -> Answer | None:
        match = re.fullmatch(
            r"ACS3-HMAC-SHA256 Credential=([^,]+),SignedHeaders=([^,]+),Signature=([0-9a-f]{64})",
            headers.get("authorization", ""),
        )
        if match is None:
            return self.gateway_error(400, "IncompleteSignature", "The request signature does not conform.")
        key_id, names, signature = match.groups()
        if key_id != self.KEY_ID:
            return self.gateway_error(404, "InvalidAccessKeyId.NotFound", "Specified access key is not found.")
        must_sign = {name for name in headers if name.startswith("x-acs-")} | {"host"}
        must_sign |= {"content-type"} & set(headers)
        listed = names.split(";")
        canonical = "&".join(
            f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in sorted(parameters.items())
        )
        lines = [f"{name}:{headers.get(name, '').strip()}" for name in listed]
        request = "\n".join(("POST", path, canonical, *lines, "", names, hashlib.sha256(body).hexdigest()))
        to_sign = "ACS3-HMAC-SHA256\n" + hashlib.sha256(request.encode()).hexdigest()
        expected = hmac.new(self.SECRET.encode(), to_sign.encode(), hashlib.sha256).hexdigest()
        if set(listed) != must_sign or listed != sorted(listed) or query != canonical or signature != expected:
            # The real service repeats the request here, number and code included.
            return self.gateway_error(
                400, "SignatureDoesNotMatch", f"Specified signature is not matched with our calculation. {canonical}"
            )
        if headers.get("x-acs-content-sha256") != hashlib.sha256(body).hexdigest():
            return self.gateway_error(400, "InvalidContentSha256", "The body does not match.")
        moment = datetime.strptime(headers["x-acs-date"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        if abs(datetime.now(UTC) - moment) > timedelta(minutes=15):
            return self.gateway_error(400, "InvalidTimeStamp.Expired", "Specified time stamp is expired.")
        nonce = headers.get("x-acs-signature-nonce", "")
        if not nonce or nonce in self.nonces:
            return self.gateway_error(400, "SignatureNonceUsed", "Specified signature nonce was used already.")
        self.nonces.add(nonce)
        if (headers.get("x-acs-action"), headers.get("x-acs-version")) != ("SendSms", "2017-05-25"):
            return self.gateway_error(404, "InvalidAction.NotFound", "Specified api is not found.")
        return None

    def _send(self, parameters: dict[str, str]) -> Answer:
        if parameters["SignName"] != self.SIGN_NAME:
            return self.refusal("isv.SMS_SIGNATURE_ILLEGAL", "短信签名不合法")
        if parameters["TemplateCode"] not in self.TEMPLATES:
            return self.refusal("isv.SMS_TEMPLATE_ILLEGAL", "短信模板不合法")
        try:
            variables = json.loads(parameters["TemplateParam"])
        except ValueError:
            return self.refusal("isv.INVALID_JSON_PARAM", "JSON参数不合法，只接受字符串值")
        if not all(isinstance(value, str) for value in variables.values()):
            return self.refusal("isv.INVALID_JSON_PARAM", "JSON参数不合法，只接受字符串值")
        is_mainland = re.fullmatch(r"1\d{10}", parameters["PhoneNumbers"]) is not None
        if is_mainland and parameters["TemplateCode"] == "SMS_900":
            return self.refusal("isv.DOMESTIC_NUMBER_NOT_SUPPORTED", "国际/港澳台消息模板不支持发送境内号码")
        if not is_mainland and not re.fullmatch(r"[1-9]\d{6,14}", parameters["PhoneNumbers"]):
            return self.refusal("isv.MOBILE_NUMBER_ILLEGAL", "非法手机号")
        self.received.append({**parameters, "variables": variables})
        body = {"Message": "OK", "RequestId": _request_id(), "Code": "OK", "BizId": "900619746936498440^0"}
        return 200, json.dumps(body).encode()

    @staticmethod
    def refusal(code: str, message: str) -> Answer:
        """A rule of the service was broken: status 200, the code tells."""
        body = {"Message": message, "RequestId": _request_id(), "Code": code}
        return 200, json.dumps(body, ensure_ascii=False).encode()

    @staticmethod
    def gateway_error(status: int, code: str, message: str) -> Answer:
        """The request did not get as far as the service."""
        body = {
            "RequestId": _request_id(),
            "Message": message,
            "Recommend": f"https://api.aliyun.com/troubleshoot?q={code}&product=Dysmsapi",
            "HostId": "dysmsapi.aliyuncs.com",
            "Code": code,
        }
        return status, json.dumps(body).encode()


def _request_id() -> str:
    return "F655A8D5-B967-440B-8683-DAD6FF8DE990"


class HookReceiver(Loopback):
    """A tenant's service. `verify(headers, body)`, the sample of our document, raises for what it must not take."""

    def __init__(self, verify: Callable[[dict[str, str], bytes], None]) -> None:
        super().__init__()
        self.verify = verify
        self.calls: list[tuple[dict[str, str], bytes]] = []
        self.scripted: list[Answer] = []

    def answer(self, path: str, headers: dict[str, str], body: bytes) -> Answer:
        self.calls.append((headers, body))
        try:
            self.verify(headers, body)
        except ValueError as error:
            return 401, json.dumps({"error": str(error)}).encode()
        if self.scripted:
            return self.scripted.pop(0)
        self.received.append(json.loads(body))
        return 200, b'{"id": "provider-42"}'


class MailServer:
    """A mail server of one account: EHLO, STARTTLS, AUTH PLAIN, MAIL, RCPT, DATA (RFC5321, RFC4954)."""

    def __init__(self, *, tls: ssl.SSLContext | None = None, account: tuple[str, str] | None = None) -> None:
        self.mails: list[dict[str, Any]] = []
        self.refused_recipients: set[str] = set()
        self.delay_seconds = 0.0
        outer = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                try:
                    Conversation(outer, self.request).run()
                except OSError:
                    return  # the client left, or trusts nobody

        self.tls, self.account = tls, account
        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port: int = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(5)


class Conversation:
    """One client of the mail server. Each verb has a method that returns the reply's lines."""

    def __init__(self, server: MailServer, connection: socket.socket) -> None:
        self.server, self.connection = server, connection
        self.stream = connection.makefile("rwb")
        self.is_encrypted, self.is_known = False, server.account is None
        self.sender, self.recipients = "", list[str]()

    def run(self) -> None:
        time.sleep(self.server.delay_seconds)
        self.say("220 mail.example.test ESMTP")
        while line := self.stream.readline().decode().rstrip("\r\n"):
            verb, _space, rest = line.partition(" ")
            handle = getattr(self, f"on_{verb.lower()}", None)
            if handle is None:
                self.say("502 not known")
            elif not self.is_known and verb.upper() in ("MAIL", "RCPT", "DATA"):
                self.say("530 5.7.0 authentication required")
            else:
                handle(rest)
        self.stream.close()
        self.connection.close()

    def say(self, *lines: str) -> None:
        self.stream.write("".join(f"{line}\r\n" for line in lines).encode())
        self.stream.flush()

    def on_ehlo(self, rest: str) -> None:
        # RFC5321-4.1.1.1: the first line is the server's name, then one for each extension.
        offers = ["STARTTLS"] if self.server.tls and not self.is_encrypted else []
        offers += ["AUTH PLAIN"] if self.server.account else []
        self.say("250-mail.example.test", *(f"250-{offer}" for offer in offers), "250 8BITMIME")

    def on_starttls(self, rest: str) -> None:
        assert self.server.tls is not None
        self.say("220 go ahead")
        self.stream.close()
        self.connection = self.server.tls.wrap_socket(self.connection, server_side=True)
        self.stream, self.is_encrypted = self.connection.makefile("rwb"), True

    def on_auth(self, rest: str) -> None:
        given = base64.b64decode(rest.split(" ")[1]).decode().split("\0")[1:]
        self.is_known = given == list(self.server.account or ())
        self.say("235 welcome" if self.is_known else "535 5.7.8 bad credentials")

    def on_mail(self, rest: str) -> None:
        self.sender = rest
        self.say("250 ok")

    def on_rcpt(self, rest: str) -> None:
        address = rest.partition("<")[2].partition(">")[0]
        if address in self.server.refused_recipients:
            self.say("550 5.1.1 no such mailbox")
            return
        self.recipients.append(address)
        self.say("250 ok")

    def on_data(self, rest: str) -> None:
        self.say("354 go on")
        content = b""
        while (part := self.stream.readline()) not in (b".\r\n", b""):
            content += part
        self.server.mails.append(
            {
                "from": self.sender,
                "to": self.recipients,
                "message": message_from_bytes(content, policy=default),
                "is_encrypted": self.is_encrypted,
            }
        )
        self.say("250 taken")

    def on_rset(self, rest: str) -> None:
        self.say("250 ok")
