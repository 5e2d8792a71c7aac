"""The one renderer of refusals (house.md 6): product codes at 400, token faults at 401 and 403 in OAuth's form.

It runs after the rollback. Refused writes and refused callers are audited here; texts are English unless the tenant
has localisation on (decision 28).
"""

from __future__ import annotations

import logging
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest
from rest_framework.exceptions import MethodNotAllowed
from rest_framework.response import Response

from identity.errors import IdentityError
from identity.events import EventType
from identity.models import AuditOutcome
from identity.services import audit
from identity.views import product_api
from oidc_provider import public
from oidc_provider.errors import Fault, OAuthError

log = logging.getLogger(__name__)

_BAD_CLIENT = ("invalid_client", "Bad client credentials")  # OneAccess-3.1.1.2
_CLIENT_FAULTS = frozenset(
    {
        Fault.CLIENT_AUTHENTICATION,
        Fault.CLIENT_AUTHENTICATION_MISSING,
        Fault.CLIENT_ASSERTION,
        Fault.CLIENT_ASSERTION_REPLAYED,
    }
)


def refuse(error: Exception, context: dict[str, Any]) -> Response | None:
    """The answer to an exception of a view; None lets it pass on as a fault of ours."""
    view = context["view"]
    http: HttpRequest = context["request"]._request
    if isinstance(error, OAuthError) and (refusal := public.bearer_refusal_of(error)):
        return _refuse_caller(error, refusal, http)
    if isinstance(error, IdentityError) and (status := product_api.status_of(error)):
        return _refuse_by_rule(error, status, http, operation=view.operation, caller=context["request"])
    if isinstance(error, OperationalError | InterfaceError):
        log.error("database.away", extra={"path": http.path}, exc_info=error)
        return _answer(
            product_api.error_body(product_api.BUSY, (), http),
            503,
            retry_after_seconds=product_api.RETRY_AFTER_SECONDS,
        )
    if isinstance(error, MethodNotAllowed):
        body = {"error": "method_not_allowed", "error_description": "This method is not allowed here."}
        response = _answer(body, 405)
        response["Allow"] = ", ".join(view.allowed_methods)
        return response
    if isinstance(error, RequestDataTooBig):
        return _answer({"error": "invalid_request", "error_description": "The body is too large."}, 413)
    return None


def refuse_token(error: OAuthError, http: HttpRequest) -> Response:
    """A refused token request: always 400 (OneAccess-3.1.1.2, table 3-6)."""
    _record_refused(EventType.TOKEN_GRANT, error, http)
    code, text = _BAD_CLIENT if error.fault in _CLIENT_FAULTS else (error.spec.error, error.spec.text)
    return _answer({"error": code, "error_description": text}, 400)


def _refuse_by_rule(error: IdentityError, status: int, http: HttpRequest, *, operation: Any, caller: Any) -> Response:
    extra = {"code": error.error_code, "detail": error.log_detail, "path": http.path}
    log.info("tenant_api.refused", extra=extra)
    principal = getattr(caller, "_user", None)
    if operation is not None and operation.event is not None and principal is not None:
        audit.record(
            operation.event,
            tenant=principal.tenant,
            actor=principal,
            client_id=principal.client_id,
            application=principal.application,
            outcome=AuditOutcome.REFUSED,
            reason=error.error_code,
            context=http.context,  # type: ignore[attr-defined]
        )
    body = product_api.error_body(error.error_code, error.params, http)
    return _answer(body, status, retry_after_seconds=product_api.retry_after_of(error))


def _refuse_caller(error: OAuthError, refusal: public.BearerRefusal, http: HttpRequest) -> Response:
    _record_refused(EventType.TOKEN_USE, error, http)
    response = _answer(dict(refusal.body), refusal.status)
    response["WWW-Authenticate"] = refusal.challenge
    return response


def _record_refused(event: EventType, error: OAuthError, http: HttpRequest) -> None:
    context = http.context  # type: ignore[attr-defined]
    reason = error.fault.value
    extra = {"reason": reason, "client_id": error.client_id, "detail": error.log_detail, "path": http.path}
    log.info("tenant_api.caller_refused", extra=extra)
    audit.record(
        event,
        tenant=context.tenant,
        outcome=AuditOutcome.REFUSED,
        reason=reason,
        client_id=error.client_id,
        context=context,
        details={"scope": error.scope} if error.scope else None,
    )


def _answer(body: dict[str, str], status: int, *, retry_after_seconds: int | None = None) -> Response:
    response = Response(body, status=status)
    if retry_after_seconds is not None:
        response["Retry-After"] = str(retry_after_seconds)
    return response
