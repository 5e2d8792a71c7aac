"""Transactions that the database broke off because two of them met, and that go through when they are tried again.

PostgreSQL ends one of two transactions that wait for each other (40P01), and one that cannot be put in an order with
another (40001). Nothing was written then, and nothing is away. Locks are taken in one order, so that this is rare:
tenant, application, user, session, grant (docs/architecture.md).
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from django.db import OperationalError, connection

log = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

TRIES = 4
FIRST_PAUSE_SECONDS = 0.02  # doubled with each try, and shortened by chance, so that the two do not meet again
EVENTS = {"40P01": "database.deadlock", "40001": "database.serialization"}


def conflict_of(error: BaseException) -> str:
    """Return what a log calls the conflict that broke a transaction off; "" for an error of another kind."""
    return EVENTS.get(getattr(error.__cause__, "sqlstate", None) or "", "")


def retried(operation: Callable[P, R]) -> Callable[P, R]:
    """Try an operation again, a few times, when the database broke its transaction off for another one.

    Operation: one transaction, which keeps nothing of a try that failed. Called within a transaction it is a part of
    that one, which only its own caller can repeat. The last try's error is raised: the caller answers 503.
    """

    @wraps(operation)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        if connection.in_atomic_block:
            return operation(*args, **kwargs)
        for attempt in range(1, TRIES):
            try:
                return operation(*args, **kwargs)
            except OperationalError as error:
                event = conflict_of(error)
                if not event:
                    raise
                log.warning(event, extra={"operation": operation.__qualname__, "attempt": attempt})
            time.sleep(FIRST_PAUSE_SECONDS * 2**attempt * secrets.randbelow(1000) / 1000)
        return operation(*args, **kwargs)

    return run
