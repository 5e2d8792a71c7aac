"""Single sign-on, started by a provider (SAMLProf-4.1) or here (OneAccess-3.3.3.1)."""

from __future__ import annotations

from django.http import HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_safe

from cas_saml.decorators import of_a_tenant
from cas_saml.saml import bindings, entity, interaction, messages, providers, requests, sso, xml
from cas_saml.saml.errors import MessageRefused, Refusal, SAMLError, from_domain
from cas_saml.saml.messages import Incoming
from cas_saml.saml.models import ServiceProvider
from cas_saml.saml.requests import AuthnRequest
from cas_saml.saml.views.error_page import refuse
from identity.browser import interaction as browser
from identity.browser import parking
from identity.browser.interaction import Passed, Step
from identity.errors import ApplicationDisabled, IdentityError
from identity.events import EventType
from identity.http import Request, tenant_of


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
            request, "cas_saml:saml_sso_continue", interaction.to_json(wanted, Passed()), caching=bindings.CACHING
        )
    return _answer(request, wanted, Passed(), provider)


@never_cache
@require_safe
@of_a_tenant
def resume(request: Request) -> HttpResponse:
    """Take up a request after a POST, or after the user has done something for it."""
    try:
        wanted, passed = interaction.from_json(parking.take_up(request).payload)
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
    us = entity.of(context)
    try:
        provider = provider or providers.get_by_id(wanted.provider_id, tenant=tenant_of(request))
        requests.check_consumer(wanted, provider)
        step = interaction.decide(wanted, provider=provider, session=session, passed=passed)
        if step is not None:
            return _ask(request, step, wanted, passed, provider)
        assert session is not None  # `decide` asks for a sign-in where there is none
        response = sso.answer(wanted, provider=provider, session=session, entity=us, context=context)
    except MessageRefused as error:
        return refuse(request, error, event=EventType.ASSERTION_GRANT)
    except (IdentityError, SAMLError) as error:
        if provider is None or (wanted.is_unsolicited and isinstance(error, IdentityError)):
            return refuse(request, error, event=EventType.ASSERTION_GRANT, provider=provider)
        return _tell(request, error, wanted, provider)
    return _post(request, wanted, response)


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
    return _post(request, wanted, response)


def _post(request: Request, wanted: AuthnRequest, response: bytes) -> HttpResponse:
    fields = bindings.form_fields(messages.RESPONSE, response, relay_state=wanted.relay_state)
    return bindings.auto_post(request, address=wanted.consumer_url, fields=fields)


def _ask(request: Request, step: Step, wanted: AuthnRequest, passed: Passed, provider: ServiceProvider) -> HttpResponse:
    """Park the request and send the browser to identity's pages, which send it back."""
    handle = browser.ask(
        request,
        step,
        demands=interaction.demands_of(wanted),
        application=provider.application,
        route="cas_saml:saml_sso_continue",
        payload=interaction.to_json(wanted, passed.after(step)),
    )
    return bindings.go(request, browser.sign_in_page(handle))
