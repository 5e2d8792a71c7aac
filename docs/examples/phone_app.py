"""A phone app without a phone: every road of the SDK API, and on into a web application.

    pip install cryptography
    MONBAN=http://127.0.0.1:8000 CLIENT_ID=… python docs/examples/phone_app.py password alice
    MONBAN=http://127.0.0.1:8000 CLIENT_ID=… python docs/examples/phone_app.py message 13812345678

Further roads: register, forgotten (each with a mobile number), wechat, alipay (each with the code that the provider's
SDK handed to the app). With APP_ID and APP_SECRET of the app's back end, and WEB_ID and WEB_SECRET of a web
application, the walk ends in that web application, by an SSO ticket. docs/sdk_api.md tells how to register them.

`App` is what a real app has to do: device headers, the encryption that is called X-signature, and one table from what
the server answers to what comes next. `BackEnd` and `WebApplication` run on servers: only they know a client_secret.
"""

import base64
import getpass
import html
import json
import os
import secrets
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode

from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

TIMEOUT_SECONDS = 30
JSON = "application/json;charset=utf8"
ROADS = ("password", "message", "register", "forgotten", "wechat", "alipay")


class Refused(Exception):
    """The server refused a call. Ask for `code`; the text is for people."""

    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(f"{code} {text}")
        self.status, self.code = status, code


def fetch(method: str, url: str, headers: dict[str, str], body: bytes | None = None) -> Any:
    """The JSON document that is answered, None for an empty answer. Raises Refused."""
    request = urllib.request.Request(url, data=body, headers=headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
            text = response.read()
    except urllib.error.HTTPError as error:
        document = json.loads(error.read() or b"{}")
        # The product's own form, or that of OAuth 2.0 where an access token is refused.
        code = document.get("error_code") or document.get("error", "")
        raise Refused(error.code, code, document.get("error_msg") or document.get("error_description", "")) from None
    return json.loads(text) if text else None


class App:
    """The app on one device.

    The four questions are what its pages would ask. solve: where the piece of a puzzle belongs, in pixels from the
    left. read_code: the code that was sent to this number. new_password: one that fits this rule. has_time: whether to
    change a password that will expire soon.
    """

    def __init__(
        self,
        server: str,
        client_id: str,
        *,
        solve: Callable[[dict[str, Any]], int],
        read_code: Callable[[str], str],
        new_password: Callable[[dict[str, Any]], str],
        has_time: Callable[[], bool],
        language: str = "en",
    ) -> None:
        self.server = server
        self.solve, self.read_code, self.new_password, self.has_time = solve, read_code, new_password, has_time
        # A real app keeps its fingerprint: whatever makes it up, it must stay the same on this device.
        self.device = {
            "X-operating-sys-version": "Android 14",
            "X-device-fingerprint": secrets.token_hex(16),
            "X-agent": "PhoneApp/1.0 (example)",
            "X-client-id": client_id,
            "X-L": language,
        }
        self.session_token = ""
        self.id_token = ""
        self.walked: list[str] = []  # every status on the way, for those who watch
        self._clock_offset_ms: int | None = None
        self._key: RSAPublicKey | None = None

    # Calls

    def call(
        self, method: str, path: str, body: Any = None, *, state_token: str = "", signed: bool = False, api: str = "v2"
    ) -> Any:
        """One call of the API; `signed` proves the session. Raises Refused."""
        headers = dict(self.device)
        if state_token:
            headers["X-state-token"] = state_token
        if signed:
            headers["X-signature"] = self.signature()
        data = None
        if body is not None:
            headers["Content-Type"], data = JSON, json.dumps(body).encode()
        elif method == "POST":
            data = b""
        return fetch(method, f"{self.server}/api/{api}/sdk/{path}", headers, data)

    def signature(self) -> str:
        """Prove the session without sending its token in the clear (docs/sdk_api.md, "X-signature")."""
        if self._clock_offset_ms is None or self._key is None:
            served = int(self.call("GET", "server-date")["timestamp"])
            self._clock_offset_ms = served - time.time_ns() // 1_000_000
            key = load_pem_public_key(self.call("GET", "public-key")["public_key"].encode())
            if not isinstance(key, RSAPublicKey):
                raise TypeError("not an RSA key")
            self._key = key
        now_ms = time.time_ns() // 1_000_000 + self._clock_offset_ms
        # The nonce is new for each call: random digits beside the time, so that no two calls collide.
        text = f"session_token={self.session_token}&timestamp={now_ms}&nonce={now_ms:x}{secrets.token_hex(4)}"
        padding = OAEP(mgf=MGF1(SHA256()), algorithm=SHA256(), label=None)
        return base64.b64encode(self._key.encrypt(text.encode(), padding)).decode()

    def code_for(self, mobile: str, kind: str) -> str:
        """Solve a puzzle, have a code sent, and read it."""
        puzzle = self.call("GET", "captcha")
        point = json.dumps({"x": float(self.solve(puzzle)), "y": 5.0}, separators=(",", ":"))
        answer = {"point_json": point, "token": puzzle["token"], "sender": mobile}
        captcha_token = self.call("POST", "captcha/verify", answer)["captcha_token"]
        self.call("POST", "sms/send", {"mobile": mobile, "type": kind, "captcha_token": captcha_token})
        return self.read_code(mobile)

    # Roads in

    def sign_in_by_password(self, user_name: str, password: str) -> str:
        self._password = password
        return self._go_on(self.call("POST", "login", {"user_name": user_name, "password": password}))

    def sign_in_by_message(self, mobile: str) -> str:
        body = {"mobile": mobile, "verify_code": self.code_for(mobile, "LOGIN_SMS")}
        return self._go_on(self.call("POST", "login/mobile-verify-code", body))

    def register(self, mobile: str, **attributes: Any) -> str:
        body = {"mobile": mobile, "verify_code": self.code_for(mobile, "REGISTER_SMS"), **attributes}
        return self._go_on(self.call("POST", "register/mobile-verify-code", body))

    def sign_in_by_wechat(self, authorization_code: str, *, mobile: str = "") -> str:
        """mobile: whom to link the account to, should nobody be linked yet."""
        self._mobile = mobile
        return self._go_on(self.call("POST", "login/wechat", {"code": authorization_code}))

    def sign_in_by_alipay(self, authorization_code: str, *, mobile: str = "") -> str:
        self._mobile = mobile
        return self._go_on(self.call("POST", "login/alipay", {"code": authorization_code}, api="v3"))

    def reset_password(self, mobile: str) -> None:
        """Set a new password for the user of this number. No one is signed in by it."""
        code = self.code_for(mobile, "FORGET_PWD_SMS")
        body = {"mobile": mobile, "verify_code": code, "password": self.new_password({})}
        self.call("POST", "pwd/update-by-mobile", body)

    # The state machine

    def _go_on(self, answer: dict[str, Any]) -> str:
        """Do what each answer asks for, until one ends the sign-in; its status."""
        while True:
            status: str = answer["status"]
            self.walked.append(status)
            if status == "SUCCESS":
                self.session_token, self.id_token = answer["session_token"], answer.get("id_token", "")
                return status
            if status == "ACCESS_DENIED":
                return status
            answer = self._next[status](self, answer["state_token"], json.loads(answer.get("data", "{}")))

    def _warned(self, state_token: str, rule: dict[str, Any]) -> Any:
        if self.has_time():
            return self._expired(state_token, rule)
        return self.call("GET", "pwd/skip-update", state_token=state_token)

    def _expired(self, state_token: str, rule: dict[str, Any]) -> Any:
        body = {"old_password": self._password, "new_password": self.new_password(rule)}
        return self.call("POST", "pwd/update", body, state_token=state_token)

    def _second_factor(self, state_token: str, _data: dict[str, Any]) -> Any:
        mobile = self.call("GET", "mobile-by-token", state_token=state_token)["mobile"]
        body = {"mobile": mobile, "verify_code": self.code_for(mobile, "OTP_REST_SMS")}
        return self.call("POST", "mfa/sms", body, state_token=state_token)

    def _bind(self, state_token: str, _data: dict[str, Any]) -> Any:
        body = {"mobile": self._mobile, "verify_code": self.code_for(self._mobile, "BIND_MOBILE_SMS")}
        return self.call("POST", "social/bind", body, state_token=state_token)

    def _register_and_bind(self, state_token: str, _data: dict[str, Any]) -> Any:
        body = {"mobile": self._mobile, "verify_code": self.code_for(self._mobile, "REGISTER_SMS")}
        return self.call("POST", "social/register-bind", body, state_token=state_token)

    _password = ""
    _mobile = ""
    _next: dict[str, Callable[..., Any]] = {
        "PASSWORD_WARN": _warned,
        "PASSWORD_EXPIRED": _expired,
        "MFA_AUTH": _second_factor,
        "SOCIAL_BIND": _bind,
        "USER_REGISTER": _register_and_bind,
    }

    # Signed in

    def profile(self) -> dict[str, Any]:
        found: dict[str, Any] = self.call("GET", "profile", signed=True)
        return found

    def update_profile(self, **attributes: Any) -> None:
        self.call("POST", "profile/update", attributes, signed=True)

    def linked_accounts(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.call("GET", "social", signed=True)["social"]
        return found

    def unlink(self, account: dict[str, Any]) -> None:
        self.call("POST", "social/unbind-account", {"id": account["id"]}, signed=True)

    def refresh_id_token(self) -> str:
        self.id_token = self.call("POST", "session-token/refresh-id-token", signed=True)["id_token"]
        return self.id_token

    def sign_out(self) -> None:
        self.call("GET", "logout", signed=True)
        self.session_token = self.id_token = ""

    def device_facts(self) -> dict[str, str]:
        """What the app tells its back end of the device; the fingerprint must be that of the sign-in."""
        return {
            "operating_sys_version": self.device["X-operating-sys-version"],
            "device_ip": "10.10.10.1",
            "device_fingerprint": self.device["X-device-fingerprint"],
            "agent": self.device["X-agent"],
        }


class BackEnd:
    """A server of an application, with a client that has the right auth_api."""

    def __init__(self, server: str, client_id: str, client_secret: str) -> None:
        self.server, self.client_id, self._secret = server, client_id, client_secret
        self._token, self._expires_at = "", 0.0

    def ticket(self, session_token: str, device: dict[str, str], *, client_id: str = "") -> str:
        """A ticket for this application, or for another one by its client_id."""
        body = {"session_token": session_token, **device, **({"client_id": client_id} if client_id else {})}
        ticket: str = self._post("session-token/sso-ticket", body)["sso_ticket"]
        return ticket

    def user_of(self, ticket: str, device: dict[str, str]) -> dict[str, Any]:
        """Who a ticket is about. It can be asked once."""
        user: dict[str, Any] = self._post("sso-ticket/verify", {"sso_ticket": ticket, **device})["data"]["user"]
        return user

    def refresh(self, session_token: str, device: dict[str, str]) -> dict[str, Any]:
        """A new session_token; the old one is dead."""
        renewed: dict[str, Any] = self._post("session-token/refresh", {"session_token": session_token, **device})
        return renewed

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        headers = {"Content-Type": JSON, "Authorization": f"Bearer {self._access_token()}"}
        return fetch("POST", f"{self.server}/api/v2/tenant/sso/{path}", headers, json.dumps(body).encode())

    def _access_token(self) -> str:
        if time.monotonic() >= self._expires_at:
            form = {"grant_type": "client_credentials", "client_id": self.client_id, "client_secret": self._secret}
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            granted = fetch("POST", f"{self.server}/api/v2/tenant/token", headers, urlencode(form).encode())
            self._token = granted["access_token"]
            self._expires_at = time.monotonic() + int(granted["expires_in"]) - 60
        return self._token


class WebApplication:
    """A small web application: whoever brings a ticket is signed in, by a session of its own."""

    COOKIE = "web_session"

    def __init__(self, back_end: BackEnd) -> None:
        self.sessions: dict[str, dict[str, Any]] = {}
        application = self

        class Pages(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                # From the app: the ticket, and the device that it was made for. Nothing of it stays in an address.
                form = parse_qs(self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode())
                fields = {name: values[0] for name, values in form.items()}
                try:
                    user = back_end.user_of(fields.pop("ticket", ""), fields)
                except Refused as error:
                    self.answer(403, f"You are not signed in: {error}")
                    return
                handle = secrets.token_urlsafe(32)
                application.sessions[handle] = user
                self.answer(303, "", Location="/", **{"Set-Cookie": f"{application.COOKIE}={handle}; HttpOnly"})

            def do_GET(self) -> None:
                cookies = SimpleCookie(self.headers.get("Cookie", ""))
                handle = cookies[application.COOKIE].value if application.COOKIE in cookies else ""
                user = application.sessions.get(handle)
                if user is None:
                    self.answer(401, "You are not signed in.")
                else:
                    self.answer(200, f"Hello {user.get('name') or user['userName']}.")

            def answer(self, status: int, text: str, **headers: str) -> None:
                page = f"<!doctype html><p>{html.escape(text)}</p>".encode()
                self.send_response(status)
                for name, value in {"Content-Type": "text/html; charset=utf-8", **headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(page)))
                self.end_headers()
                self.wfile.write(page)

            def log_message(self, *arguments: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


def enter(web: str, ticket: str, device: dict[str, str]) -> str:
    """What the app's web view does: bring the ticket, keep the cookie, show the page."""
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    form = urlencode({"ticket": ticket, **device}).encode()
    with opener.open(f"{web}/enter", data=form, timeout=TIMEOUT_SECONDS) as response:
        page: str = response.read().decode()
        return page


# By hand ---------------------------------------------------------------------------------------------------


def ask_for_position(puzzle: dict[str, Any]) -> int:
    """Show the puzzle and ask. An app lets its user slide the piece instead."""
    directory = Path(tempfile.mkdtemp())
    for name, member in (("picture.png", "originalImageBase64"), ("piece.png", "jigsawImageBase64")):
        (directory / name).write_bytes(base64.b64decode(puzzle[member]))
    return int(input(f"Pixels from the left where the piece fits into the picture, in {directory}: "))


def ask_for_password(rule: dict[str, Any]) -> str:
    return getpass.getpass(f"New password {rule or ''}: ")


def main(arguments: list[str]) -> None:
    road, value = arguments
    server = os.environ.get("MONBAN", "http://127.0.0.1:8000")
    app = App(
        server,
        os.environ["CLIENT_ID"],
        solve=ask_for_position,
        read_code=lambda mobile: input(f"Code that was sent to {mobile}: "),
        new_password=ask_for_password,
        has_time=lambda: input("Your password will expire soon. Change it now? [y/N] ").lower().startswith("y"),
    )
    if road == "forgotten":
        app.reset_password(value)
        print("The new password is set.")
        return
    roads: dict[str, Callable[[], str]] = {
        "password": lambda: app.sign_in_by_password(value, getpass.getpass()),
        "message": lambda: app.sign_in_by_message(value),
        "register": lambda: app.register(value),
        "wechat": lambda: app.sign_in_by_wechat(value, mobile=input("Your mobile number: ")),
        "alipay": lambda: app.sign_in_by_alipay(value, mobile=input("Your mobile number: ")),
    }
    if roads[road]() != "SUCCESS":
        print("You may not use this application.")
        return
    print("Way:", " > ".join(app.walked))
    print("Profile:", json.dumps(app.profile(), ensure_ascii=False))
    print("Linked accounts:", json.dumps(app.linked_accounts(), ensure_ascii=False))
    if "APP_SECRET" in os.environ and "WEB_SECRET" in os.environ:
        show_web_application(app)
    app.sign_out()
    print("Signed out.")


def show_web_application(app: App) -> None:
    """Walk on into a web application by a ticket; both back ends are this program."""
    own = BackEnd(app.server, os.environ["APP_ID"], os.environ["APP_SECRET"])
    app.session_token = own.refresh(app.session_token, app.device_facts())["session_token"]
    web = WebApplication(BackEnd(app.server, os.environ["WEB_ID"], os.environ["WEB_SECRET"]))
    threading.Thread(target=web.server.serve_forever, daemon=True).start()
    ticket = own.ticket(app.session_token, app.device_facts(), client_id=os.environ["WEB_ID"])
    print("Web application:", enter(web.url, ticket, app.device_facts()))


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in ROADS:
        sys.exit(f"Usage: {sys.argv[0]} {'|'.join(ROADS)} USER_NAME|MOBILE|CODE")
    try:
        main(sys.argv[1:])
    except Refused as refused:
        sys.exit(f"Refused: {refused}")
