"""Many callers at once: one success, documented refusals for the others, and no row that breaks a rule."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from django.db import connection
from django.test import Client as HttpClient
from django.test.utils import CaptureQueriesContext

from identity.models import AppRoleMember, Membership, Organization, User
from tests.factories import make_account, make_organization, make_user
from tests.support.at_once import at_once
from tests.support.oidc_fixtures import forget_everything
from tests.tenant_api.world import Call, World, new_user

pytestmark = pytest.mark.django_db(transaction=True)

CREATIONS = 200
THREADS = 20


@pytest.fixture
def racing() -> World:
    forget_everything()
    world = World()
    assert world.token
    return world


def answers_to(
    world: World, calls: Sequence[tuple[str, Call]], *, threads: int | None = None
) -> Counter[tuple[int, str]]:
    """Make the calls at once, each from a thread of its own unless told otherwise; count the answers."""
    answers = at_once(lambda number: on_its_own(world, *calls[number]), times=len(calls), threads=threads or len(calls))
    return Counter(
        (answer.status_code, answer.json().get("error_code", "") if answer.content else "") for answer in answers
    )


def on_its_own(world: World, name: str, call: Call) -> Any:
    """With an HTTP client of its own; Django's test client is not made for threads."""
    twin = object.__new__(World)
    twin.__dict__ = {**world.__dict__, "http": HttpClient(HTTP_HOST=world.host)}
    return twin.call(name, call)


def repeated(make: Callable[[int], tuple[str, Call]], count: int) -> list[tuple[str, Call]]:
    return [make(number) for number in range(count)]


def test_one_of_two_hundred_creations_of_one_name_succeeds(racing: World) -> None:
    def creation(number: int) -> tuple[str, Call]:
        body = new_user(
            user_name="One" if number % 2 else "one",
            mobile=f"139{number:08}",
            email=f"one{number}@example.com",
            employee_id=f"N{number}",
            attr_identity_number=f"N{number}",
        )
        return "createUser", Call(body=body)

    answers = answers_to(racing, repeated(creation, CREATIONS), threads=THREADS)
    assert answers == {(201, ""): 1, (400, "USER.0029"): CREATIONS - 1}
    user = User.objects.get(user_key="one")
    assert user.memberships.count() == 3


def test_an_organisation_is_deleted_or_entered_but_never_both(racing: World) -> None:
    for number in range(10):
        organization = make_organization(racing.tenant, code=f"race{number}")
        user = make_user(racing.tenant)
        calls = [
            ("deleteOrganization", Call({"org_id": organization.public_id})),
            ("updateUser", Call({"user_id": user.public_id}, body={"org_code": organization.code})),
            (
                "createUser",
                Call(body={"user_name": f"new{number}", "mobile": f"137{number:08}", "org_code": organization.code}),
            ),
        ]
        answers = answers_to(racing, calls)
        is_there = Organization.objects.filter(pk=organization.pk).exists()
        entered = Membership.objects.filter(organization_id=organization.pk).count()
        if is_there:
            assert answers[400, "ORG.0016"] == 1
            assert entered == answers[200, ""] + answers[201, ""] > 0
        else:
            assert (answers[204, ""], entered) == (1, 0)
            assert answers[400, "ORG.0001"] + answers[201, ""] + answers[200, ""] == 2
        assert set(answers) <= {(200, ""), (201, ""), (204, ""), (400, "ORG.0001"), (400, "ORG.0016")}
    assert not Membership.objects.exclude(organization__in=Organization.objects.all()).exists()


def test_tree_moves_at_once_make_no_circle(racing: World) -> None:
    tree = [make_organization(racing.tenant) for _ in range(6)]
    calls = [
        (
            "updateOrganization",
            Call({"org_id": node.public_id}, body={"parent_id": tree[(number + step) % 6].public_id}),
        )
        for step in (1, 2, 5)
        for number, node in enumerate(tree)
    ]
    answers = answers_to(racing, calls)
    assert set(answers) <= {(200, ""), (400, "ORG.0017")}
    assert answers[400, "ORG.0017"] >= 1
    for node in Organization.objects.filter(pk__in=[node.pk for node in tree]).select_related("parent"):
        above = node.parent.path if node.parent else "/"
        assert node.path == f"{above}{node.pk}/"
        assert node.path.count(f"/{node.pk}/") == 1


def test_a_role_takes_fifty_members_in_one_transaction(racing: World) -> None:
    accounts = [make_account(make_user(racing.tenant), racing.application) for _ in range(50)]
    call = racing.good("addApplicationRoleMembers")
    call.body["account_Ids"] = [account.public_id for account in accounts]
    with CaptureQueriesContext(connection) as captured:
        assert racing.call("addApplicationRoleMembers", call).status_code == 200
    begins = [query["sql"] for query in captured if query["sql"].startswith("BEGIN")]
    inserts = [query["sql"] for query in captured if f'INTO "{AppRoleMember._meta.db_table}"' in query["sql"]]
    assert (len(begins), len(inserts)) == (1, 1)


def test_the_same_members_at_once_are_there_once(racing: World) -> None:
    accounts = [make_account(make_user(racing.tenant), racing.application) for _ in range(50)]
    call = racing.good("addApplicationRoleMembers")
    call.body["account_Ids"] = [account.public_id for account in accounts]
    answers = answers_to(racing, [("addApplicationRoleMembers", call)] * 8)
    assert answers == {(200, ""): 8}
    assert AppRoleMember.objects.filter(role=racing.free_role).count() == 50


def test_one_of_many_accounts_for_one_user_is_made(racing: World) -> None:
    answers = answers_to(racing, [("authorizeApplicationAccount", racing.good("authorizeApplicationAccount"))] * 10)
    assert answers == {(200, ""): 1, (400, "APP_ACCOUNT.0002"): 9}


def test_a_role_is_deleted_or_held_but_never_both(racing: World) -> None:
    deletion = Call({**racing.good("listApplicationRoles").path, "role_id": racing.free_role.public_id})
    answers = answers_to(
        racing,
        [
            ("addApplicationRoleMembers", racing.good("addApplicationRoleMembers")),
            ("deleteApplicationRole", deletion),
        ],
    )
    assert answers in (
        {(200, ""): 1, (400, "APP_ROLE.0004"): 1},
        {(200, ""): 1, (400, "APP_ROLE.0001"): 1},
    )


def test_a_limit_admits_exactly_its_number(racing: World) -> None:
    client = racing.client
    client.api_requests_per_minute = 7
    client.save()
    answers = answers_to(racing, [("getUserById", racing.good("getUserById"))] * 20)
    assert answers == {(200, ""): 7, (429, "COM.0429"): 13}
