"""Who puts the load on: the server, a person, and a client with a browser and a back end."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any

from bench.http import Connection
from bench.phone import Phone


@dataclass(frozen=True)
class Target:
    """The server under load and a client and a user that it knows."""

    issuer: str
    metadata: dict[str, Any]
    client_id: str
    client_secret: str
    redirect_uri: str
    api_scope: str

    @property
    def basic(self) -> dict[str, str]:
        pair = base64.b64encode(f"{self.client_id}:{self.client_secret}".encode()).decode()
        return {"Authorization": f"Basic {pair}"}


@dataclass(frozen=True)
class Person:
    """Somebody who can sign in."""

    user_name: str
    password: str


@dataclass
class Worker:
    """One client of the load: a signed-in browser, a back end that knows no cookies, and its tokens."""

    target: Target
    person: Person
    connection: Connection
    browser: Connection
    codes: list[tuple[str, str]] = field(default_factory=list)  # authorization code, verifier
    tickets: list[str] = field(default_factory=list)  # SSO tickets
    token: dict[str, Any] = field(default_factory=dict)
    subject: str = ""
    phone: Phone | None = None  # in the standard dialect
