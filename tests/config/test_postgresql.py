"""Whether a connection to PostgreSQL still lives is asked of the socket, and of the server after a rest."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.db import DatabaseError, connection

from config.postgresql import base

pytestmark = pytest.mark.skipif(connection.vendor != "postgresql", reason="asked of PostgreSQL's socket")


@pytest.fixture
def own(transactional_db: None) -> Iterator[Any]:
    """A connection of its own, which a test may lose."""
    found = connection.copy("own")
    found.connect()
    yield found
    found.close()


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
    pid = own.connection.info.backend_pid
    parameters = own.get_connection_params() | {"autocommit": True}
    parameters.pop("cursor_factory", None)
    parameters.pop("context", None)
    parameters.pop("prepare_threshold", None)
    with psycopg.connect(**parameters) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    assert not own.is_usable()


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
