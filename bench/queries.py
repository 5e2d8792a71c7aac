"""Count what a request asks of the database. Only the counting server of the benchmark has this middleware."""

import tempfile
import threading
import time
from collections.abc import Callable
from typing import Any

from django.db import connection
from django.http import HttpRequest, HttpResponse
from psycopg.pq import Trace

from sdk_api import signature

_spent = threading.local()


def _timed(decrypt: Callable[..., Any]) -> Callable[..., Any]:
    """Note the CPU time that the decryption of an X-signature took."""

    def run(*args: Any) -> Any:
        before = time.thread_time()
        try:
            return decrypt(*args)
        finally:
            _spent.ms = (time.thread_time() - before) * 1000

    return run


class RoundTrips:
    """How often a connection waited for the server: libpq writes down what it sends.

    Everything counts: BEGIN and COMMIT, the audit trail, the look whether the connection lives, what is prepared.
    """

    def __init__(self, raw: Any) -> None:
        self.raw, self._file = raw, tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the connection
        raw.pgconn.trace(self._file.fileno())
        raw.pgconn.set_trace_flags(Trace.SUPPRESS_TIMESTAMPS)

    def since(self) -> int:
        """Return how many there were since the last question."""
        self.raw.pgconn.untrace()  # which writes out what is held back
        self._file.seek(0)
        sent = [line.split(b"\t") for line in self._file.read().splitlines()]
        self._file.seek(0)
        self._file.truncate()
        self.raw.pgconn.trace(self._file.fileno())
        self.raw.pgconn.set_trace_flags(Trace.SUPPRESS_TIMESTAMPS)
        # The server answers when it has read one of these.
        return sum(words[0] == b"F" and words[2] in (b"Query", b"Sync") for words in sent)


_of_thread = threading.local()


class CountQueries:
    """Answer with X-Round-Trips, how often this request waited for the database.

    X-Decrypt-Ms is what the RSA decryption of its X-signature took, of the processor's time.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        signature.decrypt = _timed(signature.decrypt)

    def __call__(self, request: HttpRequest) -> HttpResponse:
        connection.ensure_connection()
        round_trips: RoundTrips | None = getattr(_of_thread, "round_trips", None)
        if round_trips is None or round_trips.raw is not connection.connection:
            round_trips = _of_thread.round_trips = RoundTrips(connection.connection)
        round_trips.since()
        response = self.get_response(request)
        response["X-Round-Trips"] = str(round_trips.since())
        response["X-Decrypt-Ms"] = f"{getattr(_spent, 'ms', 0.0):.3f}"
        _spent.ms = 0.0
        return response
