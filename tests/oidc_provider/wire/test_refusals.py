"""How a dialect may spell and deliver a fault, at the one renderer."""

from __future__ import annotations

import json
from dataclasses import replace
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from django.urls import resolve

from identity.context import RequestContext
from identity.events import EventType
from identity.models import AuditEvent, Tenant
from identity.views.machines import view
from oidc_provider.dialects.base import Delivery, Dialect, EndpointName, Refusal
from oidc_provider.dialects.standard import STANDARD
from oidc_provider.errors import ROWS, Fault, OAuthError, RedirectTarget
from oidc_provider.wire import machine
from oidc_provider.wire.refusals import refuse
from tests.factories import make_tenant

pytestmark = pytest.mark.django_db

TARGET = RedirectTarget("https://rp.example/cb", "query", "s t", "https://id.example", "wiki")
JAPANESE = "必須パラメータがありません。"


@pytest.fixture
def tenant(db: None) -> Tenant:
    return make_tenant()


@pytest.fixture
def request_(tenant: Tenant) -> HttpRequest:
    request = RequestFactory().get("/oauth2/authorize")
    request.context = RequestContext(tenant=tenant, request_id="r1")  # type: ignore[attr-defined]
    request.sso_session = None  # type: ignore[attr-defined]
    request.resolver_match = resolve("/oauth2/token")
    return request


def refuse_json(error: OAuthError, *, request: Any, dialect: Dialect) -> HttpResponse:
    """As a program is refused at the token endpoint."""

    def endpoint(asked: machine.Request) -> machine.Answer:
        return machine.refuse(error, asked, event=EventType.TOKEN_GRANT)

    response = view(machine.endpoint(endpoint, EndpointName.TOKEN))(request, dialect=dialect)
    assert isinstance(response, HttpResponse)
    return response


def spelled(**values: Any) -> Dialect:
    """The standard dialect with its own spelling of one fault."""
    errors = {Fault.PROMPT: Refusal(source="Test-1", **values)}
    return replace(STANDARD, errors=MappingProxyType(errors))


def test_json_delivery_shows_the_refusal_and_redirects_nothing(request_: HttpRequest) -> None:
    dialect = replace(STANDARD, authorization_errors=Delivery.JSON)
    response = refuse(OAuthError(Fault.PROMPT, redirect=TARGET), request=request_, dialect=dialect)
    body = {"error": "invalid_request", "error_description": ROWS[Fault.PROMPT].text}
    assert (response.status_code, json.loads(response.content)) == (400, body)


def test_error_address_carries_code_text_and_state(request_: HttpRequest) -> None:
    dialect = replace(
        spelled(error="own_code", text=JAPANESE), authorization_errors=Delivery.ERROR_ADDRESS, error_address="/error"
    )
    response = refuse(OAuthError(Fault.PROMPT, redirect=TARGET), request=request_, dialect=dialect)
    assert response.status_code == 302
    parts = urlsplit(response["Location"])
    assert (parts.netloc, parts.path, parts.query.isascii()) == ("", "/error", True)
    assert parse_qs(parts.query) == {"error": ["own_code"], "error_description": [JAPANESE], "state": ["s t"]}


def test_one_fault_may_be_delivered_otherwise_than_the_rest(request_: HttpRequest) -> None:
    dialect = spelled(delivery=Delivery.PAGE, status=418)
    shown = refuse(OAuthError(Fault.PROMPT, redirect=TARGET), request=request_, dialect=dialect)
    assert (shown.status_code, "Location" in shown) == (418, False)
    redirected = refuse(OAuthError(Fault.MAX_AGE, redirect=TARGET), request=request_, dialect=dialect)
    assert redirected["Location"].startswith("https://rp.example/cb?error=invalid_request&")


@pytest.mark.security("S6")
def test_a_fault_without_a_good_address_is_shown(request_: HttpRequest) -> None:
    response = refuse(OAuthError(Fault.REDIRECT_URI), request=request_, dialect=STANDARD)
    assert (response.status_code, "Location" in response) == (400, False)


@pytest.mark.parametrize("fault", list(Fault))
def test_every_fault_can_be_rendered_both_ways_and_is_audited(request_: HttpRequest, fault: Fault) -> None:
    spec = ROWS[fault]
    for response in (
        refuse(OAuthError(fault), request=request_, dialect=STANDARD),
        refuse_json(OAuthError(fault, scope="openid"), request=request_, dialect=STANDARD),
    ):
        assert (response.status_code, response["Cache-Control"]) == (spec.status, "no-store")
    events = AuditEvent.objects.filter(outcome="refused", reason=fault.value, dialect="standard")
    assert events.count() == 2


@pytest.mark.spec("RFC9110-15.5.2")
@pytest.mark.parametrize("fault", [fault for fault in Fault if ROWS[fault].status in (401, 405, 503)])
def test_every_status_brings_the_header_it_must(request_: HttpRequest, fault: Fault) -> None:
    response = refuse_json(OAuthError(fault), request=request_, dialect=STANDARD)
    required = {401: "WWW-Authenticate", 405: "Allow", 503: "Retry-After"}
    assert response[required[response.status_code]]


@pytest.mark.spec("RFC6750-3")
@pytest.mark.parametrize(
    ("fault", "challenge"),
    [
        (Fault.ACCESS_TOKEN_MISSING, "Bearer"),
        (Fault.ACCESS_TOKEN, 'Bearer error="invalid_token", error_description="The access token is not valid."'),
        (Fault.CLIENT_AUTHENTICATION, 'Basic realm="token"'),
    ],
)
def test_challenges(request_: HttpRequest, fault: Fault, challenge: str) -> None:
    response = refuse_json(OAuthError(fault), request=request_, dialect=STANDARD)
    assert response["WWW-Authenticate"] == challenge


def test_texts_that_are_not_ascii_stay_out_of_headers(request_: HttpRequest) -> None:
    errors = {Fault.ACCESS_TOKEN: Refusal(source="Test-1", text=JAPANESE)}
    dialect = replace(STANDARD, errors=MappingProxyType(errors))
    response = refuse_json(OAuthError(Fault.ACCESS_TOKEN), request=request_, dialect=dialect)
    assert response["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    assert json.loads(response.content)["error_description"] == JAPANESE
