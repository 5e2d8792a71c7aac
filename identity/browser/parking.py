"""Park a request on the server and find it again: sealed, spent once, bound to this browser (S43, S44)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django.http import HttpResponse

from identity import budgets, cookies, crypto, pending_requests
from identity.browser import answers
from identity.budgets import Budget
from identity.errors import StateInvalid
from identity.http import Request, path_of, tenant_of
from identity.models import PendingRequest
from identity.pending_requests import LIFETIME, Taken
from identity.statements import write

HANDLE_PARAMETER = "request"
# The browser comes back at once after a POST, and when the person is done after a page of ours.
POST_LIFETIME = timedelta(minutes=5)
_MAX_HANDLE_LENGTH = 100


def park(request: Request, route: str, payload: dict[str, Any]) -> str:
    """Keep a request; return the address, on our own site, where this browser may take it up again."""
    row, address = describe(request, route, payload)
    write(row)
    return address


def describe(
    request: Request, route: str, payload: dict[str, Any], *, binding: str = "", lifetime: timedelta = LIFETIME
) -> tuple[PendingRequest, str]:
    """Return the row of a request, for `statements.write` to keep, and the address where it may be taken up again.

    binding: what the browser must hold then; "" for its own handle.
    """
    tenant, path = tenant_of(request), path_of(route)
    budgets.spend(Budget.PARKED, tenant=tenant, context=request.context)
    row, handle = pending_requests.describe(
        tenant=tenant,
        path=path,
        payload=payload,
        binding=binding or cookies.browser_binding(request),
        lifetime=lifetime,
    )
    return row, f"{path}?{urlencode({HANDLE_PARAMETER: handle})}"


def park_post(
    request: Request,
    route: str,
    payload: dict[str, Any],
    *,
    caching: Mapping[str, str] = answers.NO_STORE_NO_CACHE,
) -> HttpResponse:
    """Keep what another site's page posted, which came without cookies, and let the browser come back with a GET."""
    binding = crypto.new_handle()
    row, address = describe(request, route, payload, binding=binding, lifetime=POST_LIFETIME)
    write(row)
    response = answers.redirect(request, address, caching=caching)
    cookies.set_parked(response, request, binding, max_age=int(POST_LIFETIME.total_seconds()))
    return response


def keep(request: Request, path: str, payload: dict[str, Any], *, lifetime: timedelta) -> str:
    """Keep what somebody has proved the right to ask, for an address of their own; return the handle alone."""
    return pending_requests.park(
        tenant=tenant_of(request),
        path=path,
        payload=payload,
        binding=cookies.browser_binding(request),
        lifetime=lifetime,
    )


def consume(request: Request) -> dict[str, Any]:
    """Spend the parked payload that this address names. Raises StateInvalid."""
    return pending_requests.consume(**_keys(request))


def take_up(request: Request) -> Taken:
    """Spend the parked payload that this address names, even if its page stood open too long. Raises StateInvalid.

    For callers that check everything anew and can ask again.
    """
    return pending_requests.take_up(**_keys(request))


def peek(request: Request) -> dict[str, Any]:
    """Read the parked payload that this address names and leave it there. Raises StateInvalid."""
    return pending_requests.peek(**_keys(request))


def find(request: Request, *, is_answered: bool) -> Taken:
    """Return the payload behind a page with a question: left there while it is only shown, spent by an answer.

    One that is over is spent by both. Raises StateInvalid.
    """
    if not is_answered:
        try:
            return Taken(peek(request), is_over=False)
        except StateInvalid:
            pass  # over, or what `take_up` refuses
    return take_up(request)


def _keys(request: Request) -> dict[str, Any]:
    held = [cookies.read(name, request) for name in (cookies.BROWSER, cookies.PARKED)]
    return {
        "tenant": tenant_of(request),
        "path": request.path,
        "handle": request.GET.get(HANDLE_PARAMETER, "")[:_MAX_HANDLE_LENGTH],
        "bindings": [value for value in held if value],
    }
