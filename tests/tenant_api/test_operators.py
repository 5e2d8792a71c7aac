"""Operators administer the API's clients, so no client of the API may become one of them (S46)."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from django.contrib.auth.models import Group

from identity import throttle
from identity.context import SYSTEM
from identity.errors import AccountLocked
from identity.models import AuditEvent, ExternalIdentity, User
from identity.operator_groups import AUDITORS
from tests.factories.upstreams import make_link, make_upstream
from tests.tenant_api.world import NEW_PASSWORD, OLD_PASSWORD, OPERATIONS, Call, World

pytestmark = [pytest.mark.django_db, pytest.mark.security("S46")]

_PROTECTED = {
    "user_name": {"user_name": "mine"},
    "mobile": {"mobile": "13900000001"},
    "email": {"email": "mine@example.com"},
    "employee id": {"employee_id": "mine"},
    "identity number": {"attr_identity_number": "mine"},
    "mark of the number": {"mobile_verified": True},
    "demand to change the password": {"pwd_must_modify": True},
    "mobile beside a name": {"name": "Zhang San", "mobile": "13900000001"},
}


def promote(user: User, *, is_superuser: bool = False, is_active: bool = True) -> None:
    user.is_staff, user.is_superuser, user.is_active = True, is_superuser, is_active
    user.save()


def row_of(user: User) -> dict[str, Any]:
    return User.objects.filter(pk=user.pk).values().get()


@pytest.fixture(params=["operator", "superuser"])
def operator(request: pytest.FixtureRequest, world: World) -> User:
    promote(world.user, is_superuser=request.param == "superuser")
    return world.user


@pytest.mark.parametrize(
    "name", ["changeUserPassword", "changeUserPasswordWithVerification", "disableUser", "deleteUser"]
)
def test_no_client_takes_an_operator_over_or_away(world: World, operator: User, name: str) -> None:
    before = row_of(operator)
    answer = world.call(name)
    assert (answer.status_code, answer.json()["error"]) == (403, "insufficient_scope")
    assert row_of(operator) == before
    event = AuditEvent.objects.filter(outcome="refused").latest("pk")
    assert (event.event_type, event.client_id) == ("token:use", world.client.client_id)


def test_no_client_lets_a_disabled_operator_in_again(world: World) -> None:
    promote(world.user, is_active=False)
    assert world.call("enableUser").status_code == 403
    assert not row_of(world.user)["is_active"]


@pytest.mark.parametrize("body", _PROTECTED.values(), ids=_PROTECTED.keys())
def test_no_client_changes_what_tells_who_an_operator_is(world: World, operator: User, body: dict[str, Any]) -> None:
    before = row_of(operator)
    answer = world.call("updateUser", Call({"user_id": operator.public_id}, body=body))
    assert (answer.status_code, answer.json()["error"]) == (403, "insufficient_scope")
    assert row_of(operator) == before


def test_a_directorys_sync_still_describes_operators(world: World, operator: User) -> None:
    """It sends whole records: what is as it was is no change, and the rest is written."""
    record = {
        "user_name": "zhangsan",
        "mobile": "12345678901",
        "email": "zhangsan@example.com",
        "employee_id": "E1",
        "pwd_must_modify": False,
        "name": "Zhang San",
        "org_code": "TestOrg1",
        "attr_city": "Shanghai",
        "extension": {"age": "19"},
    }
    answer = world.call("updateUser", Call({"user_id": operator.public_id}, body=record))
    assert answer.status_code == 200
    operator.refresh_from_db()
    assert (operator.name, operator.city, operator.extension["age"]) == ("Zhang San", "Shanghai", "19")
    assert operator.memberships.get(is_primary=True).organization.code == "TestOrg1"


def test_an_operators_old_password_is_not_tried_by_a_client(world: World, operator: User) -> None:
    """Refused before it is compared and counted, so that nothing is learned and nobody is locked out."""
    for old in ("Wrong-Guess-11", OLD_PASSWORD):
        path = {"user_id": operator.public_id}
        body = {"password": NEW_PASSWORD, "old_password": old}
        assert world.call("changeUserPasswordWithVerification", Call(path, body=body)).status_code == 403


def test_an_operator_stays_a_person_for_the_api(world: World, operator: User) -> None:
    assert world.call("getUserById").status_code == 200
    assert world.call("getUserByUsername").status_code == 200
    assert world.call("updateUser").status_code == 200


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_no_operation_touches_what_is_protected_of_an_operator(world: World, operator: User, name: str) -> None:
    """All 38 with their good requests, each for the operator; whatever they answer."""
    operator.groups.add(Group.objects.get(name=AUDITORS))
    make_link(operator, make_upstream(world.tenant))
    before = _protected(operator)
    world.call(name)
    assert _protected(operator) == before


def _protected(user: User) -> dict[str, Any]:
    """All of the person but names, attributes and organisations."""
    described = {"name", "city", "extension", "updated_at"}
    row = {column: value for column, value in row_of(user).items() if column not in described}
    links = list(ExternalIdentity.objects.filter(user=user).values_list("pk", flat=True))
    return {**row, "groups": list(user.groups.values_list("name", flat=True)), "links": links}


def test_a_password_that_is_set_lifts_the_lock(world: World) -> None:
    """OneAccess-3.1.3.6."""
    for _try in range(6):
        with suppress(AccountLocked):
            throttle.admit(tenant=world.tenant, user=world.user, name="", context=SYSTEM)
    assert world.call("getUserById").json()["locked"]
    assert world.call("changeUserPassword").status_code == 200
    assert not world.call("getUserById").json()["locked"]
    throttle.admit(tenant=world.tenant, user=world.user, name="", context=SYSTEM)
