"""Keep a request on the server while the browser does something else: sealed, spent once, bound to the browser."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django.http import HttpResponse
from django.urls import reverse

from cas_saml.saml import bindings
from identity import budgets, cookies, crypto, pending_requests
from identity.budgets import Budget
from identity.http import Request, tenant_of

HANDLE_PARAMETER = "request"
# A cross-site POST comes back at once.
POST_LIFETIME = timedelta(minutes=5)


def park(request: Request, route: str, payload: dict[str, Any]) -> str:
    """Keep a request; return the address, on our own site, where this browser may take it up again."""
    return _park(request, route, payload, binding=cookies.browser_binding(request))


def park_post(request: Request, route: str, payload: dict[str, Any]) -> HttpResponse:
    """Keep what another site's page posted, which came without cookies, and let the browser come back with a GET."""
    binding = crypto.new_handle()
    response = bindings.go(request, _park(request, route, payload, binding=binding, lifetime=POST_LIFETIME))
    cookies.set_parked(response, request, binding, max_age=int(POST_LIFETIME.total_seconds()))
    return response


def take(request: Request) -> dict[str, Any]:
    """Spend the parked payload that this address names. Raises StateInvalid."""
    return pending_requests.consume(path=request.path, **_keys(request))


def take_up(request: Request) -> dict[str, Any]:
    """The same for a payload whose page stood open too long, too. Raises StateInvalid."""
    return pending_requests.take_up(path=request.path, **_keys(request)).payload


def _keys(request: Request) -> dict[str, Any]:
    held = [cookies.read(name, request) for name in (cookies.BROWSER, cookies.PARKED)]
    return {
        "tenant": tenant_of(request),
        "handle": request.GET.get(HANDLE_PARAMETER, "")[:100],
        "bindings": [value for value in held if value],
    }


def _park(request: Request, route: str, payload: dict[str, Any], *, binding: str, **options: Any) -> str:
    path = reverse(route)
    context = request.context
    tenant = tenant_of(request)
    budgets.spend(Budget.PARKED, tenant=tenant, context=context)
    handle = pending_requests.park(tenant=tenant, path=path, payload=payload, binding=binding, **options)
    return f"{path}?{urlencode({HANDLE_PARAMETER: handle})}"
