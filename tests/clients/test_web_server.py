"""The web server as production runs it: slow clients, long addresses, bad heads, and nginx in front as documented."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import selectors
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import requests

from config import web_worker
from tests.clients.nginx import documented_nginx
from tests.clients.provider import Provider
from tests.clients.slow_clients import PARTS, SLOW, read_all

pytestmark = [pytest.mark.client, pytest.mark.xdist_group("web_server")]

THREADS = 4


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    """One process with few threads, and two tenants."""
    directory = tmp_path_factory.mktemp("web")
    environment = {"TRUSTED_PROXIES": "127.0.0.0/8", "REQUEST_ID_HEADER": "X-Proxy-Request-ID"}
    database_url = os.environ.get("DATABASE_URL", "")
    with Provider(
        directory, database_url=database_url, workers=1, threads=THREADS, environment=environment
    ) as provider:
        for code in ("default", "alpha", "beta"):
            provider.apply({"tenant": {"code": code, "name": code.title(), "domains": [f"id.{code}.test"]}})
        yield provider


def connect(server: Provider, data: bytes = b"") -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=20)
    connection.sendall(data)
    return connection


def exchange(server: Provider, data: bytes) -> bytes:
    with connect(server, data) as connection:
        return read_all(connection)


def seconds_of_a_probe(server: Provider) -> float:
    started = time.monotonic()
    assert requests.get(f"{server.issuer}/livez", timeout=10).status_code == 200
    return time.monotonic() - started


@pytest.mark.parametrize("part", PARTS)
def test_slow_clients_take_no_thread(server: Provider, part: str) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(SLOW):
            stack.enter_context(connect(server, PARTS[part]))
        assert max(seconds_of_a_probe(server) for _ in range(5)) < 5


def test_what_does_not_arrive_in_time_is_cut_and_drips_do_not_help(server: Provider) -> None:
    started = time.monotonic()
    with connect(server) as silent, connect(server, PARTS["half a head"]) as dripping:
        over = threading.Event()

        def drip() -> None:
            with contextlib.suppress(OSError):
                while not over.wait(0.5):
                    dripping.sendall(b"x")

        thread = threading.Thread(target=drip)
        thread.start()
        answers = [read_all(dripping), read_all(silent)]
        over.set()
        thread.join()
    assert answers[0].startswith(b"HTTP/1.1 408 ")
    assert answers[1] == b""
    assert web_worker.HEAD_SECONDS - 1 < time.monotonic() - started < web_worker.HEAD_SECONDS + 5


def test_slow_bodies_fill_no_memory_and_turn_no_short_request_away(server: Provider) -> None:
    body = b"x" * (web_worker.BODY_BYTES - 1)  # of which one byte never comes
    head = b"POST /login HTTP/1.1\r\nHost: id.alpha.test\r\nContent-Length: %d\r\n\r\n" % (len(body) + 1)
    fitting = web_worker.HELD_BYTES // (len(head) + len(body))
    with contextlib.ExitStack() as stack:
        slow = []
        for _ in range(fitting + 10):
            slow.append(stack.enter_context(connect(server)))
            with contextlib.suppress(OSError):  # this one was turned away for a later one
                slow[-1].sendall(head + body)
            if len(slow) % 20 == 0:
                seconds_of_a_probe(server)
        assert seconds_of_a_probe(server) < 5  # short requests find their room among them
        answers = []
        for connection in slow:
            connection.setblocking(False)
            with contextlib.suppress(OSError):
                answers.append(connection.recv(1024))
    assert len(answers) >= 10
    assert {answer.partition(b"\r\n")[0] for answer in answers} == {b"HTTP/1.1 503 Service Unavailable"}
    assert all(b"\r\nRetry-After: 10\r\n" in answer for answer in answers)
    # What they held is free again.
    whole = head.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") + body + b"x"
    deadline = time.monotonic() + 10
    while exchange(server, whole).startswith(b"HTTP/1.1 503"):  # until the server has seen that all of them have gone
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert not any(exchange(server, whole).startswith(b"HTTP/1.1 503") for _ in range(3))


def test_a_request_in_many_pieces_is_one_request(server: Provider) -> None:
    request = (
        b"POST /oauth2/token HTTP/1.1\r\nHost: id.alpha.test\r\nX-Forwarded-Proto: https\r\nConnection: close\r\n"
        b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 21\r\n\r\ngrant_type=urn%3Anone"
    )
    with connect(server) as connection:
        for position in range(0, len(request), 37):
            connection.sendall(request[position : position + 37])
            time.sleep(0.01)
        answer = read_all(connection)
    assert answer.startswith(b"HTTP/1.1 4")
    assert b"unsupported_grant_type" in answer or b"invalid_client" in answer


def test_requests_may_follow_each_other_on_one_connection(server: Provider) -> None:
    one = b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"
    last = one.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    assert exchange(server, one * 3 + last).count(b"HTTP/1.1 200 OK") == 4


def test_a_client_that_waits_to_be_told_to_go_on_is_told(server: Provider) -> None:
    head = b"POST /livez HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\nConnection: close\r\n\r\n"
    with connect(server, head) as connection:
        assert connection.recv(1024).startswith(b"HTTP/1.1 100 Continue\r\n\r\n")
        connection.sendall(b"a=1")
        assert b"HTTP/1.1 403 " in read_all(connection)


def test_a_body_that_is_too_large_is_refused_unread_and_the_answer_arrives(server: Provider) -> None:
    head = b"POST /login HTTP/1.1\r\nHost: id.alpha.test\r\nX-Forwarded-Proto: https\r\nContent-Length: 3000000\r\n\r\n"
    answer = exchange(server, head + b"x" * 200_000)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"Too much data" in answer


def test_a_client_that_closes_late_holds_nobody_up(server: Provider) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(10):
            request = b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
            stack.enter_context(connect(server, request))
        assert seconds_of_a_probe(server) < 5


@dataclass(eq=False)
class Connection:
    """What of gunicorn's connection the loop needs."""

    sock: socket.socket
    held_bytes: int = 0

    def close(self) -> None:
        self.sock.close()


@pytest.mark.parametrize("is_gone", [False, True])
def test_a_client_that_takes_nothing_does_not_end_the_process_that_has_a_word_for_it(is_gone: bool) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                ours.send(b"x" * 65536)  # answers that it never reads
        if is_gone:
            theirs.close()
        worker = web_worker.Worker.__new__(web_worker.Worker)
        worker.arriving, worker.leaving, worker._next_look, worker.held_bytes = {}, {}, 0.0, 0
        worker.alive, worker.nr_conns, worker.poller = True, 1, selectors.DefaultSelector()
        worker.log = logging.getLogger("gunicorn.error")
        connection = Connection(ours)
        worker.poller.register(ours, selectors.EVENT_READ)
        arrival = web_worker.Arrival(line_bytes=8190, deadline=0.0)
        arrival.add(b"POST /livez HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        worker._ask_for_body(connection, arrival)
        arrival.deadline = 0.0
        worker.arriving[connection] = arrival
        worker.murder_pending()
        assert (worker.arriving, worker.nr_conns) == ({}, 0)


# Addresses


def get(server: Provider, state_length: int) -> requests.Response:
    """An authorization request whose request line, without CRLF, has the length of its state and a little more."""
    path = f"/oauth2/authorize?client_id=x&state={'s' * state_length}"
    headers = {"Host": "id.alpha.test", "X-Forwarded-Proto": "https"}
    return requests.get(f"{server.issuer}{path}", headers=headers, timeout=20, allow_redirects=False)


LINE_AROUND_STATE = len("GET /oauth2/authorize?client_id=x&state= HTTP/1.1")


def test_an_address_may_have_8_kib_and_a_longer_one_is_refused_by_our_page(server: Provider) -> None:
    longest = 8190 - LINE_AROUND_STATE
    assert get(server, longest).status_code == 400  # an unknown client, by our page
    for length in (longest + 1, 30_000, 100_000):
        refused = get(server, length)
        assert refused.status_code == 414
        assert "Address too long" in refused.text
        assert "default-src 'none'" in refused.headers["Content-Security-Policy"]
        assert refused.headers["X-Content-Type-Options"] == "nosniff"
        assert refused.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/api/v2/tenant/users", "/api/v2/sdk/user"])
def test_a_program_is_told_of_a_long_address_in_the_form_of_its_api(server: Provider, path: str) -> None:
    headers = {"Host": "id.alpha.test", "X-Forwarded-Proto": "https"}
    refused = requests.get(f"{server.issuer}{path}?user_name={'n' * 9000}", headers=headers, timeout=20)
    assert (refused.status_code, refused.headers["Content-Type"]) == (414, "application/json")
    assert refused.json() == {"error": "invalid_request", "error_description": "The address is too long."}
    assert (refused.headers["Cache-Control"], refused.headers["X-Content-Type-Options"]) == ("no-store", "nosniff")
    answer = exchange(server, f"GET {path} HTTP/1.1\r\nHost: a\r\n".encode() + b"X-Filler: y\r\n" * 6000)
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert b'"error_description": "The header fields are too large."' in answer


def test_a_head_that_is_too_large_is_refused_by_our_page(server: Provider) -> None:
    answer = exchange(server, b"GET /livez HTTP/1.1\r\nHost: a\r\n" + b"X-Filler: y\r\n" * 6000)
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert b"Content-Security-Policy:" in answer
    assert b"default-src 'none'" in answer


@pytest.mark.parametrize(
    "head", [b"nonsense\r\n\r\n", b"GET /livez HTTP/1.1\nHost: a\n\n", b"GET / HTTP/1.1\r\n:\r\n\r\n"]
)
def test_a_head_that_cannot_be_read_is_refused_by_our_page(server: Provider, head: bytes) -> None:
    answer = exchange(server, head)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"Content-Security-Policy:" in answer
    assert b"default-src 'none'" in answer


@pytest.mark.parametrize("path", [b"/login", b"/livez", b"/.well-known/openid-configuration"])
def test_a_request_of_http_1_1_without_a_host_is_refused(server: Provider, path: bytes) -> None:
    answer = exchange(server, b"GET " + path + b" HTTP/1.1\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert exchange(server, b"GET /livez HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.0 200 ")


def test_localhost_in_capitals_is_the_developers_machine(server: Provider) -> None:
    answer = requests.get(
        f"{server.issuer}/.well-known/openid-configuration", headers={"Host": f"LOCALHOST:{server.port}"}, timeout=20
    )
    assert answer.json()["issuer"] == f"http://localhost:{server.port}"


# nginx


@pytest.fixture(scope="module")
def proxy(server: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with documented_nginx(tmp_path_factory.mktemp("nginx"), [server.port]) as address:
        yield address


@pytest.mark.security("S51")
def test_the_documented_nginx_lets_no_word_of_the_client_through(proxy: str) -> None:
    lies = {
        "Host": "id.alpha.test",
        "X-Forwarded-Host": "id.beta.test",
        "Forwarded": "host=id.beta.test;proto=http;for=192.0.2.1",
        "X-Forwarded-Proto": "http",
        "X-Forwarded-For": "192.0.2.1",
        "X-Proxy-Request-ID": "chosen-by-the-client",
        "X-Request-ID": "the-clients-own-word",
    }
    answer = requests.get(f"{proxy}/.well-known/openid-configuration", headers=lies, timeout=20)
    document = answer.json()
    # With DEBUG on loopback the address would be the request's; a tenant's domain is not loopback.
    assert document["issuer"] == "https://id.alpha.test"
    assert answer.headers["X-Request-ID"] not in {lies["X-Request-ID"], lies["X-Proxy-Request-ID"]}
    assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["X-Request-ID"])


def test_our_page_refuses_a_long_address_through_the_documented_nginx(proxy: str) -> None:
    headers = {"Host": "id.alpha.test"}
    for length, status in ((8190 - LINE_AROUND_STATE, 400), (9000, 414)):
        path = f"/oauth2/authorize?client_id=x&state={'s' * length}"
        answer = requests.get(f"{proxy}{path}", headers=headers, timeout=20, allow_redirects=False)
        assert answer.status_code == status
    assert "Address too long" in answer.text


def test_slow_clients_do_not_pass_the_documented_nginx(proxy: str, server: Provider) -> None:
    port = int(proxy.rpartition(":")[2])
    with contextlib.ExitStack() as stack:
        for _ in range(SLOW):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
            connection.sendall(PARTS["half a body"])
        assert seconds_of_a_probe(server) < 5
