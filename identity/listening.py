"""How a process is told at once of what changed on other nodes, so that its copies may live longer (ADR 31).

On PostgreSQL the tables tell: their triggers NOTIFY within the writing transaction, whatever wrote. A thread of each
process listens on a connection of its own. Where REDIS_URL is set, a process publishes there after its commits, and
listens there too: that serves where the database cannot tell (SQLite, or behind a pooler that lends a connection
for one statement). Where neither is heard, copies are as old as `process_cache_seconds` allows.

A listener proves twice a second that it would hear; silent for `copies.SILENCE_SECONDS`, it counts as deaf. Whenever
one begins to hear, everything is forgotten that was remembered before.
"""

from __future__ import annotations

import logging
import os
import select
import threading
import time
from collections.abc import Callable
from functools import cache
from typing import Any

import redis
from django.conf import settings
from django.db import connections

from identity import copies

log = logging.getLogger(__name__)

CHANNEL = "monban_changes"
HEARTBEAT_SECONDS = 0.5
_RETRY_SECONDS = 1.0
_ANSWER_SECONDS = 1.0  # for Redis to answer
_wanted = False
_listening_in = 0  # process id
_lock = threading.Lock()


def connect() -> None:
    """Let every process publish what it changes, where there is a Redis. Called once, by `apps.ready`."""
    if _redis_url():
        copies.publish_by(_publish)


def begin() -> None:
    """Let this process, and those that it becomes by forking, listen from their first request on."""
    global _wanted
    _wanted = True


def is_wanted() -> bool:
    """Tell whether this process shall be told of changes, and so, whether all of this installation are."""
    return _wanted


def ensure() -> None:
    """Start the listeners of this process, unless they run. Called once for each request, so it is cheap."""
    global _listening_in
    if not _wanted or _listening_in == os.getpid():
        return
    with _lock:
        if _listening_in == os.getpid():
            return
        _listening_in = os.getpid()
        if connections["default"].vendor == "postgresql":
            _start(_listen_to_postgresql)
        if _redis_url():
            _start(_listen_to_redis)


def _start(listen: Callable[[], None]) -> None:
    threading.Thread(target=_for_ever, args=[listen], name=listen.__name__, daemon=True).start()


def _for_ever(listen: Callable[[], None]) -> None:
    while True:
        try:
            listen()
        except Exception as error:  # noqa: BLE001 - whatever it is, we are deaf and try again
            log.warning("copies.deaf", extra={"source": listen.__name__, "reason": type(error).__name__})
        time.sleep(_RETRY_SECONDS)


def _listen_to_postgresql() -> None:
    wrapper: Any = connections.create_connection("default")
    # Without an answer from a server that is gone, the kernel would wait for a quarter of an hour.
    patient = {"keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3, "tcp_user_timeout": 5000}
    wrapper.settings_dict = {**wrapper.settings_dict, "OPTIONS": {**wrapper.settings_dict["OPTIONS"], **patient}}
    told: list[str] = []
    try:
        wrapper.connect()
        connection = wrapper.connection
        connection.add_notify_handler(lambda notify: told.append(notify.payload))
        connection.execute(f"LISTEN {CHANNEL}")
        copies.clear()
        while True:
            # What was told before this answer comes with it. A pooler may have lent another backend, which listens to
            # nothing.
            if (CHANNEL,) not in connection.execute("SELECT pg_listening_channels()").fetchall():
                raise ConnectionError("behind a pooler")
            _forget(told)
            copies.hear()
            select.select([connection.fileno()], [], [], HEARTBEAT_SECONDS)
    finally:
        wrapper.close()


def _listen_to_redis() -> None:
    with _client().pubsub() as channel:
        channel.subscribe(CHANNEL)
        copies.clear()
        asked_at = float("-inf")
        while True:
            if time.monotonic() - asked_at >= HEARTBEAT_SECONDS:
                channel.ping()
                asked_at = time.monotonic()
            message = channel.get_message(timeout=HEARTBEAT_SECONDS)
            if message is None:
                continue
            if message["type"] == "message":
                _forget([message["data"].decode()])
            copies.hear()


def _forget(told: list[str]) -> None:
    """Forget what was told of: public numbers of tenants, "" for everything."""
    if told:
        names, told[:] = list(told), []
        copies.forget([int(name) if name else None for name in names])


def _publish(tenant_id: int | None) -> None:
    try:
        _client().publish(CHANNEL, "" if tenant_id is None else str(tenant_id))
    except redis.RedisError as error:
        # The change stands. Who does not hear of it goes by the age of its copies, as Redis is deaf to it as well.
        log.warning("copies.unpublished", extra={"tenant": tenant_id, "reason": type(error).__name__})


@cache
def _client() -> redis.Redis:
    return redis.Redis.from_url(
        _redis_url(), socket_timeout=_ANSWER_SECONDS, socket_connect_timeout=_ANSWER_SECONDS, health_check_interval=0
    )


def _redis_url() -> str:
    cache_settings = settings.CACHES["default"]
    is_redis = cache_settings["BACKEND"].endswith(".RedisCache")
    return str(cache_settings["LOCATION"]) if is_redis else ""
