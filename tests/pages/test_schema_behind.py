"""A schema that is a migration behind the code is like a database that is away: 503, and the probe says which."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import ProgrammingError, connection
from django.test import Client

from identity import database
from identity.models import Tenant
from tests.factories import make_tenant

HOST = "behind.monban.example"


@pytest.fixture
def tenant(db: None) -> Tenant:
    return make_tenant(host=HOST)


@pytest.fixture
def behind(tenant: Tenant) -> Iterator[None]:
    """The table of captchas has another name, as before its migration."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE identity_captcha RENAME TO identity_captcha_later")
        cursor.execute("ALTER TABLE identity_ssosession RENAME COLUMN sid TO sid_later")
    return


def ask(path: str, method: str = "GET", **extra: str) -> tuple[int, str]:
    client = Client(headers={"host": HOST}, raise_request_exception=False)
    client.cookies["__Host-monban_session"] = "x" * 43
    response = client.generic(method, path, secure=True, **extra)
    return response.status_code, response.get("Retry-After", "")


@pytest.mark.parametrize("path", ["/account", "/login"])
def test_a_missing_column_or_table_is_503_with_retry_after(behind: None, path: str) -> None:
    assert ask(path) == (503, "5")


def test_the_log_tells_it_from_a_lost_database(behind: None, caplog: pytest.LogCaptureFixture) -> None:
    assert ask("/account")[0] == 503
    assert "database.schema_behind" in caplog.messages
    assert "database.away" not in caplog.messages


def test_the_probe_names_what_is_missing(tenant: Tenant) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'identity' AND name = '0008_captcha'")
    response = Client().get("/readyz")
    assert (response.status_code, response["Retry-After"]) == (503, "5")
    assert response.content == b"schema identity.0008_captcha\n"


def test_a_schema_that_is_newer_than_the_code_is_ready(tenant: Tenant) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO django_migrations (app, name, applied) VALUES ('identity', '9999_later', CURRENT_TIMESTAMP)"
        )
    assert Client().get("/readyz").status_code == 200


def test_any_other_error_of_a_statement_stays_a_fault_of_ours() -> None:
    assert not database.is_unavailable(ProgrammingError("syntax error"))
    assert not database.is_unavailable(ValueError("no such table"))
