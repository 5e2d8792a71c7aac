"""One identity provider with one person, and a service provider that knows only the wire."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from cas_saml.models import ServiceProvider
from identity import copies
from identity.models import Tenant, User
from tests.factories import make_application, make_tenant, make_user
from tests.factories.saml import make_saml_keys, make_service_provider, private_key, provider_credential
from tests.specs.conformance import HOST, Browser
from tests.specs.saml_party import Party


@dataclass
class RegisteredParty(Party):
    """A provider, with the row that stands for it."""

    row: ServiceProvider | None = None

    def change(self, **values: Any) -> None:
        """Change the registration."""
        assert self.row is not None
        ServiceProvider.objects.filter(pk=self.row.pk).update(**values)
        copies.forget([self.row.tenant_id])


NewProvider = Callable[..., RegisteredParty]


@pytest.fixture
def tenant(db: None) -> Tenant:
    tenant = make_tenant(host=HOST, code="saml", name="SAML")
    make_saml_keys(tenant)
    return tenant


@pytest.fixture
def person(tenant: Tenant) -> User:
    return make_user(tenant, user_name="minghui", name="Ming Hui", email="minghui@example.org", email_verified=True)


@pytest.fixture
def new_provider(tenant: Tenant, person: User) -> NewProvider:
    """Register a provider and return the application that uses it. key: which of the tests' keys is its own."""

    def register(*, application: dict[str, Any] | None = None, key: int = 0, **values: Any) -> RegisteredParty:
        entry = make_application(tenant, **(application or {}))
        row = make_service_provider(entry, **values)
        return RegisteredParty(
            entity_id=row.entity_id,
            acs=row.assertion_consumer_services[0]["location"],
            key=private_key(key),
            certificate=provider_credential(key).certificate,
            user_name=person.user_name,
            row=row,
        )

    return register


@pytest.fixture
def provider(new_provider: NewProvider) -> RegisteredParty:
    return new_provider()


@pytest.fixture
def browser() -> Browser:
    return Browser()
