"""Operators set sources up, and take links away."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client as Browser
from django.urls import reverse

from identity.federation import upstreams
from identity.models import AuditEvent, ExternalIdentity, Tenant, Upstream, User
from identity.operator_groups import AUDITORS
from tests.admin.conftest import operator_of, sign_in
from tests.factories import make_tenant, make_user
from tests.factories.upstreams import make_link, make_upstream

SECRET = "0123456789abcdef0123456789abcdef"
FORM = {"kind": "wechat", "client_id": "wx1", "unknown_user": "bind", "for_apps": "on", "is_active": "on"}


def page(row: Any, name: str = "change") -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_{name}", args=[row.pk])


def errors_of(response: Any) -> list[str]:
    return re.findall(r"errorlist.*?</", response.content.decode(), re.DOTALL)


def test_a_source_is_made_through_the_service_and_its_secret_never_shown(browser: Browser, operator: User) -> None:
    response = browser.post(reverse("admin:identity_upstream_add"), {**FORM, "secret": SECRET})
    assert response.status_code == 302, errors_of(response)
    row = Upstream.objects.get()
    assert (row.tenant, upstreams.account_of(row).secret) == (operator.tenant, SECRET)
    shown = browser.get(page(row)).content.decode()
    assert SECRET not in shown
    assert row.secret_sealed not in shown
    assert f"/login/with/{row.public_id}/callback" in shown
    event = AuditEvent.objects.get(event_type="upstream:create")
    assert event.actor_id == operator.public_id


def test_a_change_without_a_secret_keeps_it(browser: Browser, operator: User) -> None:
    row = make_upstream(operator.tenant, secret=SECRET, client_id="wx1")
    response = browser.post(page(row), {**FORM, "name": "For shops"})
    assert response.status_code == 302, errors_of(response)
    row.refresh_from_db()
    assert (row.name, upstreams.account_of(row).secret) == ("For shops", SECRET)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"secret": ""}, "The AppSecret is missing."),
        ({"api_url": "http://x.example", "secret": SECRET}, "the URL is not https"),
        ({"kind": "x"}, "x is not one of the available choices"),
    ],
    ids=["no secret", "plain http", "no such kind"],
)
def test_what_cannot_work_is_told_at_the_form(browser: Browser, changes: dict[str, str], text: str) -> None:
    response = browser.post(reverse("admin:identity_upstream_add"), {**FORM, **changes})
    assert response.status_code == 200
    assert text in response.content.decode()
    assert not Upstream.objects.exists()


@pytest.mark.security("S34")
def test_an_operator_cannot_point_a_source_at_the_private_network(browser: Browser, operator: User) -> None:
    data = {**FORM, "secret": SECRET, "is_internal": "on", "api_url": "http://10.0.0.1"}
    assert browser.post(reverse("admin:identity_upstream_add"), data).status_code == 200
    row = make_upstream(operator.tenant, is_internal=True, api_url="http://10.0.0.1")
    assert browser.post(page(row), {**FORM, "api_url": "http://10.0.0.2"}).status_code == 403
    row.refresh_from_db()
    assert row.api_url == "http://10.0.0.1"


@pytest.mark.security("S36")
def test_another_tenants_source_is_not_there(browser: Browser) -> None:
    row = make_upstream(make_tenant())
    assert browser.get(page(row)).status_code in (302, 404)
    assert browser.post(page(row), {**FORM, "name": "mine"}).status_code in (302, 404)
    row.refresh_from_db()
    assert row.name == ""


def test_an_operator_unlinks_the_last_way_too(browser: Browser, operator: User) -> None:
    user = make_user(operator.tenant, password=None)
    link = make_link(user, make_upstream(operator.tenant), subject="u-1", openid="o-1")
    address = f"{page(link).removesuffix('change/')}unlink/"
    assert browser.post(address, {"confirm": "yes"}).status_code == 302
    assert not ExternalIdentity.objects.exists()
    event = AuditEvent.objects.get(event_type="external_identity:unlink")
    assert (event.actor_id, event.target_id) == (operator.public_id, user.public_id)


def test_who_only_looks_cannot_unlink(tenant: Tenant) -> None:
    link = make_link(make_user(tenant), make_upstream(tenant), subject="u-1")
    browser = sign_in(operator_of(tenant, AUDITORS))
    assert browser.post(f"{page(link).removesuffix('change/')}unlink/", {"confirm": "yes"}).status_code == 403
    assert ExternalIdentity.objects.exists()
