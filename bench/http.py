"""A small HTTP/1.1 client for load: one kept connection, cookies, no redirects, nothing it does not need."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit


@dataclass(frozen=True)
class Response:
    status: int
    headers: list[tuple[str, str]]  # names in lower case
    body: bytes

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key == name), "")

    def json(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.body)
        return document


class WrongAnswerError(Exception):
    """The server's answer is not what it has to be."""


def check(condition: bool, what: str, response: Response) -> None:
    if not condition:
        raise WrongAnswerError(f"{what}: {response.status} {response.header('location')} {response.body[:300]!r}")


class Tally:
    """The round trips to the database of several requests, which the counting server tells of each."""

    def __init__(self) -> None:
        self.round_trips = 0

    def add(self, response: Response) -> None:
        self.round_trips += int(response.header("x-round-trips") or 0)


tally = Tally()


@dataclass
class Connection:
    """One connection to the server, opened when needed and again when the server has closed it."""

    host: str
    port: int
    cookies: dict[str, str] = field(default_factory=dict)
    _reader: asyncio.StreamReader | None = None
    _writer: asyncio.StreamWriter | None = None

    async def get(self, url: str, headers: dict[str, str] | None = None) -> Response:
        return await self.request("GET", url, headers or {}, b"")

    async def post(self, url: str, form: dict[str, str], headers: dict[str, str] | None = None) -> Response:
        content_type = {"Content-Type": "application/x-www-form-urlencoded"}
        return await self.request("POST", url, {**content_type, **(headers or {})}, urlencode(form).encode())

    async def request(self, method: str, url: str, headers: dict[str, str], body: bytes) -> Response:
        parts = urlsplit(url)
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        headers = {"Host": f"{self.host}:{self.port}", **headers}
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        if self.cookies:
            lines.append("Cookie: " + "; ".join(f"{name}={value}" for name, value in self.cookies.items()))
        if body:
            lines.append(f"Content-Length: {len(body)}")
        message = "\r\n".join(lines).encode() + b"\r\n\r\n" + body
        reused = self._writer is not None
        try:
            response = await self._exchange(message)
        except (asyncio.IncompleteReadError, ConnectionError):
            # A kept connection may be closed by the server at any time; a new one may not.
            self.close()
            if not reused:
                raise
            response = await self._exchange(message)
        self._keep_cookies(response)
        tally.add(response)
        return response

    async def _exchange(self, message: bytes) -> Response:
        if self._reader is None or self._writer is None:
            self._reader, self._writer = await asyncio.open_connection(self.host, self.port)
        self._writer.write(message)
        head = await self._reader.readuntil(b"\r\n\r\n")
        status_line, *header_lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
        headers = []
        for line in header_lines:
            name, _, value = line.partition(":")
            headers.append((name.lower(), value.strip()))
        response = Response(int(status_line.split(" ", 2)[1]), headers, b"")
        if response.header("transfer-encoding") == "chunked":
            body = await self._chunks()
        else:
            body = await self._reader.readexactly(int(response.header("content-length") or "0"))
        if response.header("connection").lower() == "close":
            self.close()
        return Response(response.status, headers, body)

    async def _chunks(self) -> bytes:
        assert self._reader is not None
        parts = []
        while size := int((await self._reader.readuntil(b"\r\n")).strip(), 16):
            parts.append(await self._reader.readexactly(size))
            await self._reader.readexactly(2)
        await self._reader.readuntil(b"\r\n")
        return b"".join(parts)

    def _keep_cookies(self, response: Response) -> None:
        for name, value in response.headers:
            if name == "set-cookie":
                cookie_name, _, cookie_value = value.split(";")[0].partition("=")
                self.cookies[cookie_name] = cookie_value

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None
