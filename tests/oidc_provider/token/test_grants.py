"""What a token request must bring, in the order in which it is judged."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from oidc_provider.clients import registration
from oidc_provider.models import AuthorizationCode
from oidc_provider.token.exchange import GRANTS
from tests.support.machine import Machine, refusal

NewMachine = Callable[..., Machine]


@pytest.mark.spec("RFC9700-2.1.1")
def test_a_code_without_a_challenge_is_no_good_once_the_client_needs_one(new_machine: NewMachine) -> None:
    machine = new_machine(require_pkce=False)
    code = machine.code(code_challenge="", code_challenge_method="")
    registration.update_client(machine.client, require_pkce=True)
    answer = machine.exchange(code, code_verifier=None)
    assert refusal(answer) == (400, "invalid_request")
    assert AuthorizationCode.objects.get().consumed_at is None


@pytest.mark.spec("RFC7636-4.6")
def test_a_code_with_a_method_that_nobody_knows_is_refused(machine: Machine) -> None:
    code = machine.code()
    AuthorizationCode.objects.update(code_challenge_method="plain")
    assert refusal(machine.exchange(code)) == (400, "invalid_grant")


@pytest.mark.parametrize("grant_type", GRANTS)
def test_a_scope_must_be_spelled_like_one_whatever_the_grant(new_machine: NewMachine, grant_type: str) -> None:
    machine = new_machine(api_scopes={"orders": "https://shop.example"})
    params = {"code": "x", "refresh_token": "x", "scope": 'a"quote'}
    assert refusal(machine.token(grant_type=grant_type, **params)) == (400, "invalid_scope")


@pytest.mark.spec("RFC6749-5.1")
@pytest.mark.parametrize(
    ("scope", "members"),
    [
        ("openid", ["access_token", "expires_in", "token_type", "scope", "refresh_token", "id_token"]),
        ("email", ["access_token", "expires_in", "token_type", "scope", "refresh_token"]),
    ],
)
def test_the_members_of_an_answer_come_in_this_order(machine: Machine, scope: str, members: list[str]) -> None:
    tokens = machine.tokens(scope=scope)
    assert list(tokens) == members
    assert list(machine.refresh(tokens["refresh_token"]).json()) == members
