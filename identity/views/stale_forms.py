"""Forms that stood open while their browser signed in: its token was turned then, as it could have been planted (S27).

Such a form is never carried out. What it leads to is a page that the browser could as well have asked for by a GET,
so nobody is signed in, and nothing is changed, by a form of somebody else's making.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpResponse, HttpResponseRedirect
from django.urls import reverse

from identity.http import Request

Answer = Callable[[Request], HttpResponse]
_View = TypeVar("_View", bound=Callable[..., Any])


def leads_to(answer: Answer, *, needs_origin: bool = True) -> Callable[[_View], _View]:
    """Give a view the answer to a form of it whose token is stale. To be the outermost decorator.

    needs_origin: only where the browser says that the form was on a page of ours.
    """

    def mark(view: _View) -> _View:
        view.stale_form = (answer, needs_origin)  # type: ignore[attr-defined]
        return view

    return mark


def answer(request: Request) -> HttpResponse | None:
    """Return what a refused form leads to; None where it may be another site's, or the view has no answer to it."""
    view = request.resolver_match.func if request.resolver_match else None
    marked: tuple[Answer, bool] | None = getattr(view, "stale_form", None)
    # Where either token is missing the browser keeps no cookies, or the form is not ours.
    is_ours = settings.CSRF_COOKIE_NAME in request.COOKIES and "csrfmiddlewaretoken" in request.POST
    if marked is None or not is_ours:
        return None
    find_answer, needs_origin = marked
    origin = _origin(request)
    if origin != request.context.origin and (origin or needs_origin):
        return None
    return find_answer(request)


def _origin(request: Request) -> str:
    """Whose page the form was on, as the browser says; "" where it says nothing."""
    if "Origin" in request.headers:
        return request.headers["Origin"]
    referer = urlsplit(request.headers.get("Referer", ""))
    return f"{referer.scheme}://{referer.netloc}" if referer.netloc else ""


def same_page(request: Request) -> HttpResponse:
    """Show the form's own page anew, with a token that counts."""
    query = request.GET.copy()
    if handle := request.POST.get("transaction", ""):
        query["transaction"] = handle
    return _see(f"{request.path}?{query.urlencode()}" if query else request.path)


def account_page(request: Request) -> HttpResponse:
    """Show the account page, where the form's button is."""
    return _see(reverse("identity:account"))


def _see(address: str) -> HttpResponse:
    response = HttpResponseRedirect(address)
    response.status_code = 303
    response["Cache-Control"] = "no-store"
    return response
