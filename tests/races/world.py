"""Two nodes on one database, and the people and programs that talk to both of them at once."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import secrets
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from threading import Event, Lock
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pyotp
import requests

from tests.clients.provider import Provider, second_node

CLIENT_ID = "races"
SECRET = "choose-a-long-secret-of-your-own"
CALLBACK = "http://127.0.0.1:9/callback"
MANY = 10_000  # what the columns take at most
TIMEOUT_SECONDS = 60
VERIFIER = secrets.token_urlsafe(32)
# Bob's authenticator app, as another product would export it.
APP_SECRET = pyotp.random_base32()
APP = {
    "type": "otp",
    "secretData": json.dumps({"value": APP_SECRET}),
    "credentialData": json.dumps(
        {"subType": "totp", "digits": 6, "period": 30, "algorithm": "HmacSHA1", "secretEncoding": "BASE32"}
    ),
}
STEP_SECONDS = 30
CONFIGURATION: dict[str, Any] = {
    "tenant": {
        "code": "default",
        # No limit stands before the races, and a password may come again.
        "password_policy": {"max_failures": MANY, "max_failures_per_source": MANY, "history_length": 0},
        "session_policy": {"mfa_mode": "if_enrolled"},
    },
    "users": [
        {"user_name": "alice", "password": "Amber-Meadow-77", "name": "Alice"},
        {"user_name": "bob", "password": "Copper-Window-31", "name": "Bob", "totp": [APP]},
    ],
    "applications": [
        {
            "code": "races",
            "access": "everyone",
            "skip_consent": True,
            "clients": [
                {
                    "client_id": CLIENT_ID,
                    "client_secret": SECRET,
                    "redirect_uris": [CALLBACK],
                    "grant_types": ["authorization_code", "refresh_token", "client_credentials"],
                    "response_types": ["code"],
                    "scopes": ["openid", "offline_access"],
                    "tenant_api": ["user_all", "auth_api"],
                    "may_use_sdk": True,
                }
            ],
        }
    ],
}
_DEVICE = {
    "X-operating-sys-version": "Android 14",
    "X-device-fingerprint": "races-device",
    "X-agent": "Races 1",
    "X-client-id": CLIENT_ID,
}
_DEVICE_FACTS = {
    "operating_sys_version": "Android 14",
    "device_ip": "192.0.2.1",
    "device_fingerprint": "races-device",
}


class World:
    """Both nodes, an administration's program with every right over people, and Alice."""

    def __init__(self, provider: Provider, second: str, logs: list[Path]) -> None:
        self.nodes = (provider.issuer, second)
        self.logs = logs
        self.password = "Amber-Meadow-77"
        self._turn, self._lock = cycle(self.nodes), Lock()
        self._bearer: dict[str, str] = {}
        self._last_step = 0
        self.user_id = self.sub_of(self.grant(self.sign_in())["access_token"])

    def node(self) -> str:
        """One node after the other."""
        with self._lock:
            return next(self._turn)

    def count_logged(self, event: str) -> int:
        """How often both nodes logged this."""
        return sum(log.read_text(errors="replace").count(event) for log in self.logs)

    # The administration ---------------------------------------------------------------------------------------

    def administer(self, method: str, path: str, body: dict[str, Any] | None = None) -> requests.Response:
        """One call of the tenant API."""
        if not self._bearer:
            form = {"grant_type": "client_credentials"}
            token = self.post("/api/v2/tenant/token", form, auth=(CLIENT_ID, SECRET)).json()["access_token"]
            self._bearer = {"Authorization": f"Bearer {token}"}
        url = f"{self.node()}/api/v2/tenant/{path}"
        return requests.request(method, url, json=body, headers=self._bearer, timeout=TIMEOUT_SECONDS)

    def disable(self) -> requests.Response:
        return self.administer("PUT", f"users/{self.user_id}/disable")

    def enable(self) -> None:
        assert self.administer("PUT", f"users/{self.user_id}/enable").status_code == 200

    def set_password(self) -> requests.Response:
        """Give Alice a new password; it is `self.password` from when it is answered."""
        new = new_password()
        body = {"password": new, "pwd_must_modify": False}
        answer = self.administer("PUT", f"users/{self.user_id}/change-password", body)
        if answer.status_code == 200:
            self.password = new
        return answer

    # The browser ----------------------------------------------------------------------------------------------

    def sign_in(self, password: str = "") -> requests.Session:
        """A browser in which Alice has typed her password; whether that was right, `is_signed_in` says."""
        browser, node = requests.Session(), self.node()
        page = browser.get(f"{node}/login", timeout=TIMEOUT_SECONDS).text
        form = {**hidden_fields(page), "identifier": "alice", "password": password or self.password}
        send_form(browser, f"{node}/login", form)
        return browser

    def tab_of(self, browser: requests.Session) -> requests.Session:
        """Another tab: the same cookies on connections of its own."""
        tab = requests.Session()
        tab.cookies.update(browser.cookies)
        return tab

    def is_signed_in(self, browser: requests.Session) -> bool:
        url = f"{self.node()}/account"
        return browser.get(url, allow_redirects=False, timeout=TIMEOUT_SECONDS).status_code == 200

    def change_own_password(self, browser: requests.Session) -> requests.Response:
        """Alice changes the password herself, in a browser that is signed in."""
        node, new = self.node(), new_password()
        page = browser.get(f"{node}/account/password", timeout=TIMEOUT_SECONDS).text
        form = {**hidden_fields(page), "old_password": self.password, "new_password": new, "repeat_password": new}
        answer = send_form(browser, f"{node}/account/password", form)
        if answer.status_code == 302:
            self.password = new
        return answer

    def end_session(self, browser: requests.Session, sid: str) -> requests.Response:
        """Alice ends another session of hers, of a device that she has lost."""
        node = self.node()
        page = browser.get(f"{node}/account", timeout=TIMEOUT_SECONDS).text
        form = {"csrfmiddlewaretoken": re.findall(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)[0]}
        return send_form(browser, f"{node}/account/sessions/{sid}/end", form)

    # The application ------------------------------------------------------------------------------------------

    def authorize(self, browser: requests.Session) -> str:
        """The code that a signed-in browser brings; "" if it is asked to sign in, or refused."""
        query = {
            "client_id": CLIENT_ID,
            "response_type": "code",
            "redirect_uri": CALLBACK,
            "scope": "openid offline_access",
            "code_challenge": challenge_of(VERIFIER),
            "code_challenge_method": "S256",
        }
        url = f"{self.node()}/oauth2/authorize"
        answer = browser.get(url, params=query, allow_redirects=False, timeout=TIMEOUT_SECONDS)
        location = answer.headers.get("Location", "")
        return parse_qs(urlsplit(location).query).get("code", [""])[0] if location.startswith(CALLBACK) else ""

    def redeem(self, code: str) -> requests.Response:
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
        return self.token(form)

    def refresh(self, refresh_token: str) -> requests.Response:
        return self.token({"grant_type": "refresh_token", "refresh_token": refresh_token})

    def token(self, form: dict[str, str]) -> requests.Response:
        return self.post("/oauth2/token", form, auth=(CLIENT_ID, SECRET))

    def post(self, path: str, form: dict[str, str], **more: Any) -> requests.Response:
        return requests.post(f"{self.node()}{path}", data=form, timeout=TIMEOUT_SECONDS, **more)

    def grant(self, browser: requests.Session) -> dict[str, Any]:
        """Tokens of a signed-in browser."""
        answer = self.redeem(self.authorize(browser))
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    def userinfo(self, access_token: str) -> requests.Response:
        bearer = {"Authorization": f"Bearer {access_token}"}
        return requests.get(f"{self.node()}/oauth2/userinfo", headers=bearer, timeout=TIMEOUT_SECONDS)

    def sub_of(self, access_token: str) -> str:
        sub: str = self.userinfo(access_token).json()["sub"]
        return sub

    @staticmethod
    def sid_of(tokens: dict[str, Any]) -> str:
        """The session's name, of the ID token."""
        payload = tokens["id_token"].split(".")[1]
        sid: str = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["sid"]
        return sid

    def is_alive(self, tokens: dict[str, Any]) -> bool:
        """Whether either of these tokens still gives anything."""
        return (
            self.userinfo(tokens["access_token"]).status_code == 200
            or self.refresh(tokens["refresh_token"]).status_code == 200
        )

    # The app --------------------------------------------------------------------------------------------------

    def sign_in_app(self, password: str) -> str:
        """The session_token of an app in which Alice typed this password; "" where it was refused."""
        body = {"user_name": "alice", "password": password}
        url = f"{self.node()}/api/v2/sdk/login"
        answer = requests.post(url, json=body, headers=_DEVICE, timeout=TIMEOUT_SECONDS)
        token: str = answer.json().get("session_token", "") if answer.status_code == 200 else ""
        return token

    def begin_with_app(self) -> str:
        """The state_token of a sign-in in which Bob has typed his password and is asked for a code."""
        body = {"user_name": "bob", "password": "Copper-Window-31"}
        answer = requests.post(f"{self.node()}/api/v2/sdk/login", json=body, headers=_DEVICE, timeout=TIMEOUT_SECONDS)
        token: str = answer.json()["state_token"]
        return token

    def fresh_code(self) -> str:
        """A code of Bob's app that nobody has sent yet: of the next time step, which is good already."""
        while (step := int(time.time()) // STEP_SECONDS + 1) <= self._last_step:
            time.sleep(0.2)
        self._last_step = step
        return pyotp.TOTP(APP_SECRET).at(step * STEP_SECONDS)

    def prove(self, state_token: str, code: str) -> requests.Response:
        """Send the code in the sign-in."""
        headers = {**_DEVICE, "X-state-token": state_token}
        url = f"{self.node()}/api/v2/sdk/mfa/totp"
        return requests.post(url, json={"verify_code": code}, headers=headers, timeout=TIMEOUT_SECONDS)

    def is_app_signed_in(self, session_token: str) -> bool:
        """Whether the app's back end may go on with the session."""
        body = {"session_token": session_token, **_DEVICE_FACTS}
        return self.administer("POST", "sso/session-token/refresh", body).status_code == 200


class Crowd:
    """Threads that do the same thing over and over until they are told to stop, or say themselves that it is over."""

    def __init__(self, acts: list[Callable[[], bool]]) -> None:
        self._stop = Event()
        self._pool = ThreadPoolExecutor(len(acts))
        self._runs = [self._pool.submit(self._repeat, act) for act in acts]

    def _repeat(self, act: Callable[[], bool]) -> None:
        while not self._stop.is_set() and act():
            pass

    def stop(self) -> None:
        """Wait for what is under way; an error in a thread is raised here."""
        self._stop.set()
        for run in self._runs:
            run.result(TIMEOUT_SECONDS)
        self._pool.shutdown()


def new_password() -> str:
    return f"Amber-Meadow-{secrets.token_hex(6)}"


def challenge_of(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def hidden_fields(page: str) -> dict[str, str]:
    """The hidden fields of the page's form with a password."""
    form = next(text for text in re.findall(r"<form\b.*?</form>", page, re.DOTALL) if 'type="password"' in text)
    tags = [dict(re.findall(r'([\w-]+)="([^"]*)"', tag)) for tag in re.findall(r"<input\b[^>]*>", form)]
    return {tag["name"]: html.unescape(tag.get("value", "")) for tag in tags if tag.get("type") == "hidden"}


def send_form(browser: requests.Session, url: str, form: dict[str, str]) -> requests.Response:
    parts = urlsplit(url)
    headers = {"Origin": f"{parts.scheme}://{parts.netloc}", "Referer": url}
    return browser.post(url, data=form, headers=headers, allow_redirects=False, timeout=TIMEOUT_SECONDS)


@contextmanager
def two_nodes(directory: Path, database_url: str) -> Iterator[World]:
    """Two processes of eight threads on a new database."""
    with Provider(directory, database_url=database_url, workers=1, threads=8, log_requests=False) as provider:
        provider.apply(CONFIGURATION)
        with second_node(provider, threads=8) as (url, log):
            yield World(provider, url, [provider.log, log])
