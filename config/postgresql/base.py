"""A connection that is cheap to ask.

One that stays open is asked whether it still lives before its first use in a request. Django asks with a `SELECT 1`, a
round trip for every request that asks anything. The socket knows it for nothing: what the other side has closed has
something to read, and what is idle has not. A connection that rested longer than the other side may have been lost
without a word (a host that crashed, a firewall that forgot), so it is asked as before.

Statements of `identity.statements` go by their names past the cursors (`prepared`).

No two tables are joined by walking both in order (merge join). That looks cheap for a row of a small table beside a
large one where the rows of the small one belonged to few people when it was analysed last, as after a purge; the plan
is kept, and for the next person the large table is walked: 500 ms of a sign-in over a million users.
"""

from __future__ import annotations

import select
import time
from collections.abc import Sequence
from typing import Any

from django.db.backends.postgresql import base
from django.db.backends.utils import debug_transaction
from psycopg.pq import ExecStatus, TransactionStatus

from config.postgresql.prepared import Kept, Row, error_of

RESTED_SECONDS = 30.0
# In the middle of a statement, or of a transaction that failed: whoever was there does not come back.
_BROKEN = (TransactionStatus.ACTIVE, TransactionStatus.INERROR, TransactionStatus.UNKNOWN)


class DatabaseWrapper(base.DatabaseWrapper):
    """One connection."""

    _last_used = float("-inf")
    _kept: Kept | None = None

    def is_usable(self) -> bool:
        """Tell whether the connection still lives."""
        connection = self.connection
        if connection is None or connection.closed or connection.info.transaction_status in _BROKEN:
            return False
        has_rested = time.monotonic() - self._last_used > RESTED_SECONDS
        self._last_used = time.monotonic()
        poll = select.poll()
        poll.register(connection.fileno(), select.POLLIN)
        if has_rested or poll.poll(0):
            usable: bool = super().is_usable()
            return usable
        return True

    def get_new_connection(self, conn_params: Any) -> Any:
        """Connect; what is new has not rested."""
        connection = super().get_new_connection(conn_params)
        self._last_used = time.monotonic()
        return connection

    def init_connection_state(self) -> None:
        """Say once for the connection how it plans."""
        super().init_connection_state()
        with self.cursor() as cursor:
            cursor.execute("SET enable_mergejoin = off")
        if not self.get_autocommit():
            self.connection.commit()

    def create_cursor(self, name: str | None = None) -> Any:
        """Return a cursor. One that the server knows by a name ends with its transaction, if it is in one.

        Django goes by psycopg, which does not know of ours: the cursor would outlive it, and could lock no rows.
        """
        if name is None or self.autocommit:
            return super().create_cursor(name)
        return self.connection.cursor(name, scrollable=False, withhold=False)

    def run_prepared(self, text: bytes, params: Sequence[Any]) -> tuple[list[Row], int] | None:
        """Return the rows of a statement that the server keeps, and how many it wrote or found.

        text: with $1 and so on for its parameters. None where a cursor has to ask: for somebody who listens to
        statements, without prepared statements (a pooler that shares connections), and with the first statement of a
        transaction, which psycopg begins with it.
        """
        if self.execute_wrappers or self.queries_logged:
            return None
        self.close_if_health_check_failed()
        self.ensure_connection()
        raw: Any = self.connection
        has_begun = raw.autocommit or raw.pgconn.transaction_status != TransactionStatus.IDLE
        if not has_begun or raw.prepare_threshold is None:
            return None
        self.validate_no_broken_transaction()
        kept = self._kept
        if kept is None or kept.raw is not raw:
            kept = self._kept = Kept(raw)
        with self.wrap_database_errors:
            return kept.run(text, params)

    def _start_transaction_under_autocommit(self) -> None:
        """Begin a transaction by one word of ours. psycopg stays as it is between transactions, and so begins none.

        By itself it begins one with the first statement, through a cursor.
        """
        with debug_transaction(self, "BEGIN"), self.wrap_database_errors:
            self._command(b"BEGIN")

    def _set_autocommit(self, autocommit: bool) -> None:
        if self.connection.autocommit != autocommit:
            super()._set_autocommit(autocommit)  # type: ignore[misc] # unknown to the stubs

    def _commit(self) -> None:
        raw: Any = self.connection
        if raw is not None and raw.pgconn.transaction_status != TransactionStatus.IDLE:
            with debug_transaction(self, "COMMIT"), self.wrap_database_errors:
                self._command(b"COMMIT")

    def _command(self, word: bytes) -> None:
        raw: Any = self.connection
        result = raw.pgconn.exec_(word)
        if result.status != ExecStatus.COMMAND_OK:
            raise error_of(result, encoding=raw.info.encoding)

    def _rollback(self) -> None:
        self._doubt()
        super()._rollback()  # type: ignore[misc] # unknown to the stubs

    def _savepoint_rollback(self, sid: str) -> None:
        self._doubt()
        super()._savepoint_rollback(sid)  # type: ignore[misc] # unknown to the stubs

    def _doubt(self) -> None:
        if self._kept is not None:
            self._kept.is_doubtful = True
