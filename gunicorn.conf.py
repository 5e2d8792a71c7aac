"""gunicorn's configuration; it finds this file when started here (`gunicorn config.wsgi`)."""

import gc
from typing import Any

from gunicorn.glogging import Logger

from config.env import read_server
from config.logging import RedactionFilter

server = read_server()

bind = f"[{server.host}]:{server.port}" if ":" in server.host else f"{server.host}:{server.port}"
workers = server.workers
threads = server.threads
worker_class = "config.web_worker.Worker"  # gunicorn's threads, which slow clients do not reach
limit_request_line = 8190  # bytes, the most that gunicorn takes; beyond it our page says 414 (RFC 9112-3)
timeout = 30  # seconds a worker may be silent
graceful_timeout = 30  # seconds for requests under way when the server stops
keepalive = 75  # seconds; longer than a proxy's, so that the proxy is the side that closes
control_socket_disable = True

# The application is loaded once, and every process is forked from that one: they share what is never written.
preload_app = True


def when_ready(server: Any) -> None:
    """Keep the collector off what the processes share: it writes to whatever it looks at."""
    gc.collect()
    gc.freeze()


# Whether a request came by https is decided by RequestContextMiddleware, which knows TRUSTED_PROXIES. gunicorn would
# believe any process on this machine.
secure_scheme_headers: dict[str, str] = {}
forwarder_headers = ""

# No access log: its lines would hold query strings, and those hold codes. Events are logged by the application.
accesslog = None


class RedactingLogger(Logger):
    """gunicorn's own logger: where the application fails, it writes the address with its query."""

    def setup(self, cfg: Any) -> None:
        """Put our redaction before every handler of the error log."""
        super().setup(cfg)
        for handler in self.error_log.handlers:
            handler.addFilter(RedactionFilter())


logger_class = RedactingLogger
