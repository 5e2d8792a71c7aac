"""Refuse a request that a browser brought: by page, as JSON, at the dialect's error address, or at the client."""

from __future__ import annotations

from urllib.parse import quote, urlencode

from django.http import HttpResponse, JsonResponse
from django.shortcuts import render

from identity import origins
from identity.browser.answers import protect, protect_page, redirect
from identity.events import EventType
from identity.http import Request
from oidc_provider.dialects.base import Delivery, Dialect
from oidc_provider.errors import OAuthError
from oidc_provider.wire import scripted
from oidc_provider.wire.answers import to_client
from oidc_provider.wire.spelling import error_uri, record, spell

SIGN_OUT = "sign_out"  # of an error address: which of our two titles the page has


def refuse(
    error: OAuthError,
    *,
    request: Request,
    dialect: Dialect,
    event: EventType = EventType.AUTHORIZATION_GRANT,
) -> HttpResponse:
    """Refuse a request that a person's browser brought: by page, or at the client (RFC6749-4.1.2.1)."""
    record(error, context=request.context, dialect=dialect, event=event)
    spelled = spell(error, dialect)
    delivery = spelled.delivery or dialect.authorization_errors
    if error.redirect is not None and error.redirect.is_asked_for:
        delivery = Delivery.REDIRECT
    if delivery is Delivery.REDIRECT and error.redirect is not None:
        target = error.redirect
        parameters = {**spelled.standard_body, **error_uri(dialect), "iss": target.issuer}
        if target.state:
            parameters["state"] = target.state
        return to_client(
            request, redirect_uri=target.redirect_uri, response_mode=target.response_mode, parameters=parameters
        )
    if delivery is Delivery.JSON or (delivery is not Delivery.ERROR_ADDRESS and scripted.wants_json(request)):
        return _at_its_time(error, protect(JsonResponse({**spelled.body, **error_uri(dialect)}, status=spelled.status)))
    if delivery is Delivery.ERROR_ADDRESS:
        state = error.state or (error.redirect.state if error.redirect else "")
        body = {**spelled.standard_body, **({"state": state} if state else {})}
        # Of an authorization request it is the document's address, to the letter; signing out is ours.
        asked = {**body, SIGN_OUT: "1"} if event is EventType.LOGOUT_REQUEST else body
        address = f"{origins.path_prefix()}{dialect.error_address}?{urlencode(asked, quote_via=quote)}"
        if scripted.is_scripted(request):
            # Pactera-3.1: a script gets the words themselves, and in a header the page that would show them.
            return scripted.with_path(request, protect(JsonResponse(body, status=spelled.status)), address)
        return redirect(request, address)
    page = {
        **spelled.standard_body,
        **error_uri(dialect),
        "language": "en" if spelled.text.isascii() else "ja",
        "request_id": request.context.request_id,
        "is_signing_out": event is EventType.LOGOUT_REQUEST,
    }
    return _at_its_time(error, protect_page(render(request, "oidc_provider/error.html", page, status=spelled.status)))


def show(request: Request, *, error: str, text: str, is_signing_out: bool) -> HttpResponse:
    """Show the page of a dialect's own error address. Both texts are of our catalogues; "" where they were not."""
    page = {
        "error": error,
        "error_description": text,
        "language": "en" if text.isascii() else "ja",
        "request_id": request.context.request_id,
        "is_signing_out": is_signing_out,
    }
    return protect_page(render(request, "oidc_provider/error.html", page, status=400))


def _at_its_time(error: OAuthError, response: HttpResponse) -> HttpResponse:
    if error.retry_after_seconds is not None:
        response.status_code = 429
        response["Retry-After"] = str(error.retry_after_seconds)
    return response
