"""The one guarded HTTP client. Nothing else in the project opens a connection to an address it was given.

S34, for every call:
- https only; plain http only where the caller says `internal`;
- the name is resolved once, every address it has is judged, and the connection goes to a judged address, so
  that a second answer of the name service cannot lead elsewhere; TLS still proves the name;
- private, loopback, shared and reserved addresses only where the caller says `internal` (decision 12: the
  application is marked so); link-local ones and the other addresses where clouds hand out credentials, never;
- no redirects, no cookies, no proxies from the environment, no compressed bodies;
- limits for connecting, for each read, for the whole call from name look-up to last byte, and for size;
- where the caller names a share, such as a tenant's: few calls at once, and none for a while to a receiver that has
  failed several times in a row (S58). Both count in this process.

`tcp` does the same, as far as it goes, for the one protocol beside HTTP: mail servers that a tenant names.
"""

from __future__ import annotations

import ipaddress
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from http.client import HTTPException
from typing import Any
from urllib.parse import SplitResult, urlencode, urlsplit

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError
from urllib3.response import HTTPResponse
from urllib3.util.timeout import Timeout

from identity.conf import conf

_USER_AGENT = "Monban"
_CHUNK_BYTES = 16 * 1024
_MAX_URL_CHARACTERS = 2048
_MAX_ADDRESSES = 4  # of one name, tried in the resolver's order

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


class OutboundError(Exception):
    """A call that brought no usable answer. `str()` names host and reason, never parameters or content."""


class AddressRefused(OutboundError):
    """The URL or what its name resolves to is not allowed."""


class NameNotResolved(OutboundError):
    """The name has no address."""


class ConnectionFailed(OutboundError):
    """Refused, reset, or broken in the middle."""


class CertificateRefused(OutboundError):
    """TLS failed: unknown authority, wrong name, expired, or no TLS at all."""


class TimedOut(OutboundError):
    """A limit of time was reached."""


class ResponseTooLarge(OutboundError):
    """The body is larger than the limit."""


class Busy(OutboundError):
    """The share has as many calls under way as it may have."""


class CircuitOpen(OutboundError):
    """The receiver has failed several times in a row; it is left alone for a while."""


class UnexpectedResponse(OutboundError):
    """Another status than 2xx (redirects too), or a body that is not what was asked for."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Seconds and bytes one call may take."""

    connect_seconds: float
    read_seconds: float
    total_seconds: float
    max_bytes: int

    @classmethod
    def from_settings(cls, *, total_seconds: float | None = None) -> Limits:
        """Return the configured limits, with another total where the caller has less time."""
        return cls(
            connect_seconds=conf.outbound_connect_timeout_seconds,
            read_seconds=conf.outbound_read_timeout_seconds,
            total_seconds=conf.outbound_total_timeout_seconds if total_seconds is None else total_seconds,
            max_bytes=conf.outbound_max_response_bytes,
        )


@dataclass(frozen=True)
class Response:
    """A complete answer. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_success(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300


def get_json(url: str, *, internal: bool = False, limits: Limits | None = None) -> Any:
    """GET a JSON document. Raises OutboundError; UnexpectedResponse unless 2xx and valid JSON."""
    response = request("GET", url, headers={"Accept": "application/json"}, internal=internal, limits=limits)
    host = urlsplit(url).hostname
    if not response.is_success:
        raise UnexpectedResponse(f"{host}: status {response.status}", status=response.status)
    try:
        return json.loads(response.body)
    except (ValueError, RecursionError):
        raise UnexpectedResponse(f"{host}: not JSON", status=response.status) from None


def post_form(
    url: str,
    fields: Mapping[str, str],
    *,
    headers: Mapping[str, str] | None = None,
    internal: bool = False,
    limits: Limits | None = None,
) -> Response:
    """POST form fields. The caller judges the status. Raises OutboundError."""
    form = {"Content-Type": "application/x-www-form-urlencoded", **(headers or {})}
    return request("POST", url, headers=form, body=urlencode(fields).encode(), internal=internal, limits=limits)


def request(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    internal: bool = False,
    limits: Limits | None = None,
    share: str = "",
) -> Response:
    """Make one guarded call and read the whole answer, whatever its status. Raises OutboundError."""
    limits = limits or Limits.from_settings()
    deadline = time.monotonic() + limits.total_seconds
    target = check_url(url, internal=internal)
    host, port = str(target.hostname), target.port or (443 if target.scheme == "https" else 80)
    with _admitted(share, host, port, deadline=deadline):
        return _call(
            method, target, host, port, headers=headers, body=body, internal=internal, limits=limits, deadline=deadline
        )


def _call(
    method: str,
    target: SplitResult,
    host: str,
    port: int,
    *,
    headers: Mapping[str, str] | None,
    body: bytes | None,
    internal: bool,
    limits: Limits,
    deadline: float,
) -> Response:
    addresses = list(_allowed(host, _resolve(host, port, deadline=deadline), internal=internal))
    connection = _connection(target.scheme, host, port, addresses=addresses, limits=limits, deadline=deadline)
    path = target._replace(scheme="", netloc="", path=target.path or "/").geturl()
    sent = {"User-Agent": _USER_AGENT, "Accept-Encoding": "identity", "Connection": "close", **(headers or {})}
    with _typed_errors(host, deadline), _ends_at(connection, deadline):
        connection.request(method, path, body=body, headers=sent, preload_content=False, decode_content=False)
        with closing(connection.getresponse()) as answer:  # it holds the socket too, after an answer given up midway
            content = _read(answer, host=host, limits=limits, deadline=deadline)
    received = {name.lower(): value for name, value in answer.headers.items()}
    if received.get("content-encoding", "identity") != "identity":
        raise UnexpectedResponse(f"{host}: compressed although not asked for", status=answer.status)
    return Response(status=answer.status, headers=received, body=content)


def check_url(url: str, *, internal: bool = False) -> SplitResult:
    """Refuse a URL that would never be called, for example when it is registered. Raises AddressRefused."""
    if len(url) > _MAX_URL_CHARACTERS or not url.isascii() or any(ord(sign) <= 32 or sign in '\\"<>' for sign in url):
        raise AddressRefused("the URL is too long or holds characters that URLs do not hold")
    try:
        target = urlsplit(url)
        host, _ = target.hostname, target.port
    except ValueError:
        raise AddressRefused("the URL cannot be read") from None
    if target.scheme != "https" and not (internal and target.scheme == "http"):
        raise AddressRefused("the URL is not https")
    # S2: user information is the usual way to make two parsers see two hosts.
    if not host or "@" in target.netloc or "%" in target.netloc or target.fragment:
        raise AddressRefused("the URL has no host, or has user information or a fragment")
    check_host(host, internal=internal)
    return target


def check_host(host: str, *, internal: bool = False) -> None:
    """Refuse an address that would never be called; of a name, only its look-up tells. Raises AddressRefused."""
    literal = _literal(host)
    if literal is not None and not _is_allowed(literal, internal=internal):
        raise AddressRefused(f"{host} is not a public address")


@contextmanager
def tcp(
    host: str, port: int, *, internal: bool = False, limits: Limits | None = None, share: str = ""
) -> Iterator[socket.socket]:
    """Connect to a judged address; the connection is cut when the block ends or the time is over.

    Errors of the connection inside the block become OutboundError too; other protocols' own ones pass.
    """
    limits = limits or Limits.from_settings()
    deadline = time.monotonic() + limits.total_seconds
    check_host(host, internal=internal)
    with _admitted(share, host, port, deadline=deadline):
        connection = _Pinned(host, port)
        connection.addresses = list(_allowed(host, _resolve(host, port, deadline=deadline), internal=internal))
        connection.deadline = deadline
        connection.connect_seconds = limits.connect_seconds
        with _typed_errors(host, deadline), _ends_at(connection, deadline), connection.open() as opened:
            opened.settimeout(limits.read_seconds)
            yield opened


def tls_context() -> ssl.SSLContext:
    """Return whom we trust, for connections that `tcp` made."""
    return _tls(conf.outbound_ca_file)


# Shares ----------------------------------------------------------------------------------------------------

_WAIT_SECONDS = 0.5  # for a call of the same share to end
_FAILURES = 5  # in a row, until a receiver is left alone
_REST_SECONDS = 10.0
_MAX_RECEIVERS = 10_000

_shares: dict[str, int] = {}  # calls under way
_changed = threading.Condition()
_receivers: dict[tuple[str, str, int], tuple[int, float]] = {}  # to failures in a row, and the end of its rest


@contextmanager
def _admitted(share: str, host: str, port: int, *, deadline: float) -> Iterator[None]:
    """Let a call of a share begin, and remember how it ended. Raises Busy, CircuitOpen."""
    if not share:
        yield
        return
    receiver = (share, host, port)
    failures, rests_until = _receivers.get(receiver, (0, 0.0))
    if time.monotonic() < rests_until:
        raise CircuitOpen(host)
    wait_until = min(time.monotonic() + _WAIT_SECONDS, deadline)
    with _changed:
        while _shares.get(share, 0) >= conf.outbound_calls_at_once:
            if not _changed.wait(wait_until - time.monotonic()) and time.monotonic() >= wait_until:
                raise Busy(host)
        _shares[share] = _shares.get(share, 0) + 1
    try:
        yield
    except (TimedOut, ConnectionFailed, NameNotResolved):
        failures, _ = _receivers.get(receiver, (0, 0.0))
        rest = time.monotonic() + _REST_SECONDS if failures + 1 >= _FAILURES else 0.0
        if len(_receivers) >= _MAX_RECEIVERS:
            _receivers.clear()
        _receivers[receiver] = (failures + 1, rest)
        raise
    else:
        _receivers.pop(receiver, None)
    finally:
        with _changed:
            _shares[share] -= 1
            if not _shares[share]:
                del _shares[share]
            _changed.notify()


def clear_circuits() -> None:
    """Forget which receivers failed."""
    _receivers.clear()


# Addresses -------------------------------------------------------------------------------------------------


def _literal(host: str) -> IPAddress | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _resolve(host: str, port: int, *, deadline: float) -> list[str]:
    """Return every address of a name. The system resolver knows no time limit, so it runs beside a clock."""
    found: list[str] = []
    failed: list[OSError] = []

    def look_up() -> None:
        try:
            rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
            found.extend(dict.fromkeys(str(row[4][0]) for row in rows))
        except (OSError, UnicodeError) as error:
            failed.append(error if isinstance(error, OSError) else OSError(str(error)))

    thread = threading.Thread(target=look_up, name="resolve", daemon=True)
    thread.start()
    thread.join(max(deadline - time.monotonic(), 0))
    if thread.is_alive():
        raise TimedOut(f"{host}: name look-up")
    if failed or not found:
        raise NameNotResolved(host)
    return found


def _allowed(host: str, addresses: Iterable[str], *, internal: bool) -> Iterator[str]:
    """Refuse the name when any of its addresses is refused: a mixed answer is an attack or a mistake."""
    for count, text in enumerate(addresses):
        if not _is_allowed(ipaddress.ip_address(text.partition("%")[0]), internal=internal):
            raise AddressRefused(f"{host} resolves to an address that is not allowed")
        if count < _MAX_ADDRESSES:
            yield text


# Where clouds hand out a machine's credentials to whoever asks from it, beside the link-local addresses.
_METADATA = tuple(
    ipaddress.ip_network(text)
    for text in (
        "100.100.100.200/32",  # Alibaba Cloud
        "168.63.129.16/32",  # Azure's WireServer, an address that is public by its number
        "192.0.0.192/32",  # Oracle Cloud
        "fd00:ec2::/32",  # Amazon EC2 and EKS
        "fd20:ce::254/128",  # Google Cloud
    )
)


def _is_allowed(address: IPAddress, *, internal: bool) -> bool:
    address = _unwrap(address)
    if address.is_link_local or address.is_multicast or address.is_unspecified:
        return False
    if any(address in network for network in _METADATA):
        return False
    if internal:
        return address.is_loopback or not address.is_reserved
    is_site_local = isinstance(address, ipaddress.IPv6Address) and address.is_site_local
    return address.is_global and not address.is_reserved and not is_site_local


_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def _unwrap(address: IPAddress) -> IPAddress:
    """Return the IPv4 address that an IPv6 one carries, where a gateway would send the packets on to it."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    # IPv4-compatible (::a.b.c.d, without :: and ::1) and NAT64 addresses carry it in their last 32 bits.
    if address in _NAT64 or 1 < int(address) < 2**32:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


# Connection ------------------------------------------------------------------------------------------------


class _Pinned(HTTPConnection):
    """Connects to addresses that were judged already. The host name stays: for Host, SNI and certificate."""

    addresses: list[str]
    deadline: float
    connect_seconds: float
    # A second descriptor of the TCP connection, by which it is ended from outside even during a handshake.
    handle: socket.socket | None = None

    def open(self) -> socket.socket:
        """Connect to the first address that answers. Raises OSError."""
        return self._new_conn()

    def _new_conn(self) -> socket.socket:
        last: OSError = TimeoutError("no time left")
        for address in self.addresses:
            seconds = min(self.connect_seconds, self.deadline - time.monotonic())
            if seconds <= 0:
                break
            try:
                connected = socket.create_connection((address, self.port), timeout=seconds)
            except OSError as error:
                last = error
            else:
                connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.handle = connected.dup()
                return connected
        raise last


class _PinnedTLS(_Pinned, HTTPSConnection):
    """The same, inside TLS."""


def _connection(scheme: str, host: str, port: int, *, addresses: list[str], limits: Limits, deadline: float) -> _Pinned:
    timeout = Timeout(connect=limits.connect_seconds, read=limits.read_seconds)
    connection: _Pinned
    if scheme == "https":
        connection = _PinnedTLS(host, port, timeout=timeout.read_timeout, ssl_context=_tls(conf.outbound_ca_file))
    else:
        connection = _Pinned(host, port, timeout=timeout.read_timeout)
    connection.addresses = addresses
    connection.deadline = deadline
    connection.connect_seconds = limits.connect_seconds
    return connection


@lru_cache(maxsize=4)
def _tls(ca_file: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca_file or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


@contextmanager
def _ends_at(connection: _Pinned, deadline: float) -> Iterator[None]:
    """Cut the connection at the deadline.

    Time-outs of a socket count from byte to byte, so a peer that sends one byte a second never reaches them.
    """

    def cut() -> None:
        if connection.handle is not None:
            try:
                connection.handle.shutdown(socket.SHUT_RDWR)
            except OSError:  # Already gone, which is what was wanted.
                return

    timer = threading.Timer(max(deadline - time.monotonic(), 0), cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        connection.close()
        if connection.handle is not None:
            connection.handle.close()


@contextmanager
def _typed_errors(host: str, deadline: float) -> Iterator[None]:
    try:
        yield
    except OutboundError:
        raise
    except (HTTPError, HTTPException, OSError) as error:
        if time.monotonic() >= deadline or isinstance(error, TimeoutError):
            raise TimedOut(host) from None
        cause = error.__cause__ or error.__context__ or error
        if isinstance(error, ssl.SSLError) or isinstance(cause, ssl.SSLError):
            raise CertificateRefused(f"{host}: {type(error).__name__}") from None
        raise ConnectionFailed(f"{host}: {type(error).__name__}") from None


def _read(answer: HTTPResponse, *, host: str, limits: Limits, deadline: float) -> bytes:
    content = bytearray()
    for chunk in answer.stream(_CHUNK_BYTES, decode_content=False):
        content += chunk
        if len(content) > limits.max_bytes:
            raise ResponseTooLarge(f"{host}: more than {limits.max_bytes} bytes")
    # A connection that was cut looks like an answer that ended, even in the middle of its headers.
    if time.monotonic() >= deadline:
        raise TimedOut(host)
    return bytes(content)
