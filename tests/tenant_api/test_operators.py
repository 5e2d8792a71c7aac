"""Operators administer the API's clients, so no client of the API may become one of them."""

from __future__ import annotations

import pytest

from identity.models import AuditEvent
from tests.tenant_api.world import NEW_PASSWORD, OLD_PASSWORD, Call, World

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("is_superuser", [False, True])
@pytest.mark.parametrize("name", ["changeUserPassword", "disableUser", "deleteUser"])
def test_no_client_takes_an_operator_over_or_away(world: World, name: str, is_superuser: bool) -> None:
    world.user.is_staff, world.user.is_superuser = True, is_superuser
    world.user.save()
    before = type(world.user).objects.filter(pk=world.user.pk).values().get()
    answer = world.call(name)
    assert (answer.status_code, answer.json()["error"]) == (403, "insufficient_scope")
    assert type(world.user).objects.filter(pk=world.user.pk).values().get() == before
    event = AuditEvent.objects.filter(outcome="refused").latest("pk")
    assert (event.event_type, event.client_id) == ("token:use", world.client.client_id)


def test_an_operator_stays_a_person_for_the_api(world: World) -> None:
    world.user.is_staff = True
    world.user.save()
    path = {"user_id": world.user.public_id}
    assert world.call("getUserById").status_code == 200
    assert world.call("updateUser").status_code == 200
    changed = world.call(
        "changeUserPasswordWithVerification", Call(path, body={"password": NEW_PASSWORD, "old_password": OLD_PASSWORD})
    )
    assert changed.status_code == 200
