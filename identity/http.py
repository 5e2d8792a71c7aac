"""The request as our middleware hands it on: what views may ask of it, said once for the type checker.

Nothing is wrapped. Django makes an HttpRequest, RequestContextMiddleware and SSOSessionMiddleware set the rest on it,
and a view that says `request: Request` is a view below both.
"""

from __future__ import annotations

from functools import lru_cache
from typing import cast

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from django.urls import get_script_prefix, reverse

from identity.context import RequestContext
from identity.models import SSOSession, Tenant, User


class Request(HttpRequest):
    """A request to a page or an endpoint of ours."""

    context: RequestContext
    sso_session: SSOSession | None  # the browser's; machines bring no cookie
    user: User | AnonymousUser

    # Notes of `identity.cookies`, for the answer.
    _browser_binding: str
    _new_browser_binding: str
    _session_cookie_set: bool


class SignedInRequest(Request):
    """A request that `session_required` has let through."""

    sso_session: SSOSession
    user: User


def path_of(route: str) -> str:
    """Return the path of a route that takes no arguments, spelled once: to spell one takes as long as a statement."""
    return _path_of(route, get_script_prefix())


@lru_cache(maxsize=200)
def _path_of(route: str, script_prefix: str) -> str:
    return reverse(route)


def typed(request: HttpRequest) -> Request:
    """Return the same request, where a signature of Django's or the admin's cannot say what it is."""
    return cast(Request, request)


def tenant_of(request: HttpRequest) -> Tenant:
    """Return the tenant that this host belongs to: pages are served on no other (decision 10)."""
    tenant = typed(request).context.tenant
    if tenant is None:
        raise LookupError("RequestContextMiddleware lets pages be asked for on a tenant's own host only.")
    return tenant
