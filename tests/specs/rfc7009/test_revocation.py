"""Token revocation (RFC7009)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from identity.models import AuditEvent
from tests.support.machine import Machine, basic, refusal

pytestmark = pytest.mark.django_db

NewMachine = Callable[..., Machine]


@pytest.mark.spec("RFC7009-2.1")
@pytest.mark.parametrize("hint", ["", "refresh_token", "access_token", "something_else"])
def test_revoking_a_refresh_token_ends_everything_of_the_grant(machine: Machine, hint: str) -> None:
    body = machine.tokens()
    answer = machine.revoke(body["refresh_token"], token_type_hint=hint)
    assert (answer.status_code, answer.content) == (200, b"")
    assert refusal(machine.refresh(body["refresh_token"])) == (400, "invalid_grant")
    assert machine.userinfo(body["access_token"]).status_code == 401


@pytest.mark.spec("RFC7009-2.1")
@pytest.mark.parametrize("hint", ["", "refresh_token", "access_token"])
def test_revoking_an_access_token_ends_that_one(machine: Machine, hint: str) -> None:
    body = machine.tokens()
    assert machine.revoke(body["access_token"], token_type_hint=hint).status_code == 200
    assert machine.userinfo(body["access_token"]).status_code == 401
    assert machine.refresh(body["refresh_token"]).status_code == 200


@pytest.mark.spec("RFC7009-2.2")
def test_an_unknown_token_is_no_error(machine: Machine) -> None:
    assert machine.revoke("nonsense").status_code == 200


@pytest.mark.spec("RFC7009-2.2")
def test_revoking_twice_is_no_error(machine: Machine) -> None:
    token = machine.tokens()["refresh_token"]
    assert machine.revoke(token).status_code == 200
    assert machine.revoke(token).status_code == 200


@pytest.mark.spec("RFC7009-2.1")
@pytest.mark.security("S14")
@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
def test_another_clients_token_stays_as_it_is(new_machine: NewMachine, machine: Machine, kind: str) -> None:
    body = machine.tokens()
    assert refusal(new_machine().revoke(body[kind])) == (400, "invalid_grant")
    assert machine.userinfo(body["access_token"]).status_code == 200
    assert machine.refresh(body["refresh_token"]).status_code == 200


@pytest.mark.spec("RFC7009-2.1")
def test_a_public_client_revokes_its_own(public_machine: Machine) -> None:
    body = public_machine.tokens()
    assert public_machine.revoke(body["refresh_token"]).status_code == 200
    assert refusal(public_machine.refresh(body["refresh_token"])) == (400, "invalid_grant")


@pytest.mark.spec("RFC7009-2.1")
def test_the_client_must_prove_itself(machine: Machine) -> None:
    body = machine.tokens()
    header = basic(machine.client.client_id, "x" * 30)
    answer = machine.post("/oauth2/revoke", {"token": body["access_token"]}, HTTP_AUTHORIZATION=header)
    assert refusal(answer) == (401, "invalid_client")
    assert machine.userinfo(body["access_token"]).status_code == 200


@pytest.mark.spec("RFC7009-2.1")
def test_the_token_must_be_there(machine: Machine) -> None:
    assert refusal(machine.post("/oauth2/revoke", {"token_type_hint": "access_token"})) == (400, "invalid_request")


@pytest.mark.spec("RFC7009-2.1")
def test_only_post_is_taken(machine: Machine) -> None:
    assert machine.http.get("/oauth2/revoke").status_code == 405
    header = basic(machine.client.client_id, machine.secret)
    assert refusal(machine.send("/oauth2/revoke?token=x", "", HTTP_AUTHORIZATION=header)) == (400, "invalid_request")


def test_a_revocation_is_audited(machine: Machine) -> None:
    machine.revoke(machine.tokens()["refresh_token"])
    event = AuditEvent.objects.get(event_type="token:revoke")
    assert (event.outcome, event.actor_id) == ("success", machine.client.client_id)
