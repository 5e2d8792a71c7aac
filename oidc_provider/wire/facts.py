"""From a Django request to what the engine may know of it."""

from __future__ import annotations

from django.http import Http404

from identity.http import Request
from identity.models import SSOSession
from oidc_provider.dialects.base import Dialect
from oidc_provider.engine import EngineContext
from oidc_provider.wire import issuers


def engine_context(
    request: Request, dialect: Dialect, *, session: SSOSession | None = None, app_code: str = ""
) -> EngineContext:
    """The facts of this request. `session` only where the browser's session matters: reading it costs a query."""
    context = request.context
    if context.tenant is None:
        raise Http404  # The host that all tenants share has no issuer (decision 10).
    return EngineContext(
        tenant=context.tenant,
        dialect=dialect,
        request=context,
        issuer=dialect.issuer(issuers.base(context), app_code=app_code),
        session=session,
        app_code=app_code,
    )
