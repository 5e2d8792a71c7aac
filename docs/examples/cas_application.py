"""A first CAS application: sign in through Monban, show who signed in, sign out; and be told of sign-outs elsewhere.

    pip install python-cas
    CAS_SERVER=http://127.0.0.1:8000/api/v1/cas/ python docs/examples/cas_application.py

Register http://localhost:5001/ and everything below it as a CAS service, then open http://localhost:5001/. PORT chooses
another port. python-cas does the protocol; a real application keeps SESSIONS in its framework's sessions.
"""

import html
import os
import secrets
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cas import CASClient

PORT = int(os.environ.get("PORT", "5001"))
HERE = f"http://localhost:{PORT}"
COOKIE = "cas_example_session"
SESSIONS: dict[str, dict[str, Any]] = {}

client: Any = CASClient(version=3, server_url=os.environ["CAS_SERVER"], service_url=f"{HERE}/callback")


class Application(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        morsel = SimpleCookie(self.headers.get("Cookie", "")).get(COOKIE)
        session = SESSIONS.get(morsel.value) if morsel else None
        if url.path == "/login":
            self.redirect(client.get_login_url())
        elif url.path == "/callback":
            self.callback(query.get("ticket", ""))
        elif url.path == "/logout":
            if morsel:
                SESSIONS.pop(morsel.value, None)
            # Ends the session at the server too, and with it the person's sessions at all other applications.
            self.redirect(client.get_logout_url(f"{HERE}/"))
        elif session:
            rows = "".join(f"<li>{html.escape(str(pair))}</li>" for pair in session["attributes"].items())
            name = html.escape(session["user"])
            self.page(f"<h1>Hello, {name}</h1><ul>{rows}</ul><a href='/logout'>Sign out</a>")
        else:
            self.page("<h1>Nobody is signed in</h1><a href='/login'>Sign in</a>")

    def callback(self, ticket: str) -> None:
        user, attributes, _ = client.verify_ticket(ticket)
        if not user:
            self.page("<h1>The ticket is not good</h1><a href='/login'>Sign in</a>", status=403)
            return
        handle = secrets.token_urlsafe(32)
        SESSIONS[handle] = {"user": user, "attributes": attributes, "ticket": ticket}
        self.redirect("/", cookie=f"{COOKIE}={handle}; Path=/; HttpOnly; SameSite=Lax")

    def do_POST(self) -> None:
        """The notice of a sign-out names the ticket that began our session."""
        body = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        notice = body.get("logoutRequest", [""])[0]
        for handle, session in list(SESSIONS.items()):
            if client.verify_logout_request(notice, session["ticket"]):
                del SESSIONS[handle]
        self.page("")

    def redirect(self, target: str, cookie: str = "") -> None:
        self.send_response(302)
        self.send_header("Location", target)
        if cookie:
            self.send_header("Set-Cookie", cookie)
        self.end_headers()

    def page(self, body: str, status: int = 200) -> None:
        content = f"<!doctype html><meta charset=utf-8><title>Example</title>{body}".encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_request(self, code: Any = "-", size: Any = "-") -> None:
        """Say nothing: addresses hold tickets."""


if __name__ == "__main__":
    print(f"Open {HERE}/")
    ThreadingHTTPServer(("127.0.0.1", PORT), Application).serve_forever()
