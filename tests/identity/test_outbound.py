"""The guarded client against real sockets on loopback. Names are resolved by a table in place of the system."""

import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from ipaddress import ip_address

import pytest

from identity import outbound

pytestmark = pytest.mark.security("S34")

HOST = "rp.example.test"
QUICK = outbound.Limits(connect_seconds=1, read_seconds=0.3, total_seconds=1, max_bytes=10_000)


# A server that plays one script for each connection ---------------------------------------------------------


class Server:
    """Accepts connections on loopback, reads a request head, and lets `script` answer it."""

    def __init__(self, script: Callable[[socket.socket], None], tls: ssl.SSLContext | None = None) -> None:
        self.script, self.tls = script, tls
        self.requests: list[bytes] = []
        self.names: list[str | None] = []  # by SNI
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        if tls is not None:
            tls.sni_callback = lambda sock, name, context: self.names.append(name)
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def stop(self) -> None:
        if self.thread.is_alive():
            self.listener.shutdown(socket.SHUT_RDWR)  # wakes the thread
        self.listener.close()
        self.thread.join(5)

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.answer, args=(connection,), daemon=True).start()

    def answer(self, connection: socket.socket) -> None:
        try:
            if self.tls is not None:
                connection = self.tls.wrap_socket(connection, server_side=True)
            received = b""
            while b"\r\n\r\n" not in received:
                chunk = connection.recv(65536)
                if not chunk:
                    return
                received += chunk
            self.requests.append(received)
            self.script(connection)
        except OSError:
            return  # The client left, which several tests are about.
        finally:
            connection.close()

    def url(self, path: str = "/", *, scheme: str = "http", host: str = HOST) -> str:
        return f"{scheme}://{host}:{self.port}{path}"


def http(body: bytes = b"{}", *, status: str = "200 OK", headers: str = "") -> Callable[[socket.socket], None]:
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode()
    return lambda connection: connection.sendall(head + body)


@pytest.fixture
def serve():
    servers = []

    def start(script=None, tls=None):
        servers.append(Server(script or http(), tls))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(autouse=True)
def names(monkeypatch):
    """Addresses by name; each look-up takes the first list that is left, the last one stays."""
    table = {HOST: [["127.0.0.1"]], "localhost": [["127.0.0.1"]]}
    asked = []

    def getaddrinfo(host, port, *args, **kwargs):
        asked.append(host)
        try:
            ip_address(host)
            answer = [host]
        except ValueError:
            if host not in table:
                raise socket.gaierror(socket.EAI_NONAME, "unknown") from None
            answers = table[host]
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
        family = [socket.AF_INET6 if ":" in address else socket.AF_INET for address in answer]
        return [
            (kind, socket.SOCK_STREAM, 6, "", (address, port)) for kind, address in zip(family, answer, strict=True)
        ]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return type("Names", (), {"table": table, "asked": asked})


# Certificates -----------------------------------------------------------------------------------------------


# What works -------------------------------------------------------------------------------------------------


def test_json_comes_over_tls_proved_for_the_name(serve, trusted):
    server = serve(http(b'{"keys": []}'), trusted.context(HOST))
    assert outbound.get_json(server.url("/jwks?a=b", scheme="https"), internal=True) == {"keys": []}
    (request,) = server.requests
    assert request.startswith(b"GET /jwks?a=b HTTP/1.1\r\n")
    assert f"Host: {HOST}:{server.port}\r\n".encode() in request
    assert server.names == [HOST]


def test_form_fields_are_posted(serve):
    server = serve(http(b"", status="204 No Content"))
    response = outbound.post_form(server.url("/logout"), {"logout_token": "a b&c"}, internal=True)
    assert (response.status, response.body, response.is_success) == (204, b"", True)
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /logout HTTP/1.1")
    assert b"Content-Type: application/x-www-form-urlencoded" in head
    assert body in (b"logout_token=a+b%26c", b"")  # the head may arrive alone


def test_the_next_address_is_tried_when_the_first_is_closed(serve, names):
    names.table[HOST] = [["::1", "127.0.0.1"]]
    assert outbound.get_json(serve().url(), internal=True) == {}


# What is refused before any connection ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "http://rp.example.test/",
        "ftp://rp.example.test/",
        "file:///etc/passwd",
        "gopher://rp.example.test/",
        "//rp.example.test/",
        "https:///path",
        "https://user@rp.example.test/",
        "https://user:pass@rp.example.test/",
        "https://rp.example.test#@evil.example/",
        "https://rp.example.test/#fragment",
        "https://rp.example.test\\@evil.example/",
        "https://rp.example.test/\r\nX-Evil: 1",
        "https://rp.example.test/ space",
        "https://rp.example.test:99999/",
        "https://[::1/",
        "https://%31%32%37.0.0.1/",
        "https://例え.example/",
        "https://rp.example.test/" + "a" * 3000,
    ],
)
def test_a_bad_url_is_refused(url, names):
    with pytest.raises(outbound.AddressRefused):
        outbound.get_json(url)
    assert names.asked == []


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.1.2.3",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "192.0.0.1",
        "192.0.2.1",
        "198.18.0.1",
        "203.0.113.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "64:ff9b::a00:1",
        "64:ff9b:1::1",
        "2002:7f00:1::",
        "2001:0:4136:e378:8000:63bf:f5ff:fffe",  # Teredo of 10.0.0.1
        "2001:db8::1",
        "fc00::1",
        "fd00::1",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    ],
)
def test_an_address_that_is_not_public_is_refused(address, names):
    names.table[HOST] = [[address]]
    with pytest.raises(outbound.AddressRefused):
        outbound.get_json(f"https://{HOST}/")
    literal = f"[{address}]" if ":" in address else address
    with pytest.raises(outbound.AddressRefused):
        outbound.get_json(f"https://{literal}/")


@pytest.mark.parametrize("spelling", ["2130706433", "0x7f000001", "0177.0.0.1", "127.1"])
def test_another_spelling_of_loopback_is_refused(spelling, names):
    names.table[spelling] = [["127.0.0.1"]]  # as the system resolver reads it
    with pytest.raises(outbound.AddressRefused):
        outbound.get_json(f"https://{spelling}/")


def test_a_name_with_one_private_address_is_refused(names):
    names.table[HOST] = [["93.184.216.34", "10.0.0.1"]]
    with pytest.raises(outbound.AddressRefused):
        outbound.get_json(f"https://{HOST}/")


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "fe80::1",
        "::ffff:169.254.169.254",
        "0.0.0.0",
        "224.0.0.1",
        "100.100.100.200",
        "::ffff:100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "fd00:ec2::254",
        "fd00:ec2::23",
        "fd20:ce::254",
    ],
)
def test_link_local_and_metadata_addresses_are_refused_even_for_internal_applications(address, names):
    names.table[HOST] = [[address]]
    with pytest.raises(outbound.AddressRefused):
        outbound.get_json(f"http://{HOST}/", internal=True)


def test_a_public_address_passes_and_is_the_one_called(names, monkeypatch):
    called = []

    def refuse(address, timeout):
        called.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", refuse)
    names.table[HOST] = [["93.184.216.34", "2606:2800:220:1::1"], ["127.0.0.1"]]
    with pytest.raises(outbound.ConnectionFailed):
        outbound.get_json(f"https://{HOST}/")
    assert called == [("93.184.216.34", 443), ("2606:2800:220:1::1", 443)]
    assert names.asked == [HOST]


def test_an_unknown_name_is_a_typed_error():
    with pytest.raises(outbound.NameNotResolved):
        outbound.get_json("https://nobody.example.test/")


# What is refused during the call ----------------------------------------------------------------------------


def test_a_second_answer_of_the_name_service_is_not_used(serve, names):
    names.table[HOST] = [["127.0.0.1"], ["127.0.0.2"]]
    assert outbound.get_json(serve().url(), internal=True) == {}
    assert names.asked.count(HOST) == 1


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
def test_redirects_are_not_followed(serve, status):
    goal = serve()
    server = serve(http(status=status, headers=f"Location: {goal.url()}\r\n"))
    with pytest.raises(outbound.UnexpectedResponse) as refused:
        outbound.get_json(server.url(), internal=True)
    assert refused.value.status == int(status[:3])
    assert goal.requests == []


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff\xfe", b'{"a":', b"[" * 9000])
def test_what_is_not_json_is_refused(serve, body):
    with pytest.raises(outbound.UnexpectedResponse):
        outbound.get_json(serve(http(body)).url(), internal=True)


def test_a_large_body_is_cut_off(serve):
    def endless(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b"x" * 65536)

    with pytest.raises(outbound.ResponseTooLarge):
        outbound.get_json(serve(endless).url(), internal=True, limits=QUICK)


def test_a_compressed_body_is_refused(serve):
    with pytest.raises(outbound.UnexpectedResponse, match="compressed"):
        outbound.get_json(serve(http(b"{}", headers="Content-Encoding: gzip\r\n")).url(), internal=True)


def test_a_silent_server_times_out(serve):
    with pytest.raises(outbound.TimedOut):
        outbound.get_json(serve(lambda connection: connection.recv(1)).url(), internal=True, limits=QUICK)


@pytest.mark.parametrize("start", [b"", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_a_server_that_drips_bytes_is_cut_off_at_the_total(serve, start):
    def drip(connection):
        connection.sendall(start)
        while True:
            connection.sendall(b"x")
            time.sleep(0.05)  # the peer's pace is what this test is about

    began = time.monotonic()
    with pytest.raises(outbound.TimedOut):
        outbound.get_json(serve(drip).url(), internal=True, limits=QUICK)
    assert time.monotonic() - began < 3


def test_a_handshake_that_never_ends_is_cut_off(serve):
    listener = socket.create_server(("127.0.0.1", 0))
    try:
        with pytest.raises(outbound.TimedOut):
            outbound.get_json(
                f"https://{HOST}:{listener.getsockname()[1]}/",
                internal=True,
                limits=outbound.Limits(connect_seconds=5, read_seconds=5, total_seconds=0.3, max_bytes=1000),
            )
    finally:
        listener.close()


def test_a_slow_name_service_is_cut_off(monkeypatch):
    release = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: release.wait(5) and [])
    try:
        with pytest.raises(outbound.TimedOut, match="look-up"):
            outbound.get_json(
                f"https://{HOST}/",
                limits=outbound.Limits(connect_seconds=1, read_seconds=1, total_seconds=0.1, max_bytes=1000),
            )
    finally:
        release.set()


def test_a_closed_port_is_a_typed_error(serve):
    server = serve()
    server.stop()
    with pytest.raises(outbound.ConnectionFailed):
        outbound.get_json(f"http://{HOST}:{server.port}/", internal=True)


@pytest.mark.parametrize("answer", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort"])
def test_a_broken_answer_is_a_typed_error(serve, answer):
    server = serve(lambda connection: connection.sendall(answer))
    with pytest.raises(outbound.ConnectionFailed):
        outbound.get_json(server.url(), internal=True)


def test_a_certificate_for_another_name_is_refused(serve, trusted):
    server = serve(http(), trusted.context("other.example.test"))
    with pytest.raises(outbound.CertificateRefused):
        outbound.get_json(server.url(scheme="https"), internal=True)
    assert server.requests == []


def test_a_certificate_of_an_unknown_authority_is_refused(serve, authority):
    server = serve(http(), authority.context(HOST))
    with pytest.raises(outbound.CertificateRefused):
        outbound.get_json(server.url(scheme="https"), internal=True)
    assert server.requests == []


def test_proxies_and_cookies_are_not_used(serve, monkeypatch):
    proxy = serve(http(b'{"from": "proxy"}'))
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
    server = serve(http(headers="Set-Cookie: a=b\r\n"))
    for _ in range(2):
        assert outbound.get_json(server.url(), internal=True) == {}
    assert proxy.requests == []
    assert all(b"cookie" not in request.lower() for request in server.requests)


def test_errors_tell_no_query(serve):
    with pytest.raises(outbound.OutboundError) as refused:
        outbound.get_json(serve(http(b"no")).url("/path?token=secret"), internal=True)
    assert "secret" not in str(refused.value)


# Shares -----------------------------------------------------------------------------------------------------


def admit(share="tenant:1", host="gateway.example", *, error=None):
    with outbound._admitted(share, host, 443, deadline=time.monotonic() + 5):
        if error is not None:
            raise error


@pytest.mark.security("S58")
def test_a_share_has_few_calls_at_once_and_others_have_theirs(monkeypatch):
    monkeypatch.setattr(outbound, "_WAIT_SECONDS", 0.05)
    with ExitStack() as under_way:
        for _ in range(4):
            under_way.enter_context(outbound._admitted("tenant:1", "slow.example", 443, deadline=time.monotonic() + 5))
        with pytest.raises(outbound.Busy):
            admit(host="other.example")
        admit("tenant:2")
    admit()
    assert outbound._shares == {}


@pytest.mark.security("S58")
def test_a_receiver_that_keeps_failing_is_left_alone_for_a_while(monkeypatch):
    clock = [1000.0]
    monkeypatch.setattr(outbound.time, "monotonic", lambda: clock[0])
    for _ in range(5):
        with pytest.raises(outbound.TimedOut):
            admit(error=outbound.TimedOut("gateway.example"))
    with pytest.raises(outbound.CircuitOpen):
        admit()
    admit(host="other.example")
    admit("tenant:2")
    clock[0] += 11
    with pytest.raises(outbound.TimedOut):  # One try, and it rests again.
        admit(error=outbound.TimedOut("gateway.example"))
    with pytest.raises(outbound.CircuitOpen):
        admit()
    clock[0] += 11
    admit()
    assert outbound._receivers == {}


@pytest.mark.security("S58")
def test_an_answer_in_between_begins_the_count_anew_and_a_refusal_is_no_failure():
    for _ in range(3):
        for error in (outbound.TimedOut("x"), outbound.ConnectionFailed("x"), outbound.CertificateRefused("x")):
            with pytest.raises(type(error)):
                admit(error=error)
        admit()
    admit()


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "10.0.0.1", "192.168.1.1", "169.254.169.254", "[::1]", "[fd00:ec2::254]"]
)
def test_an_address_that_is_never_called_is_refused_when_it_is_registered(host: str) -> None:
    with pytest.raises(outbound.AddressRefused):
        outbound.check_url(f"https://{host}/")
