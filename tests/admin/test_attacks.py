"""What an operator may try with the admin's own machinery: addresses that filter, rights, switches."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.db import models
from django.test import Client as Browser
from django.urls import reverse

from identity.context import SYSTEM
from identity.directory import users
from identity.errors import AlreadyExists
from identity.models import Application, Tenant
from identity.operator_groups import AUDITORS
from tests.admin.conftest import fill, operator_of, sign_in
from tests.factories import make_attribute, make_operator, make_user

SECRETS = {"mobile": "+8613811113333", "id": "110101199003078888", "handle": "another-handle-that-nobody-may-see"}
GUESSED = ("password", "_hash", "_sealed", "_index", "_checksum", "device_code", "user_code", "nonce", "binding")


@pytest.mark.security("S41")
def test_no_address_filters_by_a_column_that_is_hidden(tenant: Tenant) -> None:
    rows = fill(tenant, SECRETS)
    auditor = sign_in(operator_of(tenant, AUDITORS))
    tried = 0
    for row in rows:
        changelist = reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_changelist")
        for field in row._meta.concrete_fields:
            value = field.value_from_object(row)
            if any(mark in field.name for mark in GUESSED) and isinstance(value, str) and field.name != "previous_hash":
                for look_up in ("startswith", "regex", "gte"):
                    response = auditor.get(changelist, {f"{field.name}__{look_up}": value[:3] or "a"})
                    assert response.status_code == 400, (row, field.name, look_up)
                    tried += 1
    assert tried > 60


def test_the_filters_of_a_list_go_on_working(browser: Browser, tenant: Tenant) -> None:
    fill(tenant, SECRETS)
    for model, model_admin in admin.site._registry.items():
        if model._meta.app_label not in ("identity", "oidc_provider"):
            continue
        for name in model_admin.list_filter:
            assert isinstance(name, str)
            field = model._meta.get_field(name)
            value = "1" if isinstance(field, models.BooleanField) else "x"
            address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
            assert browser.get(address, {f"{name}__exact": value}).status_code == 200, (model, name)


@pytest.mark.security("S34")
def test_only_a_superuser_lets_an_application_have_private_addresses_called(browser: Browser, tenant: Tenant) -> None:
    data = {"code": "wiki", "name": "Wiki", "access": "everyone", "is_active": "on", "is_internal": "on"}
    assert browser.post(reverse("admin:identity_application_add"), data).status_code == 302
    row = Application.objects.get(code="wiki")
    assert not row.is_internal
    change = reverse("admin:identity_application_change", args=[row.pk])
    assert browser.post(change, data).status_code == 302
    row.refresh_from_db()
    assert not row.is_internal
    superuser = sign_in(make_operator(tenant, is_superuser=True))
    assert superuser.post(change, data).status_code == 302
    row.refresh_from_db()
    assert row.is_internal


def test_an_attribute_that_becomes_unique_takes_in_the_values_that_exist(browser: Browser, tenant: Tenant) -> None:
    definition = make_attribute(tenant, "badge")
    make_user(tenant, extension={"badge": "B1"})
    change = reverse("admin:identity_attributedefinition_change", args=[definition.pk])
    data = {"target": "user", "name": "badge", "type": "string", "choices": "[]", "editable_by": "api", "position": "0"}
    assert browser.post(change, {**data, "is_unique": "on"}).status_code == 302
    definition.refresh_from_db()
    assert definition.is_unique
    with pytest.raises(AlreadyExists):
        users.update(user=make_user(tenant), extension={"badge": "b1"}, context=SYSTEM)
    assert browser.post(change, data).status_code == 302
    make_user(tenant, extension={"badge": "B1"})
    response = browser.post(change, {**data, "is_unique": "on"}, follow=True)
    assert "USER.0035" in response.content.decode()
    definition.refresh_from_db()
    assert not definition.is_unique
