"""Redirect addresses: compared as strings with those that were registered, and judged when they are registered.

A request's address is never parsed to decide whether it matches (S2). The one exception is the port of a native
client's loopback address (RFC8252-7.3), and there both addresses are taken apart completely (S4).
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

from django.utils.translation import gettext as _

from oidc_provider.errors import Fault, OAuthError
from oidc_provider.models import Client

MAX_LENGTH = 2000
# RFC3986-2: what a URI is made of.
_URI = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+")
# RFC8252-7.1: a private scheme is a reversed domain name, so it has a dot.
_PRIVATE_SCHEME = re.compile(r"[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+")


class AddressInvalid(ValueError):
    """An address that cannot be registered. `str()` says why, without the address."""


def check(redirect_uri: str | None, *, client: Client, is_required: bool) -> str:
    """Find the address to answer to. Raises OAuthError without an address: nothing may be redirected yet."""
    registered: list[str] = client.redirect_uris
    if redirect_uri is None:
        # RFC6749-3.1.2.3: it may be left out where there is one only; OIDCC-3.1.2.1: in OpenID it may not.
        if is_required or len(registered) != 1:
            raise OAuthError(Fault.MISSING_REDIRECT_URI, client_id=client.client_id)
        return _allowed(registered[0], client)
    if redirect_uri in registered:
        return _allowed(redirect_uri, client)
    if client.is_native and any(_differs_in_port_only(redirect_uri, known) for known in registered):
        return redirect_uri
    raise OAuthError(Fault.REDIRECT_URI, log_detail=f"client={client.pk}", client_id=client.client_id)


def _allowed(registered: str, client: Client) -> str:
    """Return a registered address, unless what allowed it to do without TLS is gone (decision 55)."""
    if registered.startswith("http://") and not client.may_use_plain_http:
        parts = _split(registered)
        if parts is None or not _is_local(parts.hostname or ""):
            raise OAuthError(Fault.REDIRECT_URI, log_detail=f"client={client.pk} http", client_id=client.client_id)
    return registered


def _differs_in_port_only(redirect_uri: str, registered: str) -> bool:
    """RFC8252-7.3, for loopback addresses written as numbers only. `localhost` may be another machine (RFC8252-8.3)."""
    if not _URI.fullmatch(redirect_uri):
        return False
    mine, theirs = _split(redirect_uri), _split(registered)
    if mine is None or theirs is None or not (_is_plain_loopback(mine) and _is_plain_loopback(theirs)):
        return False
    # Built from its parts again it must be the same text, so that nothing in it was read in another way.
    if not all(parts.geturl() == text for parts, text in ((mine, redirect_uri), (theirs, registered))):
        return False
    return (mine.hostname, mine.path, mine.query) == (theirs.hostname, theirs.path, theirs.query)


def _split(address: str) -> SplitResult | None:
    try:
        parts = urlsplit(address)
        parts.port  # noqa: B018 - reading it judges it
    except ValueError:
        return None
    return parts


def _is_plain_loopback(parts: SplitResult) -> bool:
    if parts.scheme != "http" or "@" in parts.netloc or parts.netloc.endswith(":") or parts.fragment:
        return False
    return _is_loopback_literal(parts.hostname or "")


def _is_loopback_literal(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_local(host: str) -> bool:
    return host == "localhost" or _is_loopback_literal(host)


def check_registrable(
    address: str,
    *,
    is_native: bool,
    debug: bool,
    allows_private_scheme: bool = True,
    allows_plain_http: bool = False,
) -> None:
    """Judge an address that is to be registered (decision 12, S3, S5, S7). Raises AddressInvalid.

    allows_plain_http: whether it may do without TLS (decision 55).
    """
    if len(address) > MAX_LENGTH or not _URI.fullmatch(address):
        raise AddressInvalid(_("it is too long or holds characters that addresses do not hold"))
    parts = _split(address)
    if parts is None or "#" in address:
        raise AddressInvalid(_("it cannot be read, or has a fragment"))  # RFC6749-3.1.2
    if "*" in address:
        raise AddressInvalid(_("it has a wildcard"))
    if "@" in parts.netloc or "%" in parts.netloc or "\\" in address:
        raise AddressInvalid(_("it has user information or an encoded host"))
    if _has_hidden_segments(parts.path):
        raise AddressInvalid(_("its path has dot segments or encoded separators"))
    if parts.scheme == "https":
        if not parts.hostname:
            raise AddressInvalid(_("it has no host"))
        return
    if parts.scheme == "http":
        host = parts.hostname or ""
        if _is_local(host) and (is_native or debug):
            return
        if host and allows_plain_http:
            return
        raise AddressInvalid(
            _("http is for loopback addresses of native applications, and for internal ones with the flag plain_http")
        )
    if not (is_native and allows_private_scheme and _PRIVATE_SCHEME.fullmatch(parts.scheme)):
        # S7: javascript:, data: and the like are not on the list.
        raise AddressInvalid(_("its scheme is not allowed"))


def check_origin(origin: str, *, debug: bool) -> None:
    """Judge a web origin (RFC6454-6.2): scheme, host, port, and nothing behind. Raises AddressInvalid."""
    parts = _split(origin)
    if parts is None or not parts.hostname or origin != f"{parts.scheme}://{parts.netloc}" or "@" in parts.netloc:
        raise AddressInvalid(_("it is not scheme, host and port"))
    if origin != origin.lower():
        raise AddressInvalid(_("browsers write origins in lower case"))
    if (parts.scheme, parts.port) in (("https", 443), ("http", 80)):
        raise AddressInvalid(_("browsers leave the usual port out"))
    if parts.scheme != "https" and not (parts.scheme == "http" and debug and _is_local(parts.hostname)):
        raise AddressInvalid(_("it is not https"))


def _has_hidden_segments(path: str) -> bool:
    """S3: `..`, `..;x`, `%2e`, `%2f`, `%5c`, also encoded twice (`%25`)."""
    lowered = path.lower()
    if any(mark in lowered for mark in ("%2e", "%2f", "%5c", "%25", "%00")):
        return True
    return any(segment.partition(";")[0] in (".", "..") for segment in path.split("/"))
