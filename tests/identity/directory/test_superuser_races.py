"""Of superusers who take each other away at the same moment, one stays."""

from __future__ import annotations

from typing import Any

import pytest

from identity.context import SYSTEM
from identity.directory import users
from identity.errors import AuthorityRefused
from identity.models import User
from tests.factories import make_operator, make_tenant
from tests.support.at_once import at_once

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.security("S50")]


@pytest.mark.parametrize("losing", ["disable", "delete", "demote"])
def test_of_many_superusers_who_take_each_other_away_at_once_one_stays(losing: str) -> None:
    tenant = make_tenant()
    people = [make_operator(tenant, is_superuser=True) for _number in range(4)]
    # Rows of their own, as every process has: who was demoted meanwhile is one thing, who is left another.
    others = [User.objects.get(pk=person.pk) for person in people[1:] + people[:1]]

    def work(number: int) -> str:
        changes: dict[str, Any] = {"user": people[number], "actor": others[number], "context": SYSTEM}
        try:
            if losing == "demote":
                users.set_operator(is_operator=True, **changes)
            else:
                getattr(users, losing)(**changes)
        except AuthorityRefused as error:
            return error.error_code
        return "done"

    assert sorted(at_once(work, times=len(people))) == ["RIGHT.0003", "done", "done", "done"]
    assert User.objects.filter(is_superuser=True, is_active=True, deleted_at=None).count() == 1
