"""Send the answer of an authorization request to the client: in the query, in the fragment, or as a form."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlencode

from django.http import HttpResponse

from identity.browser.answers import post_form, redirect
from identity.http import Request
from oidc_provider.wire.addresses import with_parameters


def to_client(
    request: Request, *, redirect_uri: str, response_mode: str, parameters: Mapping[str, str]
) -> HttpResponse:
    """Carry these parameters to a redirect_uri that was found good.

    OAuthMultiple-2.1 for query and fragment, OAuthFormPost-2 for form_post. Nothing of it may be stored.
    """
    if response_mode == "form_post":
        return post_form(request, redirect_uri, parameters.items())
    if response_mode == "fragment" and parameters:
        return redirect(request, f"{redirect_uri}#{urlencode(parameters, quote_via=quote)}")
    return redirect(request, with_parameters(redirect_uri, parameters))
