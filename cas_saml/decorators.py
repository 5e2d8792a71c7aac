"""What the endpoints of both protocols ask of where a request came to."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import Http404, HttpResponse

from identity.http import Request

View = Callable[..., HttpResponse]


def of_a_tenant(view: View) -> View:
    """Answer 404 on the host that all tenants share: it belongs to none, so nobody is an identity provider there."""

    @wraps(view)
    def found(request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.context.tenant is None:
            raise Http404
        return view(request, *args, **kwargs)

    return found
