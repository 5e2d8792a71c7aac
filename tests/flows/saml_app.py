"""A service provider on python3-saml, in a process of its own, for the tests of flows that cross protocols.

    /            who is signed in
    /login       begins
    /acs         takes the Response
    /logout      ends the session here and asks the provider to end it everywhere
    /slo         takes the provider's LogoutRequest and LogoutResponse

Run: python -m tests.flows.saml_app --idp URL --port PORT --key FILE --certificate FILE
"""

from __future__ import annotations

import argparse
import html
import secrets
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from onelogin.saml2.auth import OneLogin_Saml2_Auth
from onelogin.saml2.idp_metadata_parser import OneLogin_Saml2_IdPMetadataParser

REDIRECT = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
POST = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
COOKIE = "saml_app"


def provider_settings(idp: str) -> dict[str, Any]:
    """What python3-saml wants to know of the provider, from its metadata."""
    found: dict[str, Any] = OneLogin_Saml2_IdPMetadataParser.parse_remote(
        f"{idp}/api/v1/saml2/idp/metadata", required_sso_binding=REDIRECT, required_slo_binding=REDIRECT
    )
    return found


def own_settings(*, url: str, key: str, certificate: str) -> dict[str, Any]:
    """What it wants to know of us."""
    return {
        "strict": True,
        "sp": {
            "entityId": f"{url}/metadata",
            "assertionConsumerService": {"url": f"{url}/acs", "binding": POST},
            "singleLogoutService": {"url": f"{url}/slo", "binding": REDIRECT},
            "NameIDFormat": "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified",
            "x509cert": certificate,
            "privateKey": key,
        },
        "security": {
            "authnRequestsSigned": True,
            "logoutRequestSigned": True,
            "logoutResponseSigned": True,
            "wantMessagesSigned": True,
            "wantAssertionsSigned": True,
            "signatureAlgorithm": "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
            "digestAlgorithm": "http://www.w3.org/2001/04/xmlenc#sha256",
        },
    }


class Application(BaseHTTPRequestHandler):
    """Sessions are kept by a cookie and, for the provider's LogoutRequests, by their SessionIndex."""

    settings: dict[str, Any]
    sessions: dict[str, dict[str, str]]

    def do_GET(self) -> None:
        path, session = urlsplit(self.path).path, self._session()
        auth = self._auth({})
        if path == "/login":
            self._redirect(auth.login(return_to=self._origin))
        elif path == "/logout" and session is not None:
            target = auth.logout(
                name_id=session["name_id"], session_index=session["session_index"], return_to=self._origin
            )
            self.sessions.pop(self._handle, None)
            self._redirect(target)
        elif path == "/slo":
            target = auth.process_slo(keep_local_session=False, delete_session_cb=self._forget)
            if auth.get_errors():
                self._page(f"<p id=refused>{html.escape(str(auth.get_last_error_reason()))}</p>", status=400)
            else:
                self._redirect(target or self._origin)
        elif session is not None:
            self._page(f"<p>Signed in as <b id=who>{html.escape(session['name_id'])}</b></p>")
        else:
            self._page("<p id=nobody>Nobody is signed in.</p>")

    def do_POST(self) -> None:
        form = dict(parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
        auth = self._auth(form)
        auth.process_response()
        if auth.get_errors() or not auth.is_authenticated():
            self._page(f"<p id=refused>{html.escape(str(auth.get_last_error_reason()))}</p>", status=400)
            return
        handle = secrets.token_urlsafe(32)
        self.sessions[handle] = {"name_id": auth.get_nameid(), "session_index": auth.get_session_index()}
        self._redirect(self._origin, cookie=f"{COOKIE}={handle}; Path=/; HttpOnly; SameSite=Lax")

    def _forget(self) -> None:
        self.sessions.pop(self._handle, None)

    @property
    def _origin(self) -> str:
        return f"http://localhost:{self.server.server_address[1]}/"

    @property
    def _handle(self) -> str:
        morsel = SimpleCookie(self.headers.get("Cookie", "")).get(COOKIE)
        return morsel.value if morsel else ""

    def _session(self) -> dict[str, str] | None:
        return self.sessions.get(self._handle)

    def _auth(self, form: dict[str, str]) -> Any:
        url = urlsplit(self.path)
        request = {
            "https": "off",
            "http_host": urlsplit(self._origin).netloc,
            "script_name": url.path,
            "get_data": dict(parse_qsl(url.query)),
            "post_data": form,
            "query_string": url.query,
        }
        return OneLogin_Saml2_Auth(request, old_settings=self.settings)

    def _redirect(self, target: str, cookie: str = "") -> None:
        self.send_response(302)
        self.send_header("Location", target)
        if cookie:
            self.send_header("Set-Cookie", cookie)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _page(self, body: str, status: int = 200) -> None:
        content = f"<!doctype html><html lang=en><title>SAML</title>{body}</html>".encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def main() -> None:
    parser = argparse.ArgumentParser(description="A service provider for tests.")
    for name in ("idp", "port", "key", "certificate"):
        parser.add_argument(f"--{name}", required=True)
    given = parser.parse_args()
    key, certificate = Path(given.key).read_text(), Path(given.certificate).read_text()
    own = own_settings(url=f"http://localhost:{given.port}", key=key, certificate=certificate)
    Application.settings = {**provider_settings(given.idp), **own}
    Application.sessions = {}
    ThreadingHTTPServer(("127.0.0.1", int(given.port)), Application).serve_forever()


if __name__ == "__main__":
    main()
