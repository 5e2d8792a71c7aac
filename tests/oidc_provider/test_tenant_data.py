"""What a tenant has is handed out without secrets, and goes without a rest."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import models

from identity import audit
from identity.context import RequestContext
from identity.directory import tenants
from identity.models import AuditEvent, Tenant, User
from identity.upkeep import tenant_data
from oidc_provider.models import AccessToken, Client
from tests.factories import PASSWORD, make_user
from tests.factories.oidc import CLIENT_SECRET
from tests.support.machine import Machine
from tests.tenant_api.world import World


def referring_to_tenants() -> set[type[models.Model]]:
    """By another way than the service's: whatever a tenant, or what belongs to one, is referred to by."""
    found: set[type[models.Model]] = set()
    waiting: list[Any] = [Tenant]
    while waiting:
        for relation in waiting.pop()._meta.get_fields(include_hidden=True):
            model = relation.related_model
            is_reference = (
                relation.auto_created and not relation.concrete and (relation.one_to_many or relation.one_to_one)
            )
            if is_reference and model not in found and model is not Tenant:
                found.add(model)
                waiting.append(model)
    return found


def test_every_table_that_refers_to_a_tenant_is_covered() -> None:
    covered = {table.model for table in tenant_data.tables()}
    assert {model for model in referring_to_tenants() if not model._meta.proxy} == covered
    assert len(covered) > 35
    assert covered < set(apps.get_models(include_auto_created=True))


def fill(machine: Machine) -> Tenant:
    machine.tokens(scope="openid offline_access")
    tenant = machine.context.tenant
    make_user(tenant, mobile="+8613812345678")
    tenants.update(tenant=tenant, context=RequestContext(tenant=tenant, ip="203.0.113.9"), name="Another name")
    return tenant


@pytest.mark.django_db
def test_the_export_holds_every_row_and_no_secret(machine: Machine, tmp_path: Path) -> None:
    tenant = fill(machine)
    file = tmp_path / "tenant.jsonl"
    call_command("export_tenant", tenant.code, str(file), stdout=StringIO())
    assert file.stat().st_mode & 0o077 == 0
    text = file.read_text("utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    for table in tenant_data.tables():
        assert sum(line["model"] == table.name for line in lines) == table.rows(tenant).count()
    assert lines[0]["model"] == "identity.Tenant"
    client, user = Client.objects.get(pk=machine.client.pk), User.objects.filter(tenant=tenant).first()
    assert user is not None
    for secret in (CLIENT_SECRET, PASSWORD, client.secret_hash, user.password, "private_sealed", "13812345678"):
        assert secret not in text
    with pytest.raises(CommandError):  # Never over a file that is there.
        call_command("export_tenant", tenant.code, str(file))


@pytest.mark.django_db
def test_a_removed_tenant_leaves_its_trail_and_nothing_else(machine: Machine) -> None:
    tenant, other = fill(machine), World()
    code, before = tenant.code, AuditEvent.objects.filter(tenant=tenant).count()
    kept = {table.name: table.rows(other.tenant).count() for table in tenant_data.tables()}
    out = StringIO()
    call_command("remove_tenant", code, "--dry-run", stdout=out)
    assert "identity.User: 2" in out.getvalue().splitlines()
    with pytest.raises(CommandError, match="Nothing was removed"):
        call_command("remove_tenant", code, "--confirm", "other", stdout=out)
    assert AccessToken.objects.exists()
    call_command("remove_tenant", code, "--confirm", code, stdout=out)
    assert tenant_data.count(tenant) == {}
    assert AuditEvent.objects.filter(tenant=tenant).count() == before + 2  # closed, removed
    assert all(not row.personal.get("ip") for row in AuditEvent.objects.filter(tenant=tenant))
    audit.chain_pending()
    assert not any(report.problems for report in audit.verify())
    assert tenants.find_by_code(code) is None
    assert not Tenant.objects.get(pk=tenant.pk).is_active
    assert {table.name: table.rows(other.tenant).count() for table in tenant_data.tables()} == kept


@pytest.mark.django_db
def test_the_tenant_of_the_last_superuser_stays(machine: Machine) -> None:
    tenant = fill(machine)
    make_user(tenant, is_superuser=True, is_staff=True)
    with pytest.raises(CommandError, match="Nothing was removed"):
        call_command("remove_tenant", tenant.code, "--confirm", tenant.code, stdout=StringIO())
    assert tenant_data.count(tenant)
