"""The validations, which services ask for (CAS-2.4, CAS-2.5, CAS-2.8), and the proxy endpoint, which gives nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from django.http import QueryDict

from cas_saml.attributes import release
from cas_saml.cas import bodies, tickets
from cas_saml.cas.errors import CASError, Fault
from cas_saml.cas.interaction import is_set
from cas_saml.cas.tickets import Validated
from identity import audit
from identity.events import EventType
from identity.machine import READ_ONLY, Answer, Request
from identity.models import AuditOutcome, Tenant

log = logging.getLogger(__name__)

READS = ("GET", "HEAD")


def validate(asked: Request) -> Answer:
    """CAS 1.0 (CAS-2.4): plain text."""
    return _validated(
        asked,
        success=lambda validated: bodies.plain_success(validated.user_name),
        failure=lambda error: bodies.plain_failure(),
    )


def service_validate(asked: Request, *, with_attributes: bool) -> Answer:
    """CAS 2.0 (CAS-2.5), the user's name; CAS 3.0 (CAS-2.8), attributes too. The route says which."""
    query = _query(asked)
    is_json = query.get("format", "").upper() == "JSON"
    return _validated(
        asked,
        success=lambda validated: bodies.success(
            validated.user_name, _attributes(validated) if with_attributes else None, is_json=is_json
        ),
        failure=lambda error: bodies.failure(error.spec, ticket=query.get("ticket", ""), is_json=is_json),
    )


def proxy(asked: Request) -> Answer:
    """CAS-2.7: nobody is given a proxy ticket, as nobody is given the ticket to ask with."""
    if asked.method not in READS:
        return READ_ONLY
    query = _query(asked)
    if not query.get("pgt") or not query.get("targetService"):
        return bodies.proxy_failure("INVALID_REQUEST", "'pgt' and 'targetService' parameters are both required")
    return bodies.proxy_failure("UNAUTHORIZED_SERVICE", "proxy authentication is not supported")


def _validated(
    asked: Request, *, success: Callable[[Validated], Answer], failure: Callable[[CASError], Answer]
) -> Answer:
    if asked.method not in READS:
        return READ_ONLY
    tenant = asked.tenant
    try:
        return success(_consume(asked, tenant))
    except CASError as error:
        refusal = error
    except Exception as error:  # CAS-2.5.3: the service hears of our own failure in its own words.
        log.exception("cas.error")
        refusal = CASError(Fault.INTERNAL, log_detail=type(error).__name__)
    _record(asked, refusal)
    return failure(refusal)


def _query(asked: Request) -> QueryDict:
    # A server hands on the bytes of the address as if they were Latin-1 (PEP 3333).
    return QueryDict(asked.query.encode("latin-1"))


def _consume(asked: Request, tenant: Tenant) -> Validated:
    query = _query(asked)
    if any(len(query.getlist(name)) > 1 for name in ("service", "ticket", "renew", "pgtUrl", "format")):
        raise CASError(Fault.REQUEST, log_detail="a parameter comes twice")  # S45
    if query.get("format", "").upper() not in ("", "XML", "JSON"):
        raise CASError(Fault.FORMAT)
    return tickets.consume(
        tenant=tenant,
        ticket=query.get("ticket", ""),
        service_url=query.get("service", ""),
        renew=is_set(query.get("renew")),
        pgt_url=query.get("pgtUrl", ""),
        context=asked.context,
    )


def _attributes(validated: Validated) -> dict[str, Any]:
    return {
        "authenticationDate": validated.session.authenticated_at,
        "longTermAuthenticationRequestTokenUsed": False,
        "isFromNewLogin": validated.ticket.is_from_new_login,
        **release(validated.profile, validated.service.attributes, session=validated.session),
    }


def _record(asked: Request, error: CASError) -> None:
    """Log and audit a refused validation, after whatever it had begun."""
    log.info("cas.refused", extra={"reason": error.fault.value, "detail": error.log_detail})
    audit.record(
        EventType.TICKET_VALIDATE,
        tenant=asked.tenant,
        outcome=AuditOutcome.REFUSED,
        reason=error.fault.value,
        context=asked.context,
        client_id=error.service_ref,
        dialect=tickets.PROTOCOL,
    )
