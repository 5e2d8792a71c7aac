"""Single logout (SAMLProf-4.4): a provider asks for it, or answers to a request that the browser carried there."""

from __future__ import annotations

from django.http import HttpResponse
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_safe

from cas_saml.saml import assertions, bindings, entity, logout, messages, providers, xml
from cas_saml.saml.errors import SAMLError
from cas_saml.saml.logout import LogoutRequest, LogoutResponse
from cas_saml.saml.models import ServiceProvider
from cas_saml.saml.sso import PROTOCOL
from cas_saml.saml.views.error_page import refuse
from cas_saml.saml.views.sign_on import receive
from identity.browser import parking
from identity.decorators import of_a_tenant
from identity.errors import IdentityError, NotFound
from identity.events import EventType
from identity.http import Request, tenant_of
from identity.models import SSOSession
from identity.views.logout import find_sign_out, leave, next_address

_CONTINUE, _ANSWERED, _FINISH = (f"cas_saml:saml_slo_{name}" for name in ("continue", "answered", "finish"))


@csrf_exempt  # a LogoutRequest is proved by its signature, an answer by the request that it names
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@of_a_tenant
def single_logout(request: Request) -> HttpResponse:
    """Take a LogoutRequest or a LogoutResponse. A POST comes without our cookies and is taken up again by a GET."""
    if request.method != "POST" and not {messages.REQUEST, messages.RESPONSE} & set(request.GET):
        return bindings.go(request, reverse("identity:logout"))
    try:
        incoming = receive(request)
        us, tenant = entity.of(request.context), tenant_of(request)
        if incoming.parameter == messages.RESPONSE:
            answer = logout.read_response(incoming, tenant=tenant, us=us)
            if request.method == "POST":
                return parking.park_post(request, _ANSWERED, answer.to_json(), caching=bindings.CACHING)
            return _note(request, answer)
        wanted = logout.read(incoming, tenant=tenant, us=us)
    except (IdentityError, xml.Refused) as error:
        return refuse(request, error, event=EventType.LOGOUT_REQUEST)
    if request.method == "POST":
        return parking.park_post(request, _CONTINUE, wanted.to_json(), caching=bindings.CACHING)
    return _sign_out(request, wanted)


@never_cache
@require_safe
@of_a_tenant
def resume(request: Request) -> HttpResponse:
    """Take up a LogoutRequest that was posted."""
    try:
        wanted = LogoutRequest.from_json(parking.consume(request))
    except IdentityError as error:
        return refuse(request, error, event=EventType.LOGOUT_REQUEST)
    return _sign_out(request, wanted)


@never_cache
@require_safe
@of_a_tenant
def answered(request: Request) -> HttpResponse:
    """Take up a LogoutResponse that was posted."""
    try:
        return _note(request, LogoutResponse(**parking.consume(request)))
    except IdentityError as error:
        return refuse(request, error, event=EventType.LOGOUT_REQUEST)


@never_cache
@require_safe
@of_a_tenant
def finish(request: Request) -> HttpResponse:
    """Answer the provider that asked, after the others were told through the browser."""
    try:
        parked = parking.consume(request)
        wanted = LogoutRequest.from_json(parked["request"])
        provider = providers.get_by_id(wanted.provider_id, tenant=tenant_of(request))
    except IdentityError as error:
        return refuse(request, error, event=EventType.LOGOUT_REQUEST)
    return _respond(request, wanted, provider, is_partial=logout.is_partial(parked["sessions"]))


def _sign_out(request: Request, wanted: LogoutRequest) -> HttpResponse:
    """End the sessions that the provider means, and lead this browser on where one of them is its own."""
    context = request.context
    own: SSOSession | None = request.sso_session
    provider = None
    try:
        provider = providers.get_by_id(wanted.provider_id, tenant=tenant_of(request))
        told = logout.ended_there(wanted, provider)
    except SAMLError as error:
        assert provider is not None
        return _respond(request, wanted, provider, error=error)
    except IdentityError as error:
        return refuse(request, error, event=EventType.LOGOUT_REQUEST)
    keys = sorted({row.session_id for row in told})
    logout.end_sessions(told, besides=own, provider=provider, context=context)
    if own is None or own.pk not in keys:
        return _respond(request, wanted, provider, is_partial=logout.is_partial(keys))
    back = parking.park(request, _FINISH, {"request": wanted.to_json(), "sessions": keys})
    return bindings.protect(leave(request, return_url=back, initiator=(PROTOCOL, provider.public_id)))


def _respond(
    request: Request,
    wanted: LogoutRequest,
    provider: ServiceProvider,
    *,
    error: SAMLError | None = None,
    is_partial: bool = False,
) -> HttpResponse:
    """Send the LogoutResponse; to our own page where the provider takes none."""
    us = entity.of(request.context)
    answer = logout.response_for(wanted, provider, us=us, error=error, is_partial=is_partial)
    if answer is None:
        return bindings.go(request, reverse("identity:logged_out"))
    binding, address, message = answer
    return bindings.send(
        request,
        binding=binding,
        address=address,
        parameter=messages.RESPONSE,
        message=message,
        relay_state=wanted.relay_state,
        credential=assertions.credential_for(provider, provider.tenant),
        algorithm=provider.signature_algorithm,
    )


def _note(request: Request, answer: LogoutResponse) -> HttpResponse:
    """Note what a provider answered, and let the browser go on."""
    sign_out = find_sign_out(request, answer.relay_state)
    if sign_out is None:
        raise NotFound("PARAM.0014", log_detail="no sign-out of this browser")
    logout.note_answer(answer, sign_out)
    return bindings.go(request, next_address(sign_out.handle))
