"""A mobile app with a mini program, in a process of its own, for the browser tests (Pactera guide, chapter 2).

The app knows what the guide prints and nothing else of Monban. Its pages stand for what a phone shows:

    /            the app, signed in, with a link to the mini program
    /open        the app opens the mini program: asks isAuthorized; shows the consent page in its web view, or hands the
                 mini program a code, which the mini program's back end redeems, and shows what it learned
    /result.json what the last /open did, step by step, for the test to look at

Run: python -m tests.clients.host_app --issuer URL --user-id ID --miniapp-id ID --secret SECRET --port PORT
with the app's own proof, an Authorization header, in the environment variable APP_PROOF.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import html
import json
import os
import secrets
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import requests

TIMEOUT_SECONDS = 10
SCOPE = "openid%20email%20profile"  # as the guide prints it: encoded once more than it should be


def challenge(verifier: str) -> str:
    """Pactera-4.2: base64url of the hexadecimal text of SHA-256."""
    digits = hashlib.sha256(verifier.encode("ascii")).hexdigest()
    return base64.urlsafe_b64encode(digits.encode("ascii")).rstrip(b"=").decode("ascii")


class App:
    """The app's native half, and the mini program's back end."""

    def __init__(self, *, issuer: str, user_id: str, miniapp_id: str, secret: str, proof: str, port: int) -> None:
        self.issuer, self.user_id, self.miniapp_id = issuer, user_id, miniapp_id
        self.secret, self.proof = secret, proof
        self.redirect_uri = f"http://localhost:{port}/callback"
        self.steps: list[dict[str, Any]] = []

    def ask(self, path: str, **params: str) -> dict[str, Any]:
        """A call of the app, with its proof."""
        response = requests.get(
            f"{self.issuer}{path}",
            params={"userId": self.user_id, **params},
            headers={"Authorization": self.proof},
            timeout=TIMEOUT_SECONDS,
        )
        return self.noted(path, response)

    def consent_uri(self) -> str:
        response = requests.post(
            f"{self.issuer}/auth/consent",
            json={"userId": self.user_id, "miniapp_id": self.miniapp_id, "scope": SCOPE},
            headers={"Authorization": self.proof},
            timeout=TIMEOUT_SECONDS,
        )
        return str(self.noted("/auth/consent", response)["consent_uri"])

    def open(self) -> tuple[str, dict[str, Any]]:
        """Where to send the web view, or what the mini program learned."""
        self.steps = []
        if not self.ask("/auth/isAuthorized", miniapp_id=self.miniapp_id)["isAuthorized"]:
            return self.consent_uri(), {}
        verifier, state, nonce = (secrets.token_urlsafe(32) for _ in range(3))
        answer = self.ask(
            "/oidc/authcode",
            client_id=self.miniapp_id,
            response_type="code",
            redirect_uri=self.redirect_uri,
            scope=SCOPE,
            state=state,
            nonce=nonce,
            code_challenge=challenge(verifier),
            code_challenge_method="S256",
        )
        if answer.get("state") != state:
            raise RuntimeError(f"the state came back as {answer.get('state')}")
        return "", self.redeem(str(answer["code"]), verifier)

    def redeem(self, code: str, verifier: str) -> dict[str, Any]:
        """What the mini program's own back end does: /oidc/token, then /oidc/userinfo."""
        pair = f"{self.miniapp_id}:{self.secret}".encode()
        response = requests.post(
            f"{self.issuer}/oidc/token",
            data={
                "grant_type": "authorization_code",
                "client_id": self.miniapp_id,
                "redirect_uri": self.redirect_uri,
                "code": code,
                "code_verifier": verifier,
            },
            headers={"Authorization": f"Basic {base64.b64encode(pair).decode()}"},
            timeout=TIMEOUT_SECONDS,
        )
        token = self.noted("/oidc/token", response)
        response = requests.get(
            f"{self.issuer}/oidc/userinfo",
            headers={"Authorization": f"Bearer {token['access_token']}"},
            timeout=TIMEOUT_SECONDS,
        )
        return self.noted("/oidc/userinfo", response)

    def noted(self, path: str, response: requests.Response) -> dict[str, Any]:
        body: dict[str, Any] = response.json()
        self.steps.append({"path": path, "status": response.status_code, "body": body})
        return body


def make_handler(app: App) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.split("?")[0]
            if path == "/open":
                address, claims = app.open()
                if address:
                    self.answer(302, "", Location=address)
                else:
                    self.answer(200, f"<h1>Lunch orders</h1><p id=who>{html.escape(str(claims.get('name')))}</p>")
            elif path == "/result.json":
                self.answer(200, json.dumps(app.steps), kind="application/json")
            elif path == "/":
                self.answer(200, "<h1>City app</h1><a id=open href='/open'>Lunch orders</a>")
            else:
                self.answer(404, "")

        def answer(self, status: int, body: str, *, kind: str = "text/html; charset=utf-8", **headers: str) -> None:
            data = (f"<!doctype html>{body}" if kind.startswith("text/html") else body).encode()
            self.send_response(status)
            for name, value in {"Content-Type": kind, "Content-Length": str(len(data)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def log_request(self, code: object = "-", size: object = "-") -> None:
            """Paths only: codes travel in queries."""
            self.log_message("%s %s %s", self.command, self.path.split("?")[0], code)

    return Handler


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("issuer", "user-id", "miniapp-id", "secret"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    app = App(
        issuer=options.issuer,
        user_id=options.user_id,
        miniapp_id=options.miniapp_id,
        secret=options.secret,
        proof=os.environ["APP_PROOF"],
        port=options.port,
    )
    ThreadingHTTPServer(("127.0.0.1", options.port), make_handler(app)).serve_forever()


if __name__ == "__main__":
    main()
