"""A client of each dialect and its user's browser, over Django's test client: as the vendor's samples write them."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives import hashes
from django.http.response import HttpResponseBase
from django.test import Client as HttpClient

from identity.context import RequestContext
from identity.models import User
from identity.sso import sessions
from oidc_provider.dialects.base import Dialect, EndpointName
from oidc_provider.models import Client

CALLBACK = "https://client.example/callback"
VERIFIER = "a-code-verifier-of-the-tests-0123456789-abcdefg"  # 47 characters: good everywhere
FORM = "application/x-www-form-urlencoded"


def unpadded(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def s256(verifier: str) -> str:
    return unpadded(hashlib.sha256(verifier.encode()).digest())


def pactera(verifier: str) -> str:
    """Pactera-4.2: the hexadecimal text of the digest is encoded, not the digest."""
    return unpadded(hashlib.sha256(verifier.encode()).hexdigest().encode())


def sm3(verifier: str) -> str:
    digest = hashes.Hash(hashes.SM3())
    digest.update(verifier.encode())
    return unpadded(digest.finalize())


@dataclass(frozen=True)
class Habits:
    """How the clients of one dialect write."""

    challenge: Callable[[str], str] = s256
    method: str = "S256"
    secret: str = "basic"  # basic, secret_alone, form, query or none
    request: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({"scope": "openid profile"}))
    values: Mapping[str, Any] = field(default_factory=dict)  # of the registration
    expires_in: object = 3600
    scopes: str = "openid profile"  # granted
    userinfo: tuple[str, ...] = ("sub", "name")  # members that must be there


HABITS: Mapping[str, Habits] = MappingProxyType(
    {
        "standard": Habits(),
        "pactera": Habits(
            challenge=pactera,
            method="s256",
            secret="secret_alone",
            request={"scope": "openid%20profile"},  # encoded a second time on its way, as the guide's samples are
            expires_in="3600",
            userinfo=("sub", "name", "nickname", "gender"),
        ),
        "tencent": Habits(
            challenge=sm3,
            method="SM3",
            secret="query",
            request={"scope": "openidasd6786hj824 profile"},
            expires_in=7200,
        ),
        "topiam": Habits(secret="none", expires_in=21599),
        "oneaccess": Habits(
            secret="form",
            request={"scope": "openid"},
            values={"grant_types": ["authorization_code", "refresh_token"]},
            expires_in=7200,
            scopes="openid",
            userinfo=("sub", "id", "userName", "name", "email"),
        ),
    }
)


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@dataclass
class Party:
    """One client of one dialect, and a browser."""

    dialect: Dialect
    client: Client
    secret: str
    user: User

    def __post_init__(self) -> None:
        self.habits = HABITS[self.dialect.name]
        self.host = self.client.catalogue_entry.tenant.domains.get().host
        self.origin = f"https://{self.host}"
        self.app_code = self.client.catalogue_entry.code
        self.issuer = self.dialect.issuer(self.origin, app_code=self.app_code)
        self.browser = HttpClient(HTTP_HOST=self.host)
        self.machine = HttpClient(HTTP_HOST=self.host)

    def path(self, endpoint: EndpointName) -> str:
        return urlsplit(self.dialect.address(endpoint, self.origin, app_code=self.app_code)).path

    # The browser -------------------------------------------------------------------------------------------------

    def sign_in(self, **values: Any) -> None:
        tenant = self.client.catalogue_entry.tenant
        context = RequestContext(tenant=tenant)
        _, handle = sessions.start(user=self.user, amr=["pwd"], context=context, **values)
        self.browser.cookies["__Host-monban_session"] = handle

    def request(self, **changes: str | None) -> dict[str, str]:
        """An authorization request; a parameter changed to None is left out."""
        params: dict[str, str | None] = {
            "client_id": self.client.client_id,
            "redirect_uri": CALLBACK,
            "response_type": "code",
            "state": "state1",
            "nonce": "nonce1",
            "code_challenge": self.habits.challenge(VERIFIER),
            "code_challenge_method": self.habits.method,
            **self.habits.request,
            **changes,
        }
        return {name: value for name, value in params.items() if value is not None}

    def ask(self, *, path: str = "", headers: Mapping[str, str] | None = None, **changes: str | None) -> Any:
        query = urlencode(self.request(**changes), quote_via=quote)
        address = path or self.path(EndpointName.AUTHORIZE)
        return self.browser.get(f"{address}?{query}", secure=True, headers=dict(headers or {}))

    def code(self, **changes: str | None) -> str:
        """An authorization code for a browser that is signed in."""
        if "__Host-monban_session" not in self.browser.cookies:
            self.sign_in()
        response = self.ask(**changes)
        parameters = query_of(response)
        assert "code" in parameters, (response.status_code, parameters, response.content)
        return parameters["code"]

    # The back end ------------------------------------------------------------------------------------------------

    def send(self, path: str, params: Mapping[str, str | None], **headers: str) -> Any:
        """POST as this dialect's clients do, with the client's proof unless the parameters say otherwise."""
        form: dict[str, str | None] = {}
        proof = self.habits.secret
        if proof != "none" or "client_id" in params:
            form["client_id"] = self.client.client_id
        if proof in ("form", "query"):
            form["client_secret"] = self.secret
        if proof == "basic":
            form.pop("client_id")
            headers.setdefault("authorization", basic(f"{self.client.client_id}:{self.secret}"))
        if proof == "secret_alone":
            headers.setdefault("authorization", basic(self.secret))
        form |= dict(params)
        encoded = urlencode({name: value for name, value in form.items() if value is not None})
        headers = {name: value for name, value in headers.items() if value}
        if proof == "query" and path == self.path(EndpointName.TOKEN):
            return self.machine.post(f"{path}?{encoded}", secure=True, headers=headers, content_type=FORM)
        return self.machine.post(path, encoded, content_type=FORM, secure=True, headers=headers)

    def token(self, *, path: str = "", headers: Mapping[str, str] | None = None, **params: str | None) -> Any:
        return self.send(path or self.path(EndpointName.TOKEN), params, **dict(headers or {}))

    def exchange(self, authorization_code: str, **changes: Any) -> Any:
        params = {
            "grant_type": "authorization_code",
            "code": authorization_code,
            "redirect_uri": CALLBACK,
            "code_verifier": VERIFIER,
            **changes,
        }
        return self.token(**params)

    def tokens(self, **changes: str | None) -> dict[str, Any]:
        response = self.exchange(self.code(**changes))
        assert response.status_code == 200, response.content
        body: dict[str, Any] = response.json()
        return body

    def refresh(self, refresh_token: str, **changes: Any) -> Any:
        return self.token(grant_type="refresh_token", refresh_token=refresh_token, **changes)

    def userinfo(self, access_token: str, *, path: str = "") -> Any:
        headers = {"authorization": f"Bearer {access_token}"} if access_token else {}
        return self.machine.get(path or self.path(EndpointName.USERINFO), secure=True, headers=headers)

    @property
    def metadata(self) -> dict[str, Any]:
        """The discovery document, found as OIDCD-4 says."""
        path = urlsplit(f"{self.issuer}/.well-known/openid-configuration").path
        response = self.machine.get(path, secure=True)
        assert response.status_code == 200, response.content
        document: dict[str, Any] = response.json()
        return document

    def verify(self, id_token: str) -> dict[str, Any]:
        """As a relying party must (OIDCC-3.1.3.7), with the keys that discovery names."""
        header = jwt.get_unverified_header(id_token)
        published = self.machine.get(urlsplit(self.metadata["jwks_uri"]).path, secure=True).json()
        key = next(key for key in jwt.PyJWKSet.from_dict(published).keys if key.key_id == header["kid"])
        claims: dict[str, Any] = jwt.decode(
            id_token,
            key.key,
            algorithms=self.metadata["id_token_signing_alg_values_supported"],
            audience=self.client.client_id,
            issuer=self.issuer,
        )
        return claims


def query_of(response: HttpResponseBase) -> dict[str, str]:
    """The parameters in the query of a redirect."""
    return dict(parse_qsl(urlsplit(response.get("Location", "")).query))


def fragment_of(response: HttpResponseBase) -> dict[str, str]:
    """The parameters in the fragment of a redirect."""
    return dict(parse_qsl(urlsplit(response.get("Location", "")).fragment))
