"""The range service of Pwned Passwords on loopback, written from its documentation."""

from __future__ import annotations

import hashlib
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self


def digest_of(password: str) -> str:
    return hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper()


class RangeService:
    """Answers ranges of the passwords it knows, with padding where it is asked for; or what `scripted` says."""

    def __init__(self, known: dict[str, int]) -> None:
        self.known = {digest_of(password): count for password, count in known.items()}
        self.paths: list[str] = []
        self.padded: list[bool] = []
        self.scripted: tuple[int, dict[str, str], bytes] | None = None
        self.delay_seconds = 0.0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.paths.append(self.path)
                outer.padded.append(self.headers.get("Add-Padding") == "true")
                time.sleep(outer.delay_seconds)
                status, headers, body = outer.scripted or (200, {}, outer.range_of(self.path.rsplit("/", 1)[1]))
                try:
                    self.send_response(status)
                    for name, value in {**headers, "Content-Length": str(len(body))}.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(body)
                except OSError:
                    return  # the client did not wait

            def log_message(self, *args: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/range"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def range_of(self, prefix: str) -> bytes:
        lines = [f"{digest[5:]}:{count}" for digest, count in self.known.items() if digest.startswith(prefix)]
        lines += [f"{digest_of(f'padding {number}')[5:]}:0" for number in range(20)]
        return "\r\n".join(sorted(lines)).encode()

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(5)
