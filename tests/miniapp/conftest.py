"""A mobile app with one mini program, in a tenant of its own."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client as HttpClient

from identity.context import RequestContext
from identity.models import SessionKind, SSOSession, Tenant, User
from identity.sso import sessions
from oidc_provider.grants import pkce
from oidc_provider.mini_programs import hosts
from oidc_provider.models import Client, Consent, HostApplication
from tests.factories import make_application, make_user
from tests.factories.oidc import CALLBACK, CLIENT_SECRET, make_client
from tests.support.machine import FORM, VERIFIER, basic
from tests.support.oidc_fixtures import fresh_process, tenant

__all__ = ["fresh_process", "tenant"]

NETWORK = "192.0.2.0/24"


class App:
    """The app on one phone, or its back end, and the mini program that it shows."""

    def __init__(self, user: User, host: HostApplication, mini_program: Client) -> None:
        self.user, self.host, self.mini_program = user, host, mini_program
        self.tenant = user.tenant
        self.name = self.tenant.domains.get().host
        self.http = HttpClient(HTTP_HOST=self.name)
        self.session: SSOSession | None = None
        self.proof = ""

    def sign_in(self, user: User | None = None, **values: Any) -> str:
        """Open the app session and use its session_token as proof."""
        context = RequestContext(tenant=self.tenant)
        values = {"amr": ["pwd"], "kind": SessionKind.SDK, **values}
        self.session, token = sessions.start(user=user or self.user, context=context, **values)
        self.proof = f"Bearer {token}"
        return token

    def vouch(self, secret: str = CLIENT_SECRET) -> None:
        """Use the host application's own credentials as proof."""
        self.proof = basic(self.host.client.client_id, secret)

    @property
    def headers(self) -> dict[str, Any]:
        return {"secure": True, **({"HTTP_AUTHORIZATION": self.proof} if self.proof else {})}

    def get(self, path: str, params: dict[str, Any] | list[tuple[str, str]], **headers: Any) -> Any:
        return self.http.get(f"{path}?{urlencode(params)}", **{**self.headers, **headers})

    def post(self, path: str, params: dict[str, Any] | list[tuple[str, str]], **headers: Any) -> Any:
        return self.http.post(path, urlencode(params), content_type=FORM, **{**self.headers, **headers})

    def check(self, method: str = "get", **changes: str | None) -> Any:
        """/auth/isAuthorized; a parameter changed to None is left out."""
        params = {"userId": self.user.public_id, "miniapp_id": self.mini_program.client_id, **changes}
        return getattr(self, method)("/auth/isAuthorized", sent(params))

    def code_params(self, **changes: str | None) -> dict[str, str]:
        params = {
            "userId": self.user.public_id,
            "client_id": self.mini_program.client_id,
            "response_type": "code",
            "redirect_uri": CALLBACK,
            "scope": "openid email",
            "state": "abcde",
            "code_challenge": pkce.s256(VERIFIER),
            "code_challenge_method": "S256",
            **changes,
        }
        return sent(params)

    def code(self, method: str = "get", **changes: str | None) -> Any:
        """/oidc/authcode."""
        return getattr(self, method)("/oidc/authcode", self.code_params(**changes))

    def ask(self, **changes: str | None) -> Any:
        """/auth/consent as JSON."""
        params = {
            "userId": self.user.public_id,
            "miniapp_id": self.mini_program.client_id,
            "scope": "openid email",
            **changes,
        }
        return self.send(json.dumps(sent(params)))

    def send(self, body: str, **headers: Any) -> Any:
        headers = {**self.headers, **headers}
        return self.http.post("/auth/consent", body, content_type="application/json", **headers)

    def agree(self, scope: str = "openid email") -> None:
        response = self.ask(scope=scope, decision="agree")
        assert (response.status_code, response.json()) == (200, {"isAuthorized": True})

    def exchange(self, code: str, **changes: str | None) -> Any:
        """The mini program's own back end at /oidc/token."""
        params = {
            "grant_type": "authorization_code",
            "code": code,
            "client_id": self.mini_program.client_id,
            "redirect_uri": CALLBACK,
            "code_verifier": VERIFIER,
            **changes,
        }
        secret = {}
        if not self.mini_program.is_public:
            secret = {"HTTP_AUTHORIZATION": basic(self.mini_program.client_id, CLIENT_SECRET)}
        return self.http.post("/oidc/token", urlencode(sent(params)), content_type=FORM, secure=True, **secret)

    def userinfo(self, access_token: str) -> Any:
        return self.http.get("/oidc/userinfo", secure=True, HTTP_AUTHORIZATION=f"Bearer {access_token}")

    @property
    def consent(self) -> Consent | None:
        return Consent.objects.filter(user=self.user, client=self.mini_program).first()


def sent(params: dict[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in params.items() if value is not None}


def make_mini_program(tenant: Tenant, *, application: dict[str, Any] | None = None, **values: Any) -> Client:
    """A client of the Pactera dialect, confidential unless the values say otherwise."""
    values = {
        "dialect": "pactera",
        "grant_types": ["authorization_code", "refresh_token"],
        "scopes": ["openid", "profile", "email", "address", "phone"],
        "require_pkce": False,
        **values,
    }
    return make_client(make_application(tenant, **{"name": "Lunch orders", **(application or {})}), **values)


def make_host(tenant: Tenant, *mini_programs: Client, networks: tuple[str, ...] = (), **values: Any) -> HostApplication:
    """A mobile app whose back end authenticates by Basic, unless the values say otherwise."""
    client = make_client(make_application(tenant, name="City app"), **{"redirect_uris": [], **values})
    hosts.register(client, mini_programs=mini_programs, networks=networks)
    return client.host_application


@pytest.fixture
def user(tenant: Tenant) -> User:
    return make_user(tenant, user_name="alice", name="Alice Example", email="alice@example.org", email_verified=True)


@pytest.fixture
def app(user: User) -> App:
    """Signed in, and nothing consented yet."""
    mini_program = make_mini_program(user.tenant)
    app = App(user, make_host(user.tenant, mini_program), mini_program)
    app.sign_in()
    return app
