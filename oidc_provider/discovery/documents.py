"""Send a published document, or say that the reader's copy is still good."""

from __future__ import annotations

from django.http import HttpResponse, HttpResponseNotModified

from identity.http import Request
from oidc_provider.discovery.metadata import CACHE_SECONDS, Document


def publish(request: Request, document: Document, *, content_type: str) -> HttpResponse:
    """Answer with the document, or with 304 (RFC9110-13.1.2)."""
    response: HttpResponse
    known = [tag.strip().removeprefix("W/") for tag in request.headers.get("If-None-Match", "").split(",")]
    if document.etag in known or known == ["*"]:
        response = HttpResponseNotModified()
    else:
        response = HttpResponse(document.body, content_type=content_type)
    response["ETag"] = document.etag
    response["Cache-Control"] = f"public, max-age={CACHE_SECONDS}"
    return response
