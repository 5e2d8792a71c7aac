"""A relying party in a process of its own, on a stock library (Authlib), for the browser tests.

It keeps no knowledge of Monban: everything comes from discovery and from the arguments. Its pages:

    /                 who is signed in, links
    /start?…          begin; prompt, max_age, ui_locales, login_hint, scope and response_mode are passed on
    /start-by-post    a page whose form POSTs the authorization request to the provider
    /callback         the answer, as query or as form_post
    /refresh          redeem the refresh token, check the new ID token
    /logout           RP-initiated sign-out
    /signed-out       the post-logout address
    /backchannel      takes logout tokens
    /frontchannel     is loaded in a frame of the provider's signed-out page
    /blank            an empty page of this origin
    /session.json     what this browser's session holds, for the test to look at

Run: python -m tests.clients.relying_party --issuer URL --client-id ID --client-secret SECRET --port PORT
"""

from __future__ import annotations

import argparse
import html
import json
import secrets
import sys
import time
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import requests
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

PASSED_ON = ("prompt", "max_age", "ui_locales", "login_hint", "scope", "response_mode", "acr_values", "claims")
TIMEOUT_SECONDS = 10
LEEWAY_SECONDS = 30


@dataclass
class BrowserSession:
    """What the relying party remembers of one browser."""

    state: str = ""
    nonce: str = ""
    code_verifier: str = ""
    max_age: int | None = None
    token: dict[str, Any] = field(default_factory=dict)
    claims: dict[str, Any] = field(default_factory=dict)
    userinfo: dict[str, Any] = field(default_factory=dict)
    refreshes: int = 0
    error: dict[str, Any] = field(default_factory=dict)
    logout_state: str = ""


class RefusedError(Exception):
    """The provider's answer is an error, or is not one to trust."""


class Client:
    """The protocol half: one registration at one provider."""

    def __init__(self, *, issuer: str, client_id: str, client_secret: str, auth_method: str, port: int) -> None:
        self.issuer = issuer
        self.client_id = client_id
        self.client_secret = client_secret
        self.auth_method = auth_method
        self.origin = f"http://localhost:{port}"
        self.metadata = self._get_json(f"{issuer}/.well-known/openid-configuration")
        # OIDCD-4.3: the issuer of the document is the one it was asked for.
        if self.metadata["issuer"] != issuer:
            raise RefusedError(f"issuer is {self.metadata['issuer']}")

    def session(self) -> OAuth2Session:
        return OAuth2Session(
            self.client_id,
            self.client_secret or None,
            token_endpoint_auth_method=self.auth_method,
            redirect_uri=f"{self.origin}/callback",
            code_challenge_method="S256",
            default_timeout=TIMEOUT_SECONDS,
        )

    def begin(self, browser: BrowserSession, extra: dict[str, str]) -> str:
        """The authorization request as a URL; what has to be compared later is kept in the browser session."""
        browser.nonce, browser.code_verifier = secrets.token_urlsafe(16), secrets.token_urlsafe(48)
        browser.max_age = int(extra["max_age"]) if "max_age" in extra else None
        browser.error = {}
        parameters = {"scope": "openid profile email", **extra}
        url, browser.state = self.session().create_authorization_url(
            self.metadata["authorization_endpoint"],
            code_verifier=browser.code_verifier,
            nonce=browser.nonce,
            **parameters,
        )
        return str(url)

    def finish(self, browser: BrowserSession, answer: dict[str, str]) -> None:
        """Check the answer, redeem the code, check the ID token, ask userinfo."""
        if not browser.state or answer.get("state") != browser.state:
            raise RefusedError("state differs")
        browser.state = ""
        # RFC9207-2.4.
        if answer.get("iss") != self.issuer:
            raise RefusedError("iss differs")
        if "error" in answer:
            browser.error = {key: answer[key] for key in ("error", "error_description") if key in answer}
            return
        session = self.session()
        token = session.fetch_token(
            self.metadata["token_endpoint"],
            grant_type="authorization_code",
            code=answer["code"],
            code_verifier=browser.code_verifier,
        )
        claims = self.check_id_token(token, nonce=browser.nonce, max_age=browser.max_age)
        userinfo = session.get(self.metadata["userinfo_endpoint"], timeout=TIMEOUT_SECONDS)
        userinfo.raise_for_status()
        # OIDCC-5.3.2: the sub must be the ID token's.
        if userinfo.json()["sub"] != claims["sub"]:
            raise RefusedError("userinfo is about someone else")
        browser.token, browser.claims, browser.userinfo = dict(token), claims, userinfo.json()
        browser.refreshes = 0

    def refresh(self, browser: BrowserSession) -> None:
        token = self.session().refresh_token(self.metadata["token_endpoint"], browser.token["refresh_token"])
        if "id_token" in token:
            claims = self.check_id_token(token, nonce="", max_age=None)
            # OIDCC-12.2: same issuer (checked), subject, audience and time of sign-in.
            if any(claims[name] != browser.claims[name] for name in ("sub", "aud", "auth_time")):
                raise RefusedError("the refreshed ID token is about something else")
            browser.claims = claims
        browser.token = {**browser.token, **token}
        browser.refreshes += 1

    def check_id_token(self, token: dict[str, Any], *, nonce: str, max_age: int | None) -> dict[str, Any]:
        """OIDCC-3.1.3.7, by the library."""
        decoded = self._decode(token["id_token"])
        expected: dict[str, Any] = {
            "iss": {"essential": True, "value": self.issuer},
            "aud": {"essential": True, "value": self.client_id},
        }
        parameters = {
            "nonce": nonce,
            "client_id": self.client_id,
            "access_token": token["access_token"],
            "max_age": max_age,
        }
        claims = CodeIDToken(decoded.claims, decoded.header, expected, parameters)
        claims.validate(leeway=LEEWAY_SECONDS)
        # The library asks only that auth_time is there; OIDCC-3.1.2.1 asks that it is recent.
        if max_age is not None and claims["auth_time"] + max_age + LEEWAY_SECONDS < time.time():
            raise RefusedError("the sign-in is older than max_age")
        return {**claims, "kid": decoded.header["kid"], "alg": decoded.header["alg"]}

    def logout_url(self, browser: BrowserSession) -> str:
        browser.logout_state = secrets.token_urlsafe(8)
        query = {
            "id_token_hint": browser.token["id_token"],
            "post_logout_redirect_uri": f"{self.origin}/signed-out",
            "state": browser.logout_state,
        }
        return f"{self.metadata['end_session_endpoint']}?{urlencode(query)}"

    def check_logout_token(self, encoded: str) -> str:
        """OIDCBCL-2.6: the sid that a logout token names."""
        decoded = self._decode(encoded)
        claims, now = decoded.claims, time.time()
        if decoded.header.get("typ") != "logout+jwt" or "nonce" in claims:
            raise RefusedError("not a logout token")
        if (claims["iss"], claims["aud"]) != (self.issuer, self.client_id):
            raise RefusedError("a logout token of or for somebody else")
        if not claims["iat"] - LEEWAY_SECONDS < now < claims["exp"] + LEEWAY_SECONDS:
            raise RefusedError("a logout token of another time")
        if claims["events"] != {"http://schemas.openid.net/event/backchannel-logout": {}} or not claims["jti"]:
            raise RefusedError("a logout token of another event")
        return str(claims["sid"])

    def _decode(self, encoded: str) -> jwt.Token:
        # Keys are fetched each time, so that a rotation shows at once.
        keys = KeySet.import_key_set({"keys": self._get_json(self.metadata["jwks_uri"])["keys"]})
        algorithms = self.metadata["id_token_signing_alg_values_supported"]
        return jwt.decode(encoded, keys, registry=JWSRegistry(algorithms=algorithms, strict_check_header=False))

    @staticmethod
    def _get_json(url: str) -> dict[str, Any]:
        response = requests.get(url, timeout=TIMEOUT_SECONDS)
        response.raise_for_status()
        document: dict[str, Any] = response.json()
        return document


class Handler(BaseHTTPRequestHandler):
    """The browser half: a cookie, pages and redirects."""

    client: Client
    sessions: dict[str, BrowserSession]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._serve("GET")

    def do_POST(self) -> None:
        self._serve("POST")

    def _serve(self, method: str) -> None:
        parts = urlsplit(self.path)
        source = parts.query if method == "GET" else self._body()
        parameters = dict(parse_qsl(source, keep_blank_values=True))
        routes = {
            ("GET", "/"): self.home,
            ("GET", "/start"): self.start,
            ("GET", "/start-by-post"): self.start_by_post,
            ("GET", "/callback"): self.callback,
            ("POST", "/callback"): self.callback,
            ("GET", "/refresh"): self.refresh,
            ("GET", "/logout"): self.logout,
            ("GET", "/signed-out"): self.signed_out,
            ("POST", "/backchannel"): self.backchannel,
            ("GET", "/frontchannel"): self.frontchannel,
            ("GET", "/blank"): self.blank,
            ("GET", "/session.json"): self.session_json,
        }
        action = routes.get((method, parts.path))
        if action is None:
            self._answer(404, "<p>Nothing here.</p>")
            return
        try:
            action(parameters)
        except (RefusedError, AuthlibBaseError, JoseError, requests.RequestException, KeyError) as error:
            self._answer(502, f"<p id=refused>{html.escape(repr(error))}</p>")

    # pages

    def home(self, parameters: dict[str, str]) -> None:
        browser = self._browser()
        if browser is not None and browser.error:
            self._answer(200, f"<p>Refused: <b id=error>{html.escape(browser.error['error'])}</b></p>")
        elif browser is not None and browser.claims:
            name = html.escape(str(browser.claims.get("name") or browser.userinfo.get("name") or browser.claims["sub"]))
            self._answer(200, f'<p>Signed in as <b id=who>{name}</b></p><a href="/logout">Sign out</a>')
        else:
            self._answer(200, '<p id=nobody>Nobody is signed in.</p><a href="/start">Sign in</a>')

    def start(self, parameters: dict[str, str]) -> None:
        identifier, browser = self._new_browser()
        self._redirect(self.client.begin(browser, self._passed_on(parameters)), cookie=identifier)

    def start_by_post(self, parameters: dict[str, str]) -> None:
        identifier, browser = self._new_browser()
        url = urlsplit(self.client.begin(browser, self._passed_on(parameters)))
        fields = "".join(
            f'<input type=hidden name="{html.escape(name)}" value="{html.escape(value)}">'
            for name, value in parse_qsl(url.query)
        )
        action = html.escape(self.client.metadata["authorization_endpoint"])
        form = f'<form method=post action="{action}">{fields}<button>Sign in by POST</button></form>'
        self._answer(200, form, cookie=identifier)

    def callback(self, parameters: dict[str, str]) -> None:
        browser = self._browser()
        if browser is None:
            raise RefusedError("no session of this browser")
        self.client.finish(browser, parameters)
        self._redirect("/")

    def refresh(self, parameters: dict[str, str]) -> None:
        browser = self._browser()
        if browser is None:
            raise RefusedError("nobody is signed in")
        self.client.refresh(browser)
        self._redirect("/")

    def logout(self, parameters: dict[str, str]) -> None:
        browser = self._browser()
        if browser is None:
            raise RefusedError("nobody is signed in")
        url = self.client.logout_url(browser)
        browser.claims, browser.userinfo, browser.token = {}, {}, {}
        self._redirect(url)

    def signed_out(self, parameters: dict[str, str]) -> None:
        browser = self._browser()
        if browser is None or parameters.get("state") != browser.logout_state:
            raise RefusedError("logout state differs")
        self._answer(200, "<p id=signed-out>Signed out.</p>")

    def backchannel(self, parameters: dict[str, str]) -> None:
        self._forget(self.client.check_logout_token(parameters["logout_token"]))
        self._answer(200, "")

    def frontchannel(self, parameters: dict[str, str]) -> None:
        # In a frame of another site no cookie comes along: the session is found by its sid.
        if parameters["iss"] != self.client.issuer:
            raise RefusedError("iss differs")
        self._forget(parameters["sid"])
        self._answer(200, "<p id=told>Signed out.</p>")

    def _forget(self, sid: str) -> None:
        for browser in self.sessions.values():
            if browser.claims.get("sid") == sid:
                browser.claims, browser.userinfo, browser.token = {}, {}, {}

    def blank(self, parameters: dict[str, str]) -> None:
        self._answer(200, "")

    def session_json(self, parameters: dict[str, str]) -> None:
        browser = self._browser()
        document = json.dumps(None if browser is None else vars(browser)).encode()
        self._send(200, "application/json", document)

    # plumbing

    @property
    def _cookie_name(self) -> str:
        # Cookies ignore ports, and every relying party of a test runs on localhost.
        return f"rp_{urlsplit(self.client.origin).port}"

    def _browser(self) -> BrowserSession | None:
        cookie = SimpleCookie(self.headers.get("Cookie", "")).get(self._cookie_name)
        return self.sessions.get(cookie.value) if cookie else None

    def _new_browser(self) -> tuple[str, BrowserSession]:
        identifier = secrets.token_urlsafe(32)
        previous = self._browser()
        # A second sign-in keeps what the first one gave until it has succeeded.
        self.sessions[identifier] = BrowserSession(**vars(previous)) if previous else BrowserSession()
        return identifier, self.sessions[identifier]

    @staticmethod
    def _passed_on(parameters: dict[str, str]) -> dict[str, str]:
        return {name: parameters[name] for name in PASSED_ON if name in parameters}

    def _body(self) -> str:
        return self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()

    def _answer(self, status: int, body: str, cookie: str = "") -> None:
        document = f"<!doctype html><html lang=en><title>RP</title><h1>{self.client.client_id}</h1>{body}</html>"
        self._send(status, "text/html; charset=utf-8", document.encode(), cookie)

    def _redirect(self, url: str, cookie: str = "") -> None:
        self._send(302, "text/plain", b"", cookie, {"Location": url})

    def _send(
        self, status: int, content_type: str, body: bytes, cookie: str = "", headers: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        if cookie:
            # SameSite=None, because a form_post answer is a POST from another site; browsers take localhost as secure.
            self.send_header("Set-Cookie", f"{self._cookie_name}={cookie}; Path=/; HttpOnly; Secure; SameSite=None")
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base class names it)
        # Codes and tokens travel in query strings: the log names the path only.
        sys.stderr.write(f"{self.command} {urlsplit(self.path).path} {args[1] if len(args) > 1 else ''}\n")


def main() -> None:
    parser = argparse.ArgumentParser(description="A relying party for tests.")
    parser.add_argument("--issuer", required=True)
    parser.add_argument("--client-id", required=True)
    parser.add_argument("--client-secret", default="")
    parser.add_argument("--auth-method", default="client_secret_basic")
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    Handler.client = Client(
        issuer=arguments.issuer,
        client_id=arguments.client_id,
        client_secret=arguments.client_secret,
        auth_method=arguments.auth_method,
        port=arguments.port,
    )
    Handler.sessions = {}
    server = ThreadingHTTPServer(("127.0.0.1", arguments.port), Handler)
    print("ready", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
