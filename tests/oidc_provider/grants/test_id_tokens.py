"""Which claims a grant releases (OIDCC-5), to userinfo and to the id_token."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from identity.keyring import keys
from identity.models import User
from oidc_provider.dialects.base import half_hash
from oidc_provider.errors import Fault, OAuthError
from tests.factories import make_account, make_membership, make_organization, make_role
from tests.factories.keys import make_keys
from tests.support.machine import Machine

pytestmark = pytest.mark.django_db

NewMachine = Callable[..., Machine]


def id_token(machine: Machine, body: dict[str, Any]) -> dict[str, Any]:
    return keys.verify(tenant=machine.context.tenant, token=body["id_token"])


def info(machine: Machine, body: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = machine.userinfo(body["access_token"]).json()
    return found


@pytest.fixture
def full_user(user: User) -> User:
    user.mobile = "+8613812345678"
    user.phone_number_verified = True
    user.first_name, user.last_name, user.nick_name = "Alice", "Example", "Al"
    user.address = {"country": "CN", "locality": "Shanghai"}
    user.employee_id = "E-7"
    user.extension = {"cost_center": "4711"}
    user.language, user.time_zone = "zh-CN", "Asia/Shanghai"
    user.save()
    return user


@pytest.mark.spec("OIDCC-5.4")
@pytest.mark.parametrize(
    "scope, expected",
    [
        ("email", {"email": "alice@example.org", "email_verified": True}),
        ("phone", {"phone_number": "+8613812345678", "phone_number_verified": True}),
        ("address", {"address": {"country": "CN", "locality": "Shanghai"}}),
        (
            "profile",
            {
                "name": "Alice Example",
                "given_name": "Alice",
                "family_name": "Example",
                "nickname": "Al",
                "preferred_username": "alice",
                "locale": "zh-CN",
                "zoneinfo": "Asia/Shanghai",
                "updated_at": ...,
            },
        ),
        ("roles", {"roles": []}),
        ("organizations", {"organizations": []}),
    ],
)
def test_a_scope_releases_its_claims_at_userinfo(
    full_user: User, machine: Machine, scope: str, expected: dict[str, Any]
) -> None:
    body = machine.tokens(scope=f"openid {scope}")
    if "updated_at" in expected:
        expected["updated_at"] = int(full_user.updated_at.timestamp())
    assert info(machine, body) == {"sub": full_user.public_id, **expected}
    assert not expected.keys() & id_token(machine, body).keys()


def test_a_client_may_read_numbers_as_they_are_dialled(full_user: User, new_machine: NewMachine) -> None:
    machine = new_machine(flags={"bare_phone_number": True})
    body = machine.tokens(scope="openid phone")
    assert info(machine, body)["phone_number"] == "13812345678"


def test_roles_and_organizations_are_those_of_the_application(user: User, machine: Machine) -> None:
    account = make_account(user, machine.client.catalogue_entry)
    make_role(machine.client.catalogue_entry, account, code="editor")
    make_role(machine.client.catalogue_entry, code="admin")
    organization = make_organization(user.tenant, code="sales", name="Sales")
    make_membership(user, organization)
    found = info(machine, machine.tokens(scope="openid roles organizations"))
    assert found["roles"] == ["editor"]
    assert found["organizations"] == [{"id": organization.public_id, "code": "sales", "name": "Sales", "primary": True}]


@pytest.mark.spec("OIDCC-5.5")
def test_single_claims_go_where_they_were_asked_for(full_user: User, machine: Machine) -> None:
    claims = {"userinfo": {"nickname": {"essential": True}, "website": None}, "id_token": {"email": None}}
    body = machine.tokens(claims=json.dumps(claims))
    assert info(machine, body) == {"sub": full_user.public_id, "nickname": "Al"}
    assert id_token(machine, body)["email"] == "alice@example.org"
    renewed = machine.refresh(body["refresh_token"]).json()
    assert info(machine, renewed)["nickname"] == "Al"


@pytest.mark.security("S12")
def test_a_single_claim_needs_a_scope_that_the_client_may_have(full_user: User, new_machine: NewMachine) -> None:
    machine = new_machine(scopes=["openid", "email"])
    claims = {"userinfo": {"phone_number": None, "email": None, "roles": None}}
    assert set(info(machine, machine.tokens(claims=json.dumps(claims)))) == {"sub", "email"}


@pytest.mark.spec("OIDCC-5.5.1")
def test_another_subject_than_the_requested_one_is_refused(user: User, machine: Machine) -> None:
    claims = {"id_token": {"sub": {"value": user.public_id}}}
    assert machine.code(claims=json.dumps(claims))
    claims["id_token"]["sub"]["value"] = "20210621095935811-5E16-6B3060ABC"
    with pytest.raises(OAuthError) as caught:
        machine.code(claims=json.dumps(claims))
    assert caught.value.fault is Fault.SUBJECT_MISMATCH
    assert caught.value.redirect is not None


@pytest.mark.spec("OIDCC-3.1.2.2")
def test_a_hint_names_the_only_user_who_may_answer(user: User, machine: Machine) -> None:
    hint = machine.tokens()["id_token"]
    assert machine.code(id_token_hint=hint)
    for wrong in ("nonsense", hint[:-4] + "AAAA"):
        with pytest.raises(OAuthError) as caught:
            machine.code(id_token_hint=wrong)
        assert caught.value.fault is Fault.ID_TOKEN_HINT


def test_a_clients_own_claims(full_user: User, new_machine: NewMachine) -> None:
    machine = new_machine(
        claims_mapping={
            "cost": {"source": "attribute:cost_center", "id_token": True},
            "number": {"source": "employee_id", "scope": "profile"},
            "groups": {"source": "roles", "id_token": True, "userinfo": False},
            "none": {"source": "attribute:unknown"},
        }
    )
    body = machine.tokens(scope="openid")
    assert info(machine, body) == {"sub": full_user.public_id, "cost": "4711"}
    found = id_token(machine, body)
    assert (found["cost"], found["groups"]) == ("4711", [])
    assert "number" not in found
    assert info(machine, machine.tokens(scope="openid profile"))["number"] == "E-7"


@pytest.mark.security("S24")
def test_a_mapping_cannot_speak_for_the_server(user: User, new_machine: NewMachine) -> None:
    machine = new_machine(claims_mapping={"sub": {"source": "email", "id_token": True}, "aud": {"source": "email"}})
    body = machine.tokens()
    assert info(machine, body) == {"sub": user.public_id}
    assert id_token(machine, body)["sub"] == user.public_id


@pytest.mark.spec("OIDCC-3.1.3.6")
def test_the_example_hash_of_the_standard() -> None:
    # OIDCC-A.4: c_hash and at_hash of the published example.
    assert half_hash("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y", "RS256") == "77QmUPtjPfzWtF2AnpK9RQ"
    assert half_hash("Qcb0Orv1zh30vL1MPRsbm-diHiMwcLyZvn1arpZv-Jxf_11jnpEX3Tgfvk", "RS256") == "LDktKdoQak3Pk0cnXxCltA"


@pytest.mark.parametrize("alg, length", [("RS256", 22), ("RS512", 43), ("ES256", 22)])
def test_a_client_chooses_the_signature(new_machine: NewMachine, alg: str, length: int) -> None:
    machine = new_machine(id_token_signed_response_alg=alg)
    if alg != "RS256":
        make_keys(machine.context.tenant, alg=alg)
    found = id_token(machine, machine.tokens())
    assert len(found["at_hash"]) == length


@pytest.fixture
def implicit(new_machine: NewMachine) -> Machine:
    return new_machine(allow_implicit=True, grant_types=["implicit"], response_types=["id_token", "token id_token"])


@pytest.mark.spec("OIDCC-5.4")
def test_without_an_access_token_the_claims_are_in_the_id_token(user: User, implicit: Machine) -> None:
    answer = implicit.authorize(
        response_type="id_token", scope="openid email", nonce="n", code_challenge="", code_challenge_method=""
    )
    found = id_token(implicit, answer)
    assert "at_hash" not in found
    assert (found["email"], found["nonce"]) == ("alice@example.org", "n")
    assert set(answer) == {"id_token", "iss"}


@pytest.mark.spec("OIDCC-3.2.2.5")
@pytest.mark.parametrize("response_type", ["id_token token", "token id_token"])
def test_the_implicit_flow_with_an_access_token(implicit: Machine, response_type: str) -> None:
    answer = implicit.authorize(
        response_type=response_type,
        scope="openid email offline_access",
        nonce="n",
        state="s",
        code_challenge="",
        code_challenge_method="",
    )
    assert set(answer) == {"access_token", "token_type", "expires_in", "scope", "id_token", "state", "iss"}
    found = id_token(implicit, answer)
    assert found["at_hash"] == half_hash(answer["access_token"], "RS256")
    assert "email" not in found
    assert info(implicit, answer)["email"] == "alice@example.org"


@pytest.mark.spec("OIDCC-3.2.2.1")
def test_the_implicit_flow_needs_a_nonce(implicit: Machine) -> None:
    with pytest.raises(OAuthError) as caught:
        implicit.authorize(response_type="id_token", code_challenge="", code_challenge_method="")
    assert caught.value.fault is Fault.MISSING_NONCE


@pytest.mark.spec("RFC9700-2.1.2")
@pytest.mark.parametrize(
    "response_type, fault",
    [
        ("id_token", Fault.RESPONSE_TYPE_NOT_ALLOWED),
        ("id_token token", Fault.RESPONSE_TYPE_NOT_ALLOWED),
        ("token", Fault.RESPONSE_TYPE),
        ("code id_token", Fault.RESPONSE_TYPE),
        ("code token", Fault.RESPONSE_TYPE),
        ("none", Fault.RESPONSE_TYPE),
        ("code code2", Fault.RESPONSE_TYPE),
    ],
)
def test_other_response_types_are_refused(machine: Machine, response_type: str, fault: Fault) -> None:
    with pytest.raises(OAuthError) as caught:
        machine.authorize(response_type=response_type, nonce="n")
    assert caught.value.fault is fault
    assert caught.value.redirect is not None


@pytest.mark.security("S12")
@pytest.mark.spec("OIDCC-3.1.2.1")
@pytest.mark.parametrize(
    "scope, granted",
    [
        ("openid phone unknown", "openid"),
        ("email openid email", "email openid"),
        (" openid  email ", "openid email"),  # from clients that join a list with an empty word in it
    ],
)
def test_scopes_are_cut_to_what_the_client_may_have(new_machine: NewMachine, scope: str, granted: str) -> None:
    assert new_machine(scopes=["openid", "email"]).tokens(scope=scope)["scope"] == granted


@pytest.mark.spec("RFC6749-3.3")
@pytest.mark.parametrize(
    "scope, fault",
    [
        ("", Fault.SCOPE),
        (" ", Fault.SCOPE),
        ("unknown", Fault.SCOPE_NOT_ALLOWED),
        ('"', Fault.SCOPE),
        ("a\tb", Fault.SCOPE),
    ],
)
def test_no_usable_scope_is_refused(machine: Machine, scope: str, fault: Fault) -> None:
    with pytest.raises(OAuthError) as caught:
        machine.authorize(scope=scope)
    assert caught.value.fault is fault
