"""What the database breaks off because two transactions met is tried again; what stays broken is told by its name."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import OperationalError, connection, transaction

from identity import retries
from identity.models import Tenant
from identity.retries import retried
from tests.factories import make_tenant
from tests.pages.conftest import Browser
from tests.support.at_once import each_at_once

ROOT = Path(__file__).resolve().parents[2]


def broken_off(kind: type[psycopg.Error]) -> OperationalError:
    error = OperationalError("broken off")
    error.__cause__ = kind("broken off")
    return error


@pytest.mark.django_db(transaction=True)
@pytest.mark.security("S47")
@pytest.mark.parametrize("kind", [psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure])
def test_an_operation_is_tried_again_and_at_most_so_often(kind: type[psycopg.Error]) -> None:
    calls: list[int] = []

    @retried
    def operation(*, failures: int) -> str:
        calls.append(1)
        if len(calls) <= failures:
            raise broken_off(kind)
        return "done"

    assert operation(failures=retries.TRIES - 1) == "done"
    assert len(calls) == retries.TRIES
    calls.clear()
    with pytest.raises(OperationalError):
        operation(failures=retries.TRIES)
    assert len(calls) == retries.TRIES


@pytest.mark.django_db(transaction=True)
def test_a_lost_database_and_a_part_of_a_transaction_are_tried_once() -> None:
    calls: list[int] = []

    @retried
    def operation(error: OperationalError) -> None:
        calls.append(1)
        raise error

    with pytest.raises(OperationalError):
        operation(OperationalError("gone"))
    with pytest.raises(OperationalError), transaction.atomic():
        operation(broken_off(psycopg.errors.DeadlockDetected))
    assert len(calls) == 2


@pytest.mark.django_db(transaction=True)
@pytest.mark.security("S47")
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
def test_of_two_that_wait_for_each_other_both_come_through(caplog: pytest.LogCaptureFixture) -> None:
    first, second = make_tenant(), make_tenant()
    barrier = threading.Barrier(2)

    @retried
    def rename(one: Tenant, other: Tenant, meets: list[bool]) -> None:
        with transaction.atomic():
            Tenant.objects.filter(pk=one.pk).update(name="renamed")
            if meets.pop():
                barrier.wait(10)
            Tenant.objects.filter(pk=other.pk).update(name="renamed")

    def work(one: Tenant, other: Tenant) -> None:
        rename(one, other, [False] * retries.TRIES + [True])

    with caplog.at_level(logging.WARNING, "identity.retries"):
        each_at_once(partial(work, first, second), partial(work, second, first))
    assert [record.message for record in caplog.records] == ["database.deadlock"]
    assert set(Tenant.objects.filter(pk__in=[first.pk, second.pk]).values_list("name", flat=True)) == {"renamed"}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("error", "event"),
    [
        (broken_off(psycopg.errors.DeadlockDetected), "database.deadlock"),
        (broken_off(psycopg.errors.SerializationFailure), "database.serialization"),
        (OperationalError("gone"), "database.away"),
    ],
)
def test_what_stays_broken_is_503_and_logged_by_its_name(
    error: OperationalError, event: str, caplog: pytest.LogCaptureFixture
) -> None:
    browser = Browser()
    browser.client.defaults["HTTP_HOST"] = make_tenant().domains.get().host
    browser.get("/forgot-password")

    def fail(execute: Callable[..., Any], *arguments: Any) -> Any:
        raise error

    with connection.execute_wrapper(fail):
        response = browser.post("/forgot-password", {"identifier": "alice"})
    assert (response.status_code, response["Retry-After"]) == (503, "5")
    assert event in [record.message for record in caplog.records]


@pytest.mark.security("S47")
def test_every_locked_row_keeps_its_key_free() -> None:
    """Whoever writes a row that refers to it checks the reference at the commit, and must not wait for the lock."""
    apps = ("identity", "oidc_provider", "cas_saml", "sdk_api", "tenant_api")
    sources = [path.read_text() for app in apps for path in (ROOT / app).rglob("*.py")]
    calls = [call for text in sources for call in re.findall(r"\.select_for_update\(.{0,40}", text)]
    assert len(calls) > 10
    assert [call for call in calls if "no_key=True" not in call] == []
