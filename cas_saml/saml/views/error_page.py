"""Refusals that no provider may hear of: shown on our page, or in the product's form to whoever wants JSON."""

from __future__ import annotations

import logging

from django.http import HttpResponse, JsonResponse
from django.shortcuts import render

from cas_saml.saml import bindings, xml
from cas_saml.saml.errors import MessageRefused, SAMLError
from cas_saml.saml.models import ServiceProvider
from cas_saml.saml.sso import PROTOCOL
from identity import audit
from identity.browser.answers import protect_page
from identity.errors import IdentityError, NotFound
from identity.events import EventType
from identity.http import Request
from identity.models import AuditOutcome

log = logging.getLogger(__name__)


def refuse(
    request: Request,
    error: IdentityError | SAMLError | xml.Refused,
    *,
    event: EventType,
    provider: ServiceProvider | None = None,
) -> HttpResponse:
    """Refuse a message, log and audit it. Nothing is sent to an address that is not known (S6, S22)."""
    context = request.context
    refusal = _as_refusal(error)
    reason = refusal.reason if isinstance(refusal, MessageRefused) else refusal.error_code
    client_ref = getattr(refusal, "client_ref", "") or (provider.public_id if provider else "")
    log.info("saml.refused", extra={"reason": reason, "detail": refusal.log_detail, "provider": client_ref})
    audit.record(
        event,
        tenant=context.tenant,
        outcome=AuditOutcome.REFUSED,
        reason=reason,
        context=context,
        client_id=client_ref,
        application=provider.application if provider else None,
        dialect=PROTOCOL,
    )
    accept = request.headers.get("Accept", "")
    if "application/json" in accept and "text/html" not in accept:
        body = {"error_code": refusal.error_code, "error_msg": refusal.message}
        return bindings.protect(JsonResponse(body, status=400))
    page = {
        "error_code": refusal.error_code,
        "error_msg": refusal.message,
        "request_id": context.request_id,
        "is_unknown_service": isinstance(refusal, NotFound),
        "is_signing_out": event is EventType.LOGOUT_REQUEST,
    }
    return protect_page(render(request, "cas_saml/error.html", page, status=400), caching=bindings.CACHING)


def _as_refusal(error: IdentityError | SAMLError | xml.Refused) -> IdentityError:
    if isinstance(error, IdentityError):
        return error
    if isinstance(error, SAMLError):
        return MessageRefused(error.fault.value, log_detail=error.log_detail)
    return MessageRefused(error.reason, log_detail=error.log_detail)
