"""Every cookie of ours, by name: what it lets a script, another site or a network see (S27)."""

from __future__ import annotations

from http.cookies import Morsel
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.utils import timezone

from identity import crypto
from identity.models import Tenant, User
from identity.operator_groups import TENANT_OPERATORS
from oidc_provider.grants import pkce
from tests.factories import PASSWORD, make_application, make_operator
from tests.factories.cas import make_cas_service
from tests.factories.oidc import CALLBACK, make_client, make_session
from tests.pages.conftest import transaction_of

COOKIES = {
    "__Host-monban_browser",
    "__Host-monban_csrf",
    "__Host-monban_session",
    "__Host-monban_parked",
    "__Host-monban_waiting",
    "__Host-monban_method",
    "monban_language",
    "messages",
}


def collect(found: dict[str, list[Morsel[str]]], response: Any) -> None:
    for name, cookie in response.cookies.items():
        found.setdefault(name, []).append(cookie)


def console_of(tenant: Tenant) -> Client:
    """A browser with an operator who has just confirmed the password."""
    handle = crypto.new_handle()
    operator = make_operator(tenant)
    operator.groups.add(Group.objects.get(name=TENANT_OPERATORS))
    make_session(
        operator,
        handle_hash=crypto.hash_handle(handle, purpose="sso_session.handle"),
        password_confirmed_at=timezone.now(),
    )
    browser = Client()
    browser.cookies["__Host-monban_session"] = handle
    return browser


@pytest.mark.security("S27")
def test_over_https_every_cookie_is_secure_hidden_from_scripts_and_lax(tenant: Tenant, alice: User) -> None:
    found: dict[str, list[Morsel[str]]] = {}
    browser = Client()
    page = browser.get("/login", secure=True)
    collect(found, page)
    form = {"identifier": "alice", "password": PASSWORD, "transaction": transaction_of(page)}
    collect(found, browser.post("/login", form, secure=True))
    collect(found, browser.post("/language", {"language": "ja"}, secure=True))
    # What another site's page posts comes without cookies, and is parked.
    client = make_client(make_application(tenant))
    asked = {"client_id": client.client_id, "redirect_uri": CALLBACK, "response_type": "code", "scope": "openid"}
    form_of_another_site = urlencode({**asked, "code_challenge": pkce.s256("v" * 43), "code_challenge_method": "S256"})
    kind = "application/x-www-form-urlencoded"
    collect(found, Client().post("/oauth2/authorize", form_of_another_site, content_type=kind, secure=True))
    service = make_cas_service(make_application(tenant))
    collect(found, Client().get("/api/v1/cas/login", {"service": service.url}, secure=True))
    # What the console tells on the next page travels in a cookie.
    collect(found, console_of(tenant).post(f"/admin/identity/user/{alice.pk}/unlock/", {"confirm": "yes"}, secure=True))
    collect(found, browser.post("/logout", {"confirm": "yes"}, secure=True))
    assert set(found) == COOKIES
    for name, cookies in found.items():
        for cookie in cookies:
            told = (bool(cookie["secure"]), bool(cookie["httponly"]), cookie["samesite"], cookie["domain"])
            assert told == (True, True, "Lax", ""), name
            assert cookie["path"] == "/", name


@pytest.mark.security("S27")
def test_the_consoles_session_cookie_is_secure_hidden_from_scripts_and_lax(settings: Any) -> None:
    told = (settings.SESSION_COOKIE_SECURE, settings.SESSION_COOKIE_HTTPONLY, settings.SESSION_COOKIE_SAMESITE)
    assert (settings.SESSION_COOKIE_NAME, *told) == ("__Host-monban_admin", True, True, "Lax")
