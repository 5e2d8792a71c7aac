"""The bare address of a tenant."""

from __future__ import annotations

from django.http import HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from identity.http import Request


@never_cache
@require_safe
def home(request: Request) -> HttpResponse:
    """Show people their account."""
    return HttpResponseRedirect(reverse("identity:account"))
