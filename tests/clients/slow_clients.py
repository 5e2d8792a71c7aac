"""Clients that send a part of a request and no more."""

from __future__ import annotations

import contextlib
import socket

SLOW = 60
PARTS = {
    "nothing": b"",
    "half a line": b"GET /oauth2/auth",
    "half a head": b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ",
    "half a body": b"POST /oauth2/token HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\ngrant_type=",
    "half a chunk": b"POST /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    "too large a body": b"POST /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999999\r\n\r\nab",
}


def read_all(connection: socket.socket) -> bytes:
    """What comes until the server closes."""
    answer = b""
    with contextlib.suppress(ConnectionResetError):
        while data := connection.recv(65536):
            answer += data
    return answer
