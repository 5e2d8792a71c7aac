"""The one renderer of refusals: logs, audits, and lets the dialect spell and deliver them.

It runs after the rollback: whatever the refused request had begun to write is gone by then.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from django.http import HttpResponse, JsonResponse
from django.shortcuts import render

from identity import audit, origins
from identity.browser.answers import protect, protect_page, redirect
from identity.events import EventType
from identity.http import Request
from identity.models import AuditOutcome
from oidc_provider.dialects.base import Delivery, Dialect, EndpointName
from oidc_provider.errors import Fault, OAuthError
from oidc_provider.wire import scripted
from oidc_provider.wire.answers import to_client

log = logging.getLogger(__name__)

RETRY_AFTER_SECONDS = 10
SIGN_OUT = "sign_out"  # of an error address: which of our two titles the page has
# RFC6750-3: these are answered with a challenge for a bearer token; invalid_client with one for Basic.
_BEARER = frozenset(
    {
        Fault.ACCESS_TOKEN_MISSING,
        Fault.ACCESS_TOKEN,
        Fault.ACCESS_TOKEN_TWICE,
        Fault.ACCESS_TOKEN_IN_QUERY,
        Fault.INSUFFICIENT_SCOPE,
    }
)


def refuse(
    error: OAuthError,
    *,
    request: Request,
    dialect: Dialect,
    event: EventType = EventType.AUTHORIZATION_GRANT,
) -> HttpResponse:
    """Refuse a request that a person's browser brought: by page, or at the client (RFC6749-4.1.2.1)."""
    _record(error, request=request, dialect=dialect, event=event)
    spelling = _spelling(error, dialect)
    delivery = spelling.delivery or dialect.authorization_errors
    if error.redirect is not None and error.redirect.is_asked_for:
        delivery = Delivery.REDIRECT
    if delivery is Delivery.REDIRECT and error.redirect is not None:
        target = error.redirect
        parameters = {**_standard_body(spelling), **_error_uri(dialect), "iss": target.issuer}
        if target.state:
            parameters["state"] = target.state
        return to_client(
            request, redirect_uri=target.redirect_uri, response_mode=target.response_mode, parameters=parameters
        )
    if delivery is Delivery.JSON or (delivery is not Delivery.ERROR_ADDRESS and scripted.wants_json(request)):
        return _at_its_time(
            error, protect(JsonResponse({**_body(spelling), **_error_uri(dialect)}, status=spelling.status))
        )
    if delivery is Delivery.ERROR_ADDRESS:
        state = error.state or (error.redirect.state if error.redirect else "")
        body = {**_standard_body(spelling), **({"state": state} if state else {})}
        # Of an authorization request it is the document's address, to the letter; signing out is ours.
        asked = {**body, SIGN_OUT: "1"} if event is EventType.LOGOUT_REQUEST else body
        address = f"{origins.path_prefix()}{dialect.error_address}?{urlencode(asked, quote_via=quote)}"
        if scripted.is_scripted(request):
            # Pactera-3.1: a script gets the words themselves, and in a header the page that would show them.
            return scripted.with_path(request, protect(JsonResponse(body, status=spelling.status)), address)
        return redirect(request, address)
    page = {
        **_standard_body(spelling),
        **_error_uri(dialect),
        "language": "en" if spelling.text.isascii() else "ja",
        "request_id": request.context.request_id,
        "is_signing_out": event is EventType.LOGOUT_REQUEST,
    }
    return _at_its_time(error, protect_page(render(request, "oidc_provider/error.html", page, status=spelling.status)))


def refuse_json(
    error: OAuthError, *, request: Request, dialect: Dialect, event: EventType = EventType.TOKEN_GRANT
) -> HttpResponse:
    """Refuse a request that a program sent (RFC6749-5.2, RFC6750-3)."""
    _record(error, request=request, dialect=dialect, event=event)
    spelling = _spelling(error, dialect)
    body = {**_body(spelling), **_error_uri(dialect)} if spelling.error else {}
    status = spelling.status
    if spelling.error == "invalid_client" and request.headers.get("Authorization"):
        status = 401  # RFC6749-5.2: who used the header hears it in a header, whatever the dialect's status is.
    response = protect(JsonResponse(body, status=status))
    if error.fault in _BEARER:
        # The challenge is for standard clients, so it has the RFC's code (RFC6750-3.1); the body has the dialect's.
        challenge = {"error": error.spec.error, "error_description": spelling.text} if error.spec.error else {}
        challenge |= {"scope": error.scope} if error.scope else {}
        response["WWW-Authenticate"] = _challenge("Bearer", challenge)
    elif status == 401:
        # RFC9110-15.5.2: every 401 has a challenge; RFC6749-5.2: in the scheme that clients may use here.
        response["WWW-Authenticate"] = _challenge("Basic", {"realm": "token"})
    elif status == 405:
        response["Allow"] = _methods(request, dialect)  # RFC9110-15.5.6
    elif status == 503:
        response["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return _at_its_time(error, response)


def _at_its_time(error: OAuthError, response: HttpResponse) -> HttpResponse:
    if error.retry_after_seconds is not None:
        response.status_code = 429
        response["Retry-After"] = str(error.retry_after_seconds)
    return response


@dataclass(frozen=True)
class _Spelling:
    """How one refusal is said."""

    status: int
    error: str
    text: str
    delivery: Delivery | None = None
    members: tuple[str, str] = ("error", "error_description")


def _spelling(error: OAuthError, dialect: Dialect) -> _Spelling:
    """The dialect's spelling, completed from the catalogue."""
    spec, own = error.spec, dialect.refusal(error.fault)
    if own is None:
        return _Spelling(status=spec.status, error=spec.error, text=spec.text)
    return _Spelling(
        delivery=own.delivery,
        status=own.status or spec.status,
        error=own.error or spec.error,
        text=(own.text(error) if callable(own.text) else own.text) or spec.text,
        members=own.members,
    )


def _body(spelling: _Spelling) -> dict[str, str]:
    return dict(zip(spelling.members, (spelling.error, spelling.text), strict=True))


def _standard_body(spelling: _Spelling) -> dict[str, str]:
    return {"error": spelling.error, "error_description": spelling.text}


def _error_uri(dialect: Dialect) -> dict[str, str]:
    return {"error_uri": dialect.error_uri} if dialect.error_uri else {}


def show(request: Request, *, error: str, text: str, is_signing_out: bool) -> HttpResponse:
    """The page of a dialect's own error address. Both texts are of our catalogues; "" where they were not."""
    page = {
        "error": error,
        "error_description": text,
        "language": "en" if text.isascii() else "ja",
        "request_id": request.context.request_id,
        "is_signing_out": is_signing_out,
    }
    return protect_page(render(request, "oidc_provider/error.html", page, status=400))


def _methods(request: Request, dialect: Dialect) -> str:
    """The methods of this route; it is named after its endpoint."""
    name = (request.resolver_match.url_name or "") if request.resolver_match else ""
    methods = dialect.endpoints[EndpointName(name.rpartition("-")[2])].methods
    # RFC9110-9.1: HEAD is wherever GET is.
    return ", ".join("GET, HEAD" if method == "GET" else method for method in methods)


def _challenge(scheme: str, parameters: dict[str, str]) -> str:
    """RFC9110-11.6.1. The values are catalogue texts and scope tokens: ASCII without quotes."""
    pairs = ", ".join(f'{name}="{value}"' for name, value in parameters.items() if value.isascii())
    return f"{scheme} {pairs}".rstrip()


def _record(error: OAuthError, *, request: Request, dialect: Dialect, event: EventType) -> None:
    client_id = error.client_id or (error.redirect.client_id if error.redirect else "")
    reason = error.fault.value
    log.info(
        "oauth.refused",
        extra={"event_type": event.value, "reason": reason, "client_id": client_id, "detail": error.log_detail},
    )
    audit.record(
        event,
        tenant=request.context.tenant,
        outcome=AuditOutcome.REFUSED,
        reason=reason,
        context=request.context,
        client_id=client_id,
        dialect=dialect.name,
    )
