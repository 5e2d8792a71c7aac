"""Deleting what nothing needs any more, in bounded batches, through the purgers that every app registers."""

from __future__ import annotations

import logging
from datetime import datetime

from identity import registry

log = logging.getLogger(__name__)

BATCH_ROWS = 500
_MAX_BATCHES = 1000  # of one purger in one run; the rest waits for the next run


def purge_expired(*, now: datetime, batch_rows: int = BATCH_ROWS) -> dict[str, int]:
    """Run every purger until it has nothing left; return the number of rows by purger.

    Each batch is its own short transaction, so that requests never wait long for a lock. A purger that raises
    is logged and keeps no other one from its work; its count is then missing.
    """
    counts: dict[str, int] = {}
    for name, purger in sorted(registry.purgers().items()):
        total = 0
        try:
            for _ in range(_MAX_BATCHES):
                purged = purger(now, batch_rows)
                total += purged
                if purged < batch_rows:
                    break
        except Exception:
            log.exception("purge.error", extra={"purger": name})
            continue
        counts[name] = total
        if total:
            log.info("purge.done", extra={"purger": name, "rows": total})
    return counts
