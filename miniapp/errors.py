"""Refusals of the mini program operations: rows, spelling, audit (Pactera-3.5, Pactera-3.6).

The fault is always oidc_provider's, and so is the dialect's spelling of it. Here are only the rows in which these
operations differ from the authorization endpoint: what proves no app session is one row, whatever was wrong.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from types import MappingProxyType

from django.http import HttpResponse, JsonResponse
from django.shortcuts import render

from identity import audit
from identity.events import EventType
from identity.http import Request
from identity.models import AuditOutcome
from oidc_provider.dialects.base import Dialect, Refusal
from oidc_provider.dialects.pactera import INVALID, UNSUPPORTED_CLIENT
from oidc_provider.errors import Fault, OAuthError

log = logging.getLogger(__name__)

RETRY_AFTER_SECONDS = 10
_UNKNOWN = Refusal(source="Pactera-3.5", status=400, error="unauthorized_client", text=UNSUPPORTED_CLIENT)
_NO_APP_SESSION = Refusal(source="Pactera-3.6", status=401, error="unauthorized_client", text=UNSUPPORTED_CLIENT)
_INVALID_VALUE = Refusal(source="Pactera-3.6", status=400, error="invalid_request", text=INVALID)
# Nobody may learn what was wrong with a proof (S33), or about a user whose app session was not proved.
_PROOF = (
    Fault.APP_SESSION,
    Fault.HOST_APPLICATION,
    Fault.HOST_NETWORK,
    Fault.CLIENT_NOT_FOUND,
    Fault.CLIENT_AUTHENTICATION,
    Fault.CLIENT_AUTHENTICATION_MISSING,
    Fault.CLIENT_AUTHENTICATION_TWICE,
    Fault.CLIENT_ASSERTION,
    Fault.CLIENT_ASSERTION_REPLAYED,
)
# What the user would have to do on a page, or may not do at all: the app's session is not enough.
_USER = (
    Fault.LOGIN_REQUIRED,
    Fault.CONSENT_REQUIRED,
    Fault.INTERACTION_REQUIRED,
    Fault.ACCOUNT_SELECTION_REQUIRED,
    Fault.SUBJECT_MISMATCH,
    Fault.ASSURANCE,
    Fault.ACCESS_DENIED,
    Fault.SESSION_ENDED,
    Fault.USER_NOT_USABLE,
)
ROWS: Mapping[Fault, Refusal] = MappingProxyType(
    {
        **dict.fromkeys((*_PROOF, *_USER), _NO_APP_SESSION),
        # What the authorization endpoint never meets, or meets only beside a page.
        Fault.CONTENT_TYPE: _INVALID_VALUE,
        Fault.BODY_TOO_LARGE: _INVALID_VALUE,
        Fault.QUERY_PARAMETERS: _INVALID_VALUE,
        Fault.PARKED_REQUEST: _INVALID_VALUE,
    }
)
# Pactera-3.5: its example has other words for an unknown mini program than 3.6.
CONSENT_ROWS: Mapping[Fault, Refusal] = MappingProxyType(
    {**ROWS, Fault.UNKNOWN_CLIENT: _UNKNOWN, Fault.CLIENT_DISABLED: _UNKNOWN}
)
Rows = Mapping[Fault, Refusal]


def refuse(
    error: OAuthError,
    *,
    request: Request,
    dialect: Dialect,
    event: EventType,
    rows: Rows = ROWS,
    has_state: bool = False,
) -> HttpResponse:
    """Refuse a call of the app, as JSON. has_state: whether the operation's refusals carry the state (Pactera-3.6)."""
    status, body = _spelling(error, dialect=dialect, rows=rows)
    _record(error, request=request, dialect=dialect, event=event)
    if has_state and error.state:
        body["state"] = error.state
    return _protected(JsonResponse(body, status=status))


def show(
    error: OAuthError, *, request: Request, dialect: Dialect, event: EventType, rows: Rows = CONSENT_ROWS
) -> HttpResponse:
    """Refuse what the app's web view asked for, as a page."""
    status, body = _spelling(error, dialect=dialect, rows=rows)
    _record(error, request=request, dialect=dialect, event=event)
    page = {
        **body,
        "is_over": error.fault is Fault.PARKED_REQUEST,
        "is_denied": error.fault is Fault.ACCESS_DENIED,
        "is_unproved": status == 401,
        "request_id": request.context.request_id,
    }
    # Under no-referrer the page's language form would come with `Origin: null`, which the CSRF check refuses.
    return _protected(render(request, "miniapp/refused.html", page, status=status), referrer="same-origin")


def _spelling(error: OAuthError, *, dialect: Dialect, rows: Rows) -> tuple[int, dict[str, str]]:
    """Return status and body: our row, else the dialect's, else the catalogue's."""
    spec = error.spec
    own = rows.get(error.fault) or dialect.refusal(error.fault)
    if own is None:
        return spec.status, {"error": spec.error, "error_description": spec.text}
    text = own.text(error) if callable(own.text) else own.text
    body = {"error": own.error or spec.error, "error_description": text or spec.text}
    return own.status or spec.status, body


def _protected(response: HttpResponse, *, referrer: str = "no-referrer") -> HttpResponse:
    if response.status_code == 401:
        response["WWW-Authenticate"] = "Bearer"  # RFC9110-15.5.2
    elif response.status_code == 503:
        response["Retry-After"] = str(RETRY_AFTER_SECONDS)
    response["Cache-Control"] = "no-store"
    response["Referrer-Policy"] = referrer
    return response


def _record(error: OAuthError, *, request: Request, dialect: Dialect, event: EventType) -> None:
    client_id = error.client_id or (error.redirect.client_id if error.redirect else "")
    reason = error.fault.value
    log.info(
        "miniapp.refused",
        extra={"event_type": event.value, "reason": reason, "client_id": client_id, "detail": error.log_detail},
    )
    context = request.context
    audit.record(
        event,
        tenant=context.tenant,
        outcome=AuditOutcome.REFUSED,
        reason=reason,
        context=context,
        client_id=client_id,
        dialect=dialect.name,
    )
