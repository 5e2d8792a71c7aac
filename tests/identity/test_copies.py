"""What a process remembers: how long, how much, and that nothing old is kept after a change."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest
from django.apps import apps
from django.db import connection, transaction

from identity import copies
from identity.conf import conf
from identity.copies import Copies
from tests.factories import make_application, make_tenant

KINDS = frozenset(
    {
        "identity.tenant", "identity.tenantdomain", "identity.passwordpolicy", "identity.sessionpolicy",
        "identity.messagepolicy", "identity.application", "identity.keypair", "identity.upstream",
        "oidc_provider.client", "oidc_provider.apiscope", "cas_saml.casservice",
        "cas_saml.serviceprovider",
    }
)  # fmt: skip


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    clock = SimpleNamespace(now=1000.0, monotonic=lambda: clock.now)
    monkeypatch.setattr(copies, "time", clock)
    return clock


@pytest.fixture
def names() -> Copies[str, str]:
    return Copies()


def remember(names: Copies[str, str], key: str, value: str, tenant_id: int = 1) -> None:
    names.keep(key, value, tenant_id=tenant_id, since=copies.begin())


def test_a_copy_is_used_for_five_seconds(clock: Any, names: Copies[str, str]) -> None:
    remember(names, "a", "Ann")
    clock.now += 4.9
    assert names.find("a") == "Ann"
    clock.now += 0.2
    assert names.find("a") is None


def test_a_copy_is_used_longer_while_changes_are_told(clock: Any, names: Copies[str, str]) -> None:
    remember(names, "a", "Ann")
    clock.now += 299
    copies.hear()
    assert names.find("a") == "Ann"
    clock.now += copies.SILENCE_SECONDS
    assert names.find("a") is None  # nothing was heard: deaf
    copies.hear()
    assert names.find("a") is None  # too old at last


def test_what_nobody_tells_of_is_not_kept_longer(clock: Any) -> None:
    fetched: Copies[str, str] = Copies(is_told=False)
    remember(fetched, "a", "Ann")
    clock.now += 5.1
    copies.hear()
    assert fetched.find("a") is None


def test_what_must_be_told_is_no_copy_without_it(clock: Any, names: Copies[str, str]) -> None:
    remember(names, "a", "Ann")
    clock.now += copies.SILENCE_SECONDS + 1
    assert names.find("a", only_told=True) is None
    copies.hear()
    assert names.find("a", only_told=True) == "Ann"


def test_a_change_forgets_its_tenant_in_every_kind(names: Copies[str, str]) -> None:
    others: Copies[int, str] = Copies()
    remember(names, "a", "Ann", 1)
    remember(names, "b", "Bob", 2)
    others.keep(7, "seven", tenant_id=1, since=copies.begin())
    copies.forget([1])
    assert (names.find("a"), names.find("b"), others.find(7)) == (None, "Bob", None)
    copies.forget([None])
    assert (names.find("b"), copies.taken_bytes()) == (None, 0)


def test_what_was_read_before_a_change_is_not_kept_after_it(names: Copies[str, str]) -> None:
    def read() -> str:
        copies.forget([2])  # a change that is told while this reads; of whom it is cannot be known before
        return "Ann, as she was"

    assert names.get("a", read, tenant_id=1) == "Ann, as she was"
    assert names.find("a") is None


def test_what_was_not_found_is_not_kept(names: Copies[str, str]) -> None:
    assert names.get("a", lambda: None, tenant_id=1) is None
    assert names.get("a", lambda: "Ann", tenant_id=1) == "Ann"


def test_the_one_that_was_not_used_for_longest_goes_first(names: Copies[str, str], settings: Any) -> None:
    remember(names, "key 0", "x" * 1000)
    each = copies.taken_bytes()
    settings.IDENTITY = {**settings.IDENTITY, "copies_max_bytes": 10 * each}
    for number in range(1, 10):
        remember(names, f"key {number}", "x" * 1000)
    assert names.find("key 0")
    for number in range(10, 15):
        remember(names, f"key {number}", "x" * 1000)
    assert copies.taken_bytes() <= 10 * each
    kept = [number for number in range(15) if names.find(f"key {number}")]
    assert kept == [0, *range(16 - len(kept), 15)]
    assert len(kept) >= 9


def test_a_copy_counts_with_all_that_it_holds(names: Copies[str, Any]) -> None:
    names.keep("a", SimpleNamespace(of=[{"x": "y" * 5000}, b"z" * 5000]), tenant_id=1, since=copies.begin())
    assert 10_000 < copies.taken_bytes() < 20_000


@pytest.mark.django_db(transaction=True)
def test_a_transaction_that_changed_something_reads_rows_until_it_is_over(names: Copies[str, str]) -> None:
    remember(names, "a", "Ann")
    elsewhere: list[str | None] = []
    thread = threading.Thread(target=lambda: elsewhere.append(names.get("a", lambda: "Ann", tenant_id=1)))
    with transaction.atomic():
        copies.changed(1)
        remember(names, "a", "Anna, perhaps")
        assert names.find("a") is None
        thread.start()
        thread.join()
        assert elsewhere == ["Ann"]  # for others nothing has changed
        transaction.set_rollback(True)
    assert names.get("a", lambda: "Ann, read again", tenant_id=1) == "Ann, read again"
    with transaction.atomic():
        copies.changed(1)
    remember(names, "a", "Anna")
    assert names.find("a") == "Anna"


@pytest.mark.django_db(transaction=True)
def test_what_another_thread_read_before_the_commit_is_forgotten_after_it(names: Copies[str, str]) -> None:
    with transaction.atomic():
        copies.changed(1)
        thread = threading.Thread(target=remember, args=[names, "a", "Ann, as she was"])
        thread.start()
        thread.join()
    assert names.find("a") is None


@pytest.mark.django_db
def test_rows_that_are_saved_or_deleted_forget_their_tenant(names: Copies[str, str]) -> None:
    tenant, other = make_tenant(), make_tenant()
    application = make_application(tenant)
    for change in (application.save, tenant.save, tenant.session_policy.save, application.delete):
        remember(names, "a", "Ann", tenant.pk)
        remember(names, "b", "Bob", other.pk)
        change()
        assert (names.find("a"), names.find("b")) == (None, "Bob")


@pytest.mark.django_db
def test_every_table_whose_rows_are_remembered_tells_of_changes_on_postgresql() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("needs triggers")
    with connection.cursor() as cursor:
        cursor.execute("SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname = 'monban_tell_change'")
        told = {name for (name,) in cursor.fetchall()}
    assert copies.watched() == KINDS
    tables = {apps.get_model(kind)._meta.db_table for kind in KINDS}
    assert told == tables | {"oidc_provider_client_api_scopes"}


def test_the_bound_of_the_memory_is_stated() -> None:
    assert conf.copies_max_bytes == 64 * 1024 * 1024
