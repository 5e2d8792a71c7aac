"""The one renderer of refusals: product codes at 400, token faults at 401 and 403 in OAuth's form.

It runs after the rollback. Refused writes and refused callers are audited here; texts are English unless the tenant
has localisation on (decision 28).
"""

from __future__ import annotations

import logging
from typing import Any

from rest_framework.response import Response

from identity import audit
from identity.errors import AuthorityRefused, IdentityError
from identity.events import EventType
from identity.http import Request
from identity.models import AuditOutcome
from identity.views import product_api
from oidc_provider import public
from oidc_provider.errors import Fault, OAuthError

log = logging.getLogger(__name__)

_BAD_CLIENT = ("invalid_client", "Bad client credentials")  # OneAccess-3.1.1.2
_CLIENT_FAULTS = frozenset(
    {
        # C6, S33: the text does not tell whether there is such a client.
        Fault.CLIENT_NOT_FOUND,
        Fault.CLIENT_AUTHENTICATION,
        Fault.CLIENT_AUTHENTICATION_MISSING,
        Fault.CLIENT_ASSERTION,
        Fault.CLIENT_ASSERTION_REPLAYED,
    }
)


def refuse(error: Exception, context: dict[str, Any]) -> Response | None:
    """Answer an exception of a view; None lets it pass on as a fault of ours."""
    view = context["view"]
    http: Request = context["request"]._request
    if isinstance(error, AuthorityRefused):
        # Rights that no client has, in the form of a right that this one lacks (decision 45).
        client_id = getattr(getattr(context["request"], "_user", None), "client_id", "")
        error = OAuthError(Fault.INSUFFICIENT_SCOPE, client_id=client_id, log_detail=error.log_detail)
    if isinstance(error, OAuthError) and (caller := public.bearer_refusal_of(error)):
        _record_refused(EventType.TOKEN_USE, error, http)
        return Response(dict(caller.body), caller.status, headers={"WWW-Authenticate": caller.challenge})
    refusal = product_api.refusal_of(error, http, allowed_methods=view.allowed_methods)
    if refusal is None:
        return None
    if isinstance(error, IdentityError):
        _record_refused_operation(error, http, operation=view.operation, caller=context["request"])
    return Response(dict(refusal.body), refusal.status, headers=dict(refusal.headers))


def refuse_token(error: OAuthError, http: Request) -> Response:
    """Refuse a token request: always 400 (OneAccess-3.1.1.2, table 3-6), but for what comes too often."""
    _record_refused(EventType.TOKEN_GRANT, error, http)
    code, text = _BAD_CLIENT if error.fault in _CLIENT_FAULTS else (error.spec.error, error.spec.text)
    body = {"error": code, "error_description": text}
    if error.retry_after_seconds is not None:
        return Response(body, 429, headers={"Retry-After": str(error.retry_after_seconds)})
    return Response(body, 400)


def _record_refused_operation(error: IdentityError, http: Request, *, operation: Any, caller: Any) -> None:
    extra = {"error_code": error.error_code, "detail": error.log_detail, "path": http.path}
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
            context=http.context,
        )


def _record_refused(event: EventType, error: OAuthError, http: Request) -> None:
    context = http.context
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
