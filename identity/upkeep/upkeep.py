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

from identity import audit, delivery, purging, registry
from identity.conf import conf
from identity.keyring import keys

log = logging.getLogger(__name__)


_TURN_SECONDS = 1.0


@dataclass
class Job:
    """Something to repeat.

    `run` takes the present time and works for a turn at most, of a second or so. It returns True where something is
    left, which it is given another turn for when the other jobs had theirs.
    """

    name: str
    interval: timedelta
    run: Callable[[datetime], bool]
    due_at: float = field(default=0.0)  # monotonic seconds


class Schedule:
    """Runs each job when it is due. A job that raises is logged and tried again after its interval."""

    def __init__(self, jobs: list[Job]) -> None:
        self.jobs = jobs
        self.has_more = False  # whether a job of the last round left something

    def run_due(self, *, clock: Callable[[], float] = time.monotonic) -> list[str]:
        """Run what is due now; return the names of the jobs that succeeded."""
        done = []
        self.has_more = False
        for job in self.jobs:
            if clock() < job.due_at:
                continue
            job.due_at = clock() + job.interval.total_seconds()
            _refresh_connections()
            try:
                has_more = job.run(timezone.now())
            except DatabaseError as error:
                # The database is away or was too busy. One line, not a traceback each second.
                log.warning("worker.database", extra={"job": job.name, "reason": type(error).__name__})
            except Exception:
                log.exception("worker.error", extra={"job": job.name})
            else:
                done.append(job.name)
                if has_more:
                    self.has_more = True
                    job.due_at = clock()
        return done


def _refresh_connections() -> None:
    """Drop connections that are broken or too old, as Django does before each request."""
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()


def jobs(executor: Executor, *, is_stopping: Callable[[], bool] = lambda: False) -> list[Job]:
    """Return the worker's jobs. Deliveries are sent through the executor.

    is_stopping: asked often, so that a worker that is told to stop does so within seconds.
    """

    def in_turns(work: Callable[[datetime, Callable[[], bool]], object]) -> Callable[[datetime], bool]:
        def run(now: datetime) -> bool:
            until = time.monotonic() + _TURN_SECONDS

            def is_over() -> bool:
                return is_stopping() or time.monotonic() >= until

            work(now, is_over)
            return is_over()

        return run

    def send_everything_due(now: datetime) -> bool:
        delivery.send_all_due(executor=executor, parallel=conf.worker_parallel_deliveries, is_stopping=is_stopping)
        return False

    def chain_audit(now: datetime, is_over: Callable[[], bool]) -> None:
        audit.chain_pending(is_over=is_over)

    def of_app(chore: registry.Chore) -> Callable[[datetime, Callable[[], bool]], object]:
        parallel = conf.worker_parallel_deliveries
        return lambda now, is_over: chore(executor=executor, parallel=parallel, is_over=is_over)

    def make_keys(now: datetime, is_over: Callable[[], bool]) -> None:
        keys.make_missing(is_over=is_over)

    def age_keys(now: datetime, is_over: Callable[[], bool]) -> None:
        keys.rotate_aged(now=now, is_over=is_over)

    unfinished: list[purging.Purge] = []

    def purge(now: datetime) -> bool:
        """Go on with what the last turn left, each at its own place: dead rows are not walked over again."""
        run = unfinished.pop() if unfinished else purging.Purge(now=now)
        if in_turns(lambda now, is_over: run.work(is_over=is_over))(now) and not run.is_done:
            unfinished.append(run)
        return not run.is_done

    return [
        Job("deliver", timedelta(0), send_everything_due),
        Job("chain_audit", conf.worker_audit_chain_interval, in_turns(chain_audit)),
        *(Job(name, conf.worker_chore_interval, in_turns(of_app(chore))) for name, chore in registry.chores().items()),
        Job("make_keys", conf.worker_key_check_interval, in_turns(make_keys)),
        Job("age_keys", conf.worker_key_check_interval, in_turns(age_keys)),
        Job("purge", conf.worker_purge_interval, purge),
    ]
