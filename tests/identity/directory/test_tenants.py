"""Tenants: found by host, changed, remembered for a moment."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from identity import copies
from identity.context import SYSTEM
from identity.directory import tenants
from identity.errors import NotFound
from identity.keyring import keys
from identity.models import AuditEvent, KeyPair, Tenant, TenantDomain
from tests.factories import make_tenant

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def forget() -> None:
    copies.clear()


def test_a_tenant_is_found_by_each_of_its_hosts_with_its_policies(django_assert_num_queries: Any) -> None:
    tenant = tenants.create(
        code="acme",
        context=SYSTEM,
        domains=["ID.acme.example", "login.acme.example:8443"],
        password_policy={"min_length": 12},
    )
    make_tenant()
    with django_assert_num_queries(2):
        for host in ("id.acme.example", "ID.ACME.EXAMPLE", "login.acme.example:8443"):
            found = tenants.find_by_host(host)
            assert found == tenant
            assert (found.password_policy.min_length, found.session_policy.idle_seconds) == (12, 8 * 3600)
    assert [domain.host for domain in tenant.domains.all()] == ["id.acme.example", "login.acme.example:8443"]
    for host in ("login.acme.example", "acme.example", "", "id.acme.example.", "id.acme.example\x00"):
        assert tenants.find_by_host(host) is None


@pytest.mark.security("S26")
def test_a_disabled_tenant_is_not_found() -> None:
    tenant = make_tenant(host="id.acme.example", is_default=True)
    assert tenants.find_by_host("id.acme.example") == tenants.find_default() == tenant
    tenants.update(tenant=tenant, context=SYSTEM, is_active=False)
    assert tenants.find_by_host("id.acme.example") is None
    assert tenants.find_default() is None
    with pytest.raises(NotFound):
        tenants.get_by_public_id(tenant.public_id)


def test_an_answer_is_kept_for_five_seconds_and_forgotten_on_a_change_here(
    monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
) -> None:
    clock = SimpleNamespace(now=1000.0, monotonic=lambda: clock.now)
    monkeypatch.setattr(copies, "time", clock)
    tenant = make_tenant(host="id.acme.example")
    with django_assert_num_queries(1):
        for _again in range(3):
            assert tenants.find_by_host("id.acme.example") == tenant
    # Another process changes the row: this one does not hear of it.
    TenantDomain.objects.filter(tenant=tenant).update(host="new.acme.example")
    clock.now += 4.9
    assert tenants.find_by_host("id.acme.example") == tenant
    clock.now += 0.2
    assert tenants.find_by_host("id.acme.example") is None
    tenants.update(tenant=tenant, context=SYSTEM, domains=["id.acme.example"])
    assert tenants.find_by_host("id.acme.example") == tenant


def test_strange_hosts_do_not_fill_the_memory() -> None:
    for number in range(10):
        assert tenants.find_by_host(f"h{number}.example") is None
    assert copies.taken_bytes() == 0


def test_a_host_that_another_process_has_just_given_to_a_tenant_is_found_at_once() -> None:
    tenant = make_tenant(host="old.acme.example")
    assert tenants.find_by_host("id.acme.example") is None
    TenantDomain.objects.filter(tenant=tenant).update(host="id.acme.example")  # tells no process
    assert tenants.find_by_host("id.acme.example") == tenant


@pytest.mark.django_db(transaction=True)
def test_a_tenant_is_made_with_its_keys() -> None:
    tenant = tenants.create(code="acme", context=SYSTEM)
    made = KeyPair.objects.filter(tenant=tenant).order_by("use", "state").values_list("use", "alg", "state")
    assert list(made) == [
        (use, alg, state) for use, alg in (("enc", "RSA-OAEP-256"), ("sig", "RS256")) for state in ("active", "next")
    ]


def test_a_change_is_told_and_audited_and_no_change_writes_nothing() -> None:
    tenant = make_tenant(host="a.example", name="Acme", language="en")
    changes = tenants.update(
        tenant=tenant, context=SYSTEM, language="ja", name="Acme", domains=["b.example", "a.example"]
    )
    assert changes == {"language": ["en", "ja"], "domains": [["a.example"], ["b.example", "a.example"]]}
    assert AuditEvent.objects.get(event_type="tenant:update").changes == changes
    assert tenants.update(tenant=tenant, context=SYSTEM, language="ja", domains=["b.example", "a.example"]) == {}
    assert tenants.update_policy(policy=tenant.password_policy, context=SYSTEM, min_length="10") == {
        "min_length": [8, 10]
    }
    assert tenants.update_policy(policy=tenant.password_policy, context=SYSTEM, min_length="10") == {}
    assert AuditEvent.objects.filter(event_type="tenant:update").count() == 2


@pytest.mark.parametrize(
    "values",
    [
        {"code": "taken"},
        {"code": "has space"},
        {"code": "new", "domains": ["taken.example"]},
        {"code": "new", "domains": ["https://new.example"]},
        {"code": "new", "domains": ["new.example/path"]},
        {"code": "new", "is_default": True},
        {"code": "new", "password_policy": {"min_length": 100, "max_length": 20}},
        {"code": "new", "public_id": "x"},
    ],
)
def test_a_tenant_that_breaks_a_rule_is_refused(values: dict[str, Any]) -> None:
    make_tenant(code="taken", host="taken.example", is_default=True)
    with pytest.raises(ValidationError):
        tenants.create(context=SYSTEM, **values)
    assert Tenant.objects.count() == 1


@pytest.mark.parametrize("is_new", [True, False])
def test_the_key_that_new_clients_will_sign_with_is_published_before_there_is_one(
    is_new: bool, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        if is_new:
            tenant = tenants.create(code="acme", context=SYSTEM, id_token_signed_response_alg="ES256")
        else:
            tenant = make_tenant()
            tenants.update(tenant=tenant, id_token_signed_response_alg="ES256", context=SYSTEM)
    published = [(key.alg, key.state) for key in keys.public_keys(tenant=tenant)]
    assert {("ES256", "active"), ("ES256", "next")} <= set(published)


@pytest.mark.parametrize("algorithm", ["none", "HS256", "RS512", "", "es256"])
@pytest.mark.security("S42")
def test_new_clients_sign_with_nothing_else(algorithm: str) -> None:
    tenant = make_tenant()
    with pytest.raises(ValidationError) as refused:
        tenants.update(tenant=tenant, id_token_signed_response_alg=algorithm, context=SYSTEM)
    assert set(refused.value.message_dict) == {"id_token_signed_response_alg"}
