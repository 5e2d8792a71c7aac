"""Public identifiers in the wire's shape."""

import secrets
import time
from datetime import UTC, datetime

PUBLIC_ID_LENGTH = 32


def new_public_id() -> str:
    """Return a fresh public id such as `20210621095935811-5E16-6B3060ABC`.

    17 digits of creation time (UTC, milliseconds), then 52 random bits as upper-case hexadecimal digits, so that
    ids sort by age and are never reused (tenant API contract, schema Id).
    """
    milliseconds = time.time_ns() // 1_000_000
    moment = datetime.fromtimestamp(milliseconds / 1000, tz=UTC)
    stamp = f"{moment:%Y%m%d%H%M%S}{milliseconds % 1000:03d}"
    random_part = f"{secrets.randbits(52):013X}"
    return f"{stamp}-{random_part[:4]}-{random_part[4:]}"
