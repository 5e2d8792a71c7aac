"""Bearer tokens at the userinfo endpoint (RFC6750, OIDCC-5.3)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.machine import Machine, end

pytestmark = pytest.mark.django_db


def challenge(response: Any) -> tuple[int, str]:
    return response.status_code, response["WWW-Authenticate"]


INVALID_TOKEN = (401, 'Bearer error="invalid_token", error_description="The access token is not valid."')


@pytest.mark.spec("RFC6750-2.1")
@pytest.mark.oidf("oidcc-userinfo-get")
@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_a_token_in_the_header(machine: Machine, scheme: str) -> None:
    token = machine.tokens()["access_token"]
    answer = machine.http.get("/oauth2/userinfo", HTTP_AUTHORIZATION=f"{scheme} {token}")
    assert (answer.status_code, answer.json()) == (200, {"sub": machine.user.public_id})
    assert answer["Content-Type"] == "application/json"
    assert answer["Cache-Control"] == "no-store"


@pytest.mark.spec("OIDCC-5.3.1")
def test_a_token_in_the_header_of_a_post(machine: Machine) -> None:
    token = machine.tokens()["access_token"]
    answer = machine.http.post("/oauth2/userinfo", HTTP_AUTHORIZATION=f"Bearer {token}")
    assert (answer.status_code, answer.json()) == (200, {"sub": machine.user.public_id})


@pytest.mark.spec("RFC6750-2.2")
@pytest.mark.oidf("oidcc-userinfo-post-body")
def test_a_token_in_the_body_of_a_post(machine: Machine) -> None:
    token = machine.tokens()["access_token"]
    answer = machine.send("/oauth2/userinfo", f"access_token={token}")
    assert (answer.status_code, answer.json()) == (200, {"sub": machine.user.public_id})


@pytest.mark.spec("RFC9700-4.3.2")
@pytest.mark.parametrize("beside", ["", "header"])
def test_a_token_in_the_address_is_refused(machine: Machine, beside: str) -> None:
    token = machine.tokens()["access_token"]
    headers = {"HTTP_AUTHORIZATION": f"Bearer {token}"} if beside else {}
    answer = machine.http.get(f"/oauth2/userinfo?access_token={token}", **headers)
    assert answer.status_code == 400
    assert answer["WWW-Authenticate"].startswith('Bearer error="invalid_request"')


@pytest.mark.spec("RFC6750-2")
def test_two_ways_at_once_are_refused(machine: Machine) -> None:
    token = machine.tokens()["access_token"]
    answer = machine.send("/oauth2/userinfo", f"access_token={token}", HTTP_AUTHORIZATION=f"Bearer {token}")
    assert answer.status_code == 400
    assert answer["WWW-Authenticate"].startswith('Bearer error="invalid_request"')


@pytest.mark.spec("RFC6750-3.1")
@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer ", "Basic YTpi", "Digest x"])
def test_without_a_token_the_challenge_is_bare(machine: Machine, authorization: str) -> None:
    answer = machine.http.get("/oauth2/userinfo", HTTP_AUTHORIZATION=authorization)
    assert challenge(answer) == (401, "Bearer")


@pytest.mark.spec("RFC6750-3.1")
@pytest.mark.security("S40")
def test_a_changed_token_is_refused(machine: Machine) -> None:
    body = machine.tokens()
    token = body["access_token"]
    wrong = [token[:-1], token + "x", token.swapcase(), body["refresh_token"], body["id_token"], "x", "é", "a b"]
    for value in wrong:
        assert challenge(machine.userinfo(value)) == INVALID_TOKEN


@pytest.mark.spec("RFC6750-2.2")
@pytest.mark.security("S45")
@pytest.mark.parametrize("body", ["access_token=a&access_token=b", "access_token=%00", "access_token=%ff"])
def test_a_body_that_makes_no_sense_is_refused(machine: Machine, body: str) -> None:
    assert machine.send("/oauth2/userinfo", body).status_code == 400


@pytest.mark.spec("RFC6750-3.1")
def test_a_token_without_openid_is_not_enough(machine: Machine) -> None:
    token = machine.tokens(scope="profile")["access_token"]
    status, header = challenge(machine.userinfo(token))
    assert status == 403
    assert header.startswith('Bearer error="insufficient_scope"')
    assert header.endswith('scope="openid"')


@pytest.mark.spec("OIDCC-5.3.3")
def test_a_token_without_a_user_is_refused(machine: Machine) -> None:
    token = machine.token(grant_type="client_credentials").json()["access_token"]
    assert challenge(machine.userinfo(token)) == INVALID_TOKEN


@pytest.mark.security("S26")
@pytest.mark.parametrize(
    "event",
    ["user disabled", "user deleted", "session ended", "session idle", "all tokens ended", "application disabled"],
)
def test_a_token_dies_with_what_it_stands_on(machine: Machine, event: str) -> None:
    token = machine.tokens()["access_token"]
    end(machine, event)
    assert challenge(machine.userinfo(token)) == INVALID_TOKEN


@pytest.mark.spec("OIDCC-5.3.1")
@pytest.mark.parametrize("method", ["put", "delete", "patch"])
def test_only_get_and_post_are_taken(machine: Machine, method: str) -> None:
    assert getattr(machine.http, method)("/oauth2/userinfo").status_code == 405
