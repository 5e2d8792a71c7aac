"""The userinfo endpoint (OIDCC-5.3)."""

from __future__ import annotations

from django.http import HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from identity.events import EventType
from identity.http import Request
from oidc_provider import engine
from oidc_provider.authorization import details
from oidc_provider.dialects.base import Dialect
from oidc_provider.errors import Fault, OAuthError
from oidc_provider.wire.answers import protect
from oidc_provider.wire.facts import engine_context
from oidc_provider.wire.reading import FORM, form_parameters, query_parameters
from oidc_provider.wire.refusals import refuse_json


@csrf_exempt  # machines call it; nothing here looks at a cookie
def userinfo(request: Request, *, dialect: Dialect, app_code: str = "") -> HttpResponse:
    """Answer with what an access token says of its user."""
    try:
        if request.method not in ("GET", "HEAD", "POST"):
            raise OAuthError(Fault.METHOD)  # OIDCC-5.3.1
        token = access_token(request)
        answer = engine.userinfo(token, context=engine_context(request, dialect, app_code=app_code))
    except OAuthError as error:
        return refuse_json(error, request=request, dialect=dialect, event=EventType.TOKEN_USE)
    return protect(JsonResponse(answer))


def access_token(request: Request) -> str:
    """The bearer token of a request: in the header, or in the body of a form (RFC6750-2.1, 2.2), never in the address.

    Raises OAuthError without one, and with more than one (RFC6750-2).
    """
    query = query_parameters(request)
    if "access_token" in query or "access_token" in query.repeated:
        raise OAuthError(Fault.ACCESS_TOKEN_IN_QUERY)
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    in_body = ""
    if request.method == "POST" and request.content_type == FORM:
        params = form_parameters(request)
        details.check_single(params)
        in_body = params.get("access_token", "")
    if scheme and in_body:
        raise OAuthError(Fault.ACCESS_TOKEN_TWICE)
    if scheme and scheme.lower() != "bearer":
        raise OAuthError(Fault.ACCESS_TOKEN_MISSING, log_detail="another scheme than Bearer")
    found = token.strip() or in_body
    if not found:
        raise OAuthError(Fault.ACCESS_TOKEN_MISSING)
    return found
