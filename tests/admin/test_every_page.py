"""Every page of the admin that there is, found and not listed, as everybody who works there (S50)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django.db import models
from django.test import Client as Browser
from django.urls import reverse
from django.utils import functional

from identity.models import Tenant
from identity.operator_groups import AUDITORS, HELP_DESK, TENANT_OPERATORS
from tests.admin.conftest import fill, operator_of, sign_in
from tests.admin.console import SECRETS, detail_addresses
from tests.factories import make_operator

ROLES = ["superuser", TENANT_OPERATORS, HELP_DESK, AUDITORS]


def browser_of(tenant: Tenant, role: str) -> Browser:
    person = make_operator(tenant, is_superuser=True) if role == "superuser" else operator_of(tenant, role)
    browser = sign_in(person)
    browser.raise_request_exception = False
    return browser


def every_page(rows: list[models.Model]) -> Iterator[str]:
    """The list, the form for a new row, and each page of a row: change, delete, history, actions."""
    seen = set()
    for row in rows:
        if type(row) in seen:
            continue
        seen.add(type(row))
        for name in ("changelist", "add"):
            yield reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_{name}")
        yield from detail_addresses(row)
    for name in ("index", "app_list", "jsi18n"):
        yield reverse(f"admin:{name}", args=["identity"] if name == "app_list" else [])


@pytest.mark.security("S50")
@pytest.mark.parametrize("role", ROLES)
def test_no_page_fails_or_offers_every_tenant_whoever_opens_it(tenant: Tenant, role: str) -> None:
    Tenant.objects.bulk_create(Tenant(code=f"t{number}", name=f"Tenant {number}") for number in range(300))
    rows = [*fill(tenant, SECRETS), Group.objects.get(name=HELP_DESK)]
    assert {type(row) for row in rows} == set(admin.site._registry)
    browser = browser_of(tenant, role)
    answers, offering = {}, []
    for page in every_page(rows):
        answer = browser.get(page)
        answers[page] = answer.status_code
        if not answer.streaming and answer.content.count(b">Tenant 2") >= 60:
            offering.append(page)
    assert {page: status for page, status in answers.items() if status not in (200, 302, 403, 404)} == {}
    assert sum(status == 200 for status in answers.values()) > {HELP_DESK: 10}.get(role, 60)
    assert offering == []


@pytest.mark.security("S50")
@pytest.mark.parametrize("role", ["superuser", TENANT_OPERATORS])
def test_every_form_for_a_new_row_that_is_offered_opens(tenant: Tenant, role: str) -> None:
    browser, opened = browser_of(tenant, role), []
    for model in admin.site._registry:
        page = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_add")
        status = browser.get(page).status_code
        assert status in (200, 403), (page, status)
        if status == 200:
            opened.append(model._meta.model_name)
    assert {"application", "user", "client", "organization", "serviceprovider", "casservice"} <= set(opened)


@pytest.mark.parametrize("name", ["application", "organization", "user", "attributedefinition"])
def test_a_superuser_narrows_a_list_to_one_tenant(tenant: Tenant, name: str) -> None:
    fill(tenant, SECRETS)
    page = reverse(f"admin:identity_{name}_changelist")
    browser = browser_of(tenant, "superuser")
    shown = browser.get(page).content.decode()
    assert "tenant__id__exact" in shown
    other = browser.get(page, {"tenant__id__exact": tenant.pk + 1000})
    mine = browser.get(page, {"tenant__id__exact": tenant.pk})
    assert (other.context["cl"].result_list.count(), mine.context["cl"].result_list.count() > 0) == (0, True)


def test_who_has_one_tenant_is_offered_no_filter_by_tenant(browser: Browser, tenant: Tenant) -> None:
    for model, model_admin in admin.site._registry.items():
        if not hasattr(model_admin, "tenant_lookup"):
            continue
        page = browser.get(reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"))
        assert page.status_code in (200, 403)
        assert "tenant__id__exact" not in page.content.decode(), model


def test_only_the_index_draws_up_the_list_of_all_models(browser: Browser) -> None:
    listed = browser.get(reverse("admin:identity_user_changelist")).context["available_apps"]
    assert listed._wrapped is functional.empty
    assert [app["app_label"] for app in browser.get(reverse("admin:index")).context["app_list"]]
