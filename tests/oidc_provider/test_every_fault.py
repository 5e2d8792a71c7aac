"""Every row of the catalogue is caused by a request, and its refusal is audited by the fault's own name."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import RequestFactory
from django.urls import resolve
from django.utils import timezone

from identity.context import RequestContext
from identity.models import AuditEvent
from identity.sso import sessions
from identity.views.machines import view
from oidc_provider.clients.authentication import ASSERTION_TYPE
from oidc_provider.dialects.base import EndpointName
from oidc_provider.dialects.standard import STANDARD
from oidc_provider.errors import ROWS, Fault
from oidc_provider.grants import pkce
from oidc_provider.token import exchange
from oidc_provider.wire import machine as wire_machine
from tests.factories.oidc import CALLBACK
from tests.support.machine import FORM, VERIFIER, Machine, Signer, basic, end, end_the_grace

pytestmark = pytest.mark.django_db


class World:
    """A machine, and a browser of its user."""

    def __init__(self, new_machine: Callable[..., Machine]) -> None:
        self.new = new_machine
        self.machine = new_machine(may_introspect=True, application={"skip_consent": True})

    def sign_in(self, machine: Machine | None = None) -> None:
        machine = machine or self.machine
        assert machine.user is not None
        context = RequestContext(tenant=machine.context.tenant)
        _, machine.http.cookies["__Host-monban_session"] = sessions.start(
            user=machine.user, amr=["pwd"], context=context
        )

    def ask(self, machine: Machine | None = None, **changes: str | None) -> Any:
        """An authorization request of the browser; a parameter changed to None is left out."""
        machine = machine or self.machine
        params = {
            "client_id": machine.client.client_id,
            "redirect_uri": CALLBACK,
            "response_type": "code",
            "scope": "openid",
            "state": "s",
            "code_challenge": pkce.s256(VERIFIER),
            "code_challenge_method": "S256",
            **changes,
        }
        sent = {name: value for name, value in params.items() if value is not None}
        return machine.http.get("/oauth2/authorize", sent, secure=True)

    def silent(self, machine: Machine | None = None, **changes: str | None) -> Any:
        self.sign_in(machine)
        return self.ask(machine, prompt="none", **changes)

    def expired(self, act: Callable[[], Any], later: timedelta, then: Callable[[Any], Any]) -> Any:
        with time_machine.travel(timezone.now(), tick=False) as clock:
            made = act()
            clock.shift(later)
            return then(made)


def _assertion_twice(world: World) -> Any:
    signer = Signer()
    machine = world.new(token_endpoint_auth_method="private_key_jwt", jwks={"keys": [signer.jwk]})
    params = {
        "grant_type": "client_credentials",
        "client_assertion": signer.assertion(machine),
        "client_assertion_type": ASSERTION_TYPE,
    }
    machine.post("/oauth2/token", params)
    return machine.post("/oauth2/token", params)


def _used_code(world: World) -> Any:
    code = world.machine.code()
    world.machine.exchange(code)
    return world.machine.exchange(code)


def _used_refresh_token(world: World) -> Any:
    token = world.machine.tokens()["refresh_token"]
    world.machine.refresh(token)
    end_the_grace()
    return world.machine.refresh(token)


def _revoked_refresh_token(world: World) -> Any:
    token = world.machine.tokens()["refresh_token"]
    world.machine.revoke(token)
    return world.machine.refresh(token)


def _verifier_without_challenge(world: World) -> Any:
    machine = world.new(require_pkce=False)
    return machine.exchange(machine.code(code_challenge="", code_challenge_method=""))


def _after(world: World, event: str) -> Any:
    token = world.machine.tokens()["refresh_token"]
    end(world.machine, event)
    return world.machine.refresh(token)


def _implicit(world: World) -> Any:
    machine = world.new(allow_implicit=True, grant_types=["implicit"], response_types=["id_token"])
    return world.ask(machine, response_type="id_token", code_challenge=None, code_challenge_method=None)


def _other_subject(world: World) -> Any:
    return world.silent(claims=json.dumps({"id_token": {"sub": {"value": "somebody-else"}}}))


def _unreachable_assurance(world: World) -> Any:
    return world.silent(claims=json.dumps({"id_token": {"acr": {"essential": True, "value": "urn:unknown"}}}))


def _higher_assurance(world: World) -> Any:
    wanted = {"id_token": {"acr": {"essential": True, "value": "urn:monban:acr:multi-factor"}}}
    return world.silent(claims=json.dumps(wanted))


def _not_assigned(world: World) -> Any:
    return world.silent(world.new(application={"access": "assigned"}))


def _bearer(world: World, **headers: str) -> Any:
    return world.machine.http.get("/oauth2/userinfo", **headers)


CAUSES: dict[Fault, Callable[[World], Any]] = {
    Fault.REPEATED_PARAMETER: lambda w: w.machine.post("/oauth2/token", [("a", "1"), ("a", "2")]),
    Fault.MALFORMED_PARAMETER: lambda w: w.machine.token(grant_type="\x00"),
    Fault.MISSING_PARAMETER: lambda w: w.machine.token(grant_type="refresh_token"),
    Fault.CONTENT_TYPE: lambda w: w.machine.send("/oauth2/token", "{}", content_type="application/json"),
    Fault.METHOD: lambda w: w.machine.http.get("/oauth2/token"),
    Fault.QUERY_PARAMETERS: lambda w: w.machine.send("/oauth2/token?a=b", ""),
    Fault.MISSING_CLIENT_ID: lambda w: w.ask(client_id=None),
    Fault.UNKNOWN_CLIENT: lambda w: w.ask(client_id="unknown"),
    Fault.CLIENT_DISABLED: lambda w: w.ask(w.new(is_active=False)),
    Fault.REDIRECT_URI: lambda w: w.ask(redirect_uri="https://evil.example/"),
    Fault.MISSING_REDIRECT_URI: lambda w: w.ask(redirect_uri=None),
    Fault.PARKED_REQUEST: lambda w: w.machine.http.get("/oauth2/authorize/continue?request=x", secure=True),
    Fault.MISSING_RESPONSE_TYPE: lambda w: w.ask(response_type=None),
    Fault.RESPONSE_TYPE: lambda w: w.ask(response_type="code token"),
    Fault.RESPONSE_TYPE_NOT_ALLOWED: lambda w: w.ask(response_type="id_token"),
    Fault.RESPONSE_MODE: lambda w: w.ask(response_mode="jwt"),
    Fault.SCOPE: lambda w: w.ask(scope=None),
    Fault.SCOPE_NOT_ALLOWED: lambda w: w.ask(scope="unknown"),
    Fault.CODE_CHALLENGE_MISSING: lambda w: w.ask(code_challenge=None, code_challenge_method=None),
    Fault.CODE_CHALLENGE: lambda w: w.ask(code_challenge="short"),
    Fault.CODE_CHALLENGE_METHOD: lambda w: w.ask(code_challenge_method="plain"),
    Fault.MISSING_NONCE: _implicit,
    Fault.REQUEST_NOT_SUPPORTED: lambda w: w.ask(request="x"),
    Fault.REQUEST_URI_NOT_SUPPORTED: lambda w: w.ask(request_uri="https://client.example/x"),
    Fault.REGISTRATION_NOT_SUPPORTED: lambda w: w.ask(registration="{}"),
    Fault.PROMPT: lambda w: w.ask(prompt="none login"),
    Fault.MAX_AGE: lambda w: w.ask(max_age="-1"),
    Fault.CLAIMS: lambda w: w.ask(claims="{"),
    Fault.ID_TOKEN_HINT: lambda w: w.ask(id_token_hint="x"),
    Fault.SUBJECT_MISMATCH: _other_subject,
    Fault.LOGIN_REQUIRED: lambda w: w.ask(prompt="none"),
    Fault.CONSENT_REQUIRED: lambda w: w.silent(w.new()),
    Fault.INTERACTION_REQUIRED: _higher_assurance,
    Fault.ACCESS_DENIED: _not_assigned,
    Fault.ASSURANCE: _unreachable_assurance,
    Fault.CLIENT_NOT_FOUND: lambda w: w.machine.post("/oauth2/token", {"x": "y"}, HTTP_AUTHORIZATION=basic("a", "b")),
    Fault.CLIENT_AUTHENTICATION: lambda w: w.machine.post(
        "/oauth2/token", {"x": "y"}, HTTP_AUTHORIZATION=basic(w.machine.client.client_id, "b")
    ),
    Fault.CLIENT_AUTHENTICATION_MISSING: lambda w: w.machine.post("/oauth2/token", {"x": "y"}, HTTP_AUTHORIZATION=""),
    Fault.CLIENT_AUTHENTICATION_TWICE: lambda w: w.machine.token(client_secret="x"),
    Fault.CLIENT_ASSERTION: lambda w: w.machine.post(
        "/oauth2/token", {"client_assertion": "x", "client_assertion_type": "y"}, HTTP_AUTHORIZATION=""
    ),
    Fault.CLIENT_ASSERTION_REPLAYED: _assertion_twice,
    Fault.MISSING_GRANT_TYPE: lambda w: w.machine.token(x="y"),
    Fault.GRANT_TYPE: lambda w: w.machine.token(grant_type="password"),
    Fault.GRANT_TYPE_NOT_ALLOWED: lambda w: w.new(grant_types=["authorization_code"]).refresh("x"),
    Fault.AUTHORIZATION_CODE: lambda w: w.machine.exchange("x"),
    Fault.AUTHORIZATION_CODE_EXPIRED: lambda w: w.expired(w.machine.code, timedelta(minutes=2), w.machine.exchange),
    Fault.AUTHORIZATION_CODE_REPLAYED: _used_code,
    Fault.AUTHORIZATION_CODE_CLIENT: lambda w: w.new().exchange(w.machine.code()),
    Fault.CODE_REDIRECT_URI: lambda w: w.machine.exchange(w.machine.code(), redirect_uri="https://x.example/"),
    Fault.MISSING_CODE: lambda w: w.machine.token(grant_type="authorization_code"),
    Fault.CODE_VERIFIER_MALFORMED: lambda w: w.machine.exchange(w.machine.code(), code_verifier="x" * 42),
    Fault.CODE_VERIFIER: lambda w: w.machine.exchange(w.machine.code(), code_verifier="x" * 43),
    Fault.CODE_VERIFIER_MISSING: lambda w: w.machine.exchange(w.machine.code(), code_verifier=None),
    Fault.CODE_VERIFIER_UNEXPECTED: _verifier_without_challenge,
    Fault.REFRESH_TOKEN: lambda w: w.machine.refresh("x"),
    Fault.REFRESH_TOKEN_EXPIRED: lambda w: w.expired(
        lambda: w.machine.tokens()["refresh_token"], timedelta(days=31), w.machine.refresh
    ),
    Fault.REFRESH_TOKEN_REPLAYED: _used_refresh_token,
    Fault.REFRESH_TOKEN_REVOKED: _revoked_refresh_token,
    Fault.REFRESH_TOKEN_CLIENT: lambda w: w.new().refresh(w.machine.tokens()["refresh_token"]),
    Fault.SCOPE_WIDENED: lambda w: w.machine.refresh(w.machine.tokens()["refresh_token"], scope="email"),
    Fault.SESSION_ENDED: lambda w: _after(w, "session idle"),
    Fault.USER_NOT_USABLE: lambda w: _after(w, "user disabled"),
    Fault.ACCESS_TOKEN_MISSING: _bearer,
    Fault.ACCESS_TOKEN_TWICE: lambda w: w.machine.send(
        "/oauth2/userinfo", "access_token=x", HTTP_AUTHORIZATION="Bearer x"
    ),
    Fault.ACCESS_TOKEN_IN_QUERY: lambda w: w.machine.http.get("/oauth2/userinfo?access_token=x"),
    Fault.ACCESS_TOKEN: lambda w: w.machine.userinfo("x"),
    Fault.INSUFFICIENT_SCOPE: lambda w: w.machine.userinfo(w.machine.tokens(scope="email")["access_token"]),
    Fault.INTROSPECTION_NOT_ALLOWED: lambda w: w.new().introspect("x"),
    Fault.MISSING_TOKEN: lambda w: w.machine.post("/oauth2/introspect", {"x": "y"}),
    Fault.REVOCATION_CLIENT: lambda w: w.new().revoke(w.machine.tokens()["access_token"]),
    Fault.POST_LOGOUT_REDIRECT_URI: lambda w: w.machine.http.get(
        "/oauth2/logout",
        {"client_id": w.machine.client.client_id, "post_logout_redirect_uri": "https://evil.example/"},
        secure=True,
    ),
}
# Where the cause takes more than a request: proved elsewhere, or by nothing that a caller can do.
ELSEWHERE = {
    Fault.BODY_TOO_LARGE: "the middleware answers first over HTTP; the view by itself in the test below",
    Fault.CONSENT_REFUSED: "the page's Deny, tests/specs/oidcc/test_consent.py",
    Fault.ACCOUNT_SELECTION_REQUIRED: "prompt=none beside select_account is PROMPT; kept for dialects that spell it",
    Fault.CODE_VERIFIER_SHORT: "dialects with the flag short_verifiers; tests/dialects/test_every_dialect.py",
    Fault.UNKNOWN_KEY: "keys one by one, in the Pactera dialect; tests/dialects/test_pactera.py",
    Fault.APP_SESSION: "mini programs; tests/miniapp/test_proof.py",
    Fault.HOST_APPLICATION: "mini programs; tests/miniapp/test_chapter_two.py",
    Fault.HOST_NETWORK: "mini programs; tests/miniapp/test_proof.py",
    Fault.SERVER_ERROR: "an unmapped error; test_public.py",
    Fault.TEMPORARILY_UNAVAILABLE: "identity's own limits, by from_domain; test_public.py",
}


def test_every_fault_is_here() -> None:
    assert set(CAUSES) | set(ELSEWHERE) == set(Fault)
    assert not set(CAUSES) & set(ELSEWHERE)


@pytest.mark.parametrize("fault", list(CAUSES), ids=lambda fault: fault.value)
def test_the_fault_is_caused_and_audited_by_name(new_machine: Callable[..., Machine], fault: Fault) -> None:
    response = CAUSES[fault](World(new_machine))
    event = AuditEvent.objects.filter(outcome="refused").latest("id")
    assert event.reason == fault.value
    row = ROWS[fault]
    if response["Content-Type"] == "application/json":
        assert response.status_code == row.status
        expected = {"error": row.error, "error_description": row.text} if row.error else {}
        assert response.json() == expected
    elif response.status_code == 302:
        assert f"error={row.error}&" in response["Location"]
        assert response["Location"].startswith(f"{CALLBACK}?") or "#" in response["Location"]
    else:
        assert response.status_code == row.status


def test_a_view_that_meets_a_body_too_large_answers_as_the_protocol_does(machine: Machine) -> None:
    body = "x=" + "y" * 2_000_000
    request = RequestFactory().post("/oauth2/token", body, content_type=FORM)
    request.context = machine.context.request
    request.resolver_match = resolve("/oauth2/token")
    response = view(wire_machine.endpoint(exchange.answer, EndpointName.TOKEN))(request, dialect=STANDARD)
    row = ROWS[Fault.BODY_TOO_LARGE]
    assert response.status_code == 413
    assert json.loads(response.content) == {"error": row.error, "error_description": row.text}
