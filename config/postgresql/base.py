"""A connection that stays open is asked whether it still lives before its first use in a request.

Django asks with a `SELECT 1`, a round trip for every request that asks anything. The socket knows it for nothing: what
the other side has closed has something to read, and what is idle has not. A connection that rested longer than the
other side may have been lost without a word (a host that crashed, a firewall that forgot), so it is asked as before.
"""

from __future__ import annotations

import select
import time
from typing import Any

from django.db.backends.postgresql import base
from psycopg.pq import TransactionStatus

RESTED_SECONDS = 30.0
# In the middle of a statement, or of a transaction that failed: whoever was there does not come back.
_BROKEN = (TransactionStatus.ACTIVE, TransactionStatus.INERROR, TransactionStatus.UNKNOWN)


class DatabaseWrapper(base.DatabaseWrapper):
    """One connection."""

    _last_used = float("-inf")

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
