"""Whatever an operator writes leaves an event that says who, what, before and after (S50)."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.db import connection
from django.test import RequestFactory
from django.urls import reverse
from django.utils import timezone

from cas_saml.models import ServiceProvider
from identity.admin.base import ReadOnly, TenantScoped, WrittenByService, WrittenInline
from identity.models import AuditEvent, Delivery, MessageGateway, MessagePolicy, Tenant, TrustedDevice, User
from oidc_provider.models import Client
from tests.admin.console import Console, Data
from tests.factories import make_account, make_user
from tests.factories.oidc import make_session

MASKS = ("***", "…", "•••")  # of personal data and secrets, whose values stand elsewhere or nowhere


@pytest.fixture
def console(tenant: Tenant) -> Console:
    return Console()


def request_of(console: Console) -> Any:
    request = RequestFactory().get("/admin/")
    request.user = console.operator
    return request


# Rows below rows -------------------------------------------------------------------------------------------


def _new_host(console: Console, data: Data, prefix: str) -> None:
    index = int(data[f"{prefix}-TOTAL_FORMS"])
    data |= {f"{prefix}-TOTAL_FORMS": index + 1, f"{prefix}-{index}-host": "new.example"}
    data |= {f"{prefix}-{index}-position": "5"}


def _new_member(console: Console, data: Data, prefix: str) -> None:
    role = next(row for row in console.rows if row._meta.model_name == "approle")
    account = make_account(make_user(console.tenant), role.application)
    index = int(data[f"{prefix}-TOTAL_FORMS"])
    data |= {f"{prefix}-TOTAL_FORMS": index + 1, f"{prefix}-{index}-account": account.pk}


def _no_member(console: Console, data: Data, prefix: str) -> None:
    data[f"{prefix}-0-DELETE"] = "on"


# Name of the inline to what an operator does there. An inline that is not here fails the test below.
INLINES: dict[str, list[Callable[[Console, Data, str], None]]] = {
    "DomainInline": [_new_host],
    "PasswordPolicyInline": [lambda console, data, prefix: data.update({f"{prefix}-0-min_length": "12"})],
    "SessionPolicyInline": [lambda console, data, prefix: data.update({f"{prefix}-0-idle_seconds": "3600"})],
    "MessagePolicyInline": [lambda console, data, prefix: data.update({f"{prefix}-0-per_tenant_day": "7"})],
    "RoleMemberInline": [_new_member, _no_member],
}


@pytest.mark.security("S50")
def test_every_row_below_a_row_is_written_by_a_service_that_audits_before_and_after(console: Console) -> None:
    request, found = request_of(console), set()
    for row in {type(row): row for row in console.rows}.values():
        for inline in admin.site._registry[type(row)].get_inline_instances(request, row):
            may = (inline.has_add_permission, inline.has_change_permission, inline.has_delete_permission)
            if not any(allowed(request, row) for allowed in may):
                continue
            name = type(inline).__name__
            found.add(name)
            assert isinstance(inline, WrittenInline), name
            prefix = inline.get_formset(request, row).get_default_prefix()
            for change in INLINES[name]:
                data = console.form(console.page(row))
                change(console, data, prefix)
                events = console.events(lambda row=row, data=data: console.browser.post(console.page(row), data))
                pairs = [pair for event in events for pair in event.changes.values()]
                assert pairs, name
                assert all(before != after for before, after in pairs), (name, pairs)
    assert found == set(INLINES)


# Forms -----------------------------------------------------------------------------------------------------

# Model to what is changed in its form.
FORMS: dict[str, Data] = {
    "identity.tenant": {"name": "Other"},
    "identity.application": {"description": "Other"},
    "identity.apporganization": {"name": "Other"},
    "identity.appaccount": {"name": "Other"},
    "identity.approle": {"name": "Other"},
    "identity.attributedefinition": {"label": "Other"},
    "identity.organization": {"name": "Other"},
    "identity.user": {"name": "Other"},
    "identity.messagegateway": {"name": "Other"},
    "identity.messagetemplate": {"text": "{tenant}: {code}."},
    "identity.upstream": {"name": "Other"},
    "auth.group": {"permissions": []},
    "oidc_provider.client": {"name": "Other"},
    "oidc_provider.apiscope": {"description": "Other"},
    "oidc_provider.hostapplication": {"networks": "192.0.2.0/24"},
    "cas_saml.casservice": {"match": "prefix"},
    "cas_saml.serviceprovider": {"default_relay_state": "home"},
}


@pytest.mark.security("S50")
def test_every_changed_row_has_an_event_with_its_values_before_and_after(console: Console) -> None:
    writable = {
        model._meta.label_lower
        for model, model_admin in admin.site._registry.items()
        if not isinstance(model_admin, ReadOnly)
    }
    assert writable == set(FORMS)
    request = request_of(console)
    for model, model_admin in admin.site._registry.items():
        if isinstance(model_admin, ReadOnly):
            continue
        # No bare form of Django's writes: not by saving, not by deleting, and each tells its form how to write.
        assert isinstance(model_admin, WrittenByService), model
        assert type(model_admin).save_model is WrittenByService.save_model, model
        by_service = type(model_admin).delete_model is not TenantScoped.delete_model
        assert by_service or not model_admin.has_delete_permission(request), model
    for label, changed in FORMS.items():
        row = next(row for row in console.rows if row._meta.label_lower == label)
        if isinstance(row, MessageGateway):
            continue  # its settings are many fields: tests/admin/test_messages.py
        data = {**console.form(console.page(row)), **changed}
        events = console.events(lambda row=row, data=data: console.browser.post(console.page(row), data))
        told = {name: pair for event in events for name, pair in event.changes.items()}
        details = [event.details for event in events]
        assert told or any(details), label
        if told:
            assert all(before != after or before in MASKS for before, after in told.values()), (label, told)


# Actions ---------------------------------------------------------------------------------------------------

READS_ONLY = {"identity.application:deliveries", "cas_saml.serviceprovider:preview"}


def _prepare(console: Console, row: Any, path: str) -> Data:
    """What the action needs to have something to do, and what its form holds."""
    if path == "end-trust":
        later = timezone.now() + timedelta(days=1)
        TrustedDevice.objects.create(user=row, handle_hash="a", binding_hash="b", epoch=row.epoch, expires_at=later)
    if path == "unlock":
        User.objects.filter(pk=row.pk).update(locked_until=timezone.now() + timedelta(minutes=5))
    if path == "end-sessions":
        make_session(row)
    if path == "try-again":
        Delivery.objects.filter(pk=row.pk).update(state="failed")
        row.refresh_from_db()
    if path == "import-metadata":
        return {"metadata_text": _metadata_of(row)}
    if path == "send-test":
        return {"target": "+8613800138000"}
    return {}


def _metadata_of(provider: ServiceProvider) -> str:
    return (
        f'<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="{provider.entity_id}">'
        '<SPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">'
        '<AssertionConsumerService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"'
        ' Location="https://moved.example/acs" index="0"/></SPSSODescriptor></EntityDescriptor>'
    )


@pytest.mark.security("S50")
def test_every_action_that_writes_has_an_event_of_the_operator(console: Console) -> None:
    MessagePolicy.objects.update(allowed_countries="CN")
    done, silent = set(), []
    # The person comes last, as nothing can be done with what went with a deleted one.
    for row in sorted({type(row): row for row in console.rows}.values(), key=lambda row: isinstance(row, User)):
        model_admin = admin.site._registry[type(row)]
        assert not any(getattr(model_admin, name) for name in ("actions_list", "actions_row", "actions_submit_line"))
        assert not set(model_admin.get_actions(request_of(console))), row
        for action in model_admin._get_base_actions_detail():
            name = f"{row._meta.label_lower}:{action.path}"
            done.add(name)
            if name in READS_ONLY or name == "identity.messagegateway:send-test":
                continue  # sending is its own record: a sent message, tests/admin/test_messages.py
            data = {"confirm": "yes", **_prepare(console, row, action.path)}
            page = f"{console.page(row).removesuffix('change/')}{action.path}/"
            newest = AuditEvent.objects.latest("pk").pk
            answer = console.browser.post(page, data)
            assert answer.status_code in (200, 302), (name, answer.content.decode()[:2000])
            events = AuditEvent.objects.filter(pk__gt=newest, actor_id=console.operator.public_id, outcome="success")
            if not any(event.target_id and (event.changes or event.details or event.sid) for event in events):
                silent.append((name, [(event.event_type, event.changes, event.details) for event in events]))
    assert silent == [], silent
    assert done >= READS_ONLY
    assert len(done) >= 14


@pytest.mark.parametrize("changes", [{"name": "value alone"}, {"name": ["before", "after"]}, {"a": [1, 2, 3]}, [], "x"])
def test_the_page_of_an_event_shows_whatever_was_written_once(console: Console, changes: Any) -> None:
    event = AuditEvent.objects.latest("pk")
    with connection.cursor() as cursor:  # rows of the trail are never written again, so past the model
        cursor.execute("UPDATE identity_auditevent SET changes = %s WHERE id = %s", [json.dumps(changes), event.pk])
    assert console.browser.get(console.page(event)).status_code == 200


def test_the_event_of_a_new_client_has_pairs_and_a_page(console: Console) -> None:
    data = {"new_name": "Wiki", "new_code": "wiki", "kind": "web", "dialect": "standard"}
    data["redirect_uris"] = "https://wiki.example/callback"
    add = reverse("admin:oidc_provider_client_add")
    events = console.events(lambda: console.browser.post(add, data), status=200)
    created = next(event for event in events if event.event_type == "client:create")
    assert all(isinstance(pair, list) and len(pair) == 2 for pair in created.changes.values())
    assert console.browser.get(console.page(created)).status_code == 200


def test_a_client_that_is_connected_in_the_console_signs_as_the_tenant_says(console: Console) -> None:
    page = console.page(console.tenant)
    assert "17 µs" in console.browser.get(page).text
    console.browser.post(page, console.form(page) | {"id_token_signed_response_alg": "ES256"})
    data = {"new_name": "Wiki", "new_code": "wiki", "kind": "web", "dialect": "standard"}
    data["redirect_uris"] = "https://wiki.example/callback"
    console.browser.post(reverse("admin:oidc_provider_client_add"), data)
    assert Client.objects.get(catalogue_entry__code="wiki").id_token_signed_response_alg == "ES256"
