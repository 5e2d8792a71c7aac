"""The whole of the guide's chapter 2, and what each step gives (Pactera-3.5, Pactera-3.6)."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import timedelta
from typing import Any

import jwt
import pytest
import time_machine
from django.utils import timezone

from identity.context import RequestContext
from identity.models import AuditEvent, SSOSession, Tenant, User
from oidc_provider.authorization.consent import AccountConsents
from oidc_provider.models import AuthorizationCode, Consent
from tests.factories.oidc import CLIENT_SECRET
from tests.miniapp.conftest import App, make_host, make_mini_program
from tests.support.machine import VERIFIER, basic

pytestmark = pytest.mark.django_db


def pactera_challenge(verifier: str) -> str:
    """Pactera-4.2."""
    digits = hashlib.sha256(verifier.encode()).hexdigest()
    return base64.urlsafe_b64encode(digits.encode()).rstrip(b"=").decode()


def id_token(app: App, **changes: str) -> dict[str, Any]:
    """The claims of the id_token that a fresh code gives."""
    tokens = app.exchange(app.code(**changes).json()["code"]).json()
    claims: dict[str, Any] = jwt.decode(tokens["id_token"], options={"verify_signature": False})
    return claims


@pytest.mark.spec("Pactera-3.6")
@pytest.mark.parametrize("proof", ["session_token", "host application"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_the_whole_chapter(app: App, proof: str, method: str) -> None:
    if proof == "host application":
        app.vouch()
    assert app.check(method).json() == {"isAuthorized": False}
    app.agree()
    assert app.check(method).json() == {"isAuthorized": True}
    answer = app.code(method, code_challenge=pactera_challenge(VERIFIER), nonce="n1")
    assert answer.status_code == 200
    assert answer["Cache-Control"] == "no-store"
    body = answer.json()
    assert set(body) == {"code", "state"}
    assert body["state"] == "abcde"
    tokens = app.exchange(body["code"]).json()
    assert tokens["expires_in"] == "3600"
    claims = jwt.decode(tokens["id_token"], options={"verify_signature": False})
    assert (claims["sub"], claims["aud"], claims["nonce"]) == (
        app.user.public_id,
        app.mini_program.client_id,
        "n1",
    )
    assert app.userinfo(tokens["access_token"]).json() == {
        "sub": app.user.public_id,
        "email": "alice@example.org",
        "email_verified": True,
    }


@pytest.mark.spec("Pactera-3.6")
def test_a_scope_encoded_twice_is_read_as_in_the_printed_example(app: App) -> None:
    app.agree("openid%20email%20profile%20address")
    code = app.code(scope="openid%20email%20profile%20address").json()["code"]
    assert app.exchange(code).json()["scope"] == "openid email profile address"


def test_a_code_is_used_once_and_lives_ten_minutes(app: App) -> None:
    app.agree()
    code = app.code().json()["code"]
    assert app.exchange(code).status_code == 200
    assert app.exchange(code).status_code == 400
    with time_machine.travel(timezone.now(), tick=False) as clock:
        late = app.code().json()["code"]
        clock.shift(timedelta(minutes=10, seconds=1))
        assert app.exchange(late).json()["error"] == "invalid_grant"


@pytest.mark.security("S8")
def test_a_public_mini_program_needs_a_challenge(app: App, tenant: Tenant) -> None:
    app.mini_program = make_mini_program(tenant, token_endpoint_auth_method="none", secret_hash="")
    app.host.mini_programs.add(app.mini_program)
    app.agree()
    refused = app.code(code_challenge=None, code_challenge_method=None)
    assert (refused.status_code, refused.json()) == (
        400,
        {"error": "invalid_request", "error_description": "参数的值无效", "state": "abcde"},
    )
    code = app.code().json()["code"]
    assert app.exchange(code, code_verifier=None).status_code == 400
    assert app.exchange(app.code().json()["code"]).status_code == 200


def test_a_public_mini_program_with_an_address_of_its_own_scheme_is_answered(app: App, tenant: Tenant) -> None:
    # RFC8252-8.6 asks the user again where any program may claim the address; this code goes to the proved app.
    app.mini_program = make_mini_program(
        tenant,
        token_endpoint_auth_method="none",
        secret_hash="",
        is_native=True,
        redirect_uris=["com.example.lunch:/callback"],
    )
    app.host.mini_programs.add(app.mini_program)
    app.agree()
    code = app.code(redirect_uri="com.example.lunch:/callback").json()["code"]
    assert app.exchange(code, redirect_uri="com.example.lunch:/callback").status_code == 200


def test_a_confidential_mini_program_may_do_without_a_challenge(app: App) -> None:
    app.agree()
    code = app.code(code_challenge=None, code_challenge_method=None).json()["code"]
    assert app.exchange(code, code_verifier=None).status_code == 200


def test_the_code_belongs_to_the_session_of_the_app(app: App) -> None:
    app.agree()
    app.code()
    row = AuthorizationCode.objects.get()
    assert (row.session, row.dialect, row.user) == (app.session, "pactera", app.user)
    assert app.session is not None
    assert app.session.participants.get().registration == app.mini_program.client_id


def test_a_host_vouches_for_one_session_that_claims_no_factor(app: App) -> None:
    app.vouch()
    app.agree()
    app.code()
    app.code()
    session = SSOSession.objects.exclude(pk=app.session.pk).get()  # type: ignore[union-attr]
    assert (session.kind, session.amr, session.acr) == ("sdk", [], "urn:monban:acr:single-factor")
    assert set(session.participants.values_list("protocol", "registration")) == {
        ("vouched", app.host.client.client_id),
        ("oidc", app.mini_program.client_id),
    }
    assert set(AuthorizationCode.objects.values_list("session", flat=True)) == {session.pk}


def test_a_host_that_is_refused_leaves_no_session_behind(app: App) -> None:
    app.vouch()
    assert app.code().status_code == 401
    assert app.code(client_id="unknown").status_code == 400
    assert app.check().status_code == 200
    assert app.ask(miniapp_id="unknown", decision="agree").status_code == 400
    page = {"userId": app.user.public_id, "miniapp_id": "unknown", "scope": "openid"}
    assert app.get("/auth/consent", page).status_code == 400
    assert SSOSession.objects.get() == app.session


@pytest.mark.security("S28")
def test_an_id_token_says_when_and_how_only_of_a_sign_in_that_we_saw(app: App) -> None:
    told = {"auth_time", "acr", "amr"}
    app.agree()
    claims = id_token(app)
    assert told <= claims.keys()
    assert claims["amr"] == ["pwd"]
    app.vouch()
    claims = id_token(app)
    assert not told & claims.keys()
    assert {"sub", "sid", "at_hash"} <= claims.keys()


@pytest.mark.security("S28")
def test_max_age_is_answered_for_a_sign_in_that_we_saw_and_not_for_a_hosts_word(app: App) -> None:
    app.agree()
    claims = id_token(app, max_age="60")
    assert app.session is not None
    assert claims["auth_time"] == int(app.session.authenticated_at.timestamp())
    with time_machine.travel(timezone.now() + timedelta(minutes=2)):
        assert app.code(max_age="60").status_code == 401
        assert app.code(max_age="600").status_code == 200
    app.vouch()
    assert app.code(max_age="600").status_code == 401


@pytest.mark.security("S28")
def test_a_mini_program_that_takes_two_factors_is_not_opened_with_one(app: App, tenant: Tenant) -> None:
    app.mini_program = make_mini_program(tenant, application={"mfa_mode": "always"})
    app.host.mini_programs.add(app.mini_program)
    app.agree()
    assert app.code().status_code == 401
    app.sign_in(amr=["pwd", "sms"])
    assert app.code().status_code == 200


@pytest.mark.parametrize("prompt, status", [("none", 200), ("login", 401), ("consent", 401), ("select_account", 401)])
def test_what_only_a_page_could_settle_is_refused(app: App, prompt: str, status: int) -> None:
    app.agree()
    assert app.code(prompt=prompt).status_code == status


# Consent ---------------------------------------------------------------------------------------------------


def test_new_scopes_ask_again_and_old_ones_do_not(app: App) -> None:
    app.agree("openid email")
    assert app.code(scope="openid").status_code == 200
    assert app.check(scope="openid email").json() == {"isAuthorized": True}
    assert app.check(scope="openid email phone").json() == {"isAuthorized": False}
    assert app.check().json() == {"isAuthorized": True}  # Pactera-3.5: without a scope, whether ever
    refused = app.code(scope="openid email phone")
    assert (refused.status_code, refused.json()["error"]) == (401, "unauthorized_client")
    app.agree("openid phone")
    assert app.code(scope="openid email phone").status_code == 200


@pytest.mark.security("S14")
def test_a_withdrawn_consent_ends_codes_and_tokens_and_asks_again(app: App) -> None:
    app.agree()
    tokens = app.exchange(app.code().json()["code"]).json()
    code = app.code().json()["code"]
    row = app.consent
    assert row is not None
    context = RequestContext(tenant=app.tenant)
    assert AccountConsents().withdraw(user=app.user, consent_id=str(row.pk), context=context)
    assert app.userinfo(tokens["access_token"]).status_code == 401
    assert app.exchange(code).status_code == 400
    assert app.check().json() == {"isAuthorized": False}
    assert app.code().status_code == 401


def test_consent_is_one_mini_programs_and_one_users(app: App, tenant: Tenant) -> None:
    app.agree()
    other = make_mini_program(tenant)
    app.host.mini_programs.add(other)
    assert app.check(miniapp_id=other.client_id).json() == {"isAuthorized": False}
    assert app.code(client_id=other.client_id).status_code == 401


def test_a_consent_given_in_the_browser_counts_and_the_other_way_round(app: App) -> None:
    Consent.objects.create(
        user=app.user, client=app.mini_program, scopes=["openid", "email"], granted_at=timezone.now()
    )
    assert app.check().json() == {"isAuthorized": True}
    assert app.code().status_code == 200


def test_where_the_operator_consented_for_everybody_nobody_is_asked(app: App, tenant: Tenant) -> None:
    app.mini_program = make_mini_program(tenant, application={"skip_consent": True})
    app.host.mini_programs.add(app.mini_program)
    assert app.check().json() == {"isAuthorized": True}
    assert app.code().status_code == 200
    app.agree()
    assert app.consent is None


def test_a_user_who_refuses_is_not_authorized_and_keeps_what_was_allowed(app: App) -> None:
    assert app.ask(decision="refuse").json() == {"isAuthorized": False}
    assert app.consent is None
    app.agree("openid")
    assert app.ask(scope="openid phone", decision="refuse").json() == {"isAuthorized": False}
    assert app.check(scope="openid").json() == {"isAuthorized": True}
    refusals = AuditEvent.objects.filter(event_type="consent:grant", outcome="refused")
    assert [event.details["scopes"] for event in refusals.order_by("pk")] == [["openid", "email"], ["phone"]]


@pytest.mark.parametrize("language, title", [("en", "Your e-mail address"), ("ja", None), ("zh-CN", None)])
def test_an_app_that_draws_its_own_page_hears_what_to_write(app: App, language: str, title: str | None) -> None:
    app.agree("openid")
    body = app.send(
        json.dumps({"userId": app.user.public_id, "miniapp_id": app.mini_program.client_id, "scope": "openid email"}),
        HTTP_ACCEPT_LANGUAGE=language,
    ).json()
    assert set(body) == {"isAuthorized", "miniapp_name", "scopes", "consent_uri"}
    assert (body["isAuthorized"], body["miniapp_name"]) == (False, "Lunch orders")
    assert [(scope["scope"], scope["is_new"]) for scope in body["scopes"]] == [("email", True), ("openid", False)]
    told = body["scopes"][0]["title"]
    assert told == title if title else not told.isascii()
    assert body["consent_uri"].startswith(f"https://{app.name}/auth/consent?ticket=")


# Audit -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("proof", ["session_token", "host application"])
def test_every_step_is_audited(app: App, proof: str) -> None:
    if proof == "host application":
        app.vouch()
    first = AuditEvent.objects.latest("pk").pk
    app.check()
    app.ask(decision="agree")
    app.code()
    told = list(
        AuditEvent.objects.filter(pk__gt=first, client_id=app.mini_program.client_id)
        .order_by("pk")
        .values_list("event_type", "outcome", "actor_type", "actor_id", "target_type")
    )
    is_host = proof == "host application"
    checker = ("client", app.host.client.client_id) if is_host else ("user", app.user.public_id)
    assert told == [
        ("consent:check", "success", *checker, "user"),
        ("consent:grant", "success", "user", app.user.public_id, "consent"),
        ("authorization:grant", "success", "user", app.user.public_id, "client"),
    ]


def test_a_refusal_is_audited_by_the_fault_whatever_was_answered(app: App, user: User, tenant: Tenant) -> None:
    app.proof = basic(app.host.client.client_id, "wrong" + CLIENT_SECRET)
    app.check()
    stranger = make_host(tenant)
    app.proof = basic(stranger.client.client_id, CLIENT_SECRET)
    stranger.delete()
    app.code()
    app.proof = ""
    app.ask()
    told = AuditEvent.objects.filter(outcome="refused").order_by("pk")
    assert list(told.values_list("event_type", "reason", "dialect")) == [
        ("consent:check", "client_authentication", "pactera"),
        ("authorization:grant", "host_application", "pactera"),
        ("consent:grant", "client_authentication_missing", "pactera"),
    ]
