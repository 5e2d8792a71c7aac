"""Who waits for locks of PostgreSQL."""

from __future__ import annotations

from django.db import connection


def is_anybody_waiting() -> bool:
    """Tell whether somebody waits for a lock that this thread's transaction holds."""
    waiting = "SELECT FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT EXISTS ({waiting})")
        return bool(cursor.fetchone()[0])
