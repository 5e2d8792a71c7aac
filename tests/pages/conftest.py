"""A tenant on the test client's host, one user, and what a browser does at the pages."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import pytest
from django.http import HttpResponse
from django.test import Client

from identity import assurance
from identity.models import SSOSession, Tenant, User
from tests.factories import PASSWORD, make_tenant, make_user

HOST = "testserver"


@dataclass
class Browser:
    """One browser; it follows no redirect by itself."""

    client: Client = field(default_factory=Client)

    def get(self, path: str, **headers: Any) -> HttpResponse:
        return self.client.get(path, **headers)

    def post(self, path: str, data: dict[str, Any] | None = None, **headers: Any) -> HttpResponse:
        return self.client.post(path, data or {}, **headers)

    def open_login(self, query: str = "") -> str:
        """Open the sign-in page and return the handle of the sign-in."""
        return transaction_of(self.get(f"/login{query}"))

    def sign_in(
        self, user: User | str, password: str = PASSWORD, *, transaction: str | None = None, query: str = ""
    ) -> HttpResponse:
        """Send name and password."""
        handle = transaction if transaction is not None else self.open_login(query)
        identifier = user if isinstance(user, str) else user.user_name
        return self.post("/login", {"identifier": identifier, "password": password, "transaction": handle})

    @property
    def session_cookie(self) -> str:
        cookie = self.client.cookies.get("monban_session")
        return cookie.value if cookie else ""

    @property
    def is_signed_in(self) -> bool:
        return self.get("/account").status_code == 200


def transaction_of(response: HttpResponse) -> str:
    """The handle in a page's form."""
    found = re.search(r'name="transaction" value="([^"]+)"', response.content.decode())
    assert found, response.content.decode()
    return found[1]


def handle_in(response: HttpResponse) -> str:
    """The handle in the address that a response leads to."""
    found = re.search(r"transaction=([^&]+)", response["Location"])
    assert found, response["Location"]
    return found[1]


def alert_of(response: HttpResponse) -> str:
    """What the page tells in its alert box."""
    found = re.search(r'role="alert"[^>]*>(.*?)</div>', response.content.decode(), re.DOTALL)
    return re.sub(r"<[^>]+>|\s+", " ", found[1]).strip() if found else ""


def next_query(path: str) -> str:
    return "?" + urlencode({"next": path})


@pytest.fixture
def tenant(db: None) -> Tenant:
    return make_tenant(host=HOST)


@pytest.fixture
def alice(tenant: Tenant) -> User:
    return make_user(tenant, user_name="alice", name="Alice", email="alice@example.org", email_verified=True)


@pytest.fixture
def browser(tenant: Tenant) -> Browser:
    return Browser()


@pytest.fixture
def signed_in(browser: Browser, alice: User) -> Browser:
    """A browser in which alice is signed in."""
    assert browser.sign_in(alice).status_code == 302
    return browser


def note_second_factor(user: User) -> None:
    """Let the sessions of somebody have proved a code to the mailbox as well."""
    SSOSession.objects.filter(user=user).update(amr=["pwd", "otp"], acr=assurance.MULTI_FACTOR)


@pytest.fixture
def signed_in_twice(signed_in: Browser, alice: User) -> Browser:
    """A browser in which alice is signed in by two factors."""
    note_second_factor(alice)
    return signed_in
