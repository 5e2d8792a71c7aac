"""Django's front: from its request to what our endpoints read, and from their answer to its response."""

from __future__ import annotations

from collections.abc import Callable

from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.http import Http404, HttpResponse
from django.http.request import UnreadablePostError
from django.http.response import HttpResponseBase
from django.views.decorators.csrf import csrf_exempt

from identity.decorators import machine_endpoint
from identity.http import Request
from oidc_provider.dialects.base import Dialect, EndpointName
from oidc_provider.errors import Fault, OAuthError
from oidc_provider.wire import machine
from oidc_provider.wire.facts import Facts
from oidc_provider.wire.parameters import Parameters, from_form, from_text


def view(answer: machine.Endpoint, endpoint: EndpointName) -> Callable[..., HttpResponseBase]:
    """Return the view of an endpoint for programs. The route fixes the dialect."""

    @machine_endpoint
    @csrf_exempt  # nothing here looks at a cookie
    def front(request: Request, *, dialect: Dialect, app_code: str = "", kid: str = "") -> HttpResponse:
        asked = machine.Request(
            method=request.method or "",
            query=_query(request),
            headers=request.headers,
            read_body=lambda: _body(request),
            endpoint=endpoint,
            dialect=dialect,
            context=request.context,
            app_code=app_code,
            kid=kid,
        )
        try:
            return send(answer(asked))
        except machine.NothingHere:
            raise Http404 from None

    return front


def send(answer: machine.Answer) -> HttpResponse:
    """Turn an answer into Django's response."""
    response = HttpResponse(answer.body, status=answer.status)
    del response["Content-Type"]  # an answer names its own, if it has one
    for name, value in answer.headers.items():
        response[name] = value
    return response


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
    return from_form(request.content_type or "", lambda: _body(request))


def _query(request: Request) -> str:
    return str(request.META.get("QUERY_STRING", ""))


def _body(request: Request) -> bytes:
    try:
        return request.body
    except RequestDataTooBig:
        raise OAuthError(Fault.BODY_TOO_LARGE) from None
    except (UnreadablePostError, SuspiciousOperation):
        raise OAuthError(Fault.MALFORMED_PARAMETER, log_detail="body cut off") from None
