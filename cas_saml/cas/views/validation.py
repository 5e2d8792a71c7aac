"""The validations, which services ask for (CAS-2.4, CAS-2.5, CAS-2.8), and the proxy endpoint, which gives nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from django.http import HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from cas_saml.attributes import release
from cas_saml.cas import bodies, tickets
from cas_saml.cas.errors import CASError, Fault
from cas_saml.cas.interaction import is_set
from cas_saml.cas.tickets import Validated
from identity import audit
from identity.decorators import machine_endpoint
from identity.events import EventType
from identity.http import Request, tenant_of
from identity.models import AuditOutcome

log = logging.getLogger(__name__)


@csrf_exempt
@never_cache
@require_safe
@machine_endpoint
def validate(request: Request) -> HttpResponse:
    """CAS 1.0 (CAS-2.4): plain text."""
    return _validated(
        request,
        success=lambda validated: bodies.plain_success(validated.user_name),
        failure=lambda error: bodies.plain_failure(),
    )


@csrf_exempt
@never_cache
@require_safe
@machine_endpoint
def service_validate(request: Request, *, with_attributes: bool) -> HttpResponse:
    """CAS 2.0 (CAS-2.5), the user's name; CAS 3.0 (CAS-2.8), attributes too. The route says which."""
    is_json = request.GET.get("format", "").upper() == "JSON"
    ticket = request.GET.get("ticket", "")
    return _validated(
        request,
        success=lambda validated: bodies.success(
            validated.user_name, _attributes(validated) if with_attributes else None, is_json=is_json
        ),
        failure=lambda error: bodies.failure(error.spec, ticket=ticket, is_json=is_json),
    )


@csrf_exempt
@never_cache
@require_safe
@machine_endpoint
def proxy(request: Request) -> HttpResponse:
    """CAS-2.7: nobody is given a proxy ticket, as nobody is given the ticket to ask with."""
    if not request.GET.get("pgt") or not request.GET.get("targetService"):
        return bodies.proxy_failure("INVALID_REQUEST", "'pgt' and 'targetService' parameters are both required")
    return bodies.proxy_failure("UNAUTHORIZED_SERVICE", "proxy authentication is not supported")


def _validated(
    request: Request,
    *,
    success: Callable[[Validated], HttpResponse],
    failure: Callable[[CASError], HttpResponse],
) -> HttpResponse:
    try:
        return success(_consume(request))
    except CASError as error:
        refusal = error
    except Exception as error:  # CAS-2.5.3: the service hears of our own failure in its own words.
        log.exception("cas.error")
        refusal = CASError(Fault.INTERNAL, log_detail=type(error).__name__)
    _record(request, refusal)
    return failure(refusal)


def _consume(request: Request) -> Validated:
    if any(len(request.GET.getlist(name)) > 1 for name in ("service", "ticket", "renew", "pgtUrl", "format")):
        raise CASError(Fault.REQUEST, log_detail="a parameter comes twice")  # S45
    if request.GET.get("format", "").upper() not in ("", "XML", "JSON"):
        raise CASError(Fault.FORMAT)
    return tickets.consume(
        tenant=tenant_of(request),
        ticket=request.GET.get("ticket", ""),
        service_url=request.GET.get("service", ""),
        renew=is_set(request.GET.get("renew")),
        pgt_url=request.GET.get("pgtUrl", ""),
        context=request.context,
    )


def _attributes(validated: Validated) -> dict[str, Any]:
    return {
        "authenticationDate": validated.session.authenticated_at,
        "longTermAuthenticationRequestTokenUsed": False,
        "isFromNewLogin": validated.ticket.is_from_new_login,
        **release(validated.profile, validated.service.attributes),
    }


def _record(request: Request, error: CASError) -> None:
    """Log and audit a refused validation, after whatever it had begun."""
    log.info("cas.refused", extra={"reason": error.fault.value, "detail": error.log_detail})
    audit.record(
        EventType.TICKET_VALIDATE,
        tenant=tenant_of(request),
        outcome=AuditOutcome.REFUSED,
        reason=error.fault.value,
        context=request.context,
        client_id=error.service_ref,
        dialect=tickets.PROTOCOL,
    )
