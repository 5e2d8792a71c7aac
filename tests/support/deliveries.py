"""What the worker does with the rows of deliveries, in the thread of the test."""

from __future__ import annotations

from datetime import datetime

from identity import delivery


def send_due(*, now: datetime, limit: int) -> int:
    """Claim and send what is due, one after the other; return how many were claimed."""
    claimed = delivery.claim(now=now, limit=limit)
    for row in claimed:
        delivery.attempt(row)
    return len(claimed)
