"""The introspection endpoint (RFC7662-2)."""

from __future__ import annotations

from django.http import HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from identity.events import EventType
from identity.http import Request
from oidc_provider import engine
from oidc_provider.dialects.base import Dialect
from oidc_provider.errors import Fault, OAuthError
from oidc_provider.wire.answers import protect
from oidc_provider.wire.facts import engine_context
from oidc_provider.wire.reading import form_parameters, query_parameters
from oidc_provider.wire.refusals import refuse_json


@csrf_exempt  # machines call it; nothing here looks at a cookie
def introspect(request: Request, *, dialect: Dialect, app_code: str = "") -> HttpResponse:
    """Tell a resource server whether a token counts and what it grants."""
    try:
        if request.method != "POST":
            raise OAuthError(Fault.METHOD)  # RFC7662-2.1
        if query_parameters(request):
            raise OAuthError(Fault.QUERY_PARAMETERS)
        params = form_parameters(request)
        context = engine_context(request, dialect, app_code=app_code)
        credentials = engine.read_credentials(request.headers.get("Authorization", ""), params, context=context)
        answer = engine.introspect(params, credentials, context=context)
    except OAuthError as error:
        return refuse_json(error, request=request, dialect=dialect, event=EventType.TOKEN_USE)
    return protect(JsonResponse(answer))
