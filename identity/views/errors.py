"""Refusals that belong to no protocol: pages for people, one JSON member for machines.

They render without a database and without a tenant, as both may be what is missing.
"""

from __future__ import annotations

import sys
from typing import Any

from csp.constants import HEADER as CSP_HEADER
from csp.utils import build_policy
from django.core.exceptions import RequestDataTooBig
from django.http import HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.utils import translation
from django.views.decorators.cache import never_cache

from identity import origins
from identity.database import is_unavailable
from identity.errors import SystemBusy, catalogue
from identity.http import Request
from identity.languages import language_of_refusal
from identity.views import stale_forms

RETRY_AFTER_SECONDS = 5
_PRODUCT_APIS = "/api/v2/"  # the tenant API and the SDK API

# What a machine is told in place of the page.
_CODES = {
    400: "invalid_request",
    403: "access_denied",
    404: "not_found",
    413: "invalid_request",
    414: "invalid_request",
    429: "too_many_requests",
    431: "invalid_request",
    500: "server_error",
    503: "temporarily_unavailable",
}


def refuse(
    request: Request, status: int, *, template: str | None = None, retry_after_seconds: int | None = None
) -> HttpResponse:
    """Answer with the page of this status, or with JSON where the caller did not ask for HTML."""
    context = getattr(request, "context", None)
    values: dict[str, Any] = {"request_id": context.request_id if context else "", "tenant": None}
    if context is not None:
        values["tenant"] = context.tenant
    response: HttpResponse
    if "text/html" in request.META.get("HTTP_ACCEPT", "text/html"):
        language = language_of_refusal(request)
        with translation.override(language):
            # Without the request: context processors would ask the session and, through it, the database.
            response = HttpResponse(render_to_string(template or f"{status}.html", values), status=status)
        response["Content-Language"] = language
    else:
        response = JsonResponse({"error": _CODES[status]}, status=status)
    response["Cache-Control"] = "no-store"
    # The middleware that sets these for all pages is not reached by what is refused before it.
    response[CSP_HEADER] = build_policy()
    response["X-Content-Type-Options"] = "nosniff"
    if retry_after_seconds is not None:
        response["Retry-After"] = str(retry_after_seconds)
    return response


# What a program is told of a request that no view has seen.
_UNREAD = {
    400: "The request cannot be read.",
    414: "The address is too long.",
    431: "The header fields are too large.",
}


def is_of_product_api(path: str) -> bool:
    """Tell whether an address is one of the tenant API or the SDK API, deployed wherever."""
    return path.removeprefix(origins.path_prefix()).startswith(_PRODUCT_APIS)


def refuse_unread(status: int, *, is_for_program: bool) -> HttpResponse:
    """Refuse what is no request yet: by the page of this status, or as the product's APIs refuse a body."""
    if not is_for_program:
        return refuse(Request(), status)
    response = JsonResponse({"error": _CODES[status], "error_description": _UNREAD[status]}, status=status)
    response["Cache-Control"] = "no-store"
    response["X-Content-Type-Options"] = "nosniff"
    return response


def bad_request(request: Request, exception: Exception | None = None) -> HttpResponse:
    """400, and 413 where the body is what was too much."""
    return refuse(request, 413 if isinstance(exception, RequestDataTooBig) else 400)


def too_large(request: Request) -> HttpResponse:
    """413."""
    return refuse(request, 413)


def forbidden(request: Request, exception: Exception | None = None) -> HttpResponse:
    """403."""
    return refuse(request, 403)


def not_found(request: Request, exception: Exception | None = None) -> HttpResponse:
    """404."""
    return refuse(request, 404)


def too_many_requests(request: Request, *, retry_after_seconds: int) -> HttpResponse:
    """429 with the time to wait."""
    return refuse(request, 429, retry_after_seconds=retry_after_seconds)


def unavailable(request: Request) -> HttpResponse:
    """503: the database is away or behind. The JSON APIs that have product codes say it with theirs (decision 28)."""
    if request.path_info.startswith(_PRODUCT_APIS):
        busy = catalogue()[SystemBusy.code]
        response = JsonResponse({"error_code": busy.code, "error_msg": busy.message}, status=503)
        response["Cache-Control"] = "no-store"
        response["Retry-After"] = str(RETRY_AFTER_SECONDS)
        return response
    return refuse(request, 503, retry_after_seconds=RETRY_AFTER_SECONDS)


def server_error(request: Request) -> HttpResponse:
    """500, and 503 where the database was lost outside a view."""
    if is_unavailable(sys.exc_info()[1]):
        return unavailable(request)
    return refuse(request, 500)


@never_cache
def csrf_failure(request: Request, reason: str = "") -> HttpResponse:
    """403 for a form whose token is missing or wrong, unless it only stood open while this browser signed in.

    The reason is for the log, which Django writes.
    """
    return stale_forms.answer(request) or refuse(request, 403, template="403_csrf.html")
