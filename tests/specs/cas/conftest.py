"""One provider, one person, and a service that knows only the wire."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import pytest

from cas_saml.models import CASService
from identity.models import Tenant, User
from tests.factories import PASSWORD, make_application, make_tenant, make_user
from tests.factories.cas import make_cas_service
from tests.specs.conformance import HOST, Browser, Callback, Page, Transport, new_transport

SERVICE = "https://app.example.org/sso/cas?next=%2Fhome"


@dataclass
class Service:
    """An application that speaks CAS, and the person who uses it."""

    row: CASService
    user_name: str
    password: str = PASSWORD
    url: str = SERVICE
    api: Transport = field(default_factory=new_transport)

    def login_url(self, **changes: str | None) -> str:
        """A login request, with changes; None takes a parameter away."""
        params = {"service": self.url, **changes}
        return "/api/v1/cas/login?" + urlencode({name: value for name, value in params.items() if value is not None})

    def start(self, browser: Browser, **changes: str | None) -> Page | Callback:
        return browser.get(self.login_url(**changes))

    def sign_in(self, browser: Browser, **changes: str | None) -> Callback:
        """Go through the sign-in page where there is one, and arrive at the service."""
        place = self.start(browser, **changes)
        if isinstance(place, Page):
            place = browser.sign_in(place, self.user_name, self.password)
        assert isinstance(place, Callback), place
        return place

    def ticket(self, browser: Browser, **changes: str | None) -> str:
        return self.sign_in(browser, **changes).params["ticket"]

    def ask(self, endpoint: str, params: Mapping[str, str]) -> Any:
        return self.api.get(f"/api/v1/cas/{endpoint}", params, secure=True)

    def validate(self, ticket: str, *, endpoint: str = "p3/serviceValidate", **changes: str) -> Any:
        """The service's own question: no cookies, no browser."""
        return self.ask(endpoint, {"service": self.url, "ticket": ticket, **changes})

    def validated(self, ticket: str, **changes: str) -> dict[str, Any]:
        """The JSON answer's only member."""
        response = self.validate(ticket, format="JSON", **changes)
        assert response.status_code == 200, response.content
        answer: dict[str, Any] = response.json()["serviceResponse"]
        return answer

    def code(self, ticket: str, **changes: str) -> str:
        """The error code of the answer."""
        found: str = self.validated(ticket, **changes)["authenticationFailure"]["code"]
        return found


@pytest.fixture
def tenant(db: None) -> Tenant:
    return make_tenant(host=HOST, code="cas", name="CAS")


@pytest.fixture
def person(tenant: Tenant) -> User:
    return make_user(tenant, user_name="minghui", name="Ming Hui", email="minghui@example.org", email_verified=True)


@pytest.fixture
def new_service(tenant: Tenant, person: User) -> Callable[..., Service]:
    """Register a service and return the application that uses it."""

    def register(*, application: dict[str, Any] | None = None, url: str = SERVICE, **values: Any) -> Service:
        entry = make_application(tenant, **(application or {}))
        return Service(make_cas_service(entry, url=url, **values), person.user_name, url=url)

    return register


@pytest.fixture
def service(new_service: Callable[..., Service]) -> Service:
    return new_service()


@pytest.fixture
def browser() -> Browser:
    return Browser()
