"""How a browser is answered: sent on, shown a page of ours, or given a form that posts itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from django.http import HttpResponse

from identity.browser.content_security import allow_form_targets
from identity.browser.kept_pages import KeptPage
from identity.http import Request

# What keeps an answer out of caches. The documents of the protocols say it in headers of their own.
NO_STORE: Mapping[str, str] = MappingProxyType({"Cache-Control": "no-store"})
NO_STORE_NO_CACHE: Mapping[str, str] = MappingProxyType({"Cache-Control": "no-store", "Pragma": "no-cache"})


def redirect(request: Request, address: str, *, caching: Mapping[str, str] = NO_STORE_NO_CACHE) -> HttpResponse:
    """Send the browser on with a GET (RFC9700-4.12: 303 after a POST, never 307).

    The address stays the text that it is, for some who read it compare it; and Django's own redirect would refuse the
    private schemes of native clients (RFC8252-7.1).
    """
    response = HttpResponse(status=303 if request.method == "POST" else 302)
    response["Location"] = address
    return protect(response, caching=caching)


def post_form(
    request: Request,
    address: str,
    fields: Iterable[tuple[str, str]],
    *,
    caching: Mapping[str, str] = NO_STORE_NO_CACHE,
) -> HttpResponse:
    """Show a page whose form posts itself to an address that was found good."""
    names, values = zip(*fields, strict=True)
    response = protect(_FORM_POST.answer(request, (names,), (address, *values)), caching=caching)
    allow_form_targets(response, [address])
    return response


_FORM_POST = KeptPage(
    "form_post.html",
    lambda names, address, *values: {"action": address, "fields": list(zip(names, values, strict=True))},
)


def protect(response: HttpResponse, *, caching: Mapping[str, str] = NO_STORE_NO_CACHE) -> HttpResponse:
    """Keep codes, tickets, messages and addresses out of caches and Referer headers (RFC6749-5.1, RFC9700-4.2.4)."""
    for name, value in caching.items():
        response[name] = value
    response["Referrer-Policy"] = "no-referrer"
    return response


def protect_page(response: HttpResponse, *, caching: Mapping[str, str] = NO_STORE_NO_CACHE) -> HttpResponse:
    """Protect a page with forms of our own in the same way.

    Under no-referrer a browser sends them with `Origin: null`, which the CSRF check rightly refuses.
    """
    protect(response, caching=caching)["Referrer-Policy"] = "same-origin"
    return response
