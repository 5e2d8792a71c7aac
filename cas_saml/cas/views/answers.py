"""How a browser is refused: on our own page, or in JSON."""

from __future__ import annotations

import logging

from django.http import HttpResponse, JsonResponse
from django.shortcuts import render

from cas_saml.cas import tickets
from identity import audit
from identity.browser.answers import protect, protect_page
from identity.errors import IdentityError, NotFound, TooManyRequests
from identity.events import EventType
from identity.http import Request
from identity.models import AuditOutcome

log = logging.getLogger(__name__)


def refuse(request: Request, error: IdentityError) -> HttpResponse:
    """Refuse a login request on our own page: nothing is redirected to an address that is not known (S44)."""
    context = request.context
    log.info("cas.refused", extra={"reason": error.error_code, "detail": error.log_detail})
    audit.record(
        EventType.TICKET_GRANT,
        tenant=context.tenant,
        outcome=AuditOutcome.REFUSED,
        reason=error.error_code,
        context=context,
        dialect=tickets.PROTOCOL,
    )
    accept = request.headers.get("Accept", "")
    if "application/json" in accept and "text/html" not in accept:
        return refuse_json(error)
    page = {
        "error_code": error.error_code,
        "error_msg": error.message,
        "request_id": context.request_id,
        "is_unknown_service": isinstance(error, NotFound),
    }
    return protect_page(render(request, "cas_saml/error.html", page, status=400))


def refuse_json(error: IdentityError) -> HttpResponse:
    """Refuse in JSON, for callers that show no page."""
    body = {"error_code": error.error_code, "error_msg": error.message}
    if not isinstance(error, TooManyRequests):
        return protect(JsonResponse(body, status=400))
    response = protect(JsonResponse(body, status=429))
    response["Retry-After"] = str(error.retry_after_seconds)
    return response
