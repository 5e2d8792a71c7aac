"""The published keys (OIDCD-3 jwks_uri, RFC7517-5)."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from oidc_provider import metadata
from oidc_provider.dialects.base import Dialect
from oidc_provider.views.documents import publish


@csrf_exempt  # machines call it; nothing here looks at a cookie
@require_safe
def jwks(request: HttpRequest, *, dialect: Dialect, app_code: str = "") -> HttpResponse:
    """Publish the tenant's keys: active, next, and retired ones that a living id_token may name."""
    tenant = request.context.tenant  # type: ignore[attr-defined]  # set by RequestContextMiddleware
    return publish(request, metadata.key_set(tenant), content_type="application/json")
