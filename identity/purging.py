"""Deleting what nothing needs any more, in bounded batches, through the purgers that every app registers.

A purger walks its rows in the order of an indexed column and remembers where it is. Asking for the first rows again
after each batch would walk over all that was deleted before, which the database keeps for a while: each batch would be
slower than the one before.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet

from identity import registry

log = logging.getLogger(__name__)

BATCH_ROWS = 500


def delete(rows: QuerySet[Any]) -> int:
    """Delete rows and what hangs on them; return how many of these rows went."""
    _, by_model = rows.delete()
    return by_model.get(rows.model._meta.label, 0)


@dataclass(frozen=True)
class Purger:
    """One kind of rows that are over some time.

    over: the rows that nothing needs at a time. by: a column of theirs with an index, in whose order they are walked;
    never null in those rows. remove: what is done to a batch.
    """

    over: Callable[[datetime], QuerySet[Any]]
    by: str = "pk"
    remove: Callable[[QuerySet[Any]], int] = delete

    def __call__(self, now: datetime, limit: int) -> int:
        """Remove the first batch; return how many rows went."""
        return self.batch(now, limit).removed

    def batch(self, now: datetime, limit: int, after: registry.Place | None = None) -> registry.PurgedBatch:
        """Remove the batch that follows a place."""
        rows = self.over(now)
        if after is not None:
            value, pk = after
            # The first condition is for the index; the second one tells rows of the same value apart.
            rows = rows.filter(Q(**{f"{self.by}__gte": value}), Q(**{f"{self.by}__gt": value}) | Q(pk__gt=pk))
        found = list(rows.order_by(self.by, "pk").values_list(self.by, "pk")[:limit])
        # The DELETE repeats the condition: a row that is needed again by now stays.
        removed = self.remove(self.over(now).filter(pk__in=[pk for _, pk in found])) if found else 0
        return registry.PurgedBatch(removed, found[-1] if len(found) == limit else None)


@dataclass
class Purge:
    """One run through every purger. It may be left after any batch and gone on with later."""

    now: datetime
    batch_rows: int = BATCH_ROWS
    counts: dict[str, int] = field(default_factory=dict)  # rows by purger; those that failed are missing
    _waiting: list[str] = field(default_factory=lambda: sorted(registry.purgers(), reverse=True))
    _place: registry.Place | None = None

    @property
    def is_done(self) -> bool:
        """Whether every purger has nothing left."""
        return not self._waiting

    def work(self, *, is_over: Callable[[], bool] = lambda: False) -> None:
        """Go on until everything is done or it is over, which is asked before each batch.

        Each batch is its own short transaction, so that requests never wait long for a lock. A purger that raises is
        logged and keeps no other one from its work.
        """
        while self._waiting and not is_over():
            name = self._waiting[-1]
            try:
                batch = registry.purgers()[name].batch(self.now, self.batch_rows, self._place)
            except Exception:
                log.exception("purge.error", extra={"purger": name})
                self.counts.pop(name, None)
                self._next()
                continue
            self.counts[name] = self.counts.get(name, 0) + batch.removed
            self._place = batch.last
            if self._place is None:
                self._next()
                if self.counts[name]:
                    log.info("purge.done", extra={"purger": name, "rows": self.counts[name]})

    def _next(self) -> None:
        self._waiting.pop()
        self._place = None


def purge_expired(*, now: datetime, batch_rows: int = BATCH_ROWS) -> dict[str, int]:
    """Run every purger until it has nothing left; return the number of rows by purger."""
    run = Purge(now, batch_rows)
    run.work()
    return run.counts
