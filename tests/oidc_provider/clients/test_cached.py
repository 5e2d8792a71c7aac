"""What another process registered a moment ago is not refused by a process that still holds the copy from before."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from cas_saml.cas import services
from cas_saml.models import CASService
from oidc_provider.clients import authentication, cached
from oidc_provider.models import Client
from tests.factories.cas import make_cas_service
from tests.factories.oidc import CALLBACK
from tests.support.machine import Machine, basic

pytestmark = pytest.mark.django_db
NEW = "https://new.example/callback"


def elsewhere(machine: Machine, **values: Any) -> None:
    """Change the client as another process does, which this one does not hear of; it holds a copy already."""
    assert cached.find(client_id=machine.client.client_id, tenant=machine.context.tenant) is not None
    Client.objects.filter(pk=machine.client.pk).update(**values)


def authorize(machine: Machine, **changes: str) -> Any:
    params = {"client_id": machine.client.client_id, "redirect_uri": CALLBACK, "response_type": "code", **changes}
    return machine.http.get(f"/oauth2/authorize?{urlencode({'scope': 'openid', **params})}")


def test_a_new_secret(machine: Machine) -> None:
    elsewhere(machine, secret_hash=authentication.hash_secret("a new secret"))
    answer = machine.send(
        "/oauth2/token",
        "grant_type=authorization_code&code=none",
        HTTP_AUTHORIZATION=basic(machine.client.client_id, "a new secret"),
    )
    assert answer.json()["error"] == "invalid_grant"  # past the client


def test_an_enabled_client(new_machine: Any) -> None:
    machine = new_machine(is_active=False)
    elsewhere(machine, is_active=True)
    assert machine.token(grant_type="authorization_code", code="none").json()["error"] == "invalid_grant"


def test_a_new_redirect_address(machine: Machine) -> None:
    assert authorize(machine, redirect_uri=NEW).status_code == 400
    elsewhere(machine, redirect_uris=[CALLBACK, NEW])
    assert authorize(machine, redirect_uri=NEW).status_code == 302


def test_a_new_address_after_sign_out(machine: Machine) -> None:
    elsewhere(machine, post_logout_redirect_uris=[NEW])
    query = urlencode({"client_id": machine.client.client_id, "post_logout_redirect_uri": NEW})
    assert machine.http.get(f"/oauth2/logout?{query}").status_code != 400


def test_a_new_web_origin(machine: Machine) -> None:
    tenant = machine.context.tenant
    assert not cached.is_web_origin("https://new.example", tenant=tenant)
    elsewhere(machine, web_origins=["https://new.example"])
    assert cached.is_web_origin("https://new.example", tenant=tenant)


def test_a_new_cas_service_of_a_known_origin(machine: Machine) -> None:
    tenant = machine.context.tenant
    old = make_cas_service(tenant=tenant, url="https://a.example/old", match="exact")
    assert services.find("https://a.example/old", tenant=tenant) == old
    CASService.objects.filter(pk=old.pk).update(url="https://a.example/new")
    assert services.find("https://a.example/new", tenant=tenant) == old


@pytest.mark.security("S33")
def test_a_wrong_secret_and_an_unknown_client_cost_the_same_reading(machine: Machine) -> None:
    machine.token(grant_type="authorization_code", code="none")
    reads = []
    for client_id in (machine.client.client_id, "unknown"):
        with CaptureQueriesContext(connection) as queries:
            machine.send("/oauth2/token", "grant_type=x", HTTP_AUTHORIZATION=basic(client_id, "wrong"))
        reads.append(sum('FROM "oidc_provider_client" ' in query["sql"] for query in queries))
    assert reads == [1, 1]
