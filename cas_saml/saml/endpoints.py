"""Endpoints of service providers, as a registration keeps them: judged once, looked up by what a request names.

Assertion consumer services, by HTTP-POST only: {"index": 0, "location": "https://…", "is_default": true}.
Single logout services: {"binding": "redirect" | "post" | "soap", "location": "https://…", "response_location": ""}.
A request may name one of these; it never brings an address of its own (S1, S22).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from django.utils.translation import gettext as _

from cas_saml import addresses
from cas_saml.addresses import AddressInvalid
from identity import outbound
from identity.conf import conf as identity_conf

MAX_ENDPOINTS = 50
MAX_INDEX = 65535  # SAMLMeta-2.2.3: xs:unsignedShort

REDIRECT, POST, SOAP = "redirect", "post", "soap"
BINDINGS: Mapping[str, str] = MappingProxyType(
    {
        REDIRECT: "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect",
        POST: "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST",
        SOAP: "urn:oasis:names:tc:SAML:2.0:bindings:SOAP",
    }
)
BINDING_BY_URI: Mapping[str, str] = MappingProxyType({uri: name for name, uri in BINDINGS.items()})

Endpoint = Mapping[str, Any]


# Judging ---------------------------------------------------------------------------------------------------


def clean_consumers(value: object) -> list[dict[str, Any]]:
    """Return the assertion consumer services in their full form. Raises ValueError."""
    cleaned: list[dict[str, Any]] = []
    for position, entry in enumerate(_entries(value, {"index", "location", "is_default"})):
        index = entry.get("index", position)
        if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index <= MAX_INDEX:
            raise ValueError(_("An index is a number from 0 to 65535."))
        if any(index == other["index"] for other in cleaned):
            raise ValueError(_("The index %(index)d comes twice.") % {"index": index})
        is_default = entry.get("is_default", False)
        if not isinstance(is_default, bool):
            raise ValueError(_("is_default is neither true nor false."))
        cleaned.append({"index": index, "location": _browser_address(entry), "is_default": is_default})
    if not cleaned:
        raise ValueError(_("There is no address to send assertions to."))
    if sum(entry["is_default"] for entry in cleaned) > 1:
        raise ValueError(_("One endpoint is the default, not several."))
    return cleaned


def clean_logout_services(value: object, *, internal: bool) -> list[dict[str, Any]]:
    """Return the single logout services in their full form. Raises ValueError.

    internal: whether the application's addresses may lie in the private network (decision 12).
    """
    cleaned: list[dict[str, Any]] = []
    for entry in _entries(value, {"binding", "location", "response_location"}):
        binding = entry.get("binding")
        if binding not in BINDINGS:
            raise ValueError(_("A binding is one of redirect, post and soap."))
        if any(binding == other["binding"] for other in cleaned):
            raise ValueError(_("The binding %(binding)s comes twice.") % {"binding": binding})
        if binding == SOAP:
            location, response_location = _server_address(entry, internal=internal), ""
        else:
            location, response_location = _browser_address(entry), ""
            if entry.get("response_location"):
                response_location = _browser_address({"location": entry["response_location"]})
        cleaned.append({"binding": binding, "location": location, "response_location": response_location})
    return cleaned


def _entries(value: object, known: set[str]) -> list[Mapping[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise ValueError(_("It is not a list of objects."))
    if len(value) > MAX_ENDPOINTS:
        raise ValueError(_("There are too many."))
    for entry in value:
        if unknown := sorted(set(entry) - known):
            raise ValueError(_("%(name)s is not known here.") % {"name": unknown[0]})
    return value


def _browser_address(entry: Mapping[str, Any]) -> str:
    """S7: http or https and nothing else; decision 12: http on a developer's loopback only."""
    location = entry.get("location")
    if not isinstance(location, str):
        raise ValueError(_("A location is a text."))
    try:
        address = addresses.read(location)
    except AddressInvalid as error:
        raise ValueError(f"{location}: {error}") from error
    if address.scheme != "https" and not (identity_conf.debug and addresses.is_loopback(address)):
        raise ValueError(f"{location}: " + _("It is not https."))
    return location


def _server_address(entry: Mapping[str, Any], *, internal: bool) -> str:
    location = entry.get("location")
    if not isinstance(location, str):
        raise ValueError(_("A location is a text."))
    try:
        outbound.check_url(location, internal=internal)
    except outbound.AddressRefused as error:
        raise ValueError(f"{location}: {error}") from error
    return location


# Reading ---------------------------------------------------------------------------------------------------


def check_shape_of_consumers(value: object) -> None:
    """Tell whether the looking-up below understands what a row holds. Raises ValueError."""
    for entry in _entries(value, {"index", "location", "is_default"}):
        if not isinstance(entry.get("index"), int) or not isinstance(entry.get("is_default"), bool):
            raise ValueError("index or is_default")
        if not isinstance(entry.get("location"), str):
            raise ValueError("location")


def check_shape_of_logout_services(value: object) -> None:
    """Tell whether the looking-up below understands what a row holds. Raises ValueError."""
    for entry in _entries(value, {"binding", "location", "response_location"}):
        if entry.get("binding") not in BINDINGS:
            raise ValueError("binding")
        if not isinstance(entry.get("location"), str) or not isinstance(entry.get("response_location"), str):
            raise ValueError("location")


# Looking up ------------------------------------------------------------------------------------------------


def default_consumer(consumers: Sequence[Endpoint]) -> str | None:
    """SAMLMeta-2.2.3: the one that says so, else the first; None where the row holds none that can be used."""
    marked = [entry for entry in consumers if entry["is_default"]]
    return next((str(entry["location"]) for entry in (*marked, *consumers)), None)


def consumer_by_index(consumers: Sequence[Endpoint], index: int) -> str | None:
    """Return the address of an index, or None."""
    return next((str(entry["location"]) for entry in consumers if entry["index"] == index), None)


def consumer_by_url(consumers: Sequence[Endpoint], url: str) -> str | None:
    """Return the address if it is registered, the exact string (S1), or None."""
    return next((str(entry["location"]) for entry in consumers if entry["location"] == url), None)


def logout_service(services: Sequence[Endpoint], *bindings: str) -> Endpoint | None:
    """Return the first of these bindings that the provider has, or None."""
    by_binding = {entry["binding"]: entry for entry in services}
    return next((by_binding[binding] for binding in bindings if binding in by_binding), None)


def response_location(service: Endpoint) -> str:
    """Return where responses go (SAMLMeta-2.2.2)."""
    return str(service["response_location"] or service["location"])
