"""The bare address of a tenant."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe


@never_cache
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Show people their account."""
    return HttpResponseRedirect(reverse("identity:account"))
