"""Cross-origin requests from the pages of registered clients (FETCH-3.2, CORS).

Published documents (discovery, keys) may be read from any page. The token, userinfo and revocation endpoints may
be called from the origins that a client of this tenant registered. Cookies never take part: no answer ever carries
Access-Control-Allow-Credentials, and none of these endpoints looks at a cookie.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers

from oidc_provider import clients
from oidc_provider.dialects.base import Dialect, EndpointName

PREFLIGHT_SECONDS = 600
ALLOWED_HEADERS = "Authorization, Content-Type, Accept, Accept-Language"
EXPOSED_HEADERS = "WWW-Authenticate, Retry-After"


class Origins(Enum):
    """Whose pages may call an endpoint."""

    ANY = "any"
    REGISTERED = "registered"


POLICIES = {
    EndpointName.TOKEN: Origins.REGISTERED,
    EndpointName.USERINFO: Origins.REGISTERED,
    EndpointName.REVOKE: Origins.REGISTERED,
    EndpointName.JWKS: Origins.ANY,
    EndpointName.DISCOVERY: Origins.ANY,
    EndpointName.OAUTH_METADATA: Origins.ANY,
}


class CORSMiddleware:
    """Answer preflight requests and mark answers that a page of another origin may read."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Mark the answer of an endpoint that has a policy."""
        response = self.get_response(request)
        endpoint = _endpoint(request)
        if endpoint is not None:
            self._mark(request, response, POLICIES[endpoint])
        return response

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> HttpResponseBase | None:
        """Answer a preflight request in place of the view, which knows its own methods only (FETCH-3.2.2)."""
        endpoint = _endpoint(request)
        is_preflight = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
        if endpoint is None or not is_preflight:
            return None
        dialect: Dialect = kwargs["dialect"]
        response = HttpResponse(status=204)
        if _is_allowed(request, POLICIES[endpoint]):
            response["Access-Control-Allow-Methods"] = ", ".join(dialect.endpoints[endpoint].methods)
            response["Access-Control-Allow-Headers"] = ALLOWED_HEADERS
            response["Access-Control-Max-Age"] = str(PREFLIGHT_SECONDS)
        return response

    @staticmethod
    def _mark(request: HttpRequest, response: HttpResponseBase, policy: Origins) -> None:
        if policy is Origins.ANY:
            response["Access-Control-Allow-Origin"] = "*"
            return
        # Caches must not hand one origin's answer to another.
        patch_vary_headers(response, ["Origin"])
        if _is_allowed(request, policy):
            response["Access-Control-Allow-Origin"] = request.headers["Origin"]
            response["Access-Control-Expose-Headers"] = EXPOSED_HEADERS


def _endpoint(request: HttpRequest) -> EndpointName | None:
    """The endpoint of the route, if it has a policy. Routes are named after endpoints, see `urls`."""
    match = request.resolver_match
    if match is None or match.app_name != "oidc_provider":
        return None
    name = (match.url_name or "").rpartition("-")[2]
    return next((endpoint for endpoint in POLICIES if endpoint == name), None)


def _is_allowed(request: HttpRequest, policy: Origins) -> bool:
    if policy is Origins.ANY:
        return True
    origin = request.headers.get("Origin")
    tenant = getattr(getattr(request, "context", None), "tenant", None)
    # The string is compared, not parsed (S2); "null" can never be registered.
    return origin is not None and tenant is not None and origin in clients.web_origins(tenant=tenant)
