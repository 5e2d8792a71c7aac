"""What one page's content security policy allows beside the strict one of the settings: places, one by one."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from django.http.response import HttpResponseBase


def allow_form_targets(response: HttpResponseBase, addresses: Iterable[str]) -> None:
    """Let a page's forms lead to these addresses and on from there; without any, nowhere but home.

    Browsers hold the redirects after a form's POST to form-action too. The application that the browser comes back to
    may lead it on to a page of its own on another host, or through us to the next application that must be told of a
    sign-out; the registration knows none of these, so the scheme is all that can be said of them.
    """
    targets = [source for address in addresses if (source := form_source(address))]
    # http: for an application on a developer's machine only.
    is_plain = any(source.startswith("http:") for source in targets)
    onward = ["https:", "http:"] if is_plain else ["https:"] if targets else []
    _update(response, "form-action", ["'self'", *targets, *onward])


def allow_frames(response: HttpResponseBase, addresses: Iterable[str]) -> None:
    """Let a page load these addresses in frames, and nothing else; after a redirect, what is on their hosts."""
    if sources := [source for address in addresses if (source := _path_source(address))]:
        _update(response, "frame-src", sources)


def form_source(address: str) -> str:
    """Return the source expression of an address (CSP3-2.3.1); "" if it can have none."""
    parts = urlsplit(address)
    if parts.scheme in ("http", "https"):
        # A host can hold no character that ends a directive: it was checked when it was registered, and is
        # checked again here, for the header would be split.
        return "" if any(mark in parts.netloc for mark in " ;,'\"@") else f"{parts.scheme}://{parts.netloc}"
    return f"{parts.scheme}:" if parts.scheme else ""


def _path_source(address: str) -> str:
    """Return the source expression of one path; its query is no part of it."""
    parts = urlsplit(address)
    origin = form_source(address)
    if parts.scheme not in ("http", "https") or not origin:
        return ""
    # CSP3-2.3.1: these two end a source or a policy and stand percent-encoded.
    path = (parts.path or "/").replace(";", "%3B").replace(",", "%2C")
    # A path that ends with a slash would stand for everything below it; there is no narrower expression.
    return f"{origin}{path}"


def _update(response: HttpResponseBase, directive: str, sources: list[str]) -> None:
    known = getattr(response, "_csp_update", {})
    response._csp_update = {**known, directive: sources}  # type: ignore[attr-defined]  # read by django-csp
