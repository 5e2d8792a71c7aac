"""Is there anything at this address?"""

from __future__ import annotations

from django.http import Http404

from identity import budgets
from identity.budgets import Budget
from identity.http import Request
from oidc_provider.clients import cached
from oidc_provider.dialects.base import Dialect


def check_issuer(request: Request, dialect: Dialect, app_code: str) -> None:
    """Answer 404 for an issuer that no application of the tenant has. Applications' codes are no secret."""
    tenant = request.context.tenant
    if tenant is None:
        raise Http404  # The host that all tenants share has no issuer (decision 10).
    if dialect.is_per_application and not cached.has_issuer(app_code=app_code, dialect=dialect.name, tenant=tenant):
        raise Http404


def count(request: Request) -> None:
    """Count a document that is published for anybody. Raises BudgetSpent."""
    context = request.context
    budgets.spend(Budget.DOCUMENTS, tenant=context.tenant, context=context)
