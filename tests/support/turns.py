"""A machine that is busy hashing other people's passwords."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.test import override_settings

from identity.passwords import turns


@contextmanager
def turns_taken(*, length: int = 0) -> Iterator[None]:
    """One turn, which another thread holds, and so many places to wait."""
    held, over = threading.Event(), threading.Event()

    def hold() -> None:
        with turns.turn():
            held.set()
            over.wait(30)

    changed = {"password_hashes_at_once": 1, "password_queue_length": length, "password_queue_seconds": 0.1}
    with override_settings(IDENTITY={**settings.IDENTITY, **changed}):
        holder = threading.Thread(target=hold)
        holder.start()
        assert held.wait(30)
        try:
            yield
        finally:
            over.set()
            holder.join()
