"""Regular expressions that operators write, for values that anybody sends. None may hold a worker for long."""

from __future__ import annotations

import math
import re
import time
from functools import lru_cache

import regex  # type: ignore[import-untyped]

# Of the thread's CPU time. A pattern of good will needs a thousandth of it for the longest value.
LIMIT_SECONDS = 0.1
# Compiling writes out counted repeats such as {3}; nested ones as often as the product of their counts.
_MAX_WRITTEN_OUT = 100_000
_COUNT = re.compile(r"\{(\d+)")


class PatternUnusable(Exception):
    """A value could not be judged: the pattern is none, or repeats inside repeats took too long."""


@lru_cache(maxsize=1024)
def is_usable(pattern: str) -> bool:
    """Tell whether it is a regular expression that can be compiled with little memory."""
    counts = [max(1, int(digits[:10])) for digits in _COUNT.findall(pattern)]
    if math.prod(counts) > _MAX_WRITTEN_OUT:
        return False
    try:
        regex.compile(pattern)
    except (regex.error, RecursionError, OverflowError):
        return False
    return True


def matches(pattern: str, text: str) -> bool:
    """Tell whether the whole text fits. Raises PatternUnusable."""
    if not is_usable(pattern):
        raise PatternUnusable("not a pattern")
    started = time.thread_time()
    while True:
        try:
            # Keeping the interpreter to itself: other threads' work would count as this one's.
            return regex.fullmatch(pattern, text, timeout=LIMIT_SECONDS, concurrent=False) is not None
        except TimeoutError as error:
            # Its clock also runs while others have the processor; what was not given the time is asked again.
            if time.thread_time() - started >= LIMIT_SECONDS:
                raise PatternUnusable("too slow") from error
