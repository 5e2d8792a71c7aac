"""The doors of the console to people with rights: whatever is pressed, the service decides (S46, S50)."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client as Browser
from django.urls import reverse

from identity.models import ExternalIdentity, Tenant, User
from tests.admin.conftest import sign_in
from tests.factories import make_operator, make_tenant, make_user
from tests.factories.oidc import make_session
from tests.factories.upstreams import make_link, make_upstream

pytestmark = [pytest.mark.django_db, pytest.mark.security("S46")]

FORM = {"user_name": "zhangsan", "name": "Zhang San", "email": "zhang@example.org", "extension": "{}"}
ACTIONS = ["unlock", "reset-password", "end-sessions", "switch", "delete-user"]


def page(row: Any, name: str = "change") -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_{name}", args=[row.pk])


def act(browser: Browser, row: Any, action: str) -> Any:
    return browser.post(f"{page(row).removesuffix('change/')}{action}/", {"confirm": "yes"})


def row_of(user: User) -> dict[str, Any]:
    return User.objects.filter(pk=user.pk).values().get()


@pytest.fixture(params=["operator", "superuser"])
def colleague(request: pytest.FixtureRequest, operator: User) -> User:
    return make_operator(operator.tenant, user_name="colleague", is_superuser=request.param == "superuser")


@pytest.mark.parametrize("action", ACTIONS)
def test_an_operator_does_nothing_to_another_operator(browser: Browser, colleague: User, action: str) -> None:
    before = row_of(colleague)
    assert act(browser, colleague, action).status_code == 403
    assert browser.post(page(colleague), FORM).status_code == 403
    assert row_of(colleague) == before


def test_an_operator_ends_no_session_and_takes_no_link_of_another_operator(browser: Browser, colleague: User) -> None:
    """These rows have pages of their own, beside that of the person."""
    session, link = make_session(colleague), make_link(colleague, make_upstream(colleague.tenant))
    for row, action in ((session, "end"), (link, "unlink")):
        shown = browser.get(act(browser, row, action)["Location"]).content.decode()
        assert "RIGHT.0001" in shown
    session.refresh_from_db()
    assert session.ended_at is None
    assert ExternalIdentity.objects.filter(pk=link.pk).exists()


def test_a_new_address_loses_the_mark_that_the_form_still_shows(browser: Browser, operator: User) -> None:
    user = make_user(operator.tenant, user_name="zhangsan", email="old@example.org", email_verified=True)
    assert browser.post(page(user), {**FORM, "email_verified": "on"}).status_code == 302
    user.refresh_from_db()
    assert (user.email, user.email_verified) == ("zhang@example.org", False)
    browser.post(page(user), {**FORM, "email_verified": "on"})
    user.refresh_from_db()
    assert user.email_verified


def test_an_operator_does_not_mark_their_own_address(browser: Browser, operator: User) -> None:
    form = {**FORM, "email": operator.email, "email_verified": "on"}
    assert "RIGHT.0002" in browser.post(page(operator), form).content.decode()
    assert not row_of(operator)["email_verified"]


@pytest.mark.security("S50")
@pytest.mark.parametrize("action", ["switch", "delete-user"])
def test_nobody_takes_themselves_away(browser: Browser, operator: User, action: str) -> None:
    answer = act(browser, operator, action)
    assert "RIGHT.0002" in browser.get(answer["Location"]).content.decode()
    assert (row_of(operator)["is_active"], row_of(operator)["deleted_at"]) == (True, None)


@pytest.fixture
def root(tenant: Tenant) -> User:
    return make_operator(tenant, user_name="root", is_superuser=True)


@pytest.mark.security("S50")
def test_a_superuser_does_not_demote_themselves(root: User) -> None:
    make_operator(make_tenant(), is_superuser=True)
    browser = sign_in(root)
    shown = browser.post(page(root), {**FORM, "user_name": "root", "is_staff": "on"}).content.decode()
    assert "RIGHT.0002" in shown
    assert row_of(root)["is_superuser"]


@pytest.mark.security("S50")
def test_a_superuser_goes_on_writing_their_own_name(root: User) -> None:
    form = {**FORM, "user_name": "root", "is_staff": "on", "is_superuser": "on"}
    assert sign_in(root).post(page(root), form).status_code == 302
    assert row_of(root)["name"] == "Zhang San"


@pytest.mark.security("S50")
def test_the_tenant_of_the_last_superuser_is_not_stopped(root: User) -> None:
    browser = sign_in(root)
    form = browser.get(page(root.tenant)).context["adminform"].form
    values = {name: value for name, value in form.initial.items() if value not in (None, False)}
    inlines = {
        field.html_name: "" if field.value() is None or field.value() is False else field.value()
        for formset in browser.get(page(root.tenant)).context["inline_admin_formsets"]
        for part in [formset.formset.management_form, *formset.formset.forms]
        for field in part
    }
    values.pop("is_active")
    answer = browser.post(page(root.tenant), {**values, **inlines})
    assert answer.status_code == 200
    assert "This is the last superuser" in answer.content.decode()
    assert Tenant.objects.get(pk=root.tenant_id).is_active
