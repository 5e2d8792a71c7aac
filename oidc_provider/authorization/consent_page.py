"""The consent page (OIDCC-3.1.2.4)."""

from __future__ import annotations

from dataclasses import replace

from django import forms
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from identity.browser import parking
from identity.browser.answers import protect_page
from identity.browser.content_security import allow_form_targets
from identity.browser.interaction import Step
from identity.errors import IdentityError
from identity.http import Request
from identity.languages import prefer
from identity.views import stale_forms
from oidc_provider.authorization import checks, interaction, scope_texts, views
from oidc_provider.authorization import consent as rules
from oidc_provider.authorization.consent import Wish
from oidc_provider.authorization.request import AuthorizationRequest, ParkedRequest
from oidc_provider.dialects.standard import STANDARD
from oidc_provider.errors import Fault, OAuthError, from_domain
from oidc_provider.wire.front import facts_of
from oidc_provider.wire.refusals import refuse


@stale_forms.leads_to(stale_forms.same_page)
@require_http_methods(["GET", "HEAD", "POST"])
def consent(request: Request) -> HttpResponse:
    """Show what a client asks for, and take the answer. The form carries our CSRF token; the rest is parked."""
    pressed = request.POST.get("decision", "")
    try:
        taken = parking.find(request, is_answered=pressed in ("allow", "deny"))
    except IdentityError as error:
        return refuse(from_domain(error), request=request, dialect=STANDARD)
    parked = ParkedRequest.from_json(taken.payload)
    if taken.is_over:
        # The page stood open too long for its answer to count; the question is put again where it still is one.
        return views.answer(request, parked)
    session = request.sso_session
    facts = facts_of(request, parked.dialect, app_code=parked.app_code)
    wanted: AuthorizationRequest | None = None
    try:
        wanted = checks.check(parked.params, facts=facts)
        decision = interaction.decide(wanted, session=session, passed=parked.passed)
        if decision.step is not Step.CONSENT or decision.wish is None:
            # Consent was given in another tab, or the session ended: the request goes its own way.
            return views.answer(request, parked)
        if pressed == "deny":
            raise OAuthError(Fault.CONSENT_REFUSED)
        assert session is not None  # `decide` asks for a sign-in where there is none
        if pressed == "allow":
            rules.record(decision.wish, client=wanted.client, session=session, context=facts.request)
            passed = replace(parked.passed, consent_sid=session.sid)
            return views.answer(request, parked.having(passed))
    except (OAuthError, IdentityError) as error:
        return refuse(views.at_client(error, wanted, facts=facts), request=request, dialect=parked.dialect)
    return _page(request, wanted, decision.wish)


def _page(request: Request, wanted: AuthorizationRequest, wish: Wish) -> HttpResponse:
    client = wanted.client
    # prompt=consent shows everything again, so nothing is merely "already allowed" then.
    is_again = "consent" in wanted.prompt
    new = wish.scopes if is_again else wish.new_scopes
    prefer(request, wanted.ui_locales)
    page = {
        "client_name": client.name or client.catalogue_entry.name,
        "application_name": client.catalogue_entry.name,
        "client_logo": client.catalogue_entry.logo_url,
        "user": request.user,
        "scopes": [
            *scope_texts.of_scopes(new, client=client),
            *scope_texts.of_claims(wish.claims if is_again else wish.new_claims),
        ],
        "already": scope_texts.of_scopes([scope for scope in wish.scopes if scope not in new], client=client),
        "form": forms.Form(),
    }
    response = protect_page(render(request, "oidc_provider/consent.html", page))
    allow_form_targets(response, [wanted.redirect_uri])
    return response
