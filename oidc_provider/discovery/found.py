"""Is there anything at this address?"""

from __future__ import annotations

from django.http import Http404

from identity.http import Request
from identity.models import Tenant
from oidc_provider.clients import cached
from oidc_provider.dialects.base import Dialect


def has_issuer(tenant: Tenant | None, dialect: Dialect, app_code: str) -> bool:
    """Whether the dialect has an issuer here: none on the host that all share (decision 10), none for an unknown code.

    Applications' codes are no secret.
    """
    if tenant is None:
        return False
    return not dialect.is_per_application or cached.has_issuer(app_code=app_code, dialect=dialect.name, tenant=tenant)


def check_issuer(request: Request, dialect: Dialect, app_code: str) -> None:
    """Answer a browser 404 where there is no issuer."""
    if not has_issuer(request.context.tenant, dialect, app_code):
        raise Http404
