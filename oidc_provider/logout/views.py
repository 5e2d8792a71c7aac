"""The end_session endpoint (OIDCRIL-2): ask where the request proves nothing, end the session, go back."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_safe

from identity import origins
from identity.browser import parking
from identity.browser.answers import protect_page, redirect
from identity.browser.content_security import allow_form_targets
from identity.errors import IdentityError
from identity.events import EventType
from identity.http import Request, tenant_of
from identity.languages import prefer
from identity.views import stale_forms
from identity.views.logout import leave
from oidc_provider import dialects
from oidc_provider.dialects.base import Dialect
from oidc_provider.dialects.standard import STANDARD
from oidc_provider.discovery import found
from oidc_provider.errors import OAuthError, from_domain
from oidc_provider.logout import requests as rules
from oidc_provider.logout.requests import LogoutRequest
from oidc_provider.wire.addresses import with_parameters
from oidc_provider.wire.front import form_parameters, query_parameters
from oidc_provider.wire.parameters import Parameters, merge
from oidc_provider.wire.refusals import refuse


@csrf_exempt  # OIDCRIL-2: clients may post it; nobody is signed out by it without proof or confirmation
@require_http_methods(["GET", "HEAD", "POST"])
def logout(request: Request, *, dialect: Dialect, app_code: str = "") -> HttpResponse:
    """Take a logout request. A POST arrives without our cookies and is taken up again by a GET of our own."""
    found.check_issuer(request, dialect, app_code)
    payload: dict[str, Any] = {"dialect": dialect.name, "app_code": app_code}
    try:
        params = query_parameters(request)
        if request.method == "POST":
            params = merge(params, form_parameters(request))
        wanted = _check(request, params, payload)
    except OAuthError as error:
        return refuse(error, request=request, dialect=dialect, event=EventType.LOGOUT_REQUEST)
    payload["params"] = rules.known(params)
    if request.method == "POST":
        return parking.park_post(request, "oidc_provider:logout_continue", payload)
    return _go_on(request, wanted, payload)


@require_safe
def resume(request: Request) -> HttpResponse:
    """Take up a logout request that was posted."""
    try:
        payload = parking.consume(request)
        wanted = _check(request, Parameters.of(payload["params"]), payload)
    except (OAuthError, IdentityError) as error:
        return _refuse(request, error)
    return _go_on(request, wanted, payload)


@stale_forms.leads_to(stale_forms.same_page)
@require_http_methods(["GET", "HEAD", "POST"])
def confirm(request: Request) -> HttpResponse:
    """Ask the user, and do as they say. The form carries our CSRF token; the request waits on the server."""
    decision = request.POST.get("confirm", "")
    try:
        taken = parking.find(request, is_answered=decision in ("yes", "no"))
        if taken.is_over:
            return _confirm_late(request, decision)
        wanted = _check(request, Parameters.of(taken.payload["params"]), taken.payload)
    except (OAuthError, IdentityError) as error:
        return _refuse(request, error)
    if decision == "yes":
        return _sign_out(request, wanted)
    if decision == "no":
        return redirect(request, reverse("identity:login"))
    prefer(request, wanted.ui_locales)
    page = {"form": forms.Form(), "application_name": wanted.application_name}
    response = protect_page(render(request, "identity/logout_confirm.html", page))
    allow_form_targets(response, [wanted.redirect_uri])
    return response


def _confirm_late(request: Request, decision: str) -> HttpResponse:
    """Answer where the page stood open too long: the person's word still counts, the client's way back does not."""
    if decision == "yes":
        return leave(request)
    return redirect(request, reverse("identity:login" if decision == "no" else "identity:logout"))


def _check(request: Request, params: Parameters, payload: dict[str, Any]) -> LogoutRequest:
    context = request.context
    dialect = dialects.get(payload["dialect"])
    issuer = dialect.issuer(origins.base(context), app_code=payload["app_code"])
    return rules.check(params, tenant=tenant_of(request), issuer=issuer)


def _go_on(request: Request, wanted: LogoutRequest, payload: dict[str, Any]) -> HttpResponse:
    session = request.sso_session
    if session is None or wanted.concerns(session):
        return _sign_out(request, wanted)
    return redirect(request, parking.park(request, "oidc_provider:logout_confirm", payload))


def _sign_out(request: Request, wanted: LogoutRequest) -> HttpResponse:
    prefer(request, wanted.ui_locales)
    # Without a registered address nothing goes back, the state neither.
    address = with_parameters(wanted.redirect_uri, wanted.parameters) if wanted.redirect_uri else ""
    return leave(request, return_url=address)


def _refuse(request: Request, error: OAuthError | IdentityError) -> HttpResponse:
    refusal = error if isinstance(error, OAuthError) else from_domain(error)
    return refuse(refusal, request=request, dialect=STANDARD, event=EventType.LOGOUT_REQUEST)
