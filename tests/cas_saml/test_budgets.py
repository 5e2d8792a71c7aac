"""Statements per request (performance goals): transactions and the audit's one INSERT are not counted."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client as HttpClient
from django.test.utils import CaptureQueriesContext

from identity.models import AuditEvent
from tests.factories import make_tenant, make_user
from tests.factories.cas import make_cas_service, make_ticket
from tests.factories.oidc import make_session

pytestmark = pytest.mark.django_db

NOT_COUNTED = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE", "ROLLBACK", f'INSERT INTO "{AuditEvent._meta.db_table}"')


@pytest.mark.parametrize("endpoint", ["validate", "serviceValidate", "p3/serviceValidate"])
def test_a_validation_takes_two_statements(endpoint: str) -> None:
    tenant = make_tenant()
    http = HttpClient(headers={"host": tenant.domains.get().host})
    service = make_cas_service(tenant=tenant, attributes={"mail": "email", "birthday": "birth_date"})
    session = make_session(make_user(tenant))

    def ask() -> Any:
        params = {"service": service.url, "ticket": make_ticket(service, session)}
        with CaptureQueriesContext(connection) as captured:
            response = http.get(f"/api/v1/cas/{endpoint}", params, secure=True)
        assert b"yes" in response.content or b"authenticationSuccess" in response.content
        return [query["sql"] for query in captured if not query["sql"].startswith(NOT_COUNTED)]

    ask()  # the process has read the tenant once
    statements = ask()
    assert [statement.split()[0] for statement in statements] == ["UPDATE", "SELECT"]
