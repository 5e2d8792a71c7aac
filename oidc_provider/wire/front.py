"""What our pages read of Django's request."""

from __future__ import annotations

from functools import partial

from django.http import Http404

from identity.http import Request
from identity.views.machines import body_of
from oidc_provider.dialects.base import Dialect
from oidc_provider.wire.facts import Facts
from oidc_provider.wire.parameters import Parameters, from_form, from_text, read


def facts_of(request: Request, dialect: Dialect, *, app_code: str = "") -> Facts:
    """Return what rules may know of a request that a browser brought. Raises Http404."""
    if request.context.tenant is None:
        raise Http404  # The host that all tenants share has no issuer (decision 10).
    return Facts.of(request.context, dialect, app_code=app_code)


def query_parameters(request: Request) -> Parameters:
    """Return the parameters of the query."""
    return from_text(_query(request))


def form_parameters(request: Request) -> Parameters:
    """Return the parameters of a form body. Raises OAuthError."""
    return from_form(request.content_type or "", partial(read, partial(body_of, request)))


def _query(request: Request) -> str:
    return str(request.META.get("QUERY_STRING", ""))
