"""An endpoint for programs needs no framework: a value in, a value out, refusals included."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import urlencode

import pytest
from django.utils.datastructures import CaseInsensitiveMapping

from identity.context import SYSTEM
from oidc_provider.dialects.base import EndpointName
from oidc_provider.dialects.standard import STANDARD
from oidc_provider.discovery import published
from oidc_provider.token import exchange, introspection, revocation, userinfo
from oidc_provider.wire.machine import Endpoint, NothingHere, Request
from tests.factories.oidc import CALLBACK, CLIENT_SECRET
from tests.support.machine import FORM, VERIFIER, Machine, basic

NewRequest = Callable[..., Request]


def unread() -> bytes:
    raise AssertionError("The body is read once somebody wants it, and not before.")


@pytest.fixture
def new_request(machine: Machine) -> NewRequest:
    def make(method: str = "POST", form: dict[str, str] | None = None, query: str = "", **headers: str) -> Request:
        sent = {"Authorization": basic(machine.client.client_id, CLIENT_SECRET), "content-type": FORM, **headers}
        body = urlencode(form).encode() if form is not None else None
        return Request(
            method=method,
            query=query,
            headers=CaseInsensitiveMapping(sent),
            read_body=unread if body is None else lambda: body,
            endpoint=EndpointName.TOKEN,
            dialect=STANDARD,
            context=machine.context.request,
        )

    return make


@pytest.fixture
def access_token(machine: Machine, new_request: NewRequest) -> str:
    form = {"grant_type": "authorization_code", "code": machine.code(), "redirect_uri": CALLBACK}
    answer = exchange.answer(new_request(form={**form, "code_verifier": VERIFIER}))
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
    return str(json.loads(answer.body)["access_token"])


def test_a_token_is_given_looked_at_and_revoked(machine: Machine, new_request: NewRequest, access_token: str) -> None:
    assert machine.user is not None
    ask = new_request("GET", Authorization=f"Bearer {access_token}")
    assert json.loads(userinfo.answer(ask).body)["sub"] == machine.user.public_id
    assert revocation.answer(new_request(form={"token": access_token})).status == 200
    gone = userinfo.answer(ask)
    assert (gone.status, json.loads(gone.body)["error"]) == (401, "invalid_token")
    assert gone.headers["WWW-Authenticate"].startswith('Bearer error="invalid_token"')


ENDPOINTS = (exchange.answer, introspection.answer, revocation.answer)


@pytest.mark.spec("RFC9110-15.5.6")
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_another_method_is_refused_before_the_body_is_read(new_request: NewRequest, endpoint: Endpoint) -> None:
    answer = endpoint(new_request("GET"))
    assert (answer.status, answer.headers["Allow"], answer.headers["Cache-Control"]) == (405, "POST", "no-store")


@pytest.mark.spec("RFC6749-2.3.1")
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_query_is_refused_before_the_body_is_read(new_request: NewRequest, endpoint: Endpoint) -> None:
    assert endpoint(new_request(query="client_secret=x")).status == 400


@pytest.mark.parametrize("endpoint", [published.discovery, published.jwks])
def test_what_is_published_is_answered_with_its_tag(new_request: NewRequest, endpoint: Endpoint) -> None:
    first = endpoint(new_request("GET"))
    again = endpoint(new_request("GET", **{"If-None-Match": first.headers["ETag"]}))
    assert (first.status, again.status, again.body) == (200, 304, b"")
    assert again.headers == {name: value for name, value in first.headers.items() if name != "Content-Type"}
    refused = endpoint(new_request("POST"))
    assert (refused.status, refused.headers["Allow"], refused.body) == (405, "GET, HEAD", b"")


@pytest.mark.parametrize("endpoint", [published.discovery, published.jwks, userinfo.answer])
def test_there_is_nothing_on_a_host_without_a_tenant(new_request: NewRequest, endpoint: Endpoint) -> None:
    asked = replace(new_request("GET", Authorization="Bearer x"), context=SYSTEM)
    with pytest.raises(NothingHere):
        endpoint(asked)
