"""What a request asks of the database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext

from identity.models import AuditEvent

TRANSACTIONS = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE", "ROLLBACK")
NOT_COUNTED = (*TRANSACTIONS, f'INSERT INTO "{AuditEvent._meta.db_table}"')


def statements(act: Callable[[], Any]) -> list[str]:
    """What one request asks of the database; it must succeed. Transactions and the audit's INSERT are left out."""
    with CaptureQueriesContext(connection) as captured:
        answer = act()
    assert not hasattr(answer, "status_code") or answer.status_code == 200, answer.content
    return [query["sql"] for query in captured if not query["sql"].startswith(NOT_COUNTED)]


def round_trips(act: Callable[[], Any], *, elsewhere: int) -> int:
    """How often one request waits for the database: everything counts, transactions and the audit trail too.

    On SQLite, where what is written together is written one by one, it must be this many beside transactions.
    """
    with CaptureQueriesContext(connection) as captured:
        answer = act()
    assert not hasattr(answer, "status_code") or answer.status_code in (200, 302), answer.content
    asked = [query["sql"] for query in captured]
    if connection.vendor == "postgresql":
        return len(asked)
    beside = [sql for sql in asked if not sql.startswith(TRANSACTIONS)]
    assert len(beside) == elsewhere, beside
    return 0
