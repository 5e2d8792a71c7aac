"""Django's front of the endpoints for programs.

A view carries its endpoint; the other front, `config.lane`, finds it in the routes. No address stands in two places.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.http import Http404, HttpResponse
from django.http.request import UnreadablePostError
from django.http.response import HttpResponseBase
from django.views.decorators.csrf import csrf_exempt

from identity import machine
from identity.decorators import machine_endpoint
from identity.http import Request
from identity.machine import OUTCOME_KEY, Answer, BodyCutOff, BodyTooLarge, Endpoint, NothingHere


def view(endpoint: Endpoint) -> Callable[..., HttpResponseBase]:
    """Return Django's view of an endpoint."""

    @machine_endpoint
    @csrf_exempt  # nothing here looks at a cookie
    def front(request: Request, **route: Any) -> HttpResponse:
        known = request.META.get(OUTCOME_KEY)
        try:
            if isinstance(known, Exception):
                raise known
            return send(known or endpoint(_asked(request), **route))
        except NothingHere:
            raise Http404 from None

    front.endpoint = endpoint  # type: ignore[attr-defined]
    return front


def endpoint_of(view: Callable[..., Any]) -> Endpoint | None:
    """Return the endpoint that a view is the front of, if it is one."""
    return getattr(view, "endpoint", None)


def send(answer: Answer) -> HttpResponse:
    """Turn an answer into Django's response."""
    response = HttpResponse(answer.body, status=answer.status)
    del response["Content-Type"]  # an answer names its own, if it has one
    for name, value in answer.headers.items():
        response[name] = value
    return response


def body_of(request: Request) -> bytes:
    """Return the body of a request to Django. Raises BodyTooLarge and BodyCutOff."""
    try:
        return request.body
    except RequestDataTooBig:
        raise BodyTooLarge from None
    except (UnreadablePostError, SuspiciousOperation):
        raise BodyCutOff from None


def _asked(request: Request) -> machine.Request:
    return machine.Request(
        method=request.method or "",
        query=str(request.META.get("QUERY_STRING", "")),
        headers=request.headers,
        read_body=lambda: body_of(request),
        context=request.context,
    )
