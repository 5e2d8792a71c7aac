"""Addresses of applications: read in one way only, compared exactly or below a path of one origin (S44).

Nothing here asks a general URL parser: what is not plainly an address of the form below is refused before anything is
compared, so that no browser or server can read it as another one (S2, S3).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from django.utils.translation import gettext as _

MAX_LENGTH = 2000
# Host and path as in RFC3986-3.2.2 and 3.3, without user information and without encoded hosts. A query may hold what
# browsers leave as it is, but nothing that ends a header, an attribute or the address itself.
_ADDRESS = re.compile(
    r"""(?P<scheme>https?)://
        (?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])
        (?::(?P<port>[0-9]{1,5}))?
        (?P<path>/[A-Za-z0-9._~:/@!$&'()*+,;=%-]*)?
        (?P<query>\?[!$-;=?-~]*)?""",
    re.VERBOSE,
)
# What Java servers write behind the path of a browser that shows no cookie yet.
_SERVLET_SESSION = re.compile(r";jsessionid=[A-Za-z0-9._~!*+-]*\Z", re.IGNORECASE)
_OLD_TICKET = re.compile(r"ticket=[SP]T-[A-Za-z0-9._~-]*")  # CAS-3.1, CAS-3.2
_USUAL_PORTS = {"https": "443", "http": "80"}
_HIDDEN = ("%2e", "%2f", "%5c", "%25", "%00", "%3b")


class AddressInvalid(ValueError):
    """Not an address that may be registered or asked for. `str()` says why, without the address."""


@dataclass(frozen=True)
class ServiceAddress:
    """An address that was read."""

    text: str  # as it came, but for what an earlier visit left: exact services and tickets are compared by it
    scheme: str
    host: str  # lower case
    origin: str  # lower case, without the usual port
    segments: tuple[str, ...]  # of the path, without an empty one at its end
    has_query: bool

    def is_below(self, parent: ServiceAddress) -> bool:
        """Tell whether it lies at or below the parent's path on the very same origin, segment by segment."""
        return self.origin == parent.origin and self.segments[: len(parent.segments)] == parent.segments


def read(text: str) -> ServiceAddress:
    """Read an address. Raises AddressInvalid."""
    if len(text) > MAX_LENGTH:
        raise AddressInvalid(_("It is too long."))
    found = _ADDRESS.fullmatch(text)
    if found is None:
        raise AddressInvalid(_("It is not an http or https address, or has user information or a fragment."))
    path = found["path"] or ""
    if _has_hidden_segments(path):
        raise AddressInvalid(_("Its path has dot segments or encoded separators."))
    scheme, host, port = found["scheme"], found["host"].lower(), found["port"]
    if port is not None and not 1 <= int(port) <= 65535:
        raise AddressInvalid(_("Its port does not exist."))
    shown_port = "" if port is None or port == _USUAL_PORTS[scheme] else f":{int(port)}"
    segments = tuple(_SERVLET_SESSION.sub("", path)[1:].split("/"))
    return ServiceAddress(
        text=without_leftovers(text),
        scheme=scheme,
        host=host,
        origin=f"{scheme}://{host}{shown_port}",
        segments=segments[:-1] if segments[-1] == "" else segments,
        has_query=found["query"] is not None,
    )


def without_leftovers(text: str) -> str:
    """Drop from the address what an earlier visit left in it: a servlet's session, and a ticket that was good once.

    Both are the browser's and not the service's, and come and go between the two requests of a sign-in. Without them
    the address is compared exactly, and it is what the browser is sent to: nobody is led into a session that somebody
    else wrote into a link (S27). Anything else stays as it is, a text that is no address too.
    """
    found = _ADDRESS.fullmatch(text)
    if found is None:
        return text
    head, query = (text[: found.start("query")], found["query"]) if found["query"] is not None else (text, "")
    parameters = query[1:].split("&")
    kept = [parameter for parameter in parameters if not _OLD_TICKET.fullmatch(parameter)]
    if len(kept) != len(parameters):
        query = f"?{'&'.join(kept)}" if kept else ""
    return _SERVLET_SESSION.sub("", head) + query


def with_parameter(address: str, encoded: str) -> str:
    """Add one more query parameter, which is encoded already, to the address. What was there is kept as it is."""
    separator = "" if address.endswith(("?", "&")) else "&" if "?" in address else "?"
    return f"{address}{separator}{encoded}"


def is_loopback(address: ServiceAddress) -> bool:
    """Tell whether it names this machine, for services under development."""
    return address.host in ("localhost", "[::1]") or re.fullmatch(r"127(\.[0-9]{1,3}){3}", address.host) is not None


def _has_hidden_segments(path: str) -> bool:
    """S3: `..`, `..;x`, `%2e`, `%2f`, `%5c`, also encoded twice (`%25`); a percent sign that encodes nothing."""
    lowered = path.lower()
    if any(mark in lowered for mark in _HIDDEN) or re.search(r"%(?![0-9a-f]{2})", lowered):
        return True
    return any(segment.partition(";")[0] in (".", "..") for segment in path.split("/"))
