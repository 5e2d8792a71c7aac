"""Send the answer of an authorization request to the client: in the query, in the fragment, or as a form."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlencode

from django.http import HttpResponse
from django.shortcuts import render

from identity.browser.content_security import allow_form_targets
from identity.http import Request
from oidc_provider.wire.addresses import with_parameters


def to_client(
    request: Request, *, redirect_uri: str, response_mode: str, parameters: Mapping[str, str]
) -> HttpResponse:
    """The response that carries these parameters to a redirect_uri that was found good.

    OAuthMultiple-2.1 for query and fragment, OAuthFormPost-2 for form_post. Nothing of it may be stored.
    """
    if response_mode == "form_post":
        page = {"action": redirect_uri, "fields": list(parameters.items())}
        response = render(request, "form_post.html", page)
        allow_form_targets(response, [redirect_uri])
        return protect(response)
    if response_mode == "fragment" and parameters:
        return redirect(request, f"{redirect_uri}#{urlencode(parameters, quote_via=quote)}")
    return redirect(request, with_parameters(redirect_uri, parameters))


def redirect(request: Request, address: str) -> HttpResponse:
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
