"""The address at which a dialect shows its refused authorization requests (Pactera-3.1, decision 17)."""

from __future__ import annotations

from django.http import HttpResponse
from django.views.decorators.http import require_safe

from identity.http import Request
from oidc_provider.dialects.base import Dialect
from oidc_provider.wire import refusals
from oidc_provider.wire.front import query_parameters


@require_safe
def error_address(request: Request, *, dialect: Dialect) -> HttpResponse:
    """Show a refusal in words of our own catalogue. Anybody can write this address, so nothing else of it is shown."""
    parameters = query_parameters(request)
    error, text = dialect.shown_error(parameters)
    return refusals.show(request, error=error, text=text, is_signing_out=refusals.SIGN_OUT in parameters)
