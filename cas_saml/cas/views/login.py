"""The login endpoint: a request to sign in is checked, the user is asked, the service is answered (CAS-2.1)."""

from __future__ import annotations

from urllib.parse import urlencode

from django.http import HttpResponse
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from cas_saml import addresses
from cas_saml.cas import interaction, services, tickets
from cas_saml.cas.interaction import LoginRequest
from cas_saml.cas.models import CASService
from cas_saml.cas.views.answers import refuse
from identity import budgets, cookies
from identity.browser import interaction as browser
from identity.browser import parking
from identity.browser.answers import post_form, redirect
from identity.browser.interaction import Passed, Step
from identity.budgets import Budget
from identity.decorators import of_a_tenant
from identity.errors import IdentityError
from identity.http import Request, tenant_of
from identity.sign_in.machine import START_LIFETIME


@never_cache
@require_safe
@of_a_tenant
def login(request: Request) -> HttpResponse:
    """Take a login request (CAS-2.1)."""
    try:
        wanted = LoginRequest.read(dict(request.GET.lists()))
    except IdentityError as error:
        return refuse(request, error)
    return _without_service(request) if not wanted.service else _answer(request, wanted, Passed())


@never_cache
@require_safe
@of_a_tenant
def resume(request: Request) -> HttpResponse:
    """Take up a login request after the user has done something for it."""
    try:
        taken = parking.take_up(request)
    except IdentityError as error:
        return refuse(request, error)
    return _answer(request, *interaction.from_json(taken.payload))


def _answer(request: Request, wanted: LoginRequest, passed: Passed) -> HttpResponse:
    """Check everything, then ask the user or answer the service."""
    session = request.sso_session
    try:
        service = services.get(wanted.service, tenant=tenant_of(request))
        step = interaction.decide(wanted, service=service, session=session, passed=passed)
        if step is not None:
            # CAS-2.1.1, gateway: nobody is asked; what it cannot have without, it does not get.
            return redirect(request, wanted.service) if wanted.gateway else _ask(request, step, wanted, passed, service)
        assert session is not None  # `decide` asks for a sign-in where there is none
        ticket = tickets.issue(
            service=service,
            service_url=wanted.service,
            session=session,
            is_from_new_login=passed.is_fresh(session),
            context=request.context,
        )
    except IdentityError as error:
        return refuse(request, error)
    return _to_service(request, wanted, ticket)


def _ask(request: Request, step: Step, wanted: LoginRequest, passed: Passed, service: CASService) -> HttpResponse:
    """Park the request and send the browser to identity's pages, which send it back."""
    handle = browser.ask(
        request,
        step,
        demands=interaction.demands_of(wanted),
        application=service.application,
        route="cas_saml:cas_continue",
        payload=interaction.to_json(wanted, passed.after(step)),
        return_origins=[addresses.read(wanted.service).origin],
    )
    return _to_pages(request, handle)


def _without_service(request: Request) -> HttpResponse:
    """CAS-2.1.1: without a service there is a session to open, or to tell of (decision 37)."""
    if request.sso_session is not None:
        return redirect(request, reverse("identity:login"))
    budgets.spend(Budget.PARKED, tenant=tenant_of(request), context=request.context)
    return _to_pages(request, browser.begin(request, next_url=reverse("cas_saml:cas_login")))


def _to_pages(request: Request, handle: str) -> HttpResponse:
    """Send the browser to a sign-in, and remember it for a form that does not carry its handle."""
    response = redirect(request, browser.sign_in_page(handle))
    cookies.set_waiting(response, request, handle, max_age=int(START_LIFETIME.total_seconds()))
    return response


def _to_service(request: Request, wanted: LoginRequest, ticket: str) -> HttpResponse:
    if not wanted.by_post:
        return redirect(request, addresses.with_parameter(wanted.service, urlencode({"ticket": ticket})))
    return post_form(request, wanted.service, [("ticket", ticket)])
