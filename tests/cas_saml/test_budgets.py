"""Statements per request (performance goals): transactions and the audit's one INSERT are not counted."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.test import Client as HttpClient

from cas_saml.cas import services
from cas_saml.models import CASService
from identity.context import RequestContext
from identity.sso import sessions
from tests.factories import make_tenant, make_user
from tests.factories.cas import make_cas_service, make_ticket
from tests.factories.oidc import make_session
from tests.support.statements import round_trips

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("endpoint", ["validate", "serviceValidate", "p3/serviceValidate"])
def test_a_validation_takes_two_statements(endpoint: str) -> None:
    tenant = make_tenant()
    http = HttpClient(headers={"host": tenant.domains.get().host})
    service = make_cas_service(tenant=tenant, attributes={"mail": "email", "birthday": "birth_date"})
    session = make_session(make_user(tenant))

    def ask(ticket: str) -> Any:
        response = http.get(f"/api/v1/cas/{endpoint}", {"service": service.url, "ticket": ticket}, secure=True)
        assert b"yes" in response.content or b"authenticationSuccess" in response.content
        return response

    first, second = make_ticket(service, session), make_ticket(service, session)
    ask(first)  # the process has read the tenant once
    assert round_trips(lambda: ask(second), elsewhere=3) <= 2


@pytest.mark.django_db(transaction=True)
def test_a_login_to_a_known_service_takes_two_statements() -> None:
    tenant = make_tenant()
    http = HttpClient(headers={"host": tenant.domains.get().host})
    service = make_cas_service(tenant=tenant)
    session, handle = sessions.start(user=make_user(tenant), amr=["pwd"], context=RequestContext(tenant=tenant))
    http.cookies["__Host-monban_session"] = handle

    def ask() -> Any:
        response = http.get("/api/v1/cas/login", {"service": service.url}, secure=True)
        assert response["Location"].startswith(f"{service.url}?ticket=ST-")
        return response

    ask()  # reads the tenant and the service, and joins the session
    assert [row.registration for row in session.participants.all()] == [service.public_id]
    assert round_trips(ask, elsewhere=3) <= 2
    service.is_active = False
    service.save()
    assert http.get("/api/v1/cas/login", {"service": service.url}, secure=True).status_code == 400


def test_what_another_process_changed_is_known_after_five_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    tenant = make_tenant()
    service = make_cas_service(tenant=tenant)
    assert services.find(service.url, tenant=tenant) == service
    CASService.objects.update(is_active=False)  # tells this process nothing
    assert services.find(service.url, tenant=tenant) == service
    now = time.monotonic()
    monkeypatch.setattr("identity.copies.time.monotonic", lambda: now + 5)
    assert services.find(service.url, tenant=tenant) is None
