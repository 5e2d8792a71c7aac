"""The discovery document (OIDCD-4, RFC8414-3)."""

from __future__ import annotations

from django.http import HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from identity import origins
from identity.http import Request
from oidc_provider.dialects.base import Dialect
from oidc_provider.discovery import found, metadata
from oidc_provider.discovery.documents import publish


@csrf_exempt  # machines call it; nothing here looks at a cookie
@require_safe
def metadata_document(request: Request, *, dialect: Dialect, app_code: str = "") -> HttpResponse:
    """Publish what this issuer supports."""
    found.check_issuer(request, dialect, app_code)
    found.count(request)
    origin = origins.base(request.context)
    issuer = dialect.issuer(origin, app_code=app_code)
    document = metadata.discovery(dialect, issuer, origin, app_code)
    return publish(request, document, content_type="application/json")
