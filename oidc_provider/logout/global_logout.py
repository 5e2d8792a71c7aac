"""Sign out at once and go on (OneAccess-3.3.6.1).

The document asks nobody: whoever sends the browser here ends its session. Cookies are SameSite=Lax, so it takes a
navigation of the browser; where it goes afterwards is a registered address or the sign-in page (S22). A request that
speaks OpenID Connect (OIDCRIL-2) is answered as the standard has it.
"""

from __future__ import annotations

from django.http import HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_safe

from identity.http import Request, tenant_of
from identity.views.logout import leave
from oidc_provider.clients import cached
from oidc_provider.dialects.base import Dialect
from oidc_provider.discovery import found
from oidc_provider.logout import views
from oidc_provider.logout.requests import KNOWN
from oidc_provider.wire.front import query_parameters


@require_safe
def global_logout(request: Request, *, dialect: Dialect) -> HttpResponse:
    """End the browser's session and send it to a registered address, to the sign-in page without one."""
    found.check_issuer(request, dialect, "")
    params = query_parameters(request)
    if "redirect_url" not in params and params.keys() & (KNOWN - {"state", "ui_locales"}):
        return views.logout(request, dialect=dialect)
    # The document's own example has a blank before the address.
    wanted = "" if "redirect_url" in params.repeated else params.get("redirect_url", "").strip()
    registered = cached.addresses_after_logout(tenant=tenant_of(request), dialect=dialect.name) if wanted else ()
    return leave(request, return_url=wanted if wanted in registered else reverse("identity:login"))
