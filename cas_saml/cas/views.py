"""The CAS endpoints: login, the validations, logout, and the login form of the vendor's paths (OneAccess-3.3.2)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from django.http import HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST, require_safe

from cas_saml import addresses
from cas_saml.attributes import release
from cas_saml.cas import bodies, interaction, services, tickets
from cas_saml.cas.errors import CASError, Fault
from cas_saml.cas.interaction import LoginRequest, is_set
from cas_saml.cas.models import CASService
from cas_saml.cas.tickets import Validated
from cas_saml.decorators import of_a_tenant
from cas_saml.interaction import Passed, Step
from identity import audit, budgets, cookies, pending_requests
from identity.budgets import Budget
from identity.decorators import machine_endpoint
from identity.errors import IdentityError, NotFound, TooManyRequests
from identity.events import EventType
from identity.http import Request, tenant_of
from identity.models import AuditOutcome, LoginState
from identity.sign_in import login as sign_ins
from identity.sign_in.machine import START_LIFETIME
from identity.views import errors
from identity.views.content_security import allow_form_targets
from identity.views.logout import leave
from identity.views.steps import follow

log = logging.getLogger(__name__)

_HANDLE = "request"


# Login -----------------------------------------------------------------------------------------------------


@never_cache
@require_safe
@of_a_tenant
def login(request: Request) -> HttpResponse:
    """Take a login request (CAS-2.1)."""
    try:
        wanted = LoginRequest.read(dict(request.GET.lists()))
    except IdentityError as error:
        return _refuse(request, error)
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
        return _refuse(request, error)
    return _answer(request, *interaction.from_json(taken.payload))


def _answer(request: Request, wanted: LoginRequest, passed: Passed) -> HttpResponse:
    """Check everything, then ask the user or answer the service."""
    session = request.sso_session
    try:
        service = services.get(wanted.service, tenant=tenant_of(request))
        step = interaction.decide(wanted, service=service, session=session, passed=passed)
        if step is Step.ANSWER_WITHOUT_TICKET:
            return _redirect(wanted.service)
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
        return _refuse(request, error)
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
        return _redirect(reverse("identity:login"))
    budgets.spend(Budget.PARKED, tenant=tenant_of(request), context=request.context)
    return _sign_in(request, next_url=reverse("cas_saml:cas_login"))


def _sign_in(request: Request, **options: Any) -> HttpResponse:
    handle = _begin(request, **options)
    response = _redirect(f"{reverse('identity:login')}?{urlencode({'transaction': handle})}")
    cookies.set_waiting(response, request, handle, max_age=int(START_LIFETIME.total_seconds()))
    return response


def _begin(request: Request, **options: Any) -> str:
    return sign_ins.begin(
        tenant=tenant_of(request),
        binding=cookies.browser_binding(request),
        context=request.context,
        session=request.sso_session,
        **options,
    )


def _to_service(request: Request, wanted: LoginRequest, ticket: str) -> HttpResponse:
    if not wanted.by_post:
        return _redirect(addresses.with_parameter(wanted.service, urlencode({"ticket": ticket})))
    page = {"action": wanted.service, "fields": [("ticket", ticket)]}
    response = _protect(render(request, "form_post.html", page))
    allow_form_targets(response, [wanted.service])
    return response


# Validation ------------------------------------------------------------------------------------------------


@csrf_exempt
@never_cache
@require_safe
@machine_endpoint
def validate(request: Request) -> HttpResponse:
    """CAS 1.0 (CAS-2.4): plain text."""
    return _validated(
        request,
        success=lambda validated: bodies.plain_success(validated.user_name),
        failure=lambda error: bodies.plain_failure(),
    )


@csrf_exempt
@never_cache
@require_safe
@machine_endpoint
def service_validate(request: Request, *, with_attributes: bool) -> HttpResponse:
    """CAS 2.0 (CAS-2.5), the user's name; CAS 3.0 (CAS-2.8), attributes too. The route says which."""
    is_json = request.GET.get("format", "").upper() == "JSON"
    ticket = request.GET.get("ticket", "")
    return _validated(
        request,
        success=lambda validated: bodies.success(
            validated.user_name, _attributes(validated) if with_attributes else None, is_json=is_json
        ),
        failure=lambda error: bodies.failure(error.spec, ticket=ticket, is_json=is_json),
    )


@csrf_exempt
@never_cache
@require_safe
@machine_endpoint
def proxy(request: Request) -> HttpResponse:
    """CAS-2.7: nobody is given a proxy ticket, as nobody is given the ticket to ask with."""
    if not request.GET.get("pgt") or not request.GET.get("targetService"):
        return bodies.proxy_failure("INVALID_REQUEST", "'pgt' and 'targetService' parameters are both required")
    return bodies.proxy_failure("UNAUTHORIZED_SERVICE", "proxy authentication is not supported")


def _validated(
    request: Request,
    *,
    success: Callable[[Validated], HttpResponse],
    failure: Callable[[CASError], HttpResponse],
) -> HttpResponse:
    try:
        return success(_consume(request))
    except CASError as error:
        refusal = error
    except Exception as error:  # CAS-2.5.3: the service hears of our own failure in its own words.
        log.exception("cas.error")
        refusal = CASError(Fault.INTERNAL, log_detail=type(error).__name__)
    _record(request, refusal)
    return failure(refusal)


def _consume(request: Request) -> Validated:
    if any(len(request.GET.getlist(name)) > 1 for name in ("service", "ticket", "renew", "pgtUrl", "format")):
        raise CASError(Fault.REQUEST, log_detail="a parameter comes twice")  # S45
    if request.GET.get("format", "").upper() not in ("", "XML", "JSON"):
        raise CASError(Fault.FORMAT)
    return tickets.consume(
        tenant=tenant_of(request),
        ticket=request.GET.get("ticket", ""),
        service_url=request.GET.get("service", ""),
        renew=is_set(request.GET.get("renew")),
        pgt_url=request.GET.get("pgtUrl", ""),
        context=request.context,
    )


def _attributes(validated: Validated) -> dict[str, Any]:
    return {
        "authenticationDate": validated.session.authenticated_at,
        "longTermAuthenticationRequestTokenUsed": False,
        "isFromNewLogin": validated.ticket.is_from_new_login,
        **release(validated.profile, validated.service.attributes),
    }


# Logout ----------------------------------------------------------------------------------------------------


@never_cache
@require_safe
@of_a_tenant
def logout(request: Request) -> HttpResponse:
    """End the session and go where the service asks, if it is one of ours (CAS-2.3, S22).

    The document has no question in between. A link on another site can sign its reader out; an image on it cannot, for
    SameSite keeps the cookie to navigations. `url`, which clients of CAS 2.0 send, is ignored (CAS-2.3.1).
    """
    target = addresses.without_leftovers(request.GET.get("service", ""))
    service = services.find(target, tenant=tenant_of(request)) if target else None
    return leave(request, return_url=target if service is not None else reverse("identity:login"))


# The vendor's login form -----------------------------------------------------------------------------------


@csrf_exempt  # Decision 18: for forms of pages of this host, told by the Origin header that browsers set
@never_cache
@sensitive_post_parameters("password")
@require_POST
@of_a_tenant
def login_form(request: Request) -> HttpResponse:
    """Take name and password, and go on with the login request that waits (OneAccess-3.3.2.1)."""
    if request.headers.get("Origin", "") != request.context.origin:
        return errors.forbidden(request)
    handle = _waiting(request) or _begin(request, next_url=reverse("cas_saml:cas_login"), reauthenticate=True)
    try:
        outcome = sign_ins.submit_password(
            handle=handle,
            identifier=request.POST.get("username", ""),
            password=request.POST.get("password", ""),
            binding=cookies.browser_binding(request),
            context=request.context,
            session=request.sso_session,
        )
    except IdentityError as error:
        return _refuse_json(error)
    return follow(request, outcome, handle)


def _waiting(request: Request) -> str:
    """The handle of the sign-in that waits for a password in this browser, "" where none does."""
    handle = request.POST.get("transaction", "") or cookies.read(cookies.WAITING, request)
    tenant, binding = tenant_of(request), cookies.browser_binding(request)
    row = sign_ins.find(handle=handle, tenant=tenant, binding=binding)
    return handle if row is not None and row.state == LoginState.START else ""


# Refusals and pieces ---------------------------------------------------------------------------------------


def _refuse(request: Request, error: IdentityError) -> HttpResponse:
    """Refuse a login request on our own page: nothing is redirected to an address that is not known (S44)."""
    context = request.context
    log.info("cas.refused", extra={"reason": error.error_code, "detail": error.log_detail})
    audit.record(
        EventType.TICKET_GRANT,
        tenant=context.tenant,
        outcome=AuditOutcome.REFUSED,
        reason=error.error_code,
        context=context,
        dialect=tickets.PROTOCOL,
    )
    accept = request.headers.get("Accept", "")
    if "application/json" in accept and "text/html" not in accept:
        return _refuse_json(error)
    page = {
        "error_code": error.error_code,
        "error_msg": error.message,
        "request_id": context.request_id,
        "is_unknown_service": isinstance(error, NotFound),
    }
    response = _protect(render(request, "cas_saml/error.html", page, status=400))
    # Under no-referrer a browser sends the page's own forms with `Origin: null`, which the CSRF check rightly refuses.
    response["Referrer-Policy"] = "same-origin"
    return response


def _refuse_json(error: IdentityError) -> HttpResponse:
    body = {"error_code": error.error_code, "error_msg": error.message}
    if not isinstance(error, TooManyRequests):
        return _protect(JsonResponse(body, status=400))
    response = _protect(JsonResponse(body, status=429))
    response["Retry-After"] = str(error.retry_after_seconds)
    return response


def _record(request: Request, error: CASError) -> None:
    """Log and audit a refused validation, after whatever it had begun."""
    log.info("cas.refused", extra={"reason": error.fault.value, "detail": error.log_detail})
    audit.record(
        EventType.TICKET_VALIDATE,
        tenant=tenant_of(request),
        outcome=AuditOutcome.REFUSED,
        reason=error.fault.value,
        context=request.context,
        client_id=error.service_ref,
        dialect=tickets.PROTOCOL,
    )


def _redirect(address: str) -> HttpResponse:
    """Send the browser on. The address stays the text that it is, for the service compares it."""
    response = HttpResponse(status=302)
    response["Location"] = address
    return _protect(response)


def _protect(response: HttpResponse) -> HttpResponse:
    """Keep tickets and addresses out of caches and Referer headers."""
    response["Cache-Control"] = "no-store"
    response["Pragma"] = "no-cache"
    response["Referrer-Policy"] = "no-referrer"
    return response
