"""A client's back end: it speaks to the machine endpoints over HTTP.

The authorization is done by the rules themselves, for a session that a factory made, so that a test of the token
endpoint does not pass through the sign-in pages.
"""

from __future__ import annotations

import base64
import json
import time
from datetime import timedelta
from typing import Any
from urllib.parse import quote_plus, urlencode

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from django.test import Client as HttpClient
from django.utils import timezone
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from identity import crypto
from identity.context import SYSTEM, RequestContext
from identity.models import SessionEndReason, SSOSession, User
from identity.sso import access, sessions
from oidc_provider.authorization import approval, checks
from oidc_provider.dialects.standard import STANDARD
from oidc_provider.grants import pkce
from oidc_provider.models import AuthMethod, Client, RefreshToken
from oidc_provider.wire.facts import Facts
from oidc_provider.wire.parameters import collect
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
    def context(self) -> Facts:
        tenant = self.client.catalogue_entry.tenant
        return Facts(tenant=tenant, dialect=STANDARD, request=RequestContext(tenant=tenant), issuer=self.issuer)

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
        request = checks.check(collect(params.items()), facts=self.context)
        return approval.approve(request, session=self.session, scopes=request.scopes, facts=self.context)

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


class Signer:
    """A client's key pair."""

    def __init__(self, key: Any = None, *, alg: str = "ES256", kid: str = "k1") -> None:
        self.key = key or ec.generate_private_key(ec.SECP256R1())
        self.alg, self.kid = alg, kid

    @property
    def jwk(self) -> dict[str, Any]:
        kind = RSAAlgorithm if isinstance(self.key, rsa.RSAPrivateKey) else ECAlgorithm
        public = json.loads(kind.to_jwk(self.key.public_key()))
        return {**public, "kid": self.kid, "use": "sig", "alg": self.alg}

    def assertion(self, machine: Machine, *, headers: dict[str, Any] | None = None, **changes: Any) -> str:
        now = int(time.time())
        claims = {
            "iss": machine.client.client_id,
            "sub": machine.client.client_id,
            "aud": machine.issuer,
            "exp": now + 60,
            "iat": now,
            "jti": crypto.new_handle(),
            **changes,
        }
        claims = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(claims, self.key, algorithm=self.alg, headers={"kid": self.kid, **(headers or {})})


def end(machine: Machine, event: str, reason: str = SessionEndReason.SIGNED_OUT) -> None:
    """Let something happen to what a grant stands on."""
    assert machine.user is not None
    assert machine.session is not None
    if event == "user disabled":
        machine.user.is_active = False
        machine.user.save()
    elif event == "user deleted":
        machine.user.deleted_at = timezone.now()
        machine.user.save()
    elif event == "session ended":
        sessions.end(machine.session, reason=reason, context=SYSTEM)
    elif event == "session idle":
        machine.session.idle_expires_at = timezone.now()
        machine.session.save()
    elif event == "all tokens ended":
        access.revoke_everything(user=machine.user, reason=SessionEndReason.PASSWORD_CHANGED, context=SYSTEM)
    elif event == "application disabled":
        machine.client.catalogue_entry.is_active = False
        machine.client.catalogue_entry.save()
    elif event == "tenant disabled":
        machine.client.catalogue_entry.tenant.is_active = False
        machine.client.catalogue_entry.tenant.save()
    else:
        raise LookupError(event)
