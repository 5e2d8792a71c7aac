"""A first SAML application: sign in through Monban, show who signed in, and sign out with everything else.

    pip install python3-saml
    IDP_METADATA=http://127.0.0.1:8000/api/v1/saml2/idp/metadata python docs/examples/saml_application.py

Register http://localhost:5002/metadata as a SAML service provider, then open http://localhost:5002/. PORT chooses
another port. python3-saml does the protocol; a real application keeps SESSIONS in its framework's sessions.
"""

import html
import os
import secrets
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from onelogin.saml2.auth import OneLogin_Saml2_Auth
from onelogin.saml2.constants import OneLogin_Saml2_Constants as Constants
from onelogin.saml2.idp_metadata_parser import OneLogin_Saml2_IdPMetadataParser as IdPMetadata

PORT = int(os.environ.get("PORT", "5002"))
HERE = f"http://localhost:{PORT}"
COOKIE = "saml_example_session"
SESSIONS: dict[str, dict[str, Any]] = {}

METADATA = os.environ["IDP_METADATA"]
SETTINGS = {
    "strict": True,
    "sp": {
        "entityId": f"{HERE}/metadata",
        "assertionConsumerService": {"url": f"{HERE}/acs", "binding": Constants.BINDING_HTTP_POST},
        "singleLogoutService": {"url": f"{HERE}/slo", "binding": Constants.BINDING_HTTP_REDIRECT},
    },
    "security": {"wantMessagesSigned": True, "wantAssertionsSigned": True},
    "idp": IdPMetadata.parse_remote(METADATA)["idp"],
}


class Application(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        session = SESSIONS.setdefault(self.handle_of_browser(), {})
        saml = self.saml(query, {})
        if url.path == "/login":
            target = saml.login(return_to=f"{HERE}/")
            session["request"] = saml.get_last_request_id()
            self.redirect(target)
        elif url.path == "/slo":
            # Monban brings the browser here when its session ends; it goes back with our answer.
            target = saml.process_slo(delete_session_cb=session.clear)
            self.redirect(target or "/") if not saml.get_errors() else self.refuse(saml)
        elif "user" in session:
            rows = "".join(f"<li>{html.escape(str(pair))}</li>" for pair in session["attributes"].items())
            name, monban = html.escape(session["user"]), html.escape(f"{METADATA.partition('/api/')[0]}/logout")
            self.page(f"<h1>Hello, {name}</h1><ul>{rows}</ul><a href='{monban}'>Sign out everywhere</a>")
        else:
            self.page("<h1>Nobody is signed in</h1><a href='/login'>Sign in</a>")

    def do_POST(self) -> None:
        body = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        # Monban's page posts from another site, so no SameSite cookie comes with it: the answer names its request.
        saml = self.saml({}, {name: values[0] for name, values in body.items()})
        asked = {session["request"]: session for session in SESSIONS.values() if "request" in session}
        saml.process_response()
        session = asked.get(saml.get_last_response_in_response_to() or "")
        if saml.get_errors() or session is None:
            self.refuse(saml)
            return
        del session["request"]  # An answer is taken once.
        session |= {"user": saml.get_nameid(), "attributes": saml.get_attributes()}
        self.redirect("/")

    def saml(self, query: dict[str, str], form: dict[str, str]) -> Any:
        host = f"localhost:{PORT}"
        request = {"https": "off", "http_host": host, "script_name": urlsplit(self.path).path}
        request |= {"get_data": query, "post_data": form, "query_string": urlsplit(self.path).query}
        return OneLogin_Saml2_Auth(request, SETTINGS)

    def handle_of_browser(self) -> str:
        morsel = SimpleCookie(self.headers.get("Cookie", "")).get(COOKIE)
        if morsel is not None and morsel.value in SESSIONS:
            return str(morsel.value)
        self.new_handle = secrets.token_urlsafe(32)
        return self.new_handle

    def refuse(self, saml: Any) -> None:
        reason = html.escape(str(saml.get_last_error_reason()))
        self.page(f"<h1>The message is not good</h1><p>{reason}</p>", status=403)

    def redirect(self, target: str) -> None:
        self.send_response(302)
        self.send_header("Location", target)
        self.finish_headers()

    def page(self, body: str, status: int = 200) -> None:
        content = f"<!doctype html><meta charset=utf-8><title>Example</title>{body}".encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.finish_headers()
        self.wfile.write(content)

    def finish_headers(self) -> None:
        if handle := getattr(self, "new_handle", ""):
            self.send_header("Set-Cookie", f"{COOKIE}={handle}; Path=/; HttpOnly; SameSite=Lax")
        self.end_headers()

    def log_request(self, code: Any = "-", size: Any = "-") -> None:
        """Say nothing: addresses hold messages."""


if __name__ == "__main__":
    print(f"Open {HERE}/")
    ThreadingHTTPServer(("127.0.0.1", PORT), Application).serve_forever()
