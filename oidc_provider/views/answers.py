"""Send the answer of an authorization request to the client: in the query, in the fragment, or as a form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import quote, urlencode, urlsplit

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render


def to_client(
    request: HttpRequest, *, redirect_uri: str, response_mode: str, parameters: Mapping[str, str]
) -> HttpResponse:
    """The response that carries these parameters to a redirect_uri that was found good.

    OAuthMultiple-2.1 for query and fragment, OAuthFormPost-2 for form_post. Nothing of it may be stored.
    """
    if response_mode == "form_post":
        page = {"action": redirect_uri, "fields": list(parameters.items())}
        response = render(request, "form_post.html", page)
        allow_form_targets(response, [redirect_uri])
        return protect(response)
    encoded = urlencode(parameters, quote_via=quote)
    if not encoded:
        return redirect(request, redirect_uri)
    if response_mode == "fragment":
        return redirect(request, f"{redirect_uri}#{encoded}")
    # RFC6749-3.1.2: the query that was registered is kept as it is.
    separator = "" if redirect_uri.endswith(("?", "&")) else "&" if "?" in redirect_uri else "?"
    return redirect(request, f"{redirect_uri}{separator}{encoded}")


def redirect(request: HttpRequest, address: str) -> HttpResponse:
    """Send the browser on with a GET (RFC9700-4.12: 303 after a POST, never 307).

    Django's own redirect would refuse the private schemes of native clients (RFC8252-7.1).
    """
    response = HttpResponse(status=303 if request.method == "POST" else 302)
    response["Location"] = address
    return protect(response)


def protect(response: HttpResponse) -> HttpResponse:
    """Keep codes and parameters out of caches and Referer headers (RFC6749-5.1, RFC9700-4.2.4)."""
    response["Cache-Control"] = "no-store"
    response["Pragma"] = "no-cache"
    response["Referrer-Policy"] = "no-referrer"
    return response


def protect_page(response: HttpResponse) -> HttpResponse:
    """The same for a page with forms of our own.

    Under no-referrer a browser sends them with `Origin: null`, which the CSRF check rightly refuses.
    """
    protect(response)["Referrer-Policy"] = "same-origin"
    return response


def allow_form_targets(response: HttpResponseBase, addresses: Iterable[str]) -> None:
    """Let a page's forms lead to the origins of these addresses, and nowhere else but home.

    Browsers hold the redirects after a form's POST to form-action too, so a page that leads back to the client in
    the end must name it.
    """
    sources = ["'self'", *(source for address in addresses if (source := form_source(address)))]
    response._csp_update = {"form-action": sources}  # type: ignore[attr-defined]  # read by django-csp


def form_source(address: str) -> str:
    """The source expression of an address (CSP3-2.3.1); "" if it can have none."""
    parts = urlsplit(address)
    if parts.scheme in ("http", "https"):
        # A host can hold no character that ends a directive: it was checked when it was registered, and is
        # checked again here, for the header would be split.
        return "" if any(mark in parts.netloc for mark in " ;,'\"@") else f"{parts.scheme}://{parts.netloc}"
    return f"{parts.scheme}:" if parts.scheme else ""
