"""Clocks of several nodes, which differ a little however well they are kept.

What one node makes and another one judges by its own clock may be good for so short a time that a few seconds matter.
NTP is asked for (docs/operations.md); these seconds are for what is left.
"""

from __future__ import annotations

from datetime import datetime, timedelta

TOLERANCE = timedelta(seconds=5)
SHORT = timedelta(minutes=1)  # a lifetime below this is given the tolerance


def is_over(expires_at: datetime, *, made_at: datetime, now: datetime) -> bool:
    """Tell whether the time of something is over, by the clock of this node.

    made_at: by the clock of the node that made it; it tells how long the thing was to live.
    """
    allowed = TOLERANCE if expires_at - made_at < SHORT else timedelta()
    return expires_at + allowed <= now
