"""The development settings with one turn at hashing and four who may wait for it."""

from config.settings import dev

globals().update({name: getattr(dev, name) for name in dir(dev) if name.isupper()})
IDENTITY = {
    **dev.IDENTITY,  # type: ignore[attr-defined]
    "password_hashes_at_once": 1,
    "password_queue_length": 4,
    "password_queue_seconds": 60.0,
}
