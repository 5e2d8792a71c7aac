"""The operations of the app: /auth/isAuthorized, /oidc/authcode, and consent as JSON (Pactera-3.5, Pactera-3.6)."""

from __future__ import annotations

from django.http import HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from identity.decorators import machine_endpoint
from identity.events import EventType
from identity.http import Request
from identity.views import stale_forms
from miniapp import app_session, consent_page, parameters
from miniapp.consent_page import AGREE, REFUSE
from miniapp.errors import CONSENT_ROWS, refuse
from oidc_provider import public
from oidc_provider.dialects.base import Dialect
from oidc_provider.errors import Fault, OAuthError

# What must be sent, in the order in which the missing ones are named.
_AUTHCODE = ("userId", "client_id", "redirect_uri", "response_type", "scope", "state")


@machine_endpoint
@csrf_exempt  # nothing here looks at a cookie
@require_http_methods(["GET", "HEAD", "POST"])
def is_authorized(request: Request, *, dialect: Dialect) -> HttpResponse:
    """Tell whether the user has consented to this mini program; with a scope, to all of it (Pactera-3.5)."""
    context = request.context
    try:
        params = parameters.read(request, required=("userId", "miniapp_id"))
        app = app_session.prove(params, authorization=request.headers.get("Authorization", ""), context=context)
        question = public.ask(
            params["miniapp_id"],
            params.get("scope", ""),
            user=app.user,
            host=app.host_id,
            dialect=dialect,
            context=context,
        )
        public.record_check(question, user=app.user, host=app.host, dialect=dialect, context=context)
    except OAuthError as error:
        return refuse(error, request=request, dialect=dialect, event=EventType.CONSENT_CHECK, rows=CONSENT_ROWS)
    return _answer({"isAuthorized": question.is_answered})


@machine_endpoint
@csrf_exempt  # nothing here looks at a cookie
@require_http_methods(["GET", "HEAD", "POST"])
def authcode(request: Request, *, dialect: Dialect) -> HttpResponse:
    """Give a mini program an authorization code for the user of the app, as JSON (Pactera-3.6)."""
    context = request.context
    event = EventType.AUTHORIZATION_GRANT
    state = ""
    try:
        params = parameters.read(request, required=_AUTHCODE)
        state = params["state"]
        app = app_session.prove(params, authorization=request.headers.get("Authorization", ""), context=context)
        answer = public.issue_code(
            params,
            user=app.user,
            open_session=lambda: app.open(context),
            host=app.host,
            dialect=dialect,
            context=context,
        )
    except OAuthError as error:
        error.state = error.state or state
        return refuse(error, request=request, dialect=dialect, event=event, has_state=True)
    return _answer(dict(answer))


@stale_forms.leads_to(stale_forms.same_page)
@machine_endpoint
@csrf_exempt  # the page's form is checked by itself; a JSON call looks at no cookie
@require_http_methods(["GET", "HEAD", "POST"])
def consent(request: Request, *, dialect: Dialect) -> HttpResponse:
    """Ask the user for consent: by a page in the web view, or as JSON for an app that draws its own (decision 42)."""
    if request.method == "POST" and request.content_type == parameters.JSON:
        return _consent_by_json(request, dialect=dialect)
    return consent_page.consent_page(request, dialect=dialect)


def _consent_by_json(request: Request, *, dialect: Dialect) -> HttpResponse:
    """Without a decision: what would be asked, and the address of the page that asks it. With one: record it."""
    context = request.context
    try:
        params = parameters.read_json(request, required=consent_page.REQUIRED)
        decision = params.get("decision", "")
        if decision not in ("", AGREE, REFUSE):
            raise OAuthError(Fault.MALFORMED_PARAMETER, log_detail="decision")
        app = app_session.prove(params, authorization=request.headers.get("Authorization", ""), context=context)
        question = public.ask(
            params["miniapp_id"], params["scope"], user=app.user, host=app.host_id, dialect=dialect, context=context
        )
        public.check_access(question, user=app.user)
        session = app.open(context)
        if decision == AGREE:
            public.agree(question, session=session, context=context)
            return _answer({"isAuthorized": True})
        if decision == REFUSE:
            public.decline(question, session=session, dialect=dialect, context=context)
            return _answer({"isAuthorized": question.is_answered})
    except OAuthError as error:
        return refuse(error, request=request, dialect=dialect, event=EventType.CONSENT_GRANT, rows=CONSENT_ROWS)
    parked = consent_page.Parked(session.sid, params["miniapp_id"], params["scope"], app.host_id)
    return _answer(consent_page.describe(request, question, parked))


def _answer(body: dict[str, object]) -> HttpResponse:
    response = JsonResponse(body)
    response["Cache-Control"] = "no-store"
    return response
