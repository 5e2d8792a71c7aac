"""Whether a connection to PostgreSQL still lives is asked of the socket, and of the server after a rest."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from django.db import DatabaseError, IntegrityError, OperationalError, connection, connections, transaction
from django.test.utils import CaptureQueriesContext
from psycopg.pq import TransactionStatus

from config.postgresql import base
from identity.database import is_unavailable

pytestmark = pytest.mark.skipif(connection.vendor != "postgresql", reason="asked of PostgreSQL's socket")


@pytest.fixture
def own(transactional_db: None) -> Iterator[Any]:
    """A connection of its own, which a test may lose."""
    found = connection.copy("own")
    found.connect()
    yield found
    found.close()


def close_on_the_server(own: Any) -> None:
    pid = own.connection.info.backend_pid
    parameters = own.get_connection_params() | {"autocommit": True}
    parameters.pop("cursor_factory", None)
    parameters.pop("context", None)
    parameters.pop("prepare_threshold", None)
    with psycopg.connect(**parameters) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How often the server was asked."""
    found: list[int] = []
    monkeypatch.setattr(base.base.DatabaseWrapper, "is_usable", lambda self: found.append(1) is None)
    return found


def test_a_living_connection_costs_no_round_trip(own: Any, asked: list[int]) -> None:
    assert own.is_usable()
    assert asked == []


def test_after_a_rest_the_server_is_asked(own: Any, asked: list[int]) -> None:
    own._last_used = time.monotonic() - base.RESTED_SECONDS - 1
    assert own.is_usable()
    assert own.is_usable()
    assert asked == [1]


def test_what_the_server_has_closed_is_told_before_it_is_used(own: Any) -> None:
    close_on_the_server(own)
    assert not own.is_usable()


@pytest.mark.parametrize("ask", ["SELECT", "BEGIN", "COMMIT"])
def test_a_server_that_goes_away_is_told_from_a_fault_of_ours(own: Any, ask: str) -> None:
    """503 and not 500: whoever asks again may be answered."""
    if ask == "COMMIT":
        own.set_autocommit(False, force_begin_transaction_with_broken_autocommit=True)
    close_on_the_server(own)
    asking: dict[str, Callable[[], object]] = {
        "SELECT": lambda: own.run_prepared(b"SELECT 1", []),
        "BEGIN": lambda: own.set_autocommit(False, force_begin_transaction_with_broken_autocommit=True),
        "COMMIT": own.commit,
    }
    with pytest.raises(OperationalError) as lost:
        asking[ask]()
    assert is_unavailable(lost.value)


@pytest.mark.parametrize("is_held", [False, True], ids=["in a transaction", "by itself"])
def test_a_cursor_of_the_server_ends_with_its_transaction(own: Any, is_held: bool) -> None:
    if not is_held:
        own.set_autocommit(False, force_begin_transaction_with_broken_autocommit=True)
    with own.chunked_cursor() as cursor:
        cursor.execute("SELECT id FROM identity_tenant" + ("" if is_held else " FOR UPDATE"))
        with own.cursor() as other:
            other.execute("SELECT is_holdable FROM pg_cursors")
            assert other.fetchall() == [(is_held,)]
    if not is_held:
        own.rollback()


def test_what_an_error_has_broken_is_not_usable(own: Any) -> None:
    own.set_autocommit(False)
    with own.cursor() as cursor, pytest.raises(DatabaseError):
        cursor.execute("SELECT no_such_column")
    assert not own.is_usable()
    own.rollback()
    assert own.is_usable()


def test_what_still_works_for_a_statement_that_was_interrupted_is_not_usable(own: Any) -> None:
    own.connection.pgconn.send_query(b"SELECT pg_sleep(1)")
    assert not own.is_usable()


def test_a_connection_joins_no_tables_by_walking_them(own: Any) -> None:
    with own.cursor() as cursor:
        cursor.execute("SHOW enable_mergejoin")
        assert cursor.fetchone() == ("off",)


@pytest.fixture
def committed(own: Any) -> Iterator[Any]:
    """The same, with a table."""
    connections["own"] = own
    with own.cursor() as cursor:
        cursor.execute(
            "CREATE TEMPORARY TABLE kept (id int PRIMARY KEY, next int REFERENCES kept DEFERRABLE INITIALLY DEFERRED)"
        )
    yield own
    del connections["own"]


def _insert(own: Any, number: int, follower: int | None = None) -> None:
    with own.cursor() as cursor:
        cursor.execute("INSERT INTO kept VALUES (%s, %s)", [number, follower])


def _insert_both(own: Any, number: int, other: int) -> None:
    _insert(own, number)
    _insert(own, other)


def _numbers(own: Any) -> list[int]:
    with own.cursor() as cursor:
        cursor.execute("SELECT id FROM kept ORDER BY id")
        return [number for (number,) in cursor.fetchall()]


def test_a_transaction_is_begun_by_one_word_and_ended_by_another(committed: Any) -> None:
    with CaptureQueriesContext(committed) as captured, transaction.atomic("own"):
        _insert(committed, 1)
        assert committed.connection.pgconn.transaction_status == TransactionStatus.INTRANS
    assert [query["sql"].split()[0] for query in captured] == ["BEGIN", "INSERT", "COMMIT"]
    assert committed.connection.autocommit is True
    assert _numbers(committed) == [1]


def test_a_transaction_is_taken_back_as_a_whole(committed: Any) -> None:
    _insert(committed, 1)
    with pytest.raises(IntegrityError), transaction.atomic("own"):
        _insert_both(committed, 2, 1)
    assert (_numbers(committed), committed.get_autocommit()) == ([1], True)
    _insert(committed, 2)
    assert _numbers(committed) == [1, 2]


def test_what_only_the_end_of_a_transaction_refuses_is_refused_there(committed: Any) -> None:
    with pytest.raises(IntegrityError), transaction.atomic("own"):
        _insert(committed, 1, 9)
    assert (_numbers(committed), committed.get_autocommit()) == ([], True)


def test_a_connection_lost_in_a_transaction_is_told_and_made_anew(committed: Any) -> None:
    def lose() -> None:
        _insert(committed, 1)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [committed.connection.info.backend_pid])
        _insert(committed, 2)

    with pytest.raises(OperationalError), transaction.atomic("own"):
        lose()
    committed.close()
    with transaction.atomic("own"), committed.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)
