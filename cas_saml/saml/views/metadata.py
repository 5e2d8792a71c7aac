"""Our metadata (OneAccess-3.3.3.2)."""

from __future__ import annotations

from django.http import HttpResponse
from django.views.decorators.http import require_safe

from cas_saml.saml import entity, metadata
from identity import budgets
from identity.budgets import Budget
from identity.decorators import machine_endpoint, of_a_tenant
from identity.http import Request, tenant_of


@require_safe
@machine_endpoint
@of_a_tenant
def show(request: Request) -> HttpResponse:
    """Say who we are."""
    context = request.context
    budgets.spend(Budget.DOCUMENTS, tenant=context.tenant, context=context)
    document = metadata.document(entity.of(context), tenant=tenant_of(request))
    response = HttpResponse(document, content_type=metadata.MEDIA_TYPE)
    response["Cache-Control"] = "public, max-age=300"
    response["Content-Disposition"] = 'inline; filename="monban-metadata.xml"'
    return response
