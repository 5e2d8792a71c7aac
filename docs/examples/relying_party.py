"""A first relying party: sign in through Monban, show who signed in, sign out.

    pip install authlib requests
    ISSUER=http://127.0.0.1:8000 CLIENT_ID=… CLIENT_SECRET=… python docs/examples/relying_party.py

Register http://localhost:5000/callback as redirect address of the client and http://localhost:5000/ as its
post-logout address, then open http://localhost:5000/. PORT chooses another port.

Authlib does the protocol: PKCE, state and the token request. What a relying party has to remember between two
requests lives in SESSIONS; a real one keeps it in its framework's session.
"""

import html
import os
import secrets
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import requests
from authlib.integrations.requests_client import OAuth2Session
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.jwk import KeySet

ISSUER = os.environ["ISSUER"]
CLIENT_ID = os.environ["CLIENT_ID"]
CLIENT_SECRET = os.environ["CLIENT_SECRET"]
PORT = int(os.environ.get("PORT", "5000"))
HERE = f"http://localhost:{PORT}"
COOKIE = "example_session"
SESSIONS: dict[str, dict[str, Any]] = {}

# Everything else follows from the issuer (OIDCD-4.1).
provider: dict[str, Any] = requests.get(f"{ISSUER}/.well-known/openid-configuration", timeout=10).json()


def new_client() -> OAuth2Session:
    return OAuth2Session(
        CLIENT_ID,
        CLIENT_SECRET,
        redirect_uri=f"{HERE}/callback",
        scope="openid profile email",
        code_challenge_method="S256",
        default_timeout=10,
    )


def checked_claims(token: dict[str, Any], nonce: str) -> CodeIDToken:
    """Check signature, issuer, audience, times, nonce and at_hash of the ID token (OIDCC-3.1.3.7)."""
    keys = KeySet.import_key_set(requests.get(provider["jwks_uri"], timeout=10).json())
    decoded = jwt.decode(token["id_token"], keys, algorithms=["RS256"])
    expected = {"iss": {"essential": True, "value": ISSUER}, "aud": {"essential": True, "value": CLIENT_ID}}
    params = {"nonce": nonce, "client_id": CLIENT_ID, "access_token": token["access_token"]}
    claims = CodeIDToken(decoded.claims, decoded.header, expected, params)
    claims.validate(leeway=30)
    return claims


class RelyingParty(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        session_id, session = self.session()
        path = urlsplit(self.path).path
        if path == "/":
            self.home(session)
        elif path == "/login":
            # A new session for every sign-in: nobody can plant theirs in another browser.
            session_id = secrets.token_urlsafe(32)
            verifier, nonce = secrets.token_urlsafe(48), secrets.token_urlsafe(16)
            url, state = new_client().create_authorization_url(
                provider["authorization_endpoint"], code_verifier=verifier, nonce=nonce
            )
            SESSIONS[session_id] = {"verifier": verifier, "nonce": nonce, "state": state}
            self.redirect(url, cookie=session_id)
        elif path == "/callback" and "state" in session:
            self.callback(session)
        elif path == "/logout" and "id_token" in session:
            SESSIONS.pop(session_id)
            query = {"id_token_hint": session["id_token"], "post_logout_redirect_uri": f"{HERE}/"}
            self.redirect(f"{provider['end_session_endpoint']}?{urlencode(query)}")
        else:
            self.page("<p>Nothing here.</p>", status=404)

    def home(self, session: dict[str, Any]) -> None:
        if claims := session.get("claims"):
            name = html.escape(str(session["userinfo"].get("name") or claims["sub"]))
            self.page(f'<p>Hello, <b id="name">{name}</b>.</p><p><a href="/logout">Sign out</a></p>')
        else:
            self.page('<p><a href="/login">Sign in</a></p>')

    def callback(self, session: dict[str, Any]) -> None:
        answer = parse_qs(urlsplit(self.path).query)
        # RFC9207-2.4: an answer of another provider is not ours to redeem.
        if "error" in answer or answer.get("iss") != [ISSUER]:
            self.page(f"<p>Not signed in: {html.escape(answer.get('error', ['wrong issuer'])[0])}</p>", status=400)
            return
        client = new_client()
        token = client.fetch_token(
            provider["token_endpoint"],
            authorization_response=HERE + self.path,
            state=session.pop("state"),
            code_verifier=session.pop("verifier"),
        )
        claims = checked_claims(token, session.pop("nonce"))
        # Name and e-mail address come from here; the ID token says who it is and when they signed in (OIDCC-5.4).
        userinfo = client.get(provider["userinfo_endpoint"]).json()
        if userinfo["sub"] != claims["sub"]:
            self.page("<p>Not signed in: the answers are about two people.</p>", status=400)
            return
        session.update(claims=claims, userinfo=userinfo, id_token=token["id_token"])
        self.redirect("/")

    def session(self) -> tuple[str, dict[str, Any]]:
        cookie = SimpleCookie(self.headers.get("Cookie", "")).get(COOKIE)
        session_id = cookie.value if cookie else ""
        return session_id, SESSIONS.get(session_id, {})

    def page(self, body: str, status: int = 200) -> None:
        document = f"<!doctype html><html lang=en><title>Example</title><h1>Example</h1>{body}</html>".encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(document)))
        self.end_headers()
        self.wfile.write(document)

    def redirect(self, url: str, cookie: str = "") -> None:
        self.send_response(302)
        self.send_header("Location", url)
        if cookie:
            self.send_header("Set-Cookie", f"{COOKIE}={cookie}; Path=/; HttpOnly; SameSite=Lax")
        self.send_header("Content-Length", "0")
        self.end_headers()


if __name__ == "__main__":
    print(f"Relying party at {HERE}/", flush=True)
    ThreadingHTTPServer(("127.0.0.1", PORT), RelyingParty).serve_forever()
