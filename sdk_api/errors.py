"""The one renderer of refusals: product codes at 400. It runs after the rollback.

Who is refused before an operation began is audited here; the services record what they refuse themselves.
"""

from __future__ import annotations

import logging
from typing import Any

from rest_framework.response import Response

from identity import audit
from identity.errors import IdentityError
from identity.events import EventType
from identity.http import Request
from identity.models import AuditOutcome
from identity.views import product_api
from oidc_provider import public
from oidc_provider.errors import OAuthError

log = logging.getLogger(__name__)

_MAX_CLIENT_ID = 100


def refuse(error: Exception, context: dict[str, Any]) -> Response | None:
    """Answer an exception of a view; None lets it pass on as a fault of ours."""
    view = context["view"]
    http: Request = context["request"]._request
    if isinstance(error, OAuthError) and (caller := public.bearer_refusal_of(error)):
        _record_refused_caller(error, http)
        return Response(dict(caller.body), caller.status, headers={"WWW-Authenticate": caller.challenge})
    refusal = product_api.refusal_of(error, http, allowed_methods=view.allowed_methods)
    if refusal is None:
        return None
    if isinstance(error, IdentityError):
        _record_refused(error, http, view=view)
    return Response(dict(refusal.body), refusal.status, headers=dict(refusal.headers))


def _record_refused(error: IdentityError, http: Request, *, view: Any) -> None:
    log.info("sdk_api.refused", extra={"reason": error.error_code, "detail": error.log_detail, "path": http.path})
    if view.is_audited_at_the_edge and view.event is not None:
        context = http.context
        client_id = view.client_id
        audit.record(
            view.event,
            tenant=context.tenant,
            client_id=client_id if client_id.isprintable() and len(client_id) <= _MAX_CLIENT_ID else "",
            outcome=AuditOutcome.REFUSED,
            reason=error.error_code,
            context=context,
        )


def _record_refused_caller(error: OAuthError, http: Request) -> None:
    reason = error.fault.value
    extra = {"reason": reason, "client_id": error.client_id, "detail": error.log_detail, "path": http.path}
    log.info("sdk_api.caller_refused", extra=extra)
    context = http.context
    audit.record(
        EventType.TOKEN_USE,
        tenant=context.tenant,
        outcome=AuditOutcome.REFUSED,
        reason=reason,
        client_id=error.client_id,
        context=context,
        details={"scope": error.scope} if error.scope else None,
    )
