"""What a view asks of its caller, and what kind of caller that is."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from django.http import HttpResponseRedirect
from django.http.response import HttpResponseBase

from identity.http import Request
from identity.sso import access
from identity.views.next_urls import login_url

View = Callable[..., HttpResponseBase]
_AnyView = TypeVar("_AnyView", bound=View)


def session_required(view: View) -> View:
    """Send whoever is not signed in, or not surely enough for the tenant, to the sign-in page, and back (S28)."""

    @wraps(view)
    def checked(request: Request, *args: Any, **kwargs: Any) -> HttpResponseBase:
        session = request.sso_session
        # An application may ask for less than the tenant; the session that it began is not enough here.
        if session is None or not access.is_sufficient(session=session, application=None):
            back = request.get_full_path() if request.method in {"GET", "HEAD"} else ""
            return HttpResponseRedirect(login_url(back))
        return view(request, *args, **kwargs)

    return checked


def machine_endpoint(view: _AnyView) -> _AnyView:
    """Mark a view that machines call: it does not keep a person's session alive."""
    view.is_machine_endpoint = True  # type: ignore[attr-defined]
    return view
