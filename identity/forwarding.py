"""What a request's headers may say of its way here: address, scheme, host and id, believed from our proxies only.

Everything else is hearsay: it is taken off the request, so that nothing after this can read it (S32, S51). A header is
believed when a peer in TRUSTED_PROXIES sends it and it is one of `X-Forwarded-For`, `X-Forwarded-Proto` and those that
a setting names; a proxy that passes a client's own on is then the operator's to mend (docs/operations.md).
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

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


# Where an arrival stands in the environ, once it was read. No header can write it: those are HTTP_….
ARRIVAL_KEY = "monban.arrival"


@dataclass(frozen=True, slots=True)
class Arrival:
    """Where one request came from."""

    ip: str  # of the client; "" by a local socket without a proxy
    request_id: str  # ours
    given_request_id: str  # what the caller calls it; "" where it says nothing or the id is ours
    scheme: str
    host: str | None  # in its normal form; None without one


def read(meta: Mapping[str, Any], *, scheme: str) -> Arrival:
    """Read the way of a request. scheme: the one that the server spoke."""
    peer = meta.get("REMOTE_ADDR", "")
    # Without an address the peer came by a local socket, which only a proxy of ours can open.
    is_proxy = _is_trusted(peer) if peer else bool(conf.trusted_proxies)
    hops = _words(meta, "HTTP_X_FORWARDED_FOR")
    position, address = _client(parse_node(peer), hops) if is_proxy else (-1, parse_node(peer))
    request_id = _named(meta, conf.request_id_header) if is_proxy else ""
    given = meta.get(_GIVEN_REQUEST_ID, "")
    host = meta.get("HTTP_HOST")
    if is_proxy:
        scheme = _scheme(meta, position=position, hops=len(hops)) or scheme
        forwarded = _named(meta, conf.forwarded_host_header)
        if forwarded and "," not in forwarded:
            host = forwarded
    if not _REQUEST_ID.fullmatch(request_id):
        request_id = uuid.uuid4().hex
    return Arrival(
        ip=_written(address) if address else "",
        request_id=request_id,
        given_request_id="" if given == request_id else _UNPRINTABLE.sub("", given[:_MAX_GIVEN_ID_LENGTH]),
        scheme=scheme,
        host=None if host is None else normal_host(host, scheme=scheme),
    )


def apply(request: HttpRequest) -> Arrival:
    """Read the way of the request, and leave only what is believed on it: scheme, and Host in its normal form."""
    arrival: Arrival = request.META.get(ARRIVAL_KEY) or read(request.META, scheme=request.scheme or "http")
    request.META["wsgi.url_scheme"] = arrival.scheme
    if hasattr(request, "scope"):
        request.scope["scheme"] = arrival.scheme
    if arrival.host is not None:
        request.META["HTTP_HOST"] = arrival.host
    for name in hearsay():
        request.META.pop(name, None)
    return arrival


def hearsay() -> tuple[str, ...]:
    """Return the names, in the environ, of the headers that nothing after this may read."""
    return (*_HEARSAY, _meta_name(conf.forwarded_host_header), _meta_name(conf.request_id_header))


def normal_host(host: str, *, scheme: str) -> str:
    """Return one spelling for one host: lower case, no root dot, no port that is the scheme's own (RFC 3986-6.2.3).

    What is no host is returned as it is, for Django to refuse.
    """
    match = _HOST.fullmatch(host.strip().lower())
    if match is None or not match["name"]:
        return host
    port = match["port"] or ""
    return match["name"] if port in {"", _DEFAULT_PORTS.get(scheme)} else f"{match['name']}:{port}"


@lru_cache(maxsize=1000)
def parse_node(text: str) -> IPv4Address | IPv6Address | None:
    """Read the address of a hop, with or without port, brackets and quotes (RFC 7239-6); None for anything else."""
    text = text.strip()
    match = _NODE.fullmatch(text)
    try:
        address = ip_address((match["v4"] or match["v6"]) if match else text.partition("%")[0])
    except ValueError:
        return None
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address


@lru_cache(maxsize=1000)
def _written(address: IPv4Address | IPv6Address) -> str:
    return str(address)


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


def _scheme(meta: Mapping[str, Any], *, position: int, hops: int) -> str:
    """Return what the outermost of our proxies says of the scheme, which is believed; "" where it says nothing.

    Proxies that append a word each, as to the addresses, say it where the client's address stands. Else the first word
    is the outermost proxy's, and inner proxies that speak http among themselves added theirs.
    """
    words = [word.lower() for word in _words(meta, "HTTP_X_FORWARDED_PROTO") if word]
    if not words:
        return ""
    scheme = words[position] if len(words) == hops and position >= 0 else words[0]
    return scheme if scheme in _DEFAULT_PORTS else ""


def _words(meta: Mapping[str, Any], name: str) -> list[str]:
    text: str = meta.get(name, "")
    return [word.strip() for word in text.split(",")] if text else []


def _named(meta: Mapping[str, Any], header: str) -> str:
    value: str = meta.get(_meta_name(header), "") if header else ""
    return value.strip()


def _meta_name(header: str) -> str:
    return f"HTTP_{header.upper().replace('-', '_')}" if header else ""
