"""Many services at once with one ticket, and a sign-out at the same moment as a validation."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from django.test import Client as HttpClient
from django.utils import timezone

from cas_saml.models import ServiceTicket
from identity.context import RequestContext
from identity.models import Delivery, SSOSession
from identity.sso import sessions
from tests.factories import make_tenant, make_user
from tests.factories.cas import make_cas_service, make_ticket
from tests.factories.oidc import make_session
from tests.support.at_once import at_once, each_at_once

pytestmark = pytest.mark.django_db(transaction=True)

REQUESTS, THREADS = 100, 20


def validate(host: str, service_url: str, ticket: str) -> str:
    http = HttpClient(headers={"host": host})
    params = {"service": service_url, "ticket": ticket, "format": "JSON"}
    member: dict[str, Any] = http.get("/api/v1/cas/serviceValidate", params, secure=True).json()["serviceResponse"]
    return str(member["authenticationFailure"]["code"]) if "authenticationFailure" in member else "success"


@pytest.mark.spec("CAS-3.1.1")
@pytest.mark.security("S44")
def test_one_of_a_hundred_validations_succeeds() -> None:
    tenant = make_tenant()
    host = tenant.domains.get().host
    service = make_cas_service(tenant=tenant, ticket_lifetime_seconds=300)
    ticket = make_ticket(service, make_session(make_user(tenant)))
    answers = at_once(lambda _number: validate(host, service.url, ticket), times=REQUESTS, threads=THREADS)
    assert Counter(answers) == {"success": 1, "INVALID_TICKET": REQUESTS - 1}


@pytest.mark.spec("CAS-2.3.3")
def test_a_validation_at_the_moment_of_a_sign_out_is_refused_or_told() -> None:
    tenant = make_tenant()
    host = tenant.domains.get().host
    user = make_user(tenant)
    service = make_cas_service(tenant=tenant, ticket_lifetime_seconds=300)
    succeeded: set[str] = set()
    for _ in range(20):
        session = make_session(user)
        ticket = make_ticket(service, session)

        def ask(ticket: str = ticket) -> None:
            if validate(host, service.url, ticket) == "success":
                succeeded.add(ticket)

        def end(session: SSOSession = session) -> None:
            sessions.end(session, reason="signed_out", context=RequestContext(tenant=tenant))

        each_at_once(ask, end)
    told = {delivery.payload["session_index"] for delivery in Delivery.objects.all()}
    assert succeeded <= told
    assert not ServiceTicket.objects.filter(consumed_at=None).exists()
    assert not SSOSession.objects.filter(ended_at=None, expires_at__gt=timezone.now()).exists()
