"""Every admin address, as an operator of the tenant, of another tenant, and as nobody."""

from __future__ import annotations

import re

import pytest
from django.apps import apps
from django.contrib import admin
from django.db import models
from django.test import Client as Browser
from django.urls import reverse

from identity.models import Tenant, User
from tests.admin.conftest import fill, operator_of, sign_in
from tests.admin.console import SECRETS, address, detail_addresses
from tests.factories import make_operator, make_tenant, make_user

OUR_APPS = ("identity", "oidc_provider", "cas_saml")
# Rows that belong to no tenant are for superusers.
GLOBAL = {"auth.group"}


def test_every_model_of_ours_is_registered() -> None:
    ours = {model for label in OUR_APPS for model in apps.get_app_config(label).get_models()}
    inline_only = {"tenantdomain", "passwordpolicy", "sessionpolicy", "messagepolicy"}
    of_the_machine = {"secretfingerprint", "publishedkeys"}  # nobody's to look at or to change
    of_the_toolkit = {"idtoken", "devicegrant"}  # tables that it demands and nobody writes
    missing = {model._meta.model_name for model in ours - set(admin.site._registry)}
    assert missing == inline_only | of_the_machine | of_the_toolkit


@pytest.fixture
def rows(tenant: Tenant) -> list[models.Model]:
    return fill(tenant, SECRETS)


def test_the_sample_has_every_registered_model(rows: list[models.Model]) -> None:
    registered = {model._meta.label_lower for model in admin.site._registry} - GLOBAL
    assert {row._meta.label_lower for row in rows} == registered


def test_a_user_who_is_no_operator_is_told_so(tenant: Tenant) -> None:
    response = sign_in(make_user(tenant)).get("/admin/", follow=True)
    assert response.status_code == 403
    assert "You do not have access" in response.content.decode()
    assert "script-src 'self'" in response["Content-Security-Policy"]


@pytest.mark.security("S36")
def test_an_operator_of_another_tenant_sees_no_row_and_reaches_no_page(rows: list[models.Model]) -> None:
    stranger = sign_in(operator_of(make_tenant()))
    for row in rows:
        listed = stranger.get(address(row, "changelist"))
        assert listed.status_code == 200, row
        assert address(row, "change") not in listed.content.decode(), row
        for detail in detail_addresses(row):
            for method in (stranger.get, stranger.post):
                response = method(detail)
                # Django's own change page answers an unknown row with a redirect to the index.
                is_index = response.status_code == 302 and response["Location"] == reverse("admin:index")
                assert is_index or response.status_code in (403, 404), (detail, response.status_code)


@pytest.mark.security("S36")
def test_autocompletion_offers_rows_of_the_own_tenant_only(rows: list[models.Model]) -> None:
    stranger = sign_in(operator_of(make_tenant()))
    for app_label, model_name, field_name in (
        ("identity", "appaccount", "user"),
        ("identity", "appaccount", "application"),
        ("identity", "organization", "parent"),
        ("identity", "attributedefinition", "tenant"),
    ):
        query = {"app_label": app_label, "model_name": model_name, "field_name": field_name, "term": ""}
        results = stranger.get(reverse("admin:autocomplete"), query).json()["results"]
        shown = {int(result["id"]) for result in results}
        model = apps.get_model(app_label, model_name)._meta.get_field(field_name).related_model
        assert not shown & {row.pk for row in rows if isinstance(row, model)}


@pytest.mark.security("S36")
def test_a_form_that_names_a_row_of_another_tenant_is_refused(browser: Browser) -> None:
    foreign = make_user(make_tenant())
    application = fill_application(browser)
    data = {
        "application": application,
        "user": foreign.pk,
        "account_type": "BASIC_ACCOUNT",
        "account_name": "x",
        "extension": "{}",
    }
    response = browser.post(reverse("admin:identity_appaccount_add"), data)
    assert response.status_code == 200
    assert "errorlist" in response.content.decode() or "error" in response.content.decode()
    assert not foreign.app_accounts.exists()


def fill_application(browser: Browser) -> int:
    data = {"code": "wiki", "name": "Wiki", "access": "everyone", "is_active": "on"}
    assert browser.post(reverse("admin:identity_application_add"), data).status_code == 302
    from identity.models import Application

    return Application.objects.get(code="wiki").pk


@pytest.mark.parametrize("page", ["changelist", "add"])
def test_nobody_and_users_without_rights_stay_outside(rows: list[models.Model], tenant: Tenant, page: str) -> None:
    user, without_rights = sign_in(make_user(tenant)), sign_in(make_operator(tenant))
    nobody = Browser(headers={"host": tenant.domains.get().host})
    for row in rows:
        target = address(row, page)
        assert without_rights.get(target).status_code == 403, target
        assert user.get(target).status_code in (302, 403), target
        answer = nobody.get(target)
        assert answer.status_code == 302, target
        assert "next=" in answer["Location"], target


@pytest.mark.security("S41")
def test_an_operator_reaches_the_pages_of_the_own_tenant_and_none_shows_a_secret_or_a_hash(
    browser: Browser, rows: list[models.Model], tenant: Tenant
) -> None:
    hidden = {SECRETS["mobile"], SECRETS["id"], SECRETS["handle"]}
    for row in rows:
        for field in row._meta.concrete_fields:
            value = field.value_from_object(row)
            if (
                (
                    field.name.endswith(("_hash", "_sealed", "_index", "_checksum"))
                    or field.name
                    in (
                        "password",
                        "device_code",
                    )
                )
                and isinstance(value, str)
                and len(value) > 7
                and row._meta.model_name != "auditbatch"
            ):
                hidden.add(value)
    for row in rows:
        for page in (address(row, "changelist"), address(row, "change")):
            answer = browser.get(page)
            assert answer.status_code == 200, page
            text = answer.content.decode()
            assert [value for value in hidden if value in text] == [], page


@pytest.mark.security("S41")
def test_hashes_and_tokens_are_not_searchable() -> None:
    for model, model_admin in admin.site._registry.items():
        for name in model_admin.search_fields:
            assert not re.search(r"hash|sealed|secret|checksum|token|password|code_hash", name), (model, name)


def test_lists_do_not_count_and_forms_have_no_select_over_large_tables(
    browser: Browser, rows: list[models.Model]
) -> None:
    large = {"user", "organization", "appaccount", "application"}
    for model, model_admin in admin.site._registry.items():
        assert model_admin.show_full_result_count is False, model
        if not hasattr(model_admin, "tenant_lookup"):
            continue
        for field in model._meta.concrete_fields:
            related = field.related_model._meta.model_name if field.related_model else ""
            shown = field.name not in model_admin.readonly_fields and field.editable
            if related in large and shown:
                assert field.name in model_admin.autocomplete_fields, (model, field)


@pytest.mark.security("S37")
def test_a_row_cannot_be_moved_to_another_tenant(browser: Browser, operator: User, rows: list[models.Model]) -> None:
    other = make_tenant()
    application = next(row for row in rows if row._meta.model_name == "application")
    data = {"tenant": other.pk, "code": "moved", "name": "Moved", "access": "everyone"}
    assert browser.post(address(application, "change"), data).status_code == 302
    application.refresh_from_db()
    assert application.tenant_id == operator.tenant_id
    assert application.name == "Moved"
