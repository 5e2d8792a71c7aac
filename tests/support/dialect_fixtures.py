"""Fixtures of the dialects: a tenant with keys, a user with every claim, and clients registered as operators do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from identity.models import Tenant, User
from oidc_provider import dialects
from oidc_provider.clients import registration
from oidc_provider.dialects.base import Dialect
from tests.dialects.party import CALLBACK, HABITS, Party
from tests.factories import make_application, make_tenant, make_user
from tests.factories.keys import make_keys
from tests.support.oidc_fixtures import forget_everything

NewParty = Callable[..., Party]


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
    return make_user(
        tenant,
        user_name="taro",
        name="太郎",
        email="taro@example.jp",
        email_verified=True,
        mobile="08066651234",
        gender="male",
        birth_date=date(1992, 1, 1),
        address={"formatted": "千葉市中央区末広4丁目1-2", "postal_code": "260-0843"},
    )


@pytest.fixture
def new_party(tenant: Tenant, user: User) -> NewParty:
    """Register a client of a dialect."""

    def make(dialect: Dialect | str, *, application: dict[str, Any] | None = None, **values: Any) -> Party:
        spoken = dialects.get(dialect) if isinstance(dialect, str) else dialect
        entry = make_application(tenant, **{"skip_consent": True, **(application or {})})
        given = {
            "redirect_uris": [CALLBACK],
            "grant_types": ["authorization_code", "refresh_token"],
            **HABITS[spoken.name].values,
            **values,
        }
        client, secret = registration.register_client(catalogue_entry=entry, dialect=spoken.name, **given)
        return Party(spoken, client, secret, user)

    return make


@pytest.fixture(params=dialects.ALL, ids=lambda dialect: dialect.name)
def party(request: pytest.FixtureRequest, new_party: NewParty) -> Party:
    """A client of each dialect in turn."""
    return new_party(request.param)
