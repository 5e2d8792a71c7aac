"""The one renderer of refusals: logs, audits, and lets the dialect spell and deliver them.

It runs after the rollback: whatever the refused request had begun to write is gone by then.
"""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import quote, urlencode

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render

from identity.events import EventType
from identity.models import AuditOutcome
from identity.services import audit
from oidc_provider.dialects.base import Delivery, Dialect, EndpointName, Refusal
from oidc_provider.errors import Fault, OAuthError
from oidc_provider.views.answers import protect, protect_page, redirect, to_client

log = logging.getLogger(__name__)

RETRY_AFTER_SECONDS = 10
# RFC6750-3: these are answered with a challenge for a bearer token; invalid_client with one for Basic.
_BEARER = frozenset(
    {
        Fault.ACCESS_TOKEN_MISSING,
        Fault.ACCESS_TOKEN,
        Fault.ACCESS_TOKEN_TWICE,
        Fault.ACCESS_TOKEN_IN_QUERY,
        Fault.INSUFFICIENT_SCOPE,
    }
)


def refuse(
    error: OAuthError,
    *,
    request: HttpRequest,
    dialect: Dialect,
    event: EventType = EventType.AUTHORIZATION_GRANT,
) -> HttpResponse:
    """Refuse a request that a person's browser brought: by page, or at the client (RFC6749-4.1.2.1)."""
    _record(error, request=request, dialect=dialect, event=event)
    spelling = _spelling(error, dialect)
    delivery = spelling.delivery or dialect.authorization_errors
    if delivery is Delivery.REDIRECT and error.redirect is not None:
        target = error.redirect
        parameters = {"error": spelling.error, "error_description": spelling.text, "iss": target.issuer}
        if target.state:
            parameters["state"] = target.state
        return to_client(
            request, redirect_uri=target.redirect_uri, response_mode=target.response_mode, parameters=parameters
        )
    body = {"error": spelling.error, "error_description": spelling.text}
    if delivery is Delivery.JSON:
        return protect(JsonResponse(body, status=spelling.status))
    if delivery is Delivery.ERROR_ADDRESS:
        state = {"state": error.redirect.state} if error.redirect and error.redirect.state else {}
        return redirect(request, f"{dialect.error_address}?{urlencode({**body, **state}, quote_via=quote)}")
    page = {**body, "request_id": _context(request).request_id}
    return protect_page(render(request, "oidc_provider/error.html", page, status=spelling.status))


def refuse_json(
    error: OAuthError, *, request: HttpRequest, dialect: Dialect, event: EventType = EventType.TOKEN_GRANT
) -> HttpResponse:
    """Refuse a request that a program sent (RFC6749-5.2, RFC6750-3)."""
    _record(error, request=request, dialect=dialect, event=event)
    spelling = _spelling(error, dialect)
    body = {"error": spelling.error, "error_description": spelling.text} if spelling.error else {}
    response = protect(JsonResponse(body, status=spelling.status))
    if error.fault in _BEARER:
        challenge = {**body, "scope": error.scope} if error.scope else body
        response["WWW-Authenticate"] = _challenge("Bearer", challenge)
    elif spelling.status == 401:
        # RFC9110-15.5.2: every 401 has a challenge; RFC6749-5.2: in the scheme that clients may use here.
        response["WWW-Authenticate"] = _challenge("Basic", {"realm": "token"})
    elif spelling.status == 405:
        response["Allow"] = _methods(request, dialect)  # RFC9110-15.5.6
    elif spelling.status == 503:
        response["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response


def _spelling(error: OAuthError, dialect: Dialect) -> Refusal:
    """The dialect's spelling, completed from the catalogue."""
    spec, own = error.spec, dialect.refusal(error.fault)
    if own is None:
        return Refusal(source=spec.source, status=spec.status, error=spec.error, text=spec.text)
    return Refusal(
        source=own.source,
        delivery=own.delivery,
        status=own.status or spec.status,
        error=own.error or spec.error,
        text=own.text or spec.text,
    )


def _methods(request: HttpRequest, dialect: Dialect) -> str:
    """The methods of this route; it is named after its endpoint."""
    name = (request.resolver_match.url_name or "") if request.resolver_match else ""
    return ", ".join(dialect.endpoints[EndpointName(name.rpartition("-")[2])].methods)


def _challenge(scheme: str, parameters: dict[str, str]) -> str:
    """RFC9110-11.6.1. The values are catalogue texts and scope tokens: ASCII without quotes."""
    pairs = ", ".join(f'{name}="{value}"' for name, value in parameters.items() if value.isascii())
    return f"{scheme} {pairs}".rstrip()


def _record(error: OAuthError, *, request: HttpRequest, dialect: Dialect, event: EventType) -> None:
    client_id = error.client_id or (error.redirect.client_id if error.redirect else "")
    reason = error.fault.value
    log.info(
        "oauth.refused",
        extra={"event_type": event.value, "reason": reason, "client_id": client_id, "detail": error.log_detail},
    )
    audit.record(
        event,
        tenant=_context(request).tenant,
        outcome=AuditOutcome.REFUSED,
        reason=reason,
        context=_context(request),
        client_id=client_id,
        dialect=dialect.name,
    )


def _context(request: HttpRequest) -> Any:
    return request.context  # type: ignore[attr-defined]  # set by RequestContextMiddleware
