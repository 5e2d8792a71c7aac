"""Things that happen at the same time, from threads that have database connections of their own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

from django.db import connections

Errors = type[Exception] | tuple[type[Exception], ...]


def at_once(work: Callable[[int], Any], *, times: int, threads: int = 10, refusals: Errors = ()) -> list[Any]:
    """Call the work with each number below `times`, from threads that start together; return what came of each.

    refusals: errors that are outcomes too, and are returned. Any other error is raised here.
    """
    threads = min(threads, times)
    barrier = Barrier(threads)

    def one(number: int) -> Any:
        if number < threads:
            barrier.wait(timeout=30)
        try:
            return work(number)
        except refusals as error:
            return error
        finally:
            connections.close_all()

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(one, range(times)))


def each_at_once(*acts: Callable[[], Any], refusals: Errors = ()) -> list[Any]:
    """Do each in a thread of its own; they start together. Return what came of each, in their order."""
    return at_once(lambda number: acts[number](), times=len(acts), threads=len(acts), refusals=refusals)


def kinds(results: list[Any]) -> Counter[str]:
    """Count the results by the names of their types."""
    return Counter(type(result).__name__ for result in results)
