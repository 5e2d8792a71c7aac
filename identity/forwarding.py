"""What a request's headers may say of its way here: address, scheme, host and id, believed from our proxies only.

Everything else is hearsay: it is taken off the request, so that nothing after this can read it (S32, S51). A header is
believed when a peer in TRUSTED_PROXIES sends it and it is one of `X-Forwarded-For`, `X-Forwarded-Proto` and those that
a setting names; a proxy that passes a client's own on is then the operator's to mend (docs/operations.md).
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from django.http import HttpRequest

from identity.conf import conf

_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
# RFC 7239 section 6, without the zone of an address ("%eth0"), which no database takes: gateways write ports.
_NODE = re.compile(r'"?(?:\[(?P<v6>[0-9A-Fa-f:.]+)(?:%[^\]]*)?\]|(?P<v4>\d+\.\d+\.\d+\.\d+))(?::\w+)?"?')
_HOST = re.compile(r"(?P<name>\[[^\]]*\]|[^:\[\]]*?)\.?(?::(?P<port>\d*))?")
_DEFAULT_PORTS = {"http": "80", "https": "443"}
_HEARSAY = ("HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_HOST", "HTTP_FORWARDED")
_GIVEN_REQUEST_ID = "HTTP_X_REQUEST_ID"
_MAX_GIVEN_ID_LENGTH = 100
_UNPRINTABLE = re.compile(r"[^\x21-\x7e]")


@dataclass(frozen=True, slots=True)
class Arrival:
    """Where one request came from."""

    ip: str  # of the client; "" by a local socket without a proxy
    request_id: str  # ours
    given_request_id: str  # what the caller calls it; "" where it says nothing or the id is ours


def apply(request: HttpRequest) -> Arrival:
    """Read the way of the request, and leave only what is believed on it: scheme, and Host in its normal form."""
    peer = request.META.get("REMOTE_ADDR", "")
    # Without an address the peer came by a local socket, which only a proxy of ours can open.
    is_proxy = _is_trusted(peer) if peer else bool(conf.trusted_proxies)
    hops = _words(request, "HTTP_X_FORWARDED_FOR")
    position, address = _client(parse_node(peer), hops) if is_proxy else (-1, parse_node(peer))
    request_id = _named(request, conf.request_id_header) if is_proxy else ""
    given = request.META.get(_GIVEN_REQUEST_ID, "")
    if is_proxy:
        _apply_scheme(request, position=position, hops=len(hops))
        host = _named(request, conf.forwarded_host_header)
        if host and "," not in host:
            request.META["HTTP_HOST"] = host
    for name in (*_HEARSAY, _meta_name(conf.forwarded_host_header), _meta_name(conf.request_id_header)):
        request.META.pop(name, None)
    if "HTTP_HOST" in request.META:
        request.META["HTTP_HOST"] = normal_host(request.META["HTTP_HOST"], scheme=request.scheme or "http")
    if not _REQUEST_ID.fullmatch(request_id):
        request_id = uuid.uuid4().hex
    return Arrival(
        ip=str(address) if address else "",
        request_id=request_id,
        given_request_id="" if given == request_id else _UNPRINTABLE.sub("", given[:_MAX_GIVEN_ID_LENGTH]),
    )


def normal_host(host: str, *, scheme: str) -> str:
    """Return one spelling for one host: lower case, no root dot, no port that is the scheme's own (RFC 3986-6.2.3).

    What is no host is returned as it is, for Django to refuse.
    """
    match = _HOST.fullmatch(host.strip().lower())
    if match is None or not match["name"]:
        return host
    port = match["port"] or ""
    return match["name"] if port in {"", _DEFAULT_PORTS.get(scheme)} else f"{match['name']}:{port}"


def parse_node(text: str) -> IPv4Address | IPv6Address | None:
    """Read the address of a hop, with or without port, brackets and quotes (RFC 7239-6); None for anything else."""
    text = text.strip()
    match = _NODE.fullmatch(text)
    try:
        address = ip_address((match["v4"] or match["v6"]) if match else text.partition("%")[0])
    except ValueError:
        return None
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address


def _is_trusted(address: IPv4Address | IPv6Address | str | None) -> bool:
    if isinstance(address, str):
        address = parse_node(address)
    return address is not None and any(address in network for network in conf.trusted_proxies)


def _client(peer: IPv4Address | IPv6Address | None, hops: list[str]) -> tuple[int, IPv4Address | IPv6Address | None]:
    """Find the nearest address that is none of our proxies, and its place; what is left of it is hearsay (S32)."""
    found = -1, peer
    for position in range(len(hops) - 1, -1, -1):
        address = parse_node(hops[position])
        if address is None:
            break
        found = position, address
        if not _is_trusted(address):
            break
    return found


def _apply_scheme(request: HttpRequest, *, position: int, hops: int) -> None:
    """Believe what the outermost of our proxies says of the scheme.

    Proxies that append a word each, as to the addresses, say it where the client's address stands. Else the first word
    is the outermost proxy's, and inner proxies that speak http among themselves added theirs.
    """
    words = [word.lower() for word in _words(request, "HTTP_X_FORWARDED_PROTO") if word]
    if not words:
        return
    scheme = words[position] if len(words) == hops and position >= 0 else words[0]
    if scheme in _DEFAULT_PORTS:
        if hasattr(request, "scope"):
            request.scope["scheme"] = scheme
        request.META["wsgi.url_scheme"] = scheme


def _words(request: HttpRequest, name: str) -> list[str]:
    text: str = request.META.get(name, "")
    return [word.strip() for word in text.split(",")] if text else []


def _named(request: HttpRequest, header: str) -> str:
    value: str = request.META.get(_meta_name(header), "") if header else ""
    return value.strip()


def _meta_name(header: str) -> str:
    return f"HTTP_{header.upper().replace('-', '_')}" if header else ""
