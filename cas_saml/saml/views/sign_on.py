"""Single sign-on, started by a provider (SAMLProf-4.1) or here (OneAccess-3.3.3.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_safe

from cas_saml.saml import bindings, entity, messages, providers, requests, sso, xml
from cas_saml.saml.errors import Fault, MessageRefused, Refusal, SAMLError, from_domain
from cas_saml.saml.messages import Incoming
from cas_saml.saml.models import ServiceProvider
from cas_saml.saml.requests import AuthnRequest
from cas_saml.saml.views.error_page import refuse
from identity.browser import interaction as browser
from identity.browser import parking
from identity.browser.interaction import Demands, FactorMissing, Passed, Step
from identity.decorators import of_a_tenant
from identity.errors import ApplicationDisabled, IdentityError
from identity.events import EventType
from identity.http import Request, tenant_of
from identity.models import SSOSession


@csrf_exempt  # another site's page may send it, as it may send a GET; nothing is granted by it without our cookies
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@of_a_tenant
def single_sign_on(request: Request) -> HttpResponse:
    """Take an AuthnRequest (SAMLProf-4.1), or begin a sign-in for the provider that `sp` names.

    A POST may come from a page of another site, without our cookies (SameSite=Lax). It is checked, parked, and taken
    up again by a GET of our own.
    """
    try:
        if request.method != "POST" and messages.REQUEST not in request.GET:
            return _unsolicited(request)
        incoming = receive(request)
        wanted, provider = requests.read(incoming, tenant=tenant_of(request), entity=entity.of(request.context))
    except (IdentityError, xml.Refused) as error:
        return refuse(request, error, event=EventType.ASSERTION_GRANT)
    if request.method == "POST":
        return parking.park_post(
            request, "cas_saml:saml_sso_continue", _payload(wanted, Passed()), caching=bindings.CACHING
        )
    return _answer(request, wanted, Passed(), provider)


@never_cache
@require_safe
@of_a_tenant
def resume(request: Request) -> HttpResponse:
    """Take up a request after a POST, or after the user has done something for it."""
    try:
        wanted, passed = _of_payload(parking.take_up(request).payload)
    except IdentityError as error:
        return refuse(request, error, event=EventType.ASSERTION_GRANT)
    return _answer(request, wanted, passed)


def receive(request: Request) -> Incoming:
    """Read the message of a request, by either binding. Raises MessageRefused and xml.Refused."""
    if request.method == "POST":
        return messages.from_form(dict(request.POST.lists()))
    return messages.from_query(request.META.get("QUERY_STRING", ""))


def _unsolicited(request: Request) -> HttpResponse:
    """OneAccess-3.3.3.1: `sp` is the entity ID, compared character by character. No other parameter counts (S22)."""
    if len(request.GET.getlist("sp")) > 1:
        raise MessageRefused(Refusal.PARAMETER)  # S45
    provider = providers.get(request.GET.get("sp", ""), tenant=tenant_of(request))
    if not provider.allow_unsolicited:
        raise ApplicationDisabled(log_detail=f"service_provider={provider.public_id} takes no unsolicited assertions")
    return _answer(request, requests.unsolicited(provider), Passed(), provider)


def _answer(
    request: Request, wanted: AuthnRequest, passed: Passed, provider: ServiceProvider | None = None
) -> HttpResponse:
    """Check everything, then ask the user or answer the provider.

    provider: as this very request has read it. Without one, after a request was parked, what was checked before is
    checked again (S43).
    """
    session = request.sso_session
    context = request.context
    try:
        if provider is None:
            provider = providers.get_by_id(wanted.provider_id, tenant=tenant_of(request))
            requests.check_consumer(wanted, provider)
        step = _decide(wanted, provider=provider, session=session, passed=passed)
        if step is not None:
            return _ask(request, step, wanted, passed, provider)
        assert session is not None  # `decide` asks for a sign-in where there is none
        response = sso.answer(wanted, provider=provider, session=session, entity=entity.of(context), context=context)
    except MessageRefused as error:
        return refuse(request, error, event=EventType.ASSERTION_GRANT)
    except (IdentityError, SAMLError) as error:
        if provider is None or (wanted.is_unsolicited and isinstance(error, IdentityError)):
            return refuse(request, error, event=EventType.ASSERTION_GRANT, provider=provider)
        return _tell(request, error, wanted, provider)
    return bindings.post(
        request,
        address=wanted.consumer_url,
        parameter=messages.RESPONSE,
        message=response,
        relay_state=wanted.relay_state,
    )


def _demands_of(wanted: AuthnRequest) -> Demands:
    """Return what the request demands of the sign-in behind it."""
    return Demands(reauthenticate=wanted.force_authn, required_acr=wanted.wish.required_acr)


def _decide(
    wanted: AuthnRequest, *, provider: ServiceProvider, session: SSOSession | None, passed: Passed
) -> Step | None:
    """Find what the user must do next.

    Raises SAMLError where no step helps, AccessDenied and ApplicationDisabled if the user may not come in.
    """
    if wanted.fault:
        raise SAMLError(Fault(wanted.fault))
    try:
        step = browser.next_step(_demands_of(wanted), application=provider.application, session=session, passed=passed)
    except FactorMissing as error:
        raise SAMLError(Fault.AUTHN_CONTEXT, log_detail=error.log_detail) from error
    if wanted.is_passive and step is not None:
        # SAMLCore-3.4.1: the identity provider must not visibly take control.
        raise SAMLError(Fault.PASSIVE, log_detail=step.name)
    return step


def _tell(
    request: Request, error: IdentityError | SAMLError, wanted: AuthnRequest, provider: ServiceProvider
) -> HttpResponse:
    """Let the provider hear of a refusal; nobody asked where the sign-in started here, so then it is our page."""
    told = error if isinstance(error, SAMLError) else from_domain(error)
    if wanted.is_unsolicited:
        refusal = MessageRefused(told.fault.value, log_detail=told.log_detail, client_ref=provider.public_id)
        return refuse(request, refusal, event=EventType.ASSERTION_GRANT, provider=provider)
    context = request.context
    try:
        response = sso.refuse(told, wanted, provider=provider, entity=entity.of(context), context=context)
    except MessageRefused as repeated:
        return refuse(request, repeated, event=EventType.ASSERTION_GRANT, provider=provider)
    return bindings.post(
        request,
        address=wanted.consumer_url,
        parameter=messages.RESPONSE,
        message=response,
        relay_state=wanted.relay_state,
    )


def _ask(request: Request, step: Step, wanted: AuthnRequest, passed: Passed, provider: ServiceProvider) -> HttpResponse:
    """Park the request and send the browser to identity's pages, which send it back."""
    handle = browser.ask(
        request,
        step,
        demands=_demands_of(wanted),
        application=provider.application,
        route="cas_saml:saml_sso_continue",
        payload=_payload(wanted, passed.after(step)),
    )
    return bindings.go(request, browser.sign_in_page(handle))


def _payload(wanted: AuthnRequest, passed: Passed) -> dict[str, Any]:
    """Spell it as the payload of a parked request."""
    return {"request": wanted.to_json(), "passed": passed.to_json()}


def _of_payload(document: Mapping[str, Any]) -> tuple[AuthnRequest, Passed]:
    """Read back what `_payload` wrote."""
    return AuthnRequest.from_json(document["request"]), Passed.from_json(document["passed"])
