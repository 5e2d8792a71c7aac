"""The one renderer of refusals (house.md 6): product codes at 400. It runs after the rollback.

Who is refused before an operation began is audited here; the services record what they refuse themselves.
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
from oidc_provider.errors import OAuthError

log = logging.getLogger(__name__)

_MAX_CLIENT_ID = 100


def refuse(error: Exception, context: dict[str, Any]) -> Response | None:
    """The answer to an exception of a view; None lets it pass on as a fault of ours."""
    view = context["view"]
    http: HttpRequest = context["request"]._request
    if isinstance(error, OAuthError) and (refusal := public.bearer_refusal_of(error)):
        return _refuse_bearer(error, refusal, http)
    if isinstance(error, IdentityError) and (status := product_api.status_of(error)):
        return _refuse_by_rule(error, status, http, view=view)
    if isinstance(error, OperationalError | InterfaceError):
        log.error("database.away", extra={"path": http.path}, exc_info=error)
        busy = product_api.error_body(product_api.BUSY, (), http)
        return _answer(busy, 503, retry_after_seconds=product_api.RETRY_AFTER_SECONDS)
    if isinstance(error, MethodNotAllowed):
        body = {"error": "method_not_allowed", "error_description": "This method is not allowed here."}
        response = _answer(body, 405)
        response["Allow"] = ", ".join(view.allowed_methods)
        return response
    if isinstance(error, RequestDataTooBig):
        return _answer({"error": "invalid_request", "error_description": "The body is too large."}, 413)
    return None


def _refuse_by_rule(error: IdentityError, status: int, http: HttpRequest, *, view: Any) -> Response:
    log.info("sdk_api.refused", extra={"reason": error.error_code, "detail": error.log_detail, "path": http.path})
    if view.is_audited_at_the_edge and view.event is not None:
        context = http.context  # type: ignore[attr-defined]
        client_id = view.client_id
        audit.record(
            view.event,
            tenant=context.tenant,
            client_id=client_id if client_id.isprintable() and len(client_id) <= _MAX_CLIENT_ID else "",
            outcome=AuditOutcome.REFUSED,
            reason=error.error_code,
            context=context,
        )
    body = product_api.error_body(error.error_code, error.params, http)
    return _answer(body, status, retry_after_seconds=product_api.retry_after_of(error))


def _refuse_bearer(error: OAuthError, refusal: public.BearerRefusal, http: HttpRequest) -> Response:
    reason = error.fault.value
    extra = {"reason": reason, "client_id": error.client_id, "detail": error.log_detail, "path": http.path}
    log.info("sdk_api.caller_refused", extra=extra)
    context = http.context  # type: ignore[attr-defined]
    audit.record(
        EventType.TOKEN_USE,
        tenant=context.tenant,
        outcome=AuditOutcome.REFUSED,
        reason=reason,
        client_id=error.client_id,
        context=context,
        details={"scope": error.scope} if error.scope else None,
    )
    response = _answer(dict(refusal.body), refusal.status)
    response["WWW-Authenticate"] = refusal.challenge
    return response


def _answer(body: dict[str, str], status: int, *, retry_after_seconds: int | None = None) -> Response:
    response = Response(body, status=status)
    if retry_after_seconds is not None:
        response["Retry-After"] = str(retry_after_seconds)
    return response
