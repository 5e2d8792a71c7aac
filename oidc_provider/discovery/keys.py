"""The published keys (OIDCD-3 jwks_uri, RFC7517-5)."""

from __future__ import annotations

from django.http import HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from identity.events import EventType
from identity.http import Request, tenant_of
from oidc_provider.dialects.base import Dialect
from oidc_provider.discovery import found, metadata
from oidc_provider.discovery.documents import publish
from oidc_provider.discovery.metadata import CACHE_SECONDS
from oidc_provider.errors import Fault, OAuthError
from oidc_provider.wire.refusals import refuse_json


@csrf_exempt  # machines call it; nothing here looks at a cookie
@require_safe
def jwks(request: Request, *, dialect: Dialect, app_code: str = "") -> HttpResponse:
    """Publish the tenant's keys: active, next, and retired ones that a living id_token may name."""
    found.check_issuer(request, dialect, app_code)
    found.count(request)
    tenant = tenant_of(request)
    return publish(request, metadata.key_set(tenant, dialect), content_type="application/json")


@csrf_exempt  # machines call it; nothing here looks at a cookie
@require_safe
def public_key(request: Request, *, dialect: Dialect, kid: str) -> HttpResponse:
    """Publish one key by its kid (Pactera-3.4)."""
    found.check_issuer(request, dialect, "")
    found.count(request)
    tenant = tenant_of(request)
    document = metadata.public_key(tenant, kid, dialect)
    if document is None:
        return refuse_json(OAuthError(Fault.UNKNOWN_KEY), request=request, dialect=dialect, event=EventType.TOKEN_USE)
    response = JsonResponse(document)
    response["Cache-Control"] = f"public, max-age={CACHE_SECONDS}"
    return response
