"""How a client comes to its rights: in the admin, and by configuration as code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.test import Client as Browser
from django.urls import reverse

from identity.models import AuditEvent
from oidc_provider.clients import tenant_rights
from oidc_provider.clients.registration import register_client, update_client
from oidc_provider.models import ApiScope, Client
from tests.admin.conftest import operator_of, sign_in
from tests.factories import make_application, make_tenant
from tests.factories.keys import make_keys
from tests.factories.oidc import make_client
from tests.tenant_api.world import ALL_RIGHTS, World

pytestmark = pytest.mark.django_db

SECRET = "a-client-secret-of-the-tests-with-enough-characters"


def scopes_of(client: Client) -> list[str]:
    return sorted(client.api_scopes.values_list("name", flat=True))


def test_the_seven_rights_are_made_on_demand_and_once() -> None:
    tenant = make_tenant()
    rows = tenant_rights.provide(tenant)
    assert sorted(rows) == sorted(ALL_RIGHTS)
    assert {row.audience for row in rows.values()} == {"tenant-api"}
    assert tenant_rights.provide(tenant) == rows
    assert ApiScope.objects.filter(tenant=tenant).count() == 7


@pytest.mark.security("S12")
def test_a_scope_of_the_same_name_for_another_api_is_no_right() -> None:
    tenant = make_tenant()
    ApiScope.objects.create(tenant=tenant, name="user_all", audience="https://other.example")
    assert "user_all" not in tenant_rights.provide(tenant)
    with pytest.raises(ValidationError):
        tenant_rights.chosen(tenant, ["user_all"])


@pytest.mark.security("S36")
def test_rights_of_another_tenant_cannot_be_granted() -> None:
    client = make_client()
    theirs = tenant_rights.chosen(make_tenant(), ["user_all"])
    with pytest.raises(ValidationError) as refused:
        update_client(client, api_scopes=theirs)
    assert "api_scopes" in refused.value.message_dict


@pytest.mark.parametrize("rate", [0, 1_000_001, -1])
def test_a_rate_that_is_none_is_refused(rate: int) -> None:
    with pytest.raises(ValidationError) as refused:
        register_client(
            catalogue_entry=make_application(), redirect_uris=["https://a.example/"], api_requests_per_minute=rate
        )
    assert "api_requests_per_minute" in refused.value.message_dict


# The admin -------------------------------------------------------------------------------------------------


def form_of(page: Any) -> dict[str, Any]:
    """What a browser would send back unchanged."""
    form = page.context["adminform"].form
    data: dict[str, Any] = {}
    for bound in form:
        value = bound.value()
        if isinstance(value, bool):
            if value:
                data[bound.html_name] = "on"
        elif bound.name == "api_scopes":
            data[bound.html_name] = [getattr(entry, "pk", entry) for entry in value or []]
        elif value is not None:
            data[bound.html_name] = value
    return data


def test_an_operator_grants_and_takes_rights() -> None:
    world = World(rights=())
    operator = operator_of(world.tenant)
    browser: Browser = sign_in(operator)
    address = reverse("admin:oidc_provider_client_change", args=[world.client.pk])
    page = browser.get(address)
    for name in ALL_RIGHTS:
        assert name in page.content.decode()
    right = ApiScope.objects.get(tenant=world.tenant, name="user_read")
    answer = browser.post(address, {**form_of(page), "api_scopes": [right.pk]})
    assert answer.status_code == 302, answer.context["adminform"].form.errors
    assert scopes_of(world.client) == ["user_read"]
    event = AuditEvent.objects.filter(event_type="client:update").latest("pk")
    assert (event.actor_id, event.changes["api_scopes"]) == (operator.public_id, [[], ["user_read"]])
    assert world.call("getUserById").status_code == 200
    assert browser.post(address, {**form_of(page), "api_scopes": []}).status_code == 302
    assert world.ask_for_token().status_code == 400


# Configuration as code -------------------------------------------------------------------------------------


def apply(tmp_path: Path, **client: Any) -> None:
    file = tmp_path / "config.yaml"
    entry = {"client_id": "hr", "client_secret": SECRET, "grant_types": ["client_credentials"], "response_types": []}
    document = {
        "tenant": {"code": "acme"},
        "api_scopes": [{"name": "orders:read", "audience": "https://orders.example"}],
        "applications": [{"code": "hr", "clients": [{**entry, "scopes": [], **client}]}],
    }
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
    call_command("apply_config", str(file))


def test_a_file_grants_rights_beside_other_scopes(tmp_path: Path) -> None:
    make_keys(make_tenant(code="acme"))
    apply(tmp_path, tenant_api=["user_all", "org_read"], api_requests_per_minute=600)
    client = Client.objects.get(client_id="hr")
    assert (scopes_of(client), client.api_requests_per_minute) == (["org_read", "user_all"], 600)
    apply(tmp_path, api_scopes=["orders:read"])
    assert scopes_of(client) == ["orders:read", "org_read", "user_all"]
    apply(tmp_path, tenant_api=["app_read"])
    assert scopes_of(client) == ["app_read", "orders:read"]
    apply(tmp_path, tenant_api=[], api_scopes=["user_read"])
    assert scopes_of(client) == ["user_read"]


def test_a_right_that_is_none_is_refused_by_name(tmp_path: Path) -> None:
    make_tenant(code="acme")
    with pytest.raises(CommandError, match="root_all"):
        apply(tmp_path, tenant_api=["root_all"])
