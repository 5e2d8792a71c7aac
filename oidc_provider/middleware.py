"""Requests from the pages of clients: across origins (see `cors`), and a sign-in that a script drives.

Cookies take part in the scripted sign-in only, and it is for pages of the same site only (decision 18).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers

from identity.http import Request
from identity.views.machines import endpoint_of
from oidc_provider import dialects
from oidc_provider.clients import cached
from oidc_provider.cors import PREFLIGHT_SECONDS
from oidc_provider.dialects.base import Dialect, EndpointName
from oidc_provider.wire import scripted

SCRIPT_HEADERS = "Content-Type, Accept, Accept-Language, X-Requested-With"


class CORSMiddleware:
    """Mark answers of endpoints that a page of another origin may read, pages of errors among them."""

    def __init__(self, get_response: Callable[[Request], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: Request) -> HttpResponseBase:
        """Mark the answer of an endpoint that is shared."""
        response = self.get_response(request)
        match = request.resolver_match
        endpoint = endpoint_of(match.func) if match is not None else None
        if endpoint is not None and endpoint.sharing is not None:
            for name, value in endpoint.sharing.marks(request.headers.get("Origin"), request.context.tenant).items():
                if name == "Vary":
                    patch_vary_headers(response, [value])  # a page varies by more
                else:
                    response[name] = value
        return response


class ScriptedSignInMiddleware:
    """Let a script of the same site post the sign-in form and read where to go next (Pactera-4.5, decision 18).

    The form's CSRF token is for pages of ours. A script has none; it is judged by its Origin, which browsers set and
    scripts cannot, and SameSite keeps our cookies out of requests from other sites. The answer's target is in the
    header `path`, see `views.scripted`.
    """

    # The endpoints that such a script calls with cookies, and so asks leave for first.
    ROUTES = ("identity:login", "oidc_provider:authorize_continue")

    def __init__(self, get_response: Callable[[Request], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: Request) -> HttpResponseBase:
        """Spell the redirect of a sign-in for the script that posted it."""
        response = self.get_response(request)
        is_login = request.resolver_match is not None and request.resolver_match.view_name == "identity:login"
        if is_login and scripted.is_scripted(request) and isinstance(response, HttpResponse):
            return scripted.adapt(request, response, is_registered=_is_script_origin(request))
        return response

    def process_view(
        self, request: Request, view: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> HttpResponseBase | None:
        """Answer a preflight request, and take the Origin of a script in place of the form's token."""
        match = request.resolver_match
        dialect = kwargs.get("dialect")
        is_authorize = isinstance(dialect, Dialect) and dialect.sends_path_header and _is_authorize(request)
        if match is None or not (match.view_name in self.ROUTES or is_authorize) or not scripted.is_scripted(request):
            return None
        if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
            response = scripted.allow_reading(
                request, HttpResponse(status=204), is_registered=_is_script_origin(request)
            )
            if "Access-Control-Allow-Origin" in response:
                response["Access-Control-Allow-Methods"] = "GET, POST"
                response["Access-Control-Allow-Headers"] = SCRIPT_HEADERS
                response["Access-Control-Max-Age"] = str(PREFLIGHT_SECONDS)
            return response
        if match.view_name == "identity:login" and scripted.is_from_site(
            request, is_registered=_is_script_origin(request)
        ):
            # Read by CsrfViewMiddleware, which runs after this one.
            request.csrf_processing_done = True  # type: ignore[attr-defined]
        return None


def _is_authorize(request: Request) -> bool:
    match = request.resolver_match
    return match is not None and (match.url_name or "").rpartition("-")[2] == EndpointName.AUTHORIZE


def _is_script_origin(request: Request) -> Callable[[str], bool]:
    """Whose pages may drive a sign-in: those of clients of dialects that have such scripts."""
    tenant = getattr(getattr(request, "context", None), "tenant", None)
    names = frozenset(dialect.name for dialect in dialects.ALL if dialect.sends_path_header)
    return lambda origin: tenant is not None and cached.is_web_origin(origin, tenant=tenant, dialects=names)
