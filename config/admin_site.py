"""The one admin site: our sign-in, our audit, a policy for content of its own."""

from collections.abc import Callable
from functools import partial, wraps
from typing import Any, cast

from csp.decorators import csp_replace
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import resolve_url
from django.urls import reverse
from django.utils.functional import SimpleLazyObject
from django.utils.http import urlencode
from unfold.sites import UnfoldAdminSite

from identity.browser.interaction import is_signed_in
from identity.http import typed

# The end users' pages allow neither (decision 35). The theme keeps its behaviour in attributes, which Alpine compiles
# ('unsafe-eval'; only what a template holds, and no page writes an operator's input into one), and sets widths and
# transitions as style attributes. No script and no style element stands in a page, so neither is allowed to.
ADMIN_POLICY: dict[str, list[str]] = {
    "script-src": ["'self'", "'unsafe-eval'"],
    "script-src-attr": ["'none'"],
    "style-src": ["'self'"],
    "style-src-attr": ["'unsafe-inline'"],
    "img-src": ["'self'", "data:", "https:"],
    "font-src": ["'self'"],
    "connect-src": ["'self'"],
}


class MonbanAdminSite(UnfoldAdminSite):
    """Operators sign in through the same login service as everyone (decision 39)."""

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> Any:
        """List the models once something reads the list: only the index does, and it cost each page a third."""
        return SimpleLazyObject(partial(super().get_app_list, request, app_label))

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """Return what every page is told. The colours are a file of ours and not a style element in the page."""
        return {**super().each_context(request), "colors": {}}

    def has_permission(self, request: HttpRequest) -> bool:
        is_operator = request.user.is_authenticated and request.user.is_active and request.user.is_staff
        return bool(is_operator and is_signed_in(typed(request)))

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        target = request.GET.get("next") or reverse("admin:index", current_app=self.name)
        if request.method == "GET" and self.has_permission(request):
            return HttpResponseRedirect(reverse("admin:index", current_app=self.name))
        if request.user.is_authenticated and is_signed_in(typed(request)):
            # Signed in, but no operator: another sign-in page would lead back here for ever.
            raise PermissionDenied
        return HttpResponseRedirect(f"{resolve_url('identity:login')}?{urlencode({'next': target})}")

    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return HttpResponseRedirect(reverse("identity:logout"))

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return HttpResponseRedirect(reverse("identity:change_password"))

    def admin_view(self, view: Callable[..., HttpResponse], cacheable: bool = False) -> Callable[..., HttpResponse]:
        inner = csp_replace(ADMIN_POLICY)(super().admin_view(view, cacheable))

        @wraps(view)
        def wrapper(*args: Any, **kwargs: Any) -> HttpResponse:
            return cast(HttpResponse, inner(*args, **kwargs))

        return wrapper
