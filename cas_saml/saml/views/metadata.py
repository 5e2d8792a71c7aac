"""Our metadata (OneAccess-3.3.3.2)."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from cas_saml.decorators import of_a_tenant
from cas_saml.saml import entity, metadata
from identity import budgets
from identity.budgets import Budget
from identity.decorators import machine_endpoint


@require_safe
@machine_endpoint
@of_a_tenant
def show(request: HttpRequest) -> HttpResponse:
    """Say who we are."""
    context = request.context  # type: ignore[attr-defined]  # set by RequestContextMiddleware
    budgets.spend(Budget.DOCUMENTS, tenant=context.tenant, context=context)
    document = metadata.document(entity.of(context), tenant=context.tenant)
    response = HttpResponse(document, content_type=metadata.MEDIA_TYPE)
    response["Cache-Control"] = "public, max-age=300"
    response["Content-Disposition"] = 'inline; filename="monban-metadata.xml"'
    return response
