"""A phone app, as the vendor's document tells how to write one: plain requests and an encryption."""

from __future__ import annotations

import base64
import json
import secrets
import time
from typing import Any
from urllib.parse import urlencode

from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, HashAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from django.test import Client as HttpClient

from identity.models import Tenant, User
from oidc_provider.clients import tenant_rights
from oidc_provider.models import Client
from tests.factories import PASSWORD, make_application, make_tenant, make_user
from tests.factories.keys import make_keys
from tests.factories.oidc import CLIENT_SECRET, make_client

JSON = "application/json;charset=utf8"  # spelled as in the document
MGF1_HASHES: dict[str, HashAlgorithm] = {"bouncycastle": SHA256(), "sunjce": SHA1()}


class Phone:
    """One app on one device."""

    def __init__(self, user: User, client: Client) -> None:
        self.user, self.client, self.tenant = user, client, user.tenant
        self.host = self.tenant.domains.get().host
        self.http = HttpClient()
        self.device: dict[str, str] = {
            "X-operating-sys-version": "Android 10",
            "X-device-fingerprint": "156aysdna213sac",
            "X-agent": "Mozilla/5.0 (Linux; Android 10; Redmi K30)",
            "X-client-id": client.client_id,
        }

    def headers(self, **changes: str | None) -> dict[str, str]:
        """The device headers; a name written with underscores replaces one, None leaves it out."""
        sent: dict[str, str | None] = {"host": self.host, **self.device}
        for name, value in changes.items():
            spelled = name.replace("_", "-")
            sent = {key: old for key, old in sent.items() if key.lower() != spelled.lower()}
            sent[spelled] = value
        return {name: value for name, value in sent.items() if value is not None}

    def get(self, path: str, **headers: str | None) -> Any:
        return self.http.get(f"/api/v2/sdk/{path}", headers=self.headers(**headers), secure=True)

    def post(self, path: str, body: Any, **headers: str | None) -> Any:
        text = body if isinstance(body, str) else json.dumps(body)
        return self.http.post(
            f"/api/v2/sdk/{path}", text, content_type=JSON, headers=self.headers(**headers), secure=True
        )

    def login(self, *, user_name: str | None = None, password: str = PASSWORD, **headers: str | None) -> Any:
        body = {"user_name": user_name or self.user.user_name, "password": password}
        return self.post("login", body, **headers)

    def sign_in(self) -> str:
        """The session_token."""
        body = self.login().json()
        assert body["status"] == "SUCCESS"
        token: str = body["session_token"]
        return token

    def public_key(self) -> RSAPublicKey:
        key = load_pem_public_key(self.get("public-key").json()["public_key"].encode())
        assert isinstance(key, RSAPublicKey)
        return key

    def plaintext(self, token: str, *, timestamp: int | None = None, nonce: str | None = None) -> str:
        timestamp = timestamp if timestamp is not None else time.time_ns() // 1_000_000
        return f"session_token={token}&timestamp={timestamp}&nonce={nonce or secrets.token_hex(6)}"

    def encrypt(self, plaintext: str | bytes, *, variant: str = "bouncycastle", key: RSAPublicKey | None = None) -> str:
        data = plaintext.encode() if isinstance(plaintext, str) else plaintext
        padding = OAEP(mgf=MGF1(MGF1_HASHES[variant]), algorithm=SHA256(), label=None)
        return base64.b64encode((key or self.public_key()).encrypt(data, padding)).decode()

    def sign(self, token: str, *, variant: str = "bouncycastle") -> str:
        return self.encrypt(self.plaintext(token), variant=variant)

    def profile(self, signature: str | None) -> Any:
        return self.get("profile", X_signature=signature)


class BackEnd:
    """The back end of an application: it knows a client_secret and gets a token for itself (OneAccess-3.1.2.1)."""

    def __init__(self, client: Client, phone: Phone, *, right: str = "auth_api") -> None:
        self.client, self.phone, self.http = client, phone, HttpClient()
        scopes = tenant_rights.chosen(client.tenant, [right])
        client.api_scopes.add(*scopes)
        form = {
            "grant_type": "client_credentials",
            "client_id": client.client_id,
            "client_secret": CLIENT_SECRET,
        }
        kind = "application/x-www-form-urlencoded"
        answer = self.http.post(
            "/api/v2/tenant/token", urlencode(form), content_type=kind, headers={"host": phone.host}, secure=True
        )
        self.token: str = answer.json()["access_token"]

    def device(self, **changes: Any) -> dict[str, Any]:
        """What the phone told of itself, as a back end repeats it; None leaves a member out."""
        body = {
            "operating_sys_version": self.phone.device["X-operating-sys-version"],
            "device_ip": "10.10.10.1",
            "device_fingerprint": self.phone.device["X-device-fingerprint"],
            "agent": self.phone.device["X-agent"],
            **changes,
        }
        return {name: value for name, value in body.items() if value is not None}

    def post(self, path: str, body: Any, *, authorization: str | None = None, **headers: str) -> Any:
        sent = {"host": self.phone.host, "authorization": authorization or f"Bearer {self.token}", **headers}
        text = body if isinstance(body, str) else json.dumps(body)
        return self.http.post(f"/api/v2/tenant/sso/{path}", text, content_type=JSON, headers=sent, secure=True)

    def issue(self, session_token: str, **changes: Any) -> Any:
        return self.post("session-token/sso-ticket", self.device(session_token=session_token, **changes))

    def verify(self, sso_ticket: str, **changes: Any) -> Any:
        return self.post("sso-ticket/verify", self.device(sso_ticket=sso_ticket, **changes))

    def refresh(self, session_token: str, **changes: Any) -> Any:
        return self.post("session-token/refresh", self.device(session_token=session_token, **changes))


def make_phone(tenant: Tenant | None = None, *, application: dict[str, Any] | None = None, **user: Any) -> Phone:
    """An app and its user, in a tenant with keys."""
    if tenant is None:
        tenant = make_tenant()
    make_keys(tenant)
    make_keys(tenant, use="enc", alg="RSA-OAEP-256")
    values = {"user_name": "alice", "name": "Alice Example", "email": "alice@example.org", **user}
    client = make_client(make_application(tenant, **(application or {})), may_use_sdk=True)
    return Phone(make_user(tenant, **values), client)
