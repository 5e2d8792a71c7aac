"""What was found good is checked again when it is granted (S43): the client, the scopes, the user and the session."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from identity.models import User
from oidc_provider.authorization import approval, checks
from oidc_provider.authorization.request import AuthorizationRequest
from oidc_provider.errors import Fault, OAuthError
from oidc_provider.grants import pkce
from oidc_provider.models import AccessToken, AuthorizationCode, Client
from oidc_provider.wire.parameters import collect
from tests.factories import make_tenant, make_user
from tests.factories.oidc import CALLBACK, make_session
from tests.support.machine import VERIFIER, Machine

NewMachine = Callable[..., Machine]
IMPLICIT = {"allow_implicit": True, "response_types": ["id_token", "id_token token"]}


def asked(machine: Machine, **changes: str) -> AuthorizationRequest:
    params = {
        "client_id": machine.client.client_id,
        "redirect_uri": CALLBACK,
        "response_type": "code",
        "scope": "openid email",
        "state": "a state",
        "code_challenge": pkce.s256(VERIFIER),
        "code_challenge_method": "S256",
        **changes,
    }
    return checks.check(collect(params.items()), facts=machine.context)


def refusal(machine: Machine, request: AuthorizationRequest, user: User | None = None, **changes: Any) -> OAuthError:
    approver = user or machine.user
    assert approver is not None
    values = {"session": make_session(approver), "scopes": request.scopes, "facts": machine.context, **changes}
    with pytest.raises(OAuthError) as raised:
        approval.approve(request, **values)
    assert not AuthorizationCode.objects.exists()
    assert not AccessToken.objects.exists()
    return raised.value


@pytest.mark.security("S43")
@pytest.mark.parametrize(
    ("column", "value", "fault"),
    [
        ("response_types", ["id_token"], Fault.RESPONSE_TYPE_NOT_ALLOWED),
        ("grant_types", ["client_credentials"], Fault.RESPONSE_TYPE_NOT_ALLOWED),
        ("scopes", ["profile"], Fault.SCOPE_NOT_ALLOWED),
    ],
)
def test_a_client_that_may_no_more_is_refused(machine: Machine, column: str, value: list[str], fault: Fault) -> None:
    request = asked(machine)
    client = Client.objects.select_related("catalogue_entry").get(pk=machine.client.pk)
    setattr(client, column, value)
    error = refusal(machine, replace(request, client=client))
    assert error.fault is fault
    assert error.redirect is not None
    assert (error.redirect.redirect_uri, error.redirect.state) == (CALLBACK, "a state")


@pytest.mark.spec("RFC7636-4.4.1")
def test_a_client_that_needs_a_challenge_by_now_is_refused(new_machine: NewMachine) -> None:
    machine = new_machine(require_pkce=False)
    request = asked(machine, code_challenge="", code_challenge_method="")
    client = Client.objects.select_related("catalogue_entry").get(pk=machine.client.pk)
    client.require_pkce = True
    assert refusal(machine, replace(request, client=client)).fault is Fault.CODE_CHALLENGE_MISSING


def test_nothing_is_granted_beyond_what_was_asked_for(machine: Machine) -> None:
    assert refusal(machine, asked(machine), scopes=("openid", "phone")).fault is Fault.SCOPE_NOT_ALLOWED


def test_nothing_at_all_is_no_grant(machine: Machine) -> None:
    assert refusal(machine, asked(machine), scopes=()).fault is Fault.SCOPE


@pytest.mark.security("S36")
def test_a_session_of_another_tenant_is_refused(machine: Machine) -> None:
    assert refusal(machine, asked(machine), make_user(make_tenant())).fault is Fault.LOGIN_REQUIRED


@pytest.mark.spec("OIDCC-3.1.2.2")
def test_another_user_than_the_named_one_is_refused(machine: Machine) -> None:
    assert machine.user is not None
    request = asked(machine, claims=f'{{"id_token": {{"sub": {{"value": "{machine.user.public_id}"}}}}}}')
    assert refusal(machine, request, make_user(machine.user.tenant)).fault is Fault.SUBJECT_MISMATCH


@pytest.mark.spec("OIDCC-3.2.2.5")
@pytest.mark.parametrize(
    ("response_type", "members"),
    [
        ("id_token", ["state", "id_token", "iss"]),
        ("token id_token", ["access_token", "expires_in", "token_type", "scope", "state", "id_token", "iss"]),
    ],
)
def test_the_implicit_flow_answers_in_this_order(
    new_machine: NewMachine, response_type: str, members: list[str]
) -> None:
    machine = new_machine(**IMPLICIT)
    assert machine.user is not None
    request = asked(machine, response_type=response_type, nonce="n")
    answer = approval.approve(request, session=make_session(machine.user), scopes=request.scopes, facts=machine.context)
    assert list(answer) == members
    assert AccessToken.objects.count() == ("access_token" in answer)


@pytest.mark.spec("OIDCC-3.2.2.1")
def test_the_implicit_flow_needs_a_nonce(new_machine: NewMachine) -> None:
    with pytest.raises(OAuthError) as raised:
        asked(new_machine(**IMPLICIT), response_type="id_token")
    assert raised.value.fault is Fault.MISSING_NONCE
