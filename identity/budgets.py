"""How much one source may have of what costs little and asks for no name (S58).

Published documents, requests that are parked while somebody signs in, and clients that prove nothing are free for
anybody. Counting them in rows would cost more than they do, so each process counts for itself: an installation of
several processes allows that much more. What guards accounts is counted in rows, see `throttle`.
"""

from __future__ import annotations

import ipaddress
import math
import threading
import time
from enum import StrEnum
from functools import lru_cache

from identity import throttle
from identity.conf import conf
from identity.context import RequestContext
from identity.models import Tenant

WINDOW_SECONDS = 60.0
_MAX_COUNTERS = 20_000  # sources come from outside, so they are bounded


class Budget(StrEnum):
    """What is counted. The value is the name of its limit among the settings."""

    DOCUMENTS = "documents_per_minute"  # discovery, keys, metadata
    PARKED = "parked_requests_per_minute"  # a sign-in that is begun and leaves rows behind
    REFUSED_CLIENTS = "refused_clients_per_minute"  # a right secret is never refused, whatever was counted


class BudgetSpent(Exception):
    """A source has used up what it may have."""

    def __init__(self, *, retry_after_seconds: int) -> None:
        super().__init__(f"retry after {retry_after_seconds} s")
        self.retry_after_seconds = retry_after_seconds


_lock = threading.Lock()
_counters: dict[tuple[Budget, int, str], tuple[float, int]] = {}  # to the end of the window (monotonic) and a count


def spend(budget: Budget, *, tenant: Tenant | None, context: RequestContext) -> None:
    """Count one event of a source and of the tenant it asks, if there is one. Raises BudgetSpent."""
    source = throttle.source_of(context)
    if conf.debug and _is_loopback(source):
        return  # A developer's own machine, and whoever measures on it.
    now, key = time.monotonic(), (budget, tenant.pk if tenant is not None else 0, source)
    with _lock:
        until, count = _counters.get(key, (0.0, 0))
        if until <= now:
            if len(_counters) >= _MAX_COUNTERS:
                _forget_over(now)
            until, count = now + WINDOW_SECONDS, 0
        _counters[key] = (until, count + 1)
    if count >= getattr(conf, budget):
        raise BudgetSpent(retry_after_seconds=max(math.ceil(until - now), 1))


def clear() -> None:
    """Forget what this process counted."""
    _counters.clear()


def _forget_over(now: float) -> None:
    for key in [key for key, (until, _) in _counters.items() if until <= now]:
        del _counters[key]
    if len(_counters) >= _MAX_COUNTERS:
        _counters.clear()  # So many sources within a minute: none of them is what a budget is for.


@lru_cache(maxsize=1000)
def _is_loopback(source: str) -> bool:
    try:
        return ipaddress.ip_address(source).is_loopback
    except ValueError:
        return False
