"""Who is answered, and who is not (dialects.md 23 and 24). What is wrong with a proof is never told."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from identity import copies
from identity.context import RequestContext
from identity.directory import users
from identity.models import AuditEvent, SessionEndReason, SessionKind, SSOSession, Tenant, User
from identity.sso import access, sessions
from oidc_provider.clients.authentication import ASSERTION_TYPE
from oidc_provider.models import AuthorizationCode, Consent
from tests.factories import make_tenant, make_user
from tests.factories.oidc import CLIENT_SECRET
from tests.miniapp.conftest import NETWORK, App, make_host, make_mini_program
from tests.support.machine import Machine, Signer, basic

pytestmark = pytest.mark.django_db

REFUSED = {"error": "unauthorized_client", "error_description": "サポートされていないクライアント"}


def assert_unproved(app: App, **changes: str) -> None:
    """All three operations answer the same row, and nothing came of it."""
    codes = AuthorizationCode.objects.count()
    for response, state in (
        (app.check("get", **changes), {}),
        (app.check("post", **changes), {}),
        (app.code("get", **changes), {"state": "abcde"}),
        (app.code("post", **changes), {"state": "abcde"}),
        (app.ask(**changes), {}),
        (app.ask(decision="agree", **changes), {}),
    ):
        assert (response.status_code, response.json()) == (401, {**REFUSED, **state})
        assert response["WWW-Authenticate"] == "Bearer"
    assert AuthorizationCode.objects.count() == codes
    page = app.get(
        "/auth/consent",
        {"userId": app.user.public_id, "miniapp_id": app.mini_program.client_id, "scope": "openid", **changes},
    )
    assert page.status_code == 401


@pytest.fixture
def agreed(app: App) -> App:
    app.agree()
    return app


# Session tokens --------------------------------------------------------------------------------------------


@pytest.mark.security("S33")
@pytest.mark.parametrize("proof", ["", "Bearer", "Bearer ", "Bearer x", "Basic", "Basic !", "Digest x", "Bearer a b"])
def test_without_a_proof_nothing_is_answered(agreed: App, proof: str) -> None:
    agreed.proof = proof
    assert_unproved(agreed)


@pytest.mark.security("S33")
def test_known_and_unknown_users_get_the_same_answer(agreed: App, tenant: Tenant) -> None:
    other = make_user(tenant)
    Consent.objects.create(
        user=other, client=agreed.mini_program, scopes=["openid", "email"], granted_at=timezone.now()
    )
    for user_id in (other.public_id, uuid.uuid4().hex, "00000", other.user_name, "x" * 5000):
        assert_unproved(agreed, userId=user_id)


@pytest.mark.security("S27")
def test_a_browsers_cookie_is_no_session_token(agreed: App) -> None:
    agreed.sign_in(kind=SessionKind.BROWSER)
    assert_unproved(agreed)


def test_a_cookie_alone_proves_nothing(agreed: App) -> None:
    _, handle = sessions.start(user=agreed.user, amr=["pwd"], context=RequestContext(tenant=agreed.tenant))
    agreed.http.cookies["__Host-monban_session"] = handle
    agreed.proof = ""
    assert_unproved(agreed)


@pytest.mark.security("S40")
def test_a_part_of_a_token_is_no_token(agreed: App) -> None:
    agreed.proof = agreed.proof[:-1]
    assert_unproved(agreed)


@pytest.mark.security("S36")
def test_a_session_of_another_tenant_proves_nothing_here(agreed: App) -> None:
    stranger = make_user(make_tenant())
    _, token = sessions.start(
        user=stranger, amr=["pwd"], kind=SessionKind.SDK, context=RequestContext(tenant=stranger.tenant)
    )
    agreed.proof = f"Bearer {token}"
    assert_unproved(agreed)
    assert_unproved(agreed, userId=stranger.public_id)


def _disable(app: App) -> None:
    users.disable(user=app.user, context=RequestContext(tenant=app.tenant))


def _end(app: App) -> None:
    assert app.session is not None
    sessions.end(app.session, reason=SessionEndReason.SIGNED_OUT, context=RequestContext(tenant=app.tenant))


def _revoke(app: App) -> None:
    context = RequestContext(tenant=app.tenant)
    access.revoke_everything(user=app.user, reason=SessionEndReason.PASSWORD_CHANGED, context=context)


def _disable_tenant(app: App) -> None:
    Tenant.objects.filter(pk=app.tenant.pk).update(is_active=False)


@pytest.mark.security("S26")
@pytest.mark.parametrize("event", [_disable, _end, _revoke], ids=["disabled", "signed out", "revoked"])
def test_a_session_that_ended_proves_nothing(agreed: App, event: Callable[[App], None]) -> None:
    code = agreed.code().json()["code"]
    event(agreed)
    assert_unproved(agreed)
    if event is not _end:  # Decision 14: a plain sign-out leaves the offline grants of this dialect.
        assert agreed.exchange(code).status_code == 400


def test_a_session_that_ran_out_proves_nothing(agreed: App) -> None:
    with time_machine.travel(timezone.now() + timedelta(days=8)):
        assert_unproved(agreed)


def test_two_proofs_in_one_request_are_refused(agreed: App) -> None:
    params = agreed.code_params(client_assertion="x", client_assertion_type=ASSERTION_TYPE)
    assert agreed.post("/oidc/authcode", params).json() == {**REFUSED, "state": "abcde"}


# Host applications -----------------------------------------------------------------------------------------


@pytest.fixture
def vouched(agreed: App) -> App:
    agreed.vouch()
    assert agreed.code().status_code == 200
    return agreed


@pytest.mark.security("S33")
def test_a_wrong_secret_proves_nothing(vouched: App) -> None:
    vouched.vouch("wrong" + CLIENT_SECRET)
    assert_unproved(vouched)


def test_a_client_that_is_no_host_application_proves_nothing(vouched: App) -> None:
    vouched.proof = basic(vouched.mini_program.client_id, CLIENT_SECRET)
    assert_unproved(vouched)


@pytest.mark.security("S33")
def test_a_host_learns_nothing_of_unknown_and_disabled_users(vouched: App, tenant: Tenant) -> None:
    disabled = make_user(tenant, is_active=False)
    for user_id in (disabled.public_id, uuid.uuid4().hex, "00000", vouched.user.user_name):
        assert_unproved(vouched, userId=user_id)
    _disable(vouched)
    assert_unproved(vouched)


@pytest.mark.security("S46")
@pytest.mark.parametrize("rights", [{"is_staff": True}, {"is_superuser": True}])
def test_a_hosts_secret_speaks_for_no_operator(vouched: App, rights: dict[str, bool]) -> None:
    """Told like an unknown user. The operator's own proof counts as everybody's."""
    type(vouched.user).objects.filter(pk=vouched.user.pk).update(**rights)
    assert_unproved(vouched)
    assert vouched.code().status_code == 401
    vouched.sign_in()
    assert vouched.code().status_code == 200


@pytest.mark.security("S36")
def test_a_host_speaks_of_its_own_tenants_users_only(vouched: App) -> None:
    stranger = make_user(make_tenant())
    assert_unproved(vouched, userId=stranger.public_id)


@pytest.mark.security("S36")
def test_a_host_of_another_tenant_is_nobody_here(vouched: App) -> None:
    foreign = make_host(make_tenant())
    vouched.proof = basic(foreign.client.client_id, CLIENT_SECRET)
    assert_unproved(vouched)


@pytest.mark.parametrize("what", ["host", "client", "application"])
@pytest.mark.security("S26")
def test_a_disabled_host_proves_nothing(vouched: App, what: str) -> None:
    client = vouched.host.client
    row = {"host": vouched.host, "client": client, "application": client.catalogue_entry}[what]
    row.is_active = False
    row.save()
    assert_unproved(vouched)
    # Nobody shows it any more, so a user's own proof does not open it either.
    vouched.sign_in()
    refused = vouched.code()
    assert (refused.status_code, refused.json()["error_description"]) == (
        400,
        "指定されたclient_idはサポートされていません",
    )
    assert vouched.check().json() == REFUSED


@pytest.mark.security("S32")
def test_a_host_may_be_limited_to_networks(vouched: App) -> None:
    from oidc_provider.mini_programs import hosts

    hosts.register(vouched.host.client, networks=[NETWORK, "2001:db8::/32"])
    for address, status in {"192.0.2.7": 200, "2001:db8::5": 200, "198.51.100.7": 401, "2001:db9::5": 401}.items():
        params = vouched.code_params()
        assert vouched.post("/oidc/authcode", params, REMOTE_ADDR=address).status_code == status
    # Who only says where it comes from is not believed.
    told = vouched.post("/oidc/authcode", params, REMOTE_ADDR="198.51.100.7", HTTP_X_FORWARDED_FOR="192.0.2.7")
    assert told.json() == {**REFUSED, "state": "abcde"}
    assert AuditEvent.objects.latest("pk").reason == "host_network"
    # A phone is anywhere: its user's own proof is not bound to the back end's network.
    vouched.sign_in()
    assert vouched.post("/oidc/authcode", params, REMOTE_ADDR="198.51.100.7").status_code == 200


def test_a_host_shows_its_own_mini_programs_only(vouched: App, tenant: Tenant) -> None:
    other = make_host(tenant, make_mini_program(tenant))
    vouched.proof = basic(other.client.client_id, CLIENT_SECRET)
    assert vouched.check().json() == REFUSED
    assert vouched.check().status_code == 400
    assert vouched.code().json()["error_description"] == "指定されたclient_idはサポートされていません"


def test_a_client_that_no_host_shows_is_no_mini_program(app: App, tenant: Tenant) -> None:
    app.mini_program = make_mini_program(tenant)
    assert (app.check().status_code, app.check().json()) == (400, REFUSED)
    assert app.code().status_code == 400
    assert app.ask(decision="agree").status_code == 400
    assert app.consent is None


@pytest.mark.security("S9")
def test_a_client_of_another_dialect_is_no_mini_program(app: App, tenant: Tenant) -> None:
    app.mini_program = make_mini_program(tenant, dialect="standard")
    app.host.mini_programs.add(app.mini_program)
    assert app.check().status_code == 400
    assert app.code().status_code == 400


def test_a_host_with_a_secret_in_the_body_is_refused(vouched: App) -> None:
    vouched.proof = ""
    params = vouched.code_params(client_secret=CLIENT_SECRET)
    assert vouched.post("/oidc/authcode", params).status_code == 401
    client = vouched.host.client
    client.token_endpoint_auth_method = "client_secret_post"
    client.save()
    vouched.vouch()
    assert_unproved(vouched)


@pytest.mark.security("S11")
@pytest.mark.spec("RFC7523-3")
def test_a_host_proves_itself_by_a_signed_assertion_once(agreed: App, tenant: Tenant) -> None:
    signer = Signer()
    host = make_host(
        tenant, agreed.mini_program, token_endpoint_auth_method="private_key_jwt", jwks={"keys": [signer.jwk]}
    )
    agreed.proof = ""
    machine = Machine(host.client, agreed.user)

    def send(assertion: str) -> Any:
        proof = {"client_assertion": assertion, "client_assertion_type": ASSERTION_TYPE}
        return agreed.post("/oidc/authcode", agreed.code_params(**proof))

    assertion = signer.assertion(machine)
    assert send(assertion).status_code == 200
    assert send(assertion).json() == {**REFUSED, "state": "abcde"}
    assert AuditEvent.objects.latest("pk").reason == "client_assertion_replayed"
    assert send(Signer().assertion(machine)).status_code == 401
    assert send(signer.assertion(machine, aud="https://elsewhere.example")).status_code == 401
    # In an address it would be logged on the way: nothing of a proof is taken from a query.
    query = {"client_assertion": signer.assertion(machine), "client_assertion_type": ASSERTION_TYPE}
    assert agreed.get("/oidc/authcode", agreed.code_params(**query)).status_code == 400


@pytest.mark.security("S26")
def test_what_a_host_vouched_for_ends_with_the_user_and_begins_anew_after(vouched: App) -> None:
    tokens = vouched.exchange(vouched.code().json()["code"]).json()
    _revoke(vouched)
    assert vouched.userinfo(tokens["access_token"]).status_code == 401
    assert vouched.code().status_code == 200  # the host vouches again
    assert SSOSession.objects.filter(user=vouched.user, kind="sdk", amr=[]).count() == 2


# The user and the mini program -----------------------------------------------------------------------------


def test_a_user_who_may_not_use_the_mini_program_gets_no_code(app: App, tenant: Tenant) -> None:
    app.mini_program = make_mini_program(tenant, application={"access": "assigned"})
    app.host.mini_programs.add(app.mini_program)
    Consent.objects.create(
        user=app.user, client=app.mini_program, scopes=["openid", "email"], granted_at=timezone.now()
    )
    assert app.code().json() == {**REFUSED, "state": "abcde"}
    assert app.ask(scope="openid phone", decision="agree").json() == REFUSED
    consent = app.consent
    assert consent is not None
    assert consent.scopes == ["openid", "email"]


@pytest.mark.parametrize("what", ["client", "application"])
@pytest.mark.security("S26")
def test_a_disabled_mini_program_is_not_opened(agreed: App, what: str) -> None:
    client = agreed.mini_program
    row = client if what == "client" else client.catalogue_entry
    row.is_active = False
    row.save()
    copies.clear()
    assert agreed.check().status_code == 400
    assert agreed.code().status_code == 400


# Shape -----------------------------------------------------------------------------------------------------


@pytest.mark.security("S45")
@pytest.mark.parametrize("name", ["userId", "client_id", "state", "scope", "redirect_uri"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_a_parameter_that_comes_twice_is_refused(agreed: App, name: str, method: str) -> None:
    pairs = [*agreed.code_params().items(), (name, "other")]
    refused = getattr(agreed, method)("/oidc/authcode", pairs)
    expected = {"error": "invalid_request", "error_description": "参数的值无效"}
    assert (refused.status_code, refused.json()) == (
        400,
        expected if name == "state" else {**expected, "state": "abcde"},
    )


def test_a_post_takes_nothing_from_the_address_and_no_other_type(agreed: App) -> None:
    assert agreed.post("/oidc/authcode?state=x", agreed.code_params()).status_code == 400
    json_body = agreed.http.post("/oidc/authcode", "{}", content_type="application/json", **agreed.headers)
    assert (json_body.status_code, json_body.json()["error"]) == (400, "invalid_request")
    assert agreed.http.put("/oidc/authcode", **agreed.headers).status_code == 405


@pytest.mark.parametrize(
    "body", ["[]", "x", '{"userId": 1}', '{"userId": {}}', '{"a": "1", "a": "2"}', '[["a", "b"]]', '"x"', "[" * 9999]
)
def test_a_body_that_is_no_object_of_texts_is_refused(agreed: App, body: str) -> None:
    response = agreed.send(body)
    assert (response.status_code, response.json()) == (
        400,
        {"error": "invalid_request", "error_description": "参数的值无效"},
    )


def test_a_decision_that_is_none_is_refused(agreed: App) -> None:
    assert agreed.ask(scope="openid phone", decision="yes").status_code == 400
    consent = agreed.consent
    assert consent is not None
    assert consent.scopes == ["email", "openid"]


def test_leading_zeros_of_a_user_id_count(app: App, tenant: Tenant) -> None:
    app.user = make_user(tenant, public_id="0" * 31 + "7")
    app.sign_in()
    app.agree()
    assert app.code().status_code == 200
    assert_unproved(app, userId="7")


@pytest.mark.parametrize("user_name", ["00000"])
def test_a_user_name_is_no_user_id(app: App, user_name: str, tenant: Tenant) -> None:
    named: User = make_user(tenant, user_name=user_name)
    app.sign_in(named)
    assert_unproved(app, userId=user_name)
