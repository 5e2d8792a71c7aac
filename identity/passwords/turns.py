"""Turns at hashing passwords: one hash a core at a time, and a queue that ends (ADR 28).

Argon2id fills a core and 19 MiB while it runs, and lets other threads run beside it. So many at once as there are
requests would only share the cores, and each of them would need its memory.

A turn is taken before anything is counted and before any lock of the database, never after: whoever is turned away has
not tried, and nobody waits for a turn with a lock that the holder of the turn needs.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import ParamSpec, TypeVar

from identity.conf import conf
from identity.errors import SystemBusy

log = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

_here = threading.local()


def begin_request(received_at: float) -> None:
    """Note when the request that this thread answers was received, in seconds of `time.monotonic`.

    A request waits for a thread before it waits for a turn, and both are the person's waiting. Where the server does
    not say, only the second counts.
    """
    _here.received_at = received_at


@contextmanager
def turn() -> Iterator[None]:
    """Hold a turn; inside of it a further one is the same. Raises SystemBusy where too many wait, or for too long."""
    if getattr(_here, "has_turn", False):
        yield
        return
    now = time.monotonic()
    waited = now - getattr(_here, "received_at", now)
    with _queue(conf.password_hashes_at_once, conf.password_queue_length).turn(conf.password_queue_seconds - waited):
        _here.has_turn = True
        try:
            yield
        finally:
            _here.has_turn = False


def in_hashing_thread(work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Do the work in one of as many threads as there are turns.

    The C library keeps what a thread has freed for that thread: hashed in every thread that answers requests, each of
    them would keep 19 MiB for ever.
    """
    return _threads(conf.password_hashes_at_once, os.getpid()).submit(work, *args, **kwargs).result()


class Queue:
    """So many turns at once, and so many who wait for one."""

    def __init__(self, *, at_once: int, length: int) -> None:
        self._turns = threading.Semaphore(at_once)
        self._places = threading.Semaphore(at_once + length)

    @contextmanager
    def turn(self, seconds: float) -> Iterator[None]:
        """Wait so long for a turn, and hold it. Raises SystemBusy."""
        if not self._places.acquire(blocking=False):
            raise _busy("too many wait")
        try:
            if not self._turns.acquire(timeout=max(seconds, 0.0)):
                raise _busy("waited too long")
            try:
                yield
            finally:
                self._turns.release()
        finally:
            self._places.release()


def _busy(reason: str) -> SystemBusy:
    log.warning("password.busy", extra={"reason": reason})
    return SystemBusy(log_detail=f"password hashes: {reason}")


@cache
def _queue(at_once: int, length: int) -> Queue:
    """Return this process's queue."""
    return Queue(at_once=at_once, length=length)


@cache
def _threads(at_once: int, pid: int) -> ThreadPoolExecutor:
    """Return the threads of this process: those of the process that it was forked from did not come with it."""
    return ThreadPoolExecutor(at_once, thread_name_prefix="hashing")
