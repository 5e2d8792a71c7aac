"""What a request asks of the database: transactions and the audit's one INSERT are not counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext

from identity.models import AuditEvent

NOT_COUNTED = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE", "ROLLBACK", f'INSERT INTO "{AuditEvent._meta.db_table}"')


def statements(act: Callable[[], Any]) -> list[str]:
    """What one request asks of the database; it must succeed."""
    with CaptureQueriesContext(connection) as captured:
        answer = act()
    assert not hasattr(answer, "status_code") or answer.status_code == 200, answer.content
    return [query["sql"] for query in captured if not query["sql"].startswith(NOT_COUNTED)]
