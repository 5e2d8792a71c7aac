"""gunicorn's threaded worker, with two things of ours: a thread only ever gets a request that is whole, and refusals
that no view can make are our pages.

gunicorn gives a thread to a connection as soon as its first byte is there, so that as many slow clients as there are
threads stop a process. Here the loop that accepts connections receives the head and the body too, up to the size that
any view takes, and cuts what does not arrive in time. A slow client costs a file descriptor and what it has sent, and
all of them together no more than HELD_BYTES.
"""

from __future__ import annotations

import os
import re
import select
import selectors
import socket
import struct
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

from gunicorn import http, util
from gunicorn.http import errors
from gunicorn.workers.gthread import ThreadWorker

from identity.passwords import turns

HEAD_SECONDS = 10  # to the first byte of a connection, and from that of a request to the end of its head
BODY_SECONDS = 30  # from there to the end of its body
LEAVE_SECONDS = 2  # for the client to read a refusal of what it is still sending
LINGER_SECONDS = 2  # that a stopping process waits for the first byte of a connection that is open already
STALLED_SECONDS = 10  # a client that takes, or gives a body beyond BODY_BYTES, is cut when it pauses for longer
HEAD_BYTES = 64 * 1024
BODY_BYTES = 1024 * 1024  # DATA_UPLOAD_MAX_MEMORY_SIZE: longer ones are refused by their length, unread
RECEIVE_BYTES = 64 * 1024
HELD_BYTES = 64 * 1024 * 1024  # of all requests that one process has received and not answered yet

_CONTENT_LENGTH = re.compile(rb"^content-length[ \t]*:[ \t]*(\d{1,18})[ \t]*\r?$", re.I | re.M)
_EXPECTS = re.compile(rb"^expect[ \t]*:[ \t]*100-continue[ \t]*\r?$", re.I | re.M)
_CHUNKED = re.compile(rb"^transfer-encoding[ \t]*:", re.I | re.M)
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_NO_ROOM = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 10\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

# What a client did wrong before there was a request, by the status of the answer (RFC 9110-15.5).
# None: not the client's doing.
_STATUS_OF: dict[type[Exception], int | None] = {
    errors.InvalidResponseHeader: None,
    errors.InvalidResponseHeaderName: None,
    errors.ConfigurationProblem: None,
    errors.LimitRequestLine: 414,
    errors.LimitRequestHeaders: 431,
    errors.ParseException: 400,
}


@dataclass
class Arrival:
    """A request on its way in."""

    line_bytes: int  # the longest request line
    deadline: float  # monotonic
    data: bytearray = field(default_factory=bytearray)
    head_end: int = -1  # where the body begins; -1 while the head is not whole
    length: int = 0  # of head and body
    is_whole: bool = False
    is_over: bool = False  # whole, or as much of it as will be received here
    is_refused: bool = False  # there is no room for it
    awaits_continue: bool = False  # RFC 9110-10.1.1: the client sends the body when it is told to

    def add(self, data: bytes) -> None:
        """Take what was received, and see how far the request is."""
        now = time.monotonic()
        if not self.data and data:
            self.deadline = now + HEAD_SECONDS
        searched = max(len(self.data) - 3, 0)
        self.data += data
        if self.head_end < 0:
            self._look_for_body(searched, now)
        if self.head_end >= 0:
            self.is_whole = len(self.data) >= self.length > 0
            self.is_over = self.is_over or self.is_whole
        else:
            # The parser refuses what is too long as soon as it sees it.
            has_long_line = len(self.data) > self.line_bytes + 2 and b"\n" not in self.data[: self.line_bytes + 2]
            self.is_over = has_long_line or len(self.data) > HEAD_BYTES

    def _look_for_body(self, searched: int, now: float) -> None:
        # Lines that end without CR are refused by the parser; they must reach it.
        ends = [end + len(mark) for mark in (b"\n\r\n", b"\n\n") if (end := self.data.find(mark, searched)) >= 0]
        if not ends:
            return
        self.head_end = min(ends)
        head = bytes(self.data[: self.head_end])
        found = _CONTENT_LENGTH.search(head)
        body_bytes = int(found[1]) if found else 0
        if _CHUNKED.search(head) or body_bytes > BODY_BYTES:
            self.is_over = True  # no view reads either: the answer is made without the body
            return
        self.length = self.head_end + body_bytes
        self.deadline = now + BODY_SECONDS
        self.awaits_continue = bool(_EXPECTS.search(head))


class Worker(ThreadWorker):
    """One process: a loop that receives requests, and threads that answer them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.arriving: dict[Any, Arrival] = {}
        self.leaving: dict[Any, float] = {}  # connection to the time until which it is drained
        self.held_bytes = 0  # counted by the loop alone
        self._next_look = self._noted_at = 0.0
        self._is_listening = True
        self._asked = threading.local()

    def load_wsgi(self) -> None:
        """Load the application, which takes the path it is deployed below off each address itself (config.wsgi)."""
        super().load_wsgi()
        # gunicorn would answer 500 for every address outside of it, the probes' among them.
        os.environ.pop("SCRIPT_NAME", None)

    def notify(self) -> None:
        """Tell the first process once a second that this one lives, and not at every turn of the loop."""
        now = time.monotonic()
        if now - self._noted_at >= 1:
            self._noted_at = now
            super().notify()

    # Stopping ----------------------------------------------------------------------------------------------

    def set_accept_enabled(self, enabled: bool) -> None:
        """Accept connections, or not; where the process stops, take those that wait and close the listening socket.

        gunicorn closes it when the last connection is done. Until then the system goes on taking connections for it,
        which nobody accepts any more, and resets them at the end: a proxy has sent its request by then.
        """
        if not self._is_listening:
            return
        super().set_accept_enabled(enabled and self.alive)
        if self.alive:
            return
        self._is_listening = False
        for listener in self.sockets:
            listener.setblocking(False)
            while select.select([listener], [], [], 0)[0]:
                self.accept(listener)
            listener.close()

    # Arriving ----------------------------------------------------------------------------------------------

    def enqueue_req(self, conn: Any) -> None:
        """Receive the connection's next request, and give it to a thread when it is whole."""
        conn.sock.setblocking(False)
        if conn.parser is None:
            conn.parser = http.get_parser(self.cfg, conn.sock, conn.client)
            conn.initialized = conn.data_ready = True
            limit = struct.pack("ll", STALLED_SECONDS, 0)
            for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
                conn.sock.setsockopt(socket.SOL_SOCKET, option, limit)
        # A connection that is kept comes here when its next request does, so silence is that of a fresh one.
        arrival = Arrival(self.cfg.limit_request_line, time.monotonic() + HEAD_SECONDS)
        conn.held_bytes = 0
        self._add(conn, arrival, conn.parser.unreader.take_buffered())
        is_over = self._receive(conn, arrival)
        if is_over is None:
            self.arriving[conn] = arrival
            self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._go_on, conn))
        else:
            self._take(conn, arrival, is_over=is_over)

    def _go_on(self, conn: Any, sock: Any) -> None:
        arrival = self.arriving[conn]
        is_over = self._receive(conn, arrival)
        if is_over is not None:
            self._forget(conn)
            self._take(conn, arrival, is_over=is_over)

    def _receive(self, conn: Any, arrival: Arrival) -> bool | None:
        """Receive what is there. None: there is more to come. False: the client has gone."""
        while not arrival.is_over:
            try:
                data = conn.sock.recv(RECEIVE_BYTES)
            except (BlockingIOError, InterruptedError):
                self._ask_for_body(conn, arrival)
                return None
            except OSError:
                return False
            if not data:
                return False
            self._add(conn, arrival, data)
        return True

    def _add(self, conn: Any, arrival: Arrival, data: bytes) -> None:
        arrival.add(data)
        conn.held_bytes += len(data)
        self.held_bytes += len(data)
        while self.held_bytes > HELD_BYTES and not arrival.is_refused:
            # The largest of those that are still coming goes: many slow bodies must not turn short requests away.
            arriving = {**self.arriving, conn: arrival}
            largest = max(arriving, key=lambda one: len(arriving[one].data))
            if largest is conn:
                arrival.is_refused = arrival.is_over = True
            else:
                self._forget(largest)
                self._turn_away(largest)

    def _turn_away(self, conn: Any) -> None:
        self._release(conn)
        self.log.warning("request.no_room")
        _say(conn.sock, _NO_ROOM)
        self._leave(conn)

    def _release(self, conn: Any) -> None:
        self.held_bytes -= conn.held_bytes
        conn.held_bytes = 0

    def _take(self, conn: Any, arrival: Arrival, *, is_over: bool) -> None:
        if not is_over:
            self._close(conn)
            return
        if arrival.is_refused:
            self._turn_away(conn)
            return
        conn.is_whole = arrival.is_whole
        conn.received_at = time.monotonic()
        conn.target = _target(arrival.data)
        if arrival.head_end < 0 and len(arrival.data) > HEAD_BYTES:
            task = self.tpool.submit(self._refuse, conn, errors.LimitRequestHeaders("head"))
        else:
            conn.parser.unreader.unread(bytes(arrival.data))
            task = self.tpool.submit(self.handle, conn)
        task.add_done_callback(lambda done: self.method_queue.defer(self.finish_request, conn, done))

    @staticmethod
    def _ask_for_body(conn: Any, arrival: Arrival) -> None:
        if arrival.awaits_continue:
            arrival.awaits_continue = False
            _say(conn.sock, _CONTINUE)

    def handle(self, conn: Any) -> Any:
        """Answer a request that is whole, in a thread."""
        self._asked.target = conn.target  # `handle_error` is told of the socket only
        turns.begin_request(conn.received_at)
        return super().handle(conn)

    def _refuse(self, conn: Any, error: Exception) -> bool:
        self._asked.target = conn.target
        self.handle_error(None, conn.sock, conn.client, error)
        return False

    def _forget(self, conn: Any) -> None:
        self.arriving.pop(conn, None)
        self.leaving.pop(conn, None)
        self.poller.unregister(conn.sock)

    def murder_pending(self) -> None:
        """Cut what has not arrived in time, once a second; gunicorn calls this from its loop."""
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + 1
        for conn, arrival in list(self.arriving.items()):
            has_begun = bool(arrival.data)
            linger_seconds = HEAD_SECONDS if self.alive or has_begun else LINGER_SECONDS
            if now >= arrival.deadline - HEAD_SECONDS + linger_seconds:
                self._forget(conn)
                if has_begun:
                    self.log.info("request.too_slow")
                    _say(conn.sock, _TOO_SLOW)
                self._close(conn)
        for conn in [conn for conn, deadline in self.leaving.items() if now >= deadline]:
            self._forget(conn)
            self._close(conn)

    # Leaving -----------------------------------------------------------------------------------------------

    def _keepalive_after(self, conn: Any, keepalive: bool) -> bool:
        """Keep a connection only if nothing of its request is still to come: draining it would hold the thread."""
        return bool(conn.is_whole and super()._keepalive_after(conn, keepalive))

    def finish_request(self, conn: Any, fs: Any) -> None:
        """Go on with a connection that is kept, and close every other one without waiting for its client."""
        self._release(conn)
        if not fs.cancelled() and fs.exception() is None and fs.result():
            super().finish_request(conn, fs)
        elif conn.is_whole:
            self._close(conn)
        else:
            self._leave(conn)

    def _leave(self, conn: Any) -> None:
        """Close when the client has seen the answer: closing on what it still sends would take the answer away."""
        try:
            conn.sock.setblocking(False)
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._close(conn)
            return
        self.leaving[conn] = time.monotonic() + LEAVE_SECONDS
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._drain, conn))

    def _drain(self, conn: Any, sock: Any) -> None:
        try:
            data = sock.recv(RECEIVE_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self._forget(conn)
            self._close(conn)

    def _close(self, conn: Any) -> None:
        self._release(conn)
        self.nr_conns -= 1
        conn.close()

    # Refusals ----------------------------------------------------------------------------------------------

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:
        """Answer a request that cannot be read with our page. Everything else is a fault of ours, and gunicorn's."""
        # The order is from the special to the general.
        status = next((status for kind, status in _STATUS_OF.items() if isinstance(exc, kind)), None)
        if status is None:
            super().handle_error(req, client, addr, exc)
            return
        # Log the type only: the error's text holds what the client sent.
        self.log.info("request.unreadable %s %s", type(exc).__name__, status)
        util.write_nonblock(client, refusal(status, is_for_program=_is_for_program(getattr(self._asked, "target", ""))))


def _say(sock: socket.socket, data: bytes) -> None:
    """Send a word from the loop, which waits for no client and outlives every one of them."""
    # Who has left, or takes nothing of what was answered before, misses it. Raised, it would end the whole process.
    with suppress(OSError):
        util.write_nonblock(sock, data)


def _target(data: bytearray) -> str:
    """Return the beginning of the address that a request line names, as far as it tells whose it is."""
    _method, _blank, rest = bytes(data[:500]).partition(b" ")
    return rest.split(b" ")[0].decode("latin-1")


def _is_for_program(target: str) -> bool:
    from identity.views.errors import is_of_product_api

    return is_of_product_api(target)


@cache
def refusal(status: int, *, is_for_program: bool = False) -> bytes:
    """Return the whole answer of this status: our page, or the form in which the product's APIs refuse."""
    # gunicorn imports this module before there are settings.
    from identity.views.errors import refuse_unread

    response = refuse_unread(status, is_for_program=is_for_program)
    response["Content-Length"] = str(len(response.content))
    response["Connection"] = "close"
    head = f"HTTP/1.1 {status} {response.reason_phrase}\r\n".encode("ascii")
    return head + response.serialize_headers() + b"\r\n\r\n" + response.content
