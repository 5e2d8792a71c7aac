"""Signing out of this browser, on our own pages."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from identity import cookies
from identity.forms import NoFieldsForm
from identity.models import SessionEndReason
from identity.services import sessions


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def sign_out(request: HttpRequest) -> HttpResponse:
    """Ask, then end the session: a link on another site must sign nobody out."""
    session = request.sso_session  # type: ignore[attr-defined]
    if session is None:
        return HttpResponseRedirect(reverse("identity:logged_out"))
    if request.method == "POST" and request.POST.get("confirm") == "no":
        return HttpResponseRedirect(reverse("identity:account"))
    if request.method == "POST" and request.POST.get("confirm") == "yes":
        return _end(request)
    context = {"application_name": "", "form": NoFieldsForm()}
    return render(request, "identity/logout_confirm.html", context)


@never_cache
@require_safe
def signed_out(request: HttpRequest) -> HttpResponse:
    """Say that nobody is signed in here any more."""
    context = {"login_url": reverse("identity:login"), "application_name": "", "back_url": ""}
    return render(request, "identity/logged_out.html", context)


def _end(request: HttpRequest) -> HttpResponse:
    session = request.sso_session  # type: ignore[attr-defined]
    sessions.end(
        session,
        reason=SessionEndReason.SIGNED_OUT,
        context=request.context,  # type: ignore[attr-defined]
        actor=session.user,
    )
    # What the admin keeps for this browser goes with it.
    request.session.flush()
    response = HttpResponseRedirect(reverse("identity:logged_out"))
    cookies.clear_session(response, request)
    return response
