"""Fixtures of the machine endpoints: a tenant with keys, a user, a client and the machine that uses it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from identity import copies
from identity.models import Tenant, User
from identity.sso import sessions
from tests.factories import make_application, make_tenant, make_user
from tests.factories.keys import make_keys
from tests.factories.oidc import make_client
from tests.support.machine import Machine


def forget_everything() -> None:
    """As a process that has read nothing yet."""
    copies.clear()
    sessions.forget_joined()


@pytest.fixture(autouse=True)
def fresh_process() -> None:
    """Rows of the last test are gone, so copies of them must be too."""
    forget_everything()


@pytest.fixture
def tenant(db: None) -> Tenant:
    tenant = make_tenant()
    make_keys(tenant)
    return tenant


@pytest.fixture
def user(tenant: Tenant) -> User:
    return make_user(tenant, user_name="alice", name="Alice Example", email="alice@example.org", email_verified=True)


@pytest.fixture
def new_machine(tenant: Tenant, user: User) -> Callable[..., Machine]:
    """Register a client and return the machine that uses it."""

    def make(*, application: dict[str, Any] | None = None, **values: Any) -> Machine:
        return Machine(make_client(make_application(tenant, **(application or {})), **values), user)

    return make


@pytest.fixture
def machine(new_machine: Callable[..., Machine]) -> Machine:
    """A confidential client of the code flow."""
    return new_machine()


@pytest.fixture
def public_machine(new_machine: Callable[..., Machine]) -> Machine:
    """A public client of the code flow."""
    return new_machine(
        token_endpoint_auth_method="none", grant_types=["authorization_code", "refresh_token"], secret_hash=""
    )
