"""Proof key for code exchange (RFC7636), S256 only."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from oidc_provider.errors import Fault, OAuthError
from oidc_provider.grants import pkce
from tests.support.machine import VERIFIER, Machine, refusal

NewMachine = Callable[..., Machine]
INVALID_GRANT = (400, "invalid_grant")


@pytest.mark.spec("RFC7636-B")
def test_the_example_of_appendix_b() -> None:
    assert pkce.s256("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk") == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


@pytest.mark.spec("RFC7636-4.6")
@pytest.mark.django_db
@pytest.mark.parametrize("verifier", ["x" * 43, VERIFIER[:-1], VERIFIER + "x", VERIFIER.upper(), "short", "é" * 43])
def test_a_wrong_verifier_is_refused(machine: Machine, verifier: str) -> None:
    assert refusal(machine.exchange(machine.code(), code_verifier=verifier)) == INVALID_GRANT


@pytest.mark.spec("RFC7636-4.6")
@pytest.mark.django_db
def test_the_challenge_itself_is_no_verifier(machine: Machine) -> None:
    assert refusal(machine.exchange(machine.code(), code_verifier=pkce.s256(VERIFIER))) == INVALID_GRANT


@pytest.mark.spec("RFC7636-4.5")
@pytest.mark.security("S8")
@pytest.mark.django_db
@pytest.mark.parametrize("value", [None, ""])
def test_a_missing_verifier_is_refused(machine: Machine, value: str | None) -> None:
    assert refusal(machine.exchange(machine.code(), code_verifier=value)) == INVALID_GRANT


@pytest.mark.spec("RFC9700-2.1.1")
@pytest.mark.security("S8")
@pytest.mark.django_db
def test_a_verifier_without_a_challenge_is_refused(new_machine: NewMachine) -> None:
    machine = new_machine(require_pkce=False)
    code = machine.code(code_challenge="", code_challenge_method="")
    assert refusal(machine.exchange(code)) == INVALID_GRANT
    assert machine.exchange(code, code_verifier=None).status_code == 200


def fault(machine: Machine, **changes: str) -> Fault:
    """Why an authorization request is refused; the refusal may be redirected."""
    with pytest.raises(OAuthError) as caught:
        machine.code(**changes)
    assert caught.value.redirect is not None
    return caught.value.fault


@pytest.mark.spec("RFC7636-4.4.1")
@pytest.mark.security("S8")
@pytest.mark.django_db
@pytest.mark.parametrize("kind", ["confidential", "public", "public that asks to be exempt"])
def test_a_missing_challenge_is_refused(machine: Machine, new_machine: NewMachine, kind: str) -> None:
    if kind != "confidential":
        machine = new_machine(token_endpoint_auth_method="none", require_pkce=kind == "public")
    assert fault(machine, code_challenge="", code_challenge_method="") is Fault.CODE_CHALLENGE_MISSING


@pytest.mark.spec("RFC7636-4.4.1")
@pytest.mark.django_db
@pytest.mark.parametrize("method", ["plain", "", "S512", "s256"])
def test_another_method_than_s256_is_refused(machine: Machine, method: str) -> None:
    assert fault(machine, code_challenge_method=method) is Fault.CODE_CHALLENGE_METHOD


@pytest.mark.spec("RFC7636-4.2")
@pytest.mark.django_db
@pytest.mark.parametrize("challenge", ["x", "x" * 42, "x" * 44, "=" * 43, "x" * 128, "é" * 43])
def test_a_malformed_challenge_is_refused(machine: Machine, challenge: str) -> None:
    assert fault(machine, code_challenge=challenge) is Fault.CODE_CHALLENGE


@pytest.mark.spec("RFC7636-4.4.1")
@pytest.mark.django_db
def test_a_method_without_a_challenge_is_refused(new_machine: NewMachine) -> None:
    assert fault(new_machine(require_pkce=False), code_challenge="") is Fault.CODE_CHALLENGE_MISSING
