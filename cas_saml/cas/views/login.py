"""The login endpoint: a request to sign in is checked, the user is asked, the service is answered (CAS-2.1)."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from cas_saml import addresses
from cas_saml.cas import interaction, services, tickets
from cas_saml.cas.interaction import LoginRequest
from cas_saml.cas.models import CASService
from cas_saml.cas.views.answers import protect, redirect, refuse
from cas_saml.decorators import of_a_tenant
from cas_saml.interaction import Passed, Step
from identity import budgets, cookies, pending_requests
from identity.budgets import Budget
from identity.errors import IdentityError
from identity.http import Request, tenant_of
from identity.sign_in import login as sign_ins
from identity.sign_in.machine import START_LIFETIME
from identity.views.content_security import allow_form_targets

_HANDLE = "request"


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
        taken = pending_requests.take_up(
            tenant=tenant_of(request),
            path=request.path,
            handle=request.GET.get(_HANDLE, "")[:100],
            bindings=[cookies.read(cookies.BROWSER, request)],
        )
    except IdentityError as error:
        return refuse(request, error)
    return _answer(request, *interaction.from_json(taken.payload))


def _answer(request: Request, wanted: LoginRequest, passed: Passed) -> HttpResponse:
    """Check everything, then ask the user or answer the service."""
    session = request.sso_session
    try:
        service = services.get(wanted.service, tenant=tenant_of(request))
        step = interaction.decide(wanted, service=service, session=session, passed=passed)
        if step is Step.ANSWER_WITHOUT_TICKET:
            return redirect(wanted.service)
        if step is not Step.ANSWER:
            return _ask(request, step, wanted, passed, service)
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
    path = reverse("cas_saml:cas_continue")
    payload = interaction.to_json(wanted, passed.after(step))
    binding = cookies.browser_binding(request)
    tenant = tenant_of(request)
    budgets.spend(Budget.PARKED, tenant=tenant, context=request.context)
    handle = pending_requests.park(tenant=tenant, path=path, payload=payload, binding=binding)
    return _sign_in(
        request,
        next_url=f"{path}?{urlencode({_HANDLE: handle})}",
        application=service.application,
        reauthenticate=wanted.renew and step is not Step.STEP_UP,
        return_origins=[addresses.read(wanted.service).origin],
    )


def _without_service(request: Request) -> HttpResponse:
    """CAS-2.1.1: without a service there is a session to open, or to tell of (decision 37)."""
    if request.sso_session is not None:
        return redirect(reverse("identity:login"))
    budgets.spend(Budget.PARKED, tenant=tenant_of(request), context=request.context)
    return _sign_in(request, next_url=reverse("cas_saml:cas_login"))


def _sign_in(request: Request, **options: Any) -> HttpResponse:
    handle = begin(request, **options)
    response = redirect(f"{reverse('identity:login')}?{urlencode({'transaction': handle})}")
    cookies.set_waiting(response, request, handle, max_age=int(START_LIFETIME.total_seconds()))
    return response


def begin(request: Request, **options: Any) -> str:
    """Begin a sign-in of this browser; return its handle."""
    return sign_ins.begin(
        tenant=tenant_of(request),
        binding=cookies.browser_binding(request),
        context=request.context,
        session=request.sso_session,
        **options,
    )


def _to_service(request: Request, wanted: LoginRequest, ticket: str) -> HttpResponse:
    if not wanted.by_post:
        return redirect(addresses.with_parameter(wanted.service, urlencode({"ticket": ticket})))
    page = {"action": wanted.service, "fields": [("ticket", ticket)]}
    response = protect(render(request, "form_post.html", page))
    allow_form_targets(response, [wanted.service])
    return response
