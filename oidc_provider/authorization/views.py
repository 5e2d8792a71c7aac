"""The authorization endpoint (OIDCC-3.1.2), and the way back to it after a page of ours."""

from __future__ import annotations

from dataclasses import replace

from django.http import HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_safe

from identity.browser import interaction as browser
from identity.browser import parking
from identity.browser.answers import redirect
from identity.browser.content_security import form_source
from identity.browser.interaction import Passed, Step
from identity.errors import IdentityError
from identity.http import Request
from oidc_provider.authorization import approval, checks, interaction
from oidc_provider.authorization.interaction import Decision
from oidc_provider.authorization.request import AuthorizationRequest, ParkedRequest
from oidc_provider.dialects.base import Dialect
from oidc_provider.dialects.standard import STANDARD
from oidc_provider.errors import OAuthError, from_domain
from oidc_provider.wire import scripted
from oidc_provider.wire.answers import to_client
from oidc_provider.wire.facts import Facts
from oidc_provider.wire.front import facts_of, form_parameters, query_parameters
from oidc_provider.wire.parameters import merge
from oidc_provider.wire.refusals import refuse


@csrf_exempt  # another site's page may send it, as it may send a GET; nothing is granted without pages of our own
@require_http_methods(["GET", "HEAD", "POST"])
def authorize(request: Request, *, dialect: Dialect, app_code: str = "") -> HttpResponse:
    """Take an authorization request. The route fixes the dialect.

    A POST may come from a page of another site, without our cookies (SameSite=Lax). It is checked, parked, and taken
    up again by a GET of our own.
    """
    try:
        params = query_parameters(request)
        if request.method == "POST":
            params = merge(params, form_parameters(request))
        params = params.respelled(dialect.to_rfc(params))
        parked = ParkedRequest(dialect, params, Passed(), app_code)
        if request.method == "POST":
            facts = facts_of(request, dialect, app_code=app_code)
            wanted = checks.check(params, facts=facts)
            response = parking.park_post(request, "oidc_provider:authorize_continue", parked.to_json())
            return _for_scripts(request, response, dialect, wanted)
    except OAuthError as error:
        return _for_scripts(request, refuse(error, request=request, dialect=dialect), dialect, None)
    return answer(request, parked)


@require_safe
def resume(request: Request) -> HttpResponse:
    """Take up a parked request: after a POST, or after the user has signed in, however long that took."""
    try:
        parked = ParkedRequest.from_json(parking.take_up(request).payload)
    except IdentityError as error:
        return refuse(from_domain(error), request=request, dialect=STANDARD)
    return answer(request, parked)


def answer(request: Request, parked: ParkedRequest) -> HttpResponse:
    """Check everything, then ask the user or answer the client. What was checked before is checked again (S43)."""
    session = request.sso_session
    facts = facts_of(request, parked.dialect, app_code=parked.app_code)
    wanted: AuthorizationRequest | None = None
    try:
        wanted = checks.check(parked.params, facts=facts)
        decision = interaction.decide(wanted, session=session, passed=parked.passed)
        if decision.step is not None:
            response = _ask(request, decision, wanted, parked)
        else:
            assert session is not None  # `decide` asks for a sign-in where there is none
            parameters = approval.approve(wanted, session=session, scopes=decision.scopes, facts=facts)
            response = to_client(
                request, redirect_uri=wanted.redirect_uri, response_mode=wanted.response_mode, parameters=parameters
            )
    except (OAuthError, IdentityError) as error:
        response = refuse(at_client(error, wanted, facts=facts), request=request, dialect=parked.dialect)
    return _for_scripts(request, response, parked.dialect, wanted)


def _for_scripts(
    request: Request, response: HttpResponse, dialect: Dialect, wanted: AuthorizationRequest | None
) -> HttpResponse:
    """Spell a redirect so that a script of the client can read it, where the dialect has such clients."""
    if not dialect.sends_path_header:
        return response
    origins = wanted.client.web_origins if wanted else ()
    return scripted.adapt(request, response, is_registered=lambda origin: origin in origins)


def at_client(error: OAuthError | IdentityError, wanted: AuthorizationRequest | None, *, facts: Facts) -> OAuthError:
    """Let a refusal be told to the client, once its address was found good and not before (S6)."""
    refusal = error if isinstance(error, OAuthError) else from_domain(error)
    if wanted is not None and refusal.redirect is None:
        refusal.redirect = wanted.target(issuer=facts.issuer)
    return refusal


def _ask(request: Request, decision: Decision, wanted: AuthorizationRequest, parked: ParkedRequest) -> HttpResponse:
    """Park the request and send the browser to the page where the user does what is missing."""
    step = decision.step
    assert step is not None
    if step is Step.CONSENT:
        return redirect(request, parking.park(request, "oidc_provider:consent", parked.to_json()))
    passed, demands = parked.passed.after(step), interaction.demands_of(wanted)
    handle = browser.ask(
        request,
        step,
        demands=replace(demands, required_acr=decision.wished_acr or demands.required_acr),
        application=wanted.client.catalogue_entry,
        route="oidc_provider:authorize_continue",
        payload=parked.having(passed).to_json(),
        login_hint=wanted.login_hint,
        ui_locales=" ".join(wanted.ui_locales),
        return_origins=[source for source in [form_source(wanted.redirect_uri)] if source],
    )
    return redirect(request, browser.sign_in_page(handle))
