"""The second web server as documented, and what of its weaknesses the documents must go on saying (docs/servers.md)."""

from __future__ import annotations

import contextlib
import logging
import logging.config
import os
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from granian.log import LogLevels, configure_logging

from config import granian_server
from tests.clients.nginx import documented_nginx
from tests.clients.provider import Provider, free_port, stop, tail, wait_until_open
from tests.clients.slow_clients import PARTS, SLOW, read_all

pytestmark = [pytest.mark.client, pytest.mark.xdist_group("granian")]

THREADS = 2
CODE = "a-code-that-nobody-may-read-in-a-log"


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("granian") / "granian.log"


@pytest.fixture(scope="module")
def port(log: Path) -> Iterator[int]:
    with Provider(log.parent, database_url=os.environ.get("DATABASE_URL", ""), workers=1) as provider:
        provider.apply({"tenant": "default"})
        port = free_port()
        environment = {
            "PORT": str(port),
            "WEB_CONCURRENCY": "1",
            "WEB_THREADS": str(THREADS),
            "TRUSTED_PROXIES": "127.0.0.0/8",
            "REQUEST_ID_HEADER": "X-Proxy-Request-ID",
        }
        process = provider.run("-m", "config.granian_server", log=log, environment=environment)
        try:
            wait_until_open(process, f"http://127.0.0.1:{port}/livez", log)
            yield port
        finally:
            stop(process)


def connect(port: int, data: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=20)
    connection.sendall(data)
    return connection


def probe_for_a_second(port: int) -> None:
    for _ in range(10):
        requests.get(f"http://127.0.0.1:{port}/livez", timeout=3)
        time.sleep(0.1)


def test_it_serves_the_product(port: int) -> None:
    answer = requests.get(f"http://127.0.0.1:{port}/.well-known/openid-configuration", timeout=20)
    assert answer.json()["issuer"] == f"http://127.0.0.1:{port}"
    assert answer.headers["Server"] == "granian"
    assert requests.get(f"http://127.0.0.1:{port}/login", timeout=20).status_code == 200


def test_slow_heads_take_no_thread_and_are_cut(port: int) -> None:
    started = time.monotonic()
    with contextlib.ExitStack() as stack:
        parts = [PARTS[part] for part in ("nothing", "half a line", "half a head")]
        slow = [stack.enter_context(connect(port, part)) for part in parts for _ in range(SLOW)]
        assert requests.get(f"http://127.0.0.1:{port}/livez", timeout=5).status_code == 200
        assert [read_all(connection) for connection in slow[::SLOW]] == [b"", b"", b""]
    assert time.monotonic() - started > granian_server.HEAD_SECONDS - 2


def test_slow_bodies_hold_threads_which_is_why_it_stands_behind_a_proxy(port: int) -> None:
    half = (
        b"POST /oauth2/token HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        b"Content-Length: 1000\r\n\r\ngrant_type=" % port
    )
    with contextlib.ExitStack() as stack:
        for _ in range(THREADS):
            stack.enter_context(connect(port, half))
        with pytest.raises(requests.exceptions.Timeout):
            probe_for_a_second(port)  # until each has got its thread
    assert requests.get(f"http://127.0.0.1:{port}/livez", timeout=20).status_code == 200


@pytest.mark.parametrize(
    "head",
    [
        b"POST /oauth2/token HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nabcde",
        b"POST /oauth2/token HTTP/1.1\r\nHost: a\r\nContent-Length : 3\r\n\r\nabc",
        b"POST /oauth2/token HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 150 + b"\r\n",
    ],
    ids=["two lengths", "a blank in a name", "an unknown coding", "a folded line", "too many lines"],
)
def test_what_two_servers_could_read_in_two_ways_is_refused(port: int, head: bytes) -> None:
    with connect(port, head) as connection:
        assert read_all(connection).startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 431 "))


@pytest.mark.security("S41")
def test_no_address_with_a_code_reaches_its_log(port: int, log: Path) -> None:
    requests.get(f"http://127.0.0.1:{port}/callback?code={CODE}", timeout=20)
    assert CODE not in tail(log)


@pytest.mark.security("S41")
def test_what_it_logs_of_a_fault_is_redacted(capsys: pytest.CaptureFixture[str]) -> None:
    before = logging.getLogger("_granian").handlers
    try:
        configure_logging(LogLevels.info, granian_server.LOGGING)
        logging.getLogger("_granian").error("Application callable raised: code=%s", CODE)
        assert "Application callable raised: code=[redacted]" in capsys.readouterr().err
    finally:
        logging.getLogger("_granian").handlers = before


@pytest.mark.security("S51")
def test_a_name_with_an_underscore_does_not_pass_the_documented_nginx(port: int, tmp_path: Path) -> None:
    # granian takes X_Name for X-Name, and the last one counts.
    lies = {"X_Proxy_Request_ID": "chosen-by-the-client", "X_Forwarded_For": "192.0.2.1"}
    with documented_nginx(tmp_path, [port], is_kept=False) as address:
        answer = requests.get(f"{address}/livez", headers=lies, timeout=20)
    assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["X-Request-ID"])
