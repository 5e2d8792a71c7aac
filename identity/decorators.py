"""What a view asks of its caller, and what kind of caller that is."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from django.http import Http404, HttpResponseRedirect
from django.http.response import HttpResponseBase

from identity.browser.interaction import is_signed_in
from identity.http import Request
from identity.views.next_urls import login_url

View = Callable[..., HttpResponseBase]
_AnyView = TypeVar("_AnyView", bound=View)


def session_required(view: View) -> View:
    """Send whoever is not signed in, or not surely enough for the tenant, to the sign-in page, and back (S28)."""

    @wraps(view)
    def checked(request: Request, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not is_signed_in(request):
            back = request.get_full_path() if request.method in {"GET", "HEAD"} else ""
            return HttpResponseRedirect(login_url(back))
        return view(request, *args, **kwargs)

    return checked


def of_a_tenant(view: _AnyView) -> _AnyView:
    """Answer 404 on the host that all tenants share: it belongs to none, so nobody is an identity provider there."""

    @wraps(view)
    def found(request: Request, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.context.tenant is None:
            raise Http404
        return view(request, *args, **kwargs)

    return cast(_AnyView, found)


def machine_endpoint(view: _AnyView) -> _AnyView:
    """Mark a view that machines call: it does not keep a person's session alive."""
    view.is_machine_endpoint = True  # type: ignore[attr-defined]
    return view
