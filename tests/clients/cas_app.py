"""Two small applications that speak CAS through stock clients, each to be run in a process of its own.

    python -m tests.clients.cas_app plain --server http://127.0.0.1:8000/api/v1/cas/ --port 5001
    python -m tests.clients.cas_app django --server … --port 5002 --directory /tmp/app

`plain` is python-cas with the standard library's server, for each version of the protocol below /v1, /v2 and /v3.
`django` is django-cas-ng as its documentation sets it up. Both answer `/` with what they know of the browser, as JSON.
"""

from __future__ import annotations

import argparse
import json
import secrets
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit
from wsgiref.simple_server import make_server

from cas import CASClient

COOKIE = "plain_app"


class PlainApp(BaseHTTPRequestHandler):
    """python-cas in three versions."""

    server_url: ClassVar[str]
    origin: ClassVar[str]
    sessions: ClassVar[dict[str, dict[str, Any]]] = {}

    def client(self, version: str) -> Any:
        return CASClient(version=version, service_url=f"{self.origin}/v{version}/login", server_url=self.server_url)

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        version = parts.path[2:3]
        if parts.path.endswith("/login"):
            self._login(self.client(version), version, query.get("ticket", ""))
        elif parts.path.endswith("/logout"):
            self._redirect(self.client(version).get_logout_url(f"{self.origin}/v{version}/login"))
        else:
            self._json(self.sessions.get(self._cookie(), {}))

    def do_POST(self) -> None:
        """The notice of a single logout."""
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        (notice,) = parse_qs(body)["logoutRequest"]
        told = {element.text for element in self.client("3").get_saml_slos(notice)}
        for handle in [handle for handle, session in self.sessions.items() if session["ticket"] in told]:
            if self.client("3").verify_logout_request(notice, self.sessions[handle]["ticket"]):
                del self.sessions[handle]
        self._json({"told": len(told)})

    def _login(self, client: Any, version: str, ticket: str) -> None:
        if not ticket:
            self._redirect(client.get_login_url())
            return
        user, attributes, _pgtiou = client.verify_ticket(ticket)
        if user is None:
            self._json({"refused": True})
            return
        handle = secrets.token_urlsafe(16)
        self.sessions[handle] = {"user": user, "attributes": attributes, "version": version, "ticket": ticket}
        self._redirect("/", cookie=f"{COOKIE}={handle}; Path=/")

    def _cookie(self) -> str:
        morsel = SimpleCookie(self.headers.get("Cookie", "")).get(COOKIE)
        return morsel.value if morsel else ""

    def _redirect(self, target: str, *, cookie: str = "") -> None:
        self.send_response(302)
        self.send_header("Location", target)
        if cookie:
            self.send_header("Set-Cookie", cookie)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _json(self, document: dict[str, Any]) -> None:
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code: Any = "-", size: Any = "-") -> None:
        """Say nothing: addresses hold tickets."""


def run_plain(server_url: str, port: int) -> None:
    PlainApp.server_url = server_url
    PlainApp.origin = f"http://127.0.0.1:{port}"
    ThreadingHTTPServer(("127.0.0.1", port), PlainApp).serve_forever()


def run_django(server_url: str, port: int, directory: Path) -> None:
    """A Django project in one function: sessions and users in a database of its own."""
    import django
    from django.conf import settings

    settings.configure(
        SECRET_KEY=secrets.token_urlsafe(32),
        ALLOWED_HOSTS=["127.0.0.1"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(directory / "app.sqlite3")}},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "django.contrib.messages",
            "django_cas_ng",
        ],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.common.CommonMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
        ],
        AUTHENTICATION_BACKENDS=["django_cas_ng.backends.CASBackend"],
        ROOT_URLCONF=__name__,
        USE_TZ=True,
        CAS_SERVER_URL=server_url,
        CAS_VERSION="3",
        CAS_APPLY_ATTRIBUTES_TO_USER=True,
        CAS_RENAME_ATTRIBUTES={"mail": "email"},
    )
    django.setup()
    from django.core.management import call_command
    from django.core.wsgi import get_wsgi_application
    from django.http import HttpRequest, JsonResponse
    from django.urls import path
    from django_cas_ng import views

    def home(request: HttpRequest) -> JsonResponse:
        user: Any = request.user
        return JsonResponse(
            {
                "user": user.get_username(),
                "email": getattr(user, "email", ""),
                "attributes": request.session.get("attributes", {}),
            }
        )

    globals()["urlpatterns"] = [
        path("", home),
        path("accounts/login", views.LoginView.as_view(), name="cas_ng_login"),
        path("accounts/logout", views.LogoutView.as_view(), name="cas_ng_logout"),
    ]
    call_command("migrate", verbosity=0)
    make_server("127.0.0.1", port, get_wsgi_application()).serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=["plain", "django"])
    parser.add_argument("--server", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--directory", type=Path)
    options = parser.parse_args()
    if options.kind == "plain":
        run_plain(options.server, options.port)
    else:
        run_django(options.server, options.port, options.directory)


if __name__ == "__main__":
    main()
