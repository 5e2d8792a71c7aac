"""granian in place of gunicorn, behind a proxy that sends on whole requests: `python -m config.granian_server`.

It takes less of a processor for a request. It has no answer to slow bodies: each of them holds a thread for as long as
it takes, so it must not meet clients itself (docs/servers.md).
"""

import gc

from granian.constants import HTTPModes, Interfaces, RuntimeModes
from granian.http import HTTP1Settings
from granian.server import Server

from config.env import read_server

HEAD_SECONDS = 10  # for the head of a request, and for the next one on a connection that is kept
STOP_SECONDS = 30  # for requests under way when the server stops

LOGGING = {
    "filters": {"redaction": {"()": "config.logging.RedactionFilter"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "generic", "filters": ["redaction"]}},
    # No access log: its lines would hold query strings, and those hold codes. Events are logged by the application.
    "loggers": {"_granian": {"handlers": ["console"], "level": "INFO", "propagate": False}},
}


def serve() -> None:
    """Serve with the settings of this environment, until somebody says to stop."""
    server = read_server()
    Server(
        "config.wsgi:application",
        address=server.host,
        port=server.port,
        interface=Interfaces.WSGI,
        workers=server.workers,
        blocking_threads=server.threads,
        runtime_mode=RuntimeModes.st,
        http=HTTPModes.http1,
        websockets=False,
        http1_settings=HTTP1Settings(header_read_timeout=HEAD_SECONDS * 1000),
        log_dictconfig=LOGGING,
        log_access=False,
        respawn_failed_workers=True,
        workers_kill_timeout=STOP_SECONDS,
    ).serve()


def share() -> None:
    """Load the application before the processes are forked, and keep the collector off it, as gunicorn.conf.py does."""
    import config.wsgi  # noqa: F401

    gc.collect()
    gc.freeze()


if __name__ == "__main__":
    share()
    serve()
