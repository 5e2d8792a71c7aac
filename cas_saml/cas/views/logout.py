"""The logout endpoint (CAS-2.3)."""

from __future__ import annotations

from django.http import HttpResponse
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from cas_saml import addresses
from cas_saml.cas import services
from identity.decorators import of_a_tenant
from identity.http import Request, tenant_of
from identity.views.logout import leave


@never_cache
@require_safe
@of_a_tenant
def logout(request: Request) -> HttpResponse:
    """End the session and go where the service asks, if it is one of ours (CAS-2.3, S22).

    The document has no question in between. A link on another site can sign its reader out; an image on it cannot, for
    SameSite keeps the cookie to navigations. `url`, which clients of CAS 2.0 send, is ignored (CAS-2.3.1).
    """
    target = addresses.without_leftovers(request.GET.get("service", ""))
    service = services.find(target, tenant=tenant_of(request)) if target else None
    return leave(request, return_url=target if service is not None else reverse("identity:login"))
