"""The consent page of the app's web view (decision 42).

The web view brings the app's proof once, as a header of its first request, or a ticket that the app was given for it.
From there the question is parked on the server, sealed and bound to the web view, so no address names a user.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_safe

from identity import pending_requests
from identity.browser import answers, parking
from identity.errors import IdentityError
from identity.events import EventType
from identity.http import Request, tenant_of
from identity.models import SSOSession
from miniapp import app_session, parameters
from miniapp.errors import show
from oidc_provider import public
from oidc_provider.dialects.base import Dialect
from oidc_provider.errors import OAuthError, from_domain
from oidc_provider.public import ConsentQuestion

AGREE, REFUSE = "agree", "refuse"
REQUIRED = ("userId", "miniapp_id", "scope")
_TICKET = "ticket"
_LIFETIME = timedelta(minutes=30)  # a person reads
_TICKET_LIFETIME = timedelta(minutes=5)  # an app opens its web view at once


@dataclass(frozen=True)
class Parked:
    """A question that was asked with a proof: which session, which mini program, shown by which host application."""

    sid: str
    client_id: str
    scope: str  # as on the wire
    host: str  # client_id, "" where a session_token was the proof

    def question(self, request: Request, *, dialect: Dialect) -> tuple[ConsentQuestion, SSOSession]:
        """Ask it again: session, mini program, host application and access may have ended since. Raises OAuthError."""
        context = request.context
        session = app_session.by_sid(self.sid, context=context)
        question = public.ask(
            self.client_id, self.scope, user=session.user, host=self.host, dialect=dialect, context=context
        )
        public.check_access(question, user=session.user)
        return question, session


@csrf_protect  # the form is ours; the proof is not in it
def consent_page(request: Request, *, dialect: Dialect) -> HttpResponse:
    """Take the proof of the web view's first request, show the question, take the answer."""
    try:
        if request.method == "POST":
            return _take_answer(request, dialect=dialect)
        if parking.HANDLE_PARAMETER in request.GET:
            return _show_question(request, Parked(**parking.peek(request)), dialect=dialect)
        if _TICKET in request.GET:
            return _go(request, _to_page(request, _redeem(request)))
        return _go(request, _to_page(request, _begin(request, dialect=dialect)))
    except IdentityError as error:
        refusal = from_domain(error)
    except OAuthError as error:
        refusal = error
    return show(refusal, request=request, dialect=dialect, event=EventType.CONSENT_GRANT)


@require_safe
def agreed(request: Request) -> HttpResponse:
    """Return where the web view ends after the user agreed; the app sees this address and closes it."""
    return _page(request, "miniapp/answered.html", {"is_agreed": True})


@require_safe
def refused(request: Request) -> HttpResponse:
    """Return where the web view ends after the user refused."""
    return _page(request, "miniapp/answered.html", {"is_agreed": False})


def describe(request: Request, question: ConsentQuestion, parked: Parked) -> dict[str, object]:
    """Return the question for an app that draws its own page, and the address of ours, which opens once."""
    context = request.context
    ticket = pending_requests.park(
        tenant=tenant_of(request),
        path=_ticket_path(),
        payload=asdict(parked),
        binding=_TICKET,  # nobody's browser yet: the ticket itself is the proof
        lifetime=_TICKET_LIFETIME,
    )
    new = {text.name for text in question.new}
    return {
        "isAuthorized": question.is_answered,
        "miniapp_name": question.mini_program,
        "scopes": [
            {
                "scope": text.name,
                "title": str(text.title),
                "description": str(text.description),
                "is_new": text.name in new,
            }
            for text in [*question.new, *question.already]
        ],
        "consent_uri": context.origin + _address(request, _TICKET, ticket),
    }


def _begin(request: Request, *, dialect: Dialect) -> Parked:
    context = request.context
    params = parameters.read(request, required=REQUIRED)
    app = app_session.prove(params, authorization=request.headers.get("Authorization", ""), context=context)
    client_id, scope = params["miniapp_id"], params["scope"]
    question = public.ask(client_id, scope, user=app.user, host=app.host_id, dialect=dialect, context=context)
    public.check_access(question, user=app.user)
    return Parked(app.open(context).sid, client_id, scope, app.host_id)


def _show_question(request: Request, parked: Parked, *, dialect: Dialect) -> HttpResponse:
    question, session = parked.question(request, dialect=dialect)
    if question.is_answered:
        return _go(request, reverse("miniapp:agreed"))
    return _page(
        request,
        "miniapp/consent.html",
        {
            "mini_program": question.mini_program,
            "logo_url": question.logo_url,
            "user": session.user,
            "scopes": question.new,
            "already": question.already,
            "form": forms.Form(),
        },
    )


def _take_answer(request: Request, *, dialect: Dialect) -> HttpResponse:
    pressed = request.POST.get("decision", "")
    if pressed not in (AGREE, REFUSE):
        return _show_question(request, Parked(**parking.peek(request)), dialect=dialect)
    context = request.context
    parked = Parked(**parking.consume(request))
    question, session = parked.question(request, dialect=dialect)
    if pressed == AGREE:
        public.agree(question, session=session, context=context)
        return _go(request, reverse("miniapp:agreed"))
    public.decline(question, session=session, dialect=dialect, context=context)
    return _go(request, reverse("miniapp:refused"))


# Parking ---------------------------------------------------------------------------------------------------


def _to_page(request: Request, parked: Parked) -> str:
    handle = parking.keep(request, request.path, asdict(parked), lifetime=_LIFETIME)
    return _address(request, parking.HANDLE_PARAMETER, handle)


def _redeem(request: Request) -> Parked:
    handle = request.GET.get(_TICKET, "")[:100]
    return Parked(
        **pending_requests.consume(tenant=tenant_of(request), path=_ticket_path(), handle=handle, bindings=[_TICKET])
    )


def _ticket_path() -> str:
    return f"{reverse('miniapp:consent')}#{_TICKET}"


def _address(request: Request, name: str, handle: str) -> str:
    # The page speaks as the app did, in whatever language its web view is.
    language = getattr(request, "LANGUAGE_CODE", "")
    return f"{reverse('miniapp:consent')}?{urlencode({name: handle, 'ui_locales': language})}"


# Answers ---------------------------------------------------------------------------------------------------


def _go(request: Request, address: str) -> HttpResponse:
    return answers.redirect(request, address, caching=answers.NO_STORE)


def _page(request: Request, template: str, page: dict[str, Any]) -> HttpResponse:
    return answers.protect_page(render(request, template, page), caching=answers.NO_STORE)
