"""What PostgreSQL keeps prepared is answered as a cursor answers it, and fails as a cursor fails."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.db import DataError, IntegrityError, ProgrammingError, connection, transaction
from django.db.transaction import TransactionManagementError
from django.test.utils import CaptureQueriesContext

from identity.statements import Text, _run

ONE = Text("SELECT 1")


@pytest.fixture(autouse=True)
def on_postgresql(db: None) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("PostgreSQL's prepared statements")


def kept() -> list[str]:
    """The statements that the server keeps for this connection under our names."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement FROM pg_prepared_statements WHERE name LIKE 'monban%%'")
        return [text for (text,) in cursor.fetchall()]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("text", "ä %s ' \\"),
        ("text", ""),
        ("text", None),
        ("integer", -7),
        ("bigint", 2**62),
        ("boolean", True),
        ("boolean", False),
        ("uuid", uuid.uuid4()),
        ("timestamptz", datetime(2026, 11, 30, 19, 13, 8, 120000, tzinfo=UTC)),
        ("timestamptz", datetime(1999, 1, 1, tzinfo=UTC)),
        ("date", date(2026, 11, 30)),
        ("numeric", Decimal("1.50")),
        ("double precision", 0.1),
        ("jsonb", '{"a": [1, null, "ä"]}'),
        ("inet", "192.0.2.1"),
        ("bytea", b"\x00\xff"),
    ],
)
def test_a_value_comes_back_as_from_a_cursor(kind: str, value: Any) -> None:
    text = Text(f"SELECT %s::{kind}, '100%%'")
    found, count = _run(text, [value])
    with connection.cursor() as cursor:
        cursor.execute(text.sql, [value])
        by_cursor = cursor.fetchall()
    assert (found, count) == (by_cursor, 1)
    assert found[0][0] == value
    assert type(found[0][0]) is type(by_cursor[0][0])


def test_a_statement_is_prepared_once_for_each_connection() -> None:
    text = Text("SELECT %s::text || 'kept'")
    for value in ("a", "b", "c"):
        assert _run(text, [value]) == ([(f"{value}kept",)], 1)
    assert [sql for sql in kept() if "'kept'" in sql] == ["SELECT $1::text || 'kept'"]


def test_whoever_listens_to_statements_hears_of_it() -> None:
    heard: list[str] = []

    def listen(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        heard.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(listen), CaptureQueriesContext(connection) as captured:
        assert _run(ONE, []) == ([(1,)], 1)
    assert heard == ["SELECT 1"]
    assert [query["sql"] for query in captured] == ["SELECT 1"]


def test_without_prepared_statements_it_is_asked_by_a_cursor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection.connection, "prepare_threshold", None)
    assert _run(Text("SELECT 'by a cursor'"), []) == ([("by a cursor",)], 1)
    assert not [sql for sql in kept() if "by a cursor" in sql]


@pytest.mark.parametrize(
    ("sql", "error"),
    [
        ("SELECT %s::text::integer", DataError),
        ("SELECT %s FROM no_such_table", ProgrammingError),
        ("INSERT INTO identity_tenant (id) SELECT 1 WHERE 'x' = %s", IntegrityError),
    ],
    ids=["data", "no table", "not null"],
)
def test_errors_are_those_of_a_cursor(sql: str, error: type[Exception]) -> None:
    for _ in range(2):
        with pytest.raises(error), transaction.atomic():
            _run(Text(sql), ["x"])
    assert _run(ONE, []) == ([(1,)], 1)


def test_no_text_is_cut_at_a_zero() -> None:
    with pytest.raises(DataError):
        _run(Text("SELECT %s::text"), ["a\x00b"])


def test_nothing_is_asked_in_a_transaction_that_failed() -> None:
    with transaction.atomic():
        connection.set_rollback(True)
        with pytest.raises(TransactionManagementError):
            _run(ONE, [])


def test_a_column_of_another_type_costs_one_failure_in_a_transaction() -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE changing (n integer) ON COMMIT DROP")
    text = Text("SELECT n FROM changing")
    _run(text, [])
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE changing ALTER COLUMN n TYPE text")
    with pytest.raises(Exception, match="cached plan"), transaction.atomic():
        _run(text, [])
    assert _run(text, []) == ([], 0)


@pytest.mark.django_db(transaction=True)
def test_a_column_of_another_type_costs_no_failure_outside_of_a_transaction() -> None:
    """As where a migration makes a column longer while the servers of before still run."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE longer (n varchar(5))")
    text = Text("SELECT n FROM longer")
    try:
        _run(text, [])
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE longer ALTER COLUMN n TYPE varchar(50)")
        assert _run(text, []) == ([], 0)
        assert len([sql for sql in kept() if "FROM longer" in sql]) == 1
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE longer")


@pytest.mark.django_db(transaction=True)
def test_what_is_refused_again_and_again_is_kept_once() -> None:
    """Such as a client's assertion that is sent a second time: strangers must not fill the server's memory."""
    text = Text("INSERT INTO identity_tenant (id) SELECT 1 WHERE %s::text = 'refused'")
    for _ in range(3):
        with pytest.raises(IntegrityError):
            _run(text, ["refused"])
    assert len([sql for sql in kept() if "refused" in sql]) == 1


@pytest.mark.django_db(transaction=True)
def test_outside_and_at_the_begin_of_a_transaction() -> None:
    table = "CREATE TABLE IF NOT EXISTS only_here (n integer)"
    with connection.cursor() as cursor:
        cursor.execute(table)
    insert, count = Text("INSERT INTO only_here VALUES (%s)"), Text("SELECT count(*) FROM only_here")
    try:
        assert _run(insert, [1]) == ([], 1)
        with transaction.atomic():
            _run(insert, [2])  # with it the transaction begins
            _run(insert, [3])
            assert _run(count, []) == ([(3,)], 1)
            transaction.set_rollback(True)
        assert _run(count, []) == ([(1,)], 1)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE only_here")


def fail(statement: str) -> None:
    """Let a cursor's statement be rolled back, upon which psycopg drops all that the server keeps."""
    for _ in range(4):  # psycopg has something of its own to drop
        with connection.cursor() as cursor:
            cursor.execute("SELECT 'by a cursor, too'")
    with pytest.raises(DataError), transaction.atomic():
        _run(Text(statement), ["x"])


def test_what_was_dropped_after_a_rollback_is_prepared_again() -> None:
    text = Text("SELECT %s::text || 'again'")
    for value in ("a", "b"):
        assert _run(text, [value]) == ([(f"{value}again",)], 1)
        fail("SELECT %s::text::integer")
        assert not [sql for sql in kept() if "again" in sql]
    assert _run(text, ["c"]) == ([("cagain",)], 1)


@pytest.mark.django_db(transaction=True)
def test_what_somebody_dropped_is_prepared_again() -> None:
    text = Text("SELECT %s::text || 'dropped'")
    for value in ("a", "b"):
        assert _run(text, [value]) == ([(f"{value}dropped",)], 1)
        with connection.cursor() as cursor:
            cursor.execute("DEALLOCATE ALL")


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_was_lost_is_made_anew() -> None:
    _run(ONE, [])
    raw = connection.connection
    with pytest.raises(Exception, match=r"terminat|closed"):
        _run(Text("SELECT pg_terminate_backend(pg_backend_pid())"), [])
    connection.close_if_unusable_or_obsolete()
    assert _run(ONE, []) == ([(1,)], 1)
    assert connection.connection is not raw
