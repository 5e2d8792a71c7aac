"""The development settings with a worker that gives up on a dead one after seconds, for tests that kill one."""

from datetime import timedelta

from config.settings import dev

globals().update({name: getattr(dev, name) for name in dir(dev) if name.isupper()})
IDENTITY = {
    **dev.IDENTITY,  # type: ignore[attr-defined]
    "delivery_timeout_seconds": 3.0,
    "outbound_total_timeout_seconds": 4.0,
    "delivery_lease": timedelta(seconds=5),
}
