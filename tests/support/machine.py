"""A client's back end: it speaks to the machine endpoints over HTTP.

The authorization is done by the engine itself, for a session that a factory made, so that a test of the token
endpoint does not pass through the sign-in pages.
"""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any
from urllib.parse import quote_plus, urlencode

from django.test import Client as HttpClient
from django.utils import timezone

from identity.context import RequestContext
from identity.models import SSOSession, User
from oidc_provider import engine
from oidc_provider.authorization.details import collect
from oidc_provider.dialects.standard import STANDARD
from oidc_provider.engine import EngineContext
from oidc_provider.grants import pkce
from oidc_provider.models import AuthMethod, Client, RefreshToken
from tests.factories.oidc import CALLBACK, CLIENT_SECRET, make_session

VERIFIER = "a-code-verifier-of-the-tests-0123456789-abcdefg"
FORM = "application/x-www-form-urlencoded"


def basic(client_id: str, secret: str) -> str:
    """RFC6749-2.3.1."""
    pair = f"{quote_plus(client_id)}:{quote_plus(secret)}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


class Machine:
    """One client."""

    def __init__(self, client: Client, user: User | None = None, *, secret: str = CLIENT_SECRET) -> None:
        self.client = client
        self.user = user
        self.secret = secret
        self.host = client.catalogue_entry.tenant.domains.get().host
        self.issuer = f"https://{self.host}"
        self.http = HttpClient(HTTP_HOST=self.host, raise_request_exception=True)
        self.session: SSOSession | None = None

    @property
    def context(self) -> EngineContext:
        tenant = self.client.catalogue_entry.tenant
        return EngineContext(tenant=tenant, dialect=STANDARD, request=RequestContext(tenant=tenant), issuer=self.issuer)

    def authorize(self, **changes: str) -> dict[str, str]:
        """What the authorization endpoint answers to a signed-in user who agrees to everything."""
        assert self.user is not None
        self.session = self.session or make_session(self.user)
        params = {
            "client_id": self.client.client_id,
            "redirect_uri": CALLBACK,
            "response_type": "code",
            "scope": "openid",
            "code_challenge": pkce.s256(VERIFIER),
            "code_challenge_method": "S256",
            **changes,
        }
        request = engine.check_authorization_request(collect(params.items()), context=self.context)
        return engine.approve(request, session=self.session, scopes=request.scopes, context=self.context)

    def code(self, **changes: str) -> str:
        return self.authorize(**changes)["code"]

    def post(self, path: str, params: dict[str, str] | list[tuple[str, str]], **headers: Any) -> Any:
        """POST a form with the client's registered authentication, unless the headers say otherwise."""
        pairs = list(params.items() if isinstance(params, dict) else params)
        if "HTTP_AUTHORIZATION" not in headers:
            method = self.client.token_endpoint_auth_method
            if method in (AuthMethod.SECRET, AuthMethod.BASIC):
                headers["HTTP_AUTHORIZATION"] = basic(self.client.client_id, self.secret)
            elif method == AuthMethod.POST:
                pairs += [("client_id", self.client.client_id), ("client_secret", self.secret)]
            elif method == AuthMethod.NONE:
                pairs += [("client_id", self.client.client_id)]
        return self.send(path, urlencode(pairs), **headers)

    def send(self, path: str, body: str | bytes, *, content_type: str = FORM, **headers: Any) -> Any:
        """POST a body as it is."""
        headers = {name: value for name, value in headers.items() if value}
        return self.http.post(path, body, content_type=content_type, **headers)

    def token(self, **params: str) -> Any:
        return self.post("/oauth2/token", params)

    def exchange(self, code: str, **changes: str | None) -> Any:
        """Exchange a code; a parameter changed to None is left out."""
        params = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": CALLBACK,
            "code_verifier": VERIFIER,
            **changes,
        }
        return self.token(**{name: value for name, value in params.items() if value is not None})

    def tokens(self, **changes: str) -> dict[str, Any]:
        """A fresh set of tokens."""
        answer = self.exchange(self.code(**changes))
        assert answer.status_code == 200, answer.content
        body: dict[str, Any] = answer.json()
        return body

    def refresh(self, refresh_token: str, **changes: str) -> Any:
        return self.token(grant_type="refresh_token", refresh_token=refresh_token, **changes)

    def userinfo(self, access_token: str) -> Any:
        return self.http.get("/oauth2/userinfo", HTTP_AUTHORIZATION=f"Bearer {access_token}")

    def introspect(self, token: str, **params: str) -> Any:
        return self.post("/oauth2/introspect", {"token": token, **params})

    def revoke(self, token: str, **params: str) -> Any:
        return self.post("/oauth2/revoke", {"token": token, **params})


def end_the_grace() -> None:
    """Let a minute pass for every refresh token that was used."""
    used = RefreshToken.objects.exclude(superseded_at=None)
    used.update(superseded_at=timezone.now() - timedelta(minutes=1))


def refusal(response: Any) -> tuple[int, str]:
    """Status and error code of a refusal."""
    return response.status_code, response.json().get("error", "")
