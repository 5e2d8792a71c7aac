"""Signing out of this browser: our own pages, and the way on for every protocol that ends a browser's session."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from identity import cookies
from identity.browser import answers
from identity.browser.content_security import allow_form_targets, allow_frames
from identity.http import Request
from identity.languages import use_language
from identity.models import SessionEndReason, SSOSession
from identity.sign_in.forms import NoFieldsForm
from identity.sso import sessions, sign_outs
from identity.sso.sign_outs import SignOut
from identity.views import stale_forms

HANDLE_PARAMETER = "sign_out"
# How long a page with frames waits for them before the browser goes on; without JavaScript it always waits as long.
FRAME_SECONDS = 3
REFRESH_SECONDS = 3
# A page that stands open longer is not asked to look again by itself.
MAX_REFRESHES = 20


@stale_forms.leads_to(stale_forms.same_page)
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def sign_out(request: Request) -> HttpResponse:
    """Ask, then end the session: a link on another site must sign nobody out."""
    if request.sso_session is None:
        return _redirect(request, reverse("identity:logged_out"))
    if request.method == "POST" and request.POST.get("confirm") == "no":
        return _redirect(request, reverse("identity:account"))
    if request.method == "POST" and request.POST.get("confirm") == "yes":
        return leave(request)
    context = {"application_name": "", "form": NoFieldsForm()}
    return render(request, "identity/logout_confirm.html", context)


@never_cache
@require_safe
def signed_out(request: Request) -> HttpResponse:
    """Say that nobody is signed in here any more, tell the applications, and show what they answer."""
    found = _find(request)
    if found is None:
        return _page(request, None, {"login_url": reverse("identity:login")})
    frames = [] if request.method == "HEAD" else sign_outs.frames(found, context=request.context)
    goes_on = bool(found.return_url) or sign_outs.has_visits(found)
    applications = sign_outs.report([found.session]).get(found.session.pk, [])
    page = {
        "login_url": "" if goes_on else reverse("identity:login"),
        "frames": [frame.url for frame in frames],
        "next_url": next_address(found.handle) if goes_on else "",
        "next_seconds": FRAME_SECONDS if frames else 0,
        "applications": applications,
        **_refreshing(request, found, is_settled=sign_outs.is_settled(applications)),
    }
    response = _page(request, found, page)
    allow_frames(response, page["frames"])
    return response


@never_cache
@require_safe
def go_on(request: Request) -> HttpResponse:
    """Take the browser to the next application that must be told through it, and in the end where it was to go."""
    found = _find(request)
    if found is None:
        return _redirect(request, reverse("identity:logged_out"))
    visit = sign_outs.next_visit(found, context=request.context)
    if visit is None:
        return _redirect(request, found.return_url or page_address(found.handle))
    if visit.fields is None:
        return _redirect(request, visit.url)
    _use_requested_language(request, found)
    page = {"action": visit.url, "fields": list(visit.fields.items())}
    response = _private(render(request, "form_post.html", page))
    allow_form_targets(response, [visit.url])
    return response


def leave(request: Request, *, return_url: str = "", initiator: tuple[str, str] | None = None) -> HttpResponse:
    """End this browser's session, tell the applications, and go on.

    return_url: where the browser goes in the end, judged by the caller: an address of a registration, or our own path;
    "" is the signed-out page. initiator: see `sign_outs.begin`.
    """
    session: SSOSession | None = request.sso_session
    target = return_url or reverse("identity:logged_out")
    if session is not None:
        context = request.context
        sessions.end(session, reason=SessionEndReason.SIGNED_OUT, context=context, actor=session.user)
        handle = sign_outs.begin(
            session=session,
            return_url=return_url,
            binding=cookies.browser_binding(request),
            context=context,
            initiator=initiator,
        )
        if handle:
            target = page_address(handle)
        # What the admin keeps for this browser goes with it.
        request.session.flush()
    response = _redirect(request, target)
    cookies.clear_session(response, request)
    return response


def page_address(handle: str) -> str:
    """Return the signed-out page of one sign-out."""
    return f"{reverse('identity:logged_out')}?{urlencode({HANDLE_PARAMETER: handle})}"


def next_address(handle: str) -> str:
    """Return where the browser goes when an application has been told, or need not be waited for any longer."""
    return f"{reverse('identity:logged_out_next')}?{urlencode({HANDLE_PARAMETER: handle})}"


def find_sign_out(request: Request, handle: str) -> SignOut | None:
    """Return the sign-out of this handle in this browser, for views that take an application's answer."""
    binding = cookies.read(cookies.BROWSER, request)
    tenant = request.context.tenant
    if not handle or not binding or tenant is None:
        return None
    return sign_outs.find(handle=handle[:100], tenant=tenant, bindings=[binding])


def _find(request: Request) -> SignOut | None:
    return find_sign_out(request, request.GET.get(HANDLE_PARAMETER, ""))


def _refreshing(request: Request, found: SignOut, *, is_settled: bool) -> dict[str, Any]:
    """Return members of the page that looks again while an application has not answered."""
    count = request.GET.get("look", "0")
    looks = int(count) if count.isdecimal() and len(count) < 4 else MAX_REFRESHES
    return {
        "is_waiting": not is_settled,
        "refresh_url": f"{page_address(found.handle)}&look={looks + 1}",
        "refresh_seconds": REFRESH_SECONDS if not is_settled and looks < MAX_REFRESHES else 0,
    }


def _page(request: Request, found: SignOut | None, page: dict[str, Any]) -> HttpResponse:
    if found is not None:
        _use_requested_language(request, found)
    return _private(render(request, "identity/logged_out.html", {"application_name": "", "back_url": "", **page}))


def _use_requested_language(request: Request, found: SignOut) -> None:
    """Keep to the language of the request that signed out, unless the person chose one on our pages."""
    if settings.LANGUAGE_COOKIE_NAME not in request.COOKIES:
        use_language(request, found.language)


def _redirect(request: Request, address: str) -> HttpResponse:
    return answers.redirect(request, address, caching=answers.NO_STORE)


def _private(response: HttpResponse) -> HttpResponse:
    """Keep the handle out of Referer headers; the page's own forms need their Origin (see protect_page)."""
    response["Referrer-Policy"] = "same-origin"
    return response
