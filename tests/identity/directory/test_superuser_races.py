"""Of superusers who take each other away at the same moment, one stays."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connections

from identity.context import SYSTEM
from identity.directory import users
from identity.errors import AuthorityRefused
from identity.models import User
from tests.factories import make_operator, make_tenant

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.security("S50")]


@pytest.mark.parametrize("losing", ["disable", "delete", "demote"])
def test_of_many_superusers_who_take_each_other_away_at_once_one_stays(losing: str) -> None:
    tenant = make_tenant()
    people = [make_operator(tenant, is_superuser=True) for _number in range(4)]
    ready = threading.Barrier(len(people))
    told: list[str] = []

    def work(user: User, actor: User) -> None:
        changes: dict[str, Any] = {"user": user, "actor": actor, "context": SYSTEM}
        try:
            ready.wait()
            if losing == "demote":
                users.set_operator(is_operator=True, **changes)
            else:
                getattr(users, losing)(**changes)
            told.append("done")
        except AuthorityRefused as error:
            told.append(error.error_code)
        finally:
            connections.close_all()

    # Rows of their own, as every process has: who was demoted meanwhile is one thing, who is left another.
    others = [User.objects.get(pk=person.pk) for person in people[1:] + people[:1]]
    pairs = zip(people, others, strict=True)
    threads = [threading.Thread(target=work, args=pair) for pair in pairs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(told) == ["RIGHT.0003", "done", "done", "done"]
    assert User.objects.filter(is_superuser=True, is_active=True, deleted_at=None).count() == 1
