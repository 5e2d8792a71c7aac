"""What the worker does besides deliveries, each at its own interval (decision 33)."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import Error as DatabaseError
from django.db import connections
from django.utils import timezone

from identity.conf import conf
from identity.services import audit, delivery, keys, purging

log = logging.getLogger(__name__)


@dataclass
class Job:
    """Something to repeat. `run` takes the present time."""

    name: str
    interval: timedelta
    run: Callable[[datetime], object]
    due_at: float = field(default=0.0)  # monotonic seconds


class Schedule:
    """Runs each job when it is due. A job that raises is logged and tried again after its interval."""

    def __init__(self, jobs: list[Job]) -> None:
        self.jobs = jobs

    def run_due(self, *, clock: Callable[[], float] = time.monotonic) -> list[str]:
        """Run what is due now; return the names of the jobs that succeeded."""
        done = []
        for job in self.jobs:
            if clock() < job.due_at:
                continue
            job.due_at = clock() + job.interval.total_seconds()
            _refresh_connections()
            try:
                job.run(timezone.now())
            except DatabaseError as error:
                # The database is away or was too busy. One line, not a traceback each second.
                log.warning("worker.database", extra={"job": job.name, "reason": type(error).__name__})
            except Exception:
                log.exception("worker.error", extra={"job": job.name})
            else:
                done.append(job.name)
        return done


def _refresh_connections() -> None:
    """Drop connections that are broken or too old, as Django does before each request."""
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()


def jobs(executor: Executor, *, is_stopping: Callable[[], bool] = lambda: False) -> list[Job]:
    """The worker's jobs. Deliveries are sent through the executor."""

    def send_everything_due(now: datetime) -> None:
        delivery.send_all_due(executor=executor, parallel=conf.worker_parallel_deliveries, is_stopping=is_stopping)

    def chain_audit(now: datetime) -> None:
        audit.chain_pending()

    return [
        Job("deliver", timedelta(0), send_everything_due),
        Job("chain_audit", conf.worker_audit_chain_interval, chain_audit),
        Job("age_keys", conf.worker_key_check_interval, lambda now: keys.rotate_aged(now=now)),
        Job("purge", conf.worker_purge_interval, lambda now: purging.purge_expired(now=now)),
    ]
