"""What the console writes of definitions, scopes, CAS services and sets of rights goes through their services."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import models
from django.test import Client as Browser
from django.urls import reverse

from cas_saml.models import CASService
from identity.models import AttributeDefinition, AuditEvent, Tenant, User
from identity.operator_groups import TENANT_OPERATORS
from oidc_provider.models import ApiScope
from tests.admin.conftest import sign_in
from tests.factories import make_application, make_attribute, make_operator, make_tenant
from tests.factories.cas import make_cas_service
from tests.factories.oidc import make_client

pytestmark = [pytest.mark.django_db, pytest.mark.security("S50")]


def page(row: models.Model | type[models.Model], name: str) -> str:
    args = [row.pk] if isinstance(row, models.Model) else []
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_{name}", args=args)


def last_event(user: User) -> AuditEvent:
    return AuditEvent.objects.filter(actor_id=user.public_id, outcome="success").latest("pk")


def errors(answer: Any) -> dict[str, list[str]]:
    found: dict[str, list[str]] = answer.context["adminform"].form.errors
    return found


ATTRIBUTE = {"target": "user", "name": "badge", "type": "string", "choices": "[]", "editable_by": "api", "position": 0}


def test_a_definition_is_made_changed_and_taken_away(browser: Browser, operator: User) -> None:
    assert browser.post(page(AttributeDefinition, "add"), ATTRIBUTE).status_code == 302
    row = AttributeDefinition.objects.get()
    assert (row.tenant, row.name, row.is_unique) == (operator.tenant, "badge", False)
    assert (last_event(operator).event_type, last_event(operator).changes["attribute.badge.name"]) == (
        "tenant:update",
        ["", "badge"],
    )
    count = AuditEvent.objects.count()
    assert browser.post(page(row, "change"), ATTRIBUTE).status_code == 302
    assert AuditEvent.objects.count() == count  # nothing was changed
    # What values are kept under is not changed below them.
    renamed = {**ATTRIBUTE, "name": "other", "is_unique": "on"}
    assert browser.post(page(row, "change"), renamed).status_code == 302
    assert last_event(operator).changes == {"attribute.badge.is_unique": [False, True]}
    row.refresh_from_db()
    assert (row.name, row.is_unique) == ("badge", True)
    assert browser.post(page(row, "delete"), {"post": "yes"}).status_code == 302
    assert last_event(operator).changes["attribute.badge.name"] == ["badge", ""]
    assert not AttributeDefinition.objects.exists()


def test_a_second_definition_of_a_name_changes_nothing_of_the_first(browser: Browser, operator: User) -> None:
    row = make_attribute(operator.tenant, "badge", label="Badge")
    answer = browser.post(page(AttributeDefinition, "add"), {**ATTRIBUTE, "label": "Mine"})
    assert (answer.status_code, set(errors(answer))) == (200, {"name"})
    row.refresh_from_db()
    assert row.label == "Badge"


def test_values_that_two_people_share_are_told_at_the_form(browser: Browser, operator: User) -> None:
    from tests.factories import make_user

    row = make_attribute(operator.tenant, "badge")
    for _ in range(2):
        make_user(operator.tenant, extension={"badge": "7"})
    answer = browser.post(page(row, "change"), {**ATTRIBUTE, "is_unique": "on"})
    assert answer.status_code == 200
    assert "USER.0035" in str(errors(answer))
    row.refresh_from_db()
    assert not row.is_unique


@pytest.mark.security("S36")
def test_a_superuser_defines_no_attribute_across_tenants(tenant: Tenant) -> None:
    browser = sign_in(make_operator(tenant, is_superuser=True))
    foreign = make_application(make_tenant())
    data = {**ATTRIBUTE, "tenant": tenant.pk, "target": "account", "application": foreign.pk}
    assert browser.post(page(AttributeDefinition, "add"), data).status_code == 200
    assert not AttributeDefinition.objects.exists()


SCOPE = {"name": "wiki:read", "audience": "https://api.example", "description": "Read"}


def test_a_scope_is_made_changed_and_taken_away(browser: Browser, operator: User) -> None:
    assert browser.post(page(ApiScope, "add"), SCOPE).status_code == 302
    row = ApiScope.objects.get(name="wiki:read")
    assert (row.tenant, row.audience) == (operator.tenant, "https://api.example")
    assert last_event(operator).changes["name"] == ["", "wiki:read"]
    changed = {**SCOPE, "name": "user_all", "description": "Reads"}
    assert browser.post(page(row, "change"), changed).status_code == 302
    assert last_event(operator).changes == {"description": ["Read", "Reads"]}
    row.refresh_from_db()
    assert row.name == "wiki:read"  # what clients ask for, and what rights of the tenant API are told by
    client = make_client(make_application(operator.tenant))
    client.api_scopes.add(row)
    assert browser.post(page(row, "delete"), {"post": "yes"}).status_code == 302
    assert last_event(operator).changes["clients"] == [[client.client_id], []]


@pytest.mark.parametrize("name", ["openid", "two words", 'quo"ted', "名"])
def test_a_name_that_no_scope_can_have_is_told_at_its_field(browser: Browser, name: str) -> None:
    answer = browser.post(page(ApiScope, "add"), {**SCOPE, "name": name})
    assert (answer.status_code, set(errors(answer))) == (200, {"name"})
    assert not ApiScope.objects.filter(name=name).exists()


def test_a_second_scope_of_a_name_changes_nothing_of_the_first(browser: Browser) -> None:
    browser.post(page(ApiScope, "add"), SCOPE)
    answer = browser.post(page(ApiScope, "add"), {**SCOPE, "audience": "https://other.example"})
    assert (answer.status_code, set(errors(answer))) == (200, {"name"})
    assert ApiScope.objects.get(name="wiki:read").audience == "https://api.example"


def test_a_cas_service_moves_and_goes_with_its_events(browser: Browser, operator: User) -> None:
    row = make_cas_service(make_application(operator.tenant), url="https://wiki.example/cas")
    data = {"url": "https://moved.example/cas", "match": "exact", "attributes": "{}", "is_active": "on"}
    assert browser.post(page(row, "change"), data).status_code == 302
    assert last_event(operator).changes["url"] == ["https://wiki.example/cas", "https://moved.example/cas"]
    row.refresh_from_db()
    assert row.origin == "https://moved.example"
    assert browser.post(page(row, "delete"), {"post": "yes"}).status_code == 302
    assert last_event(operator).changes["url"] == ["https://moved.example/cas", None]
    assert not CASService.objects.exists()


@pytest.mark.security("S46")
def test_what_the_product_finds_by_its_name_is_not_deleted_in_the_console(tenant: Tenant) -> None:
    browser, group = sign_in(make_operator(tenant, is_superuser=True)), Group.objects.get(name=TENANT_OPERATORS)
    answer = browser.post(page(group, "delete"), {"post": "yes"}, follow=True)
    assert "part of the product" in answer.content.decode()
    renamed = browser.post(page(group, "change"), {"name": "Mine"})
    assert "part of the product" in str(errors(renamed))
    group.refresh_from_db()
    assert (group.name, group.permissions.exists()) == (TENANT_OPERATORS, True)
