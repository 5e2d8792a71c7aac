"""One provider with one person and the clients that the conformance suite's static registration asks for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from identity.models import Tenant, User
from oidc_provider.clients import registration
from tests.factories import PASSWORD, make_application, make_tenant, make_user
from tests.factories.keys import make_keys
from tests.specs.conformance import AFTER_LOGOUT, CALLBACK, HOST, Browser, RelyingParty
from tests.support.outgoing import posted

__all__ = ["posted"]

EVERY_SCOPE = ["openid", "profile", "email", "address", "phone", "roles", "organizations", "offline_access"]


@pytest.fixture
def tenant(db: None) -> Tenant:
    tenant = make_tenant(host=HOST, code="conformance", name="Conformance")
    make_keys(tenant)  # ready ones: making RSA keys for each test would take longer than the tests
    return tenant


@pytest.fixture
def person(tenant: Tenant) -> User:
    """Somebody with every standard claim (OIDCC-5.1)."""
    return make_user(
        tenant,
        user_name="alice",
        name="Alice Example",
        email="alice@example.org",
        email_verified=True,
        mobile="13812345678",
        phone_number_verified=True,
        nick_name="Al",
        first_name="Alice",
        last_name="Example",
        language="en",
        time_zone="Asia/Shanghai",
        address={"formatted": "1 Harbour Road\nShanghai", "country": "CN"},
    )


@pytest.fixture
def new_client(tenant: Tenant, person: User) -> Callable[..., RelyingParty]:
    """Register a client and return the relying party that uses it."""

    def register(*, application: dict[str, Any] | None = None, **values: Any) -> RelyingParty:
        entry = make_application(tenant, **{"skip_consent": False, **(application or {})})
        settings: dict[str, Any] = {
            "redirect_uris": [CALLBACK],
            "post_logout_redirect_uris": [AFTER_LOGOUT],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "scopes": EVERY_SCOPE,
            "require_pkce": False,
            **values,
        }
        client, secret = registration.register_client(catalogue_entry=entry, **settings)
        return RelyingParty(
            client_id=client.client_id,
            client_secret=secret,
            user_name=person.user_name,
            password=PASSWORD,
            auth_method=client.token_endpoint_auth_method,
            redirect_uri=client.redirect_uris[0] if client.redirect_uris else CALLBACK,
        )

    return register


@pytest.fixture
def party(new_client: Callable[..., RelyingParty]) -> RelyingParty:
    """A confidential client of the code flow."""
    return new_client()


@pytest.fixture
def implicit_party(new_client: Callable[..., RelyingParty]) -> RelyingParty:
    """A client that is flagged for the implicit flow."""
    return new_client(
        allow_implicit=True,
        grant_types=["authorization_code", "implicit"],
        response_types=["code", "id_token", "id_token token"],
    )


@pytest.fixture
def browser() -> Browser:
    return Browser()


@pytest.fixture
def signed_in(browser: Browser, party: RelyingParty) -> Browser:
    """A browser in which the person has signed in to the party and consented."""
    party.authorize(browser)
    browser.shown.clear()
    return browser
