"""Sets of rights: written by a superuser and by nobody else, whatever asks for it (S46, S50)."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission
from django.core.exceptions import ValidationError

from identity.context import SYSTEM
from identity.directory import groups
from identity.errors import AuthorityRefused
from identity.models import AuditEvent, User
from identity.operator_groups import AUDITORS, HELP_DESK, OURS, TENANT_OPERATORS
from tests.factories import make_operator, make_tenant, make_user

pytestmark = [pytest.mark.django_db, pytest.mark.security("S46")]


def rights(*names: str) -> list[Permission]:
    return list(Permission.objects.filter(codename__in=names).order_by("codename"))


@pytest.fixture
def superuser() -> User:
    return make_operator(make_tenant(), is_superuser=True)


@pytest.mark.parametrize("actor", ["operator", "person", "nobody"])
def test_whoever_is_no_superuser_writes_no_set_of_rights(superuser: User, actor: str) -> None:
    people = {"operator": make_operator(superuser.tenant), "person": make_user(superuser.tenant), "nobody": None}
    if people[actor]:
        # Even the right of Django's own name gives nothing: sets hold in every tenant.
        people[actor].user_permissions.set(rights("add_group", "change_group", "delete_group", "view_user"))
    group, by = groups.create(name="Own", permissions=[], context=SYSTEM, actor=superuser), {"actor": people[actor]}
    for write in (
        lambda: groups.create(name="New", permissions=rights("view_user"), context=SYSTEM, **by),
        lambda: groups.update(group=group, permissions=rights("view_user"), context=SYSTEM, **by),
        lambda: groups.delete(group=group, context=SYSTEM, **by),
    ):
        with pytest.raises(AuthorityRefused):
            write()
    assert not Group.objects.filter(name="New").exists()
    assert list(Group.objects.get(name="Own").permissions.all()) == []


@pytest.mark.security("S50")
def test_each_write_has_its_event_and_one_that_changes_nothing_has_none(superuser: User) -> None:
    by: dict[str, Any] = {"context": SYSTEM, "actor": superuser}
    group = groups.create(name="Own", permissions=rights("view_user"), **by)
    assert groups.update(group=group, name="Own", permissions=rights("view_user"), **by) == {}
    assert groups.update(group=group, name="Other", permissions=rights("view_user", "change_user"), **by) == {
        "name": ["Own", "Other"],
        "permissions": [["identity.view_user"], ["identity.change_user", "identity.view_user"]],
    }
    key = str(group.pk)
    groups.delete(group=group, **by)
    events = AuditEvent.objects.filter(target_type="group", target_id=key, actor_id=superuser.public_id)
    assert [event.changes["permissions"] for event in events.order_by("pk")] == [
        [[], ["identity.view_user"]],
        [["identity.view_user"], ["identity.change_user", "identity.view_user"]],
        [["identity.change_user", "identity.view_user"], []],
    ]


@pytest.mark.parametrize("name", OURS)
def test_what_the_product_finds_by_its_name_stays(superuser: User, name: str) -> None:
    """A new operator is given the first of them: without it the console could make none."""
    group = Group.objects.get(name=name)
    with pytest.raises(ValidationError):
        groups.update(group=group, name="Other", context=SYSTEM, actor=superuser)
    with pytest.raises(ValidationError):
        groups.delete(group=group, context=SYSTEM, actor=superuser)
    assert set(Group.objects.values_list("name", flat=True)) == {TENANT_OPERATORS, HELP_DESK, AUDITORS}


def test_a_name_that_another_set_has_is_refused(superuser: User) -> None:
    with pytest.raises(ValidationError):
        groups.create(name=HELP_DESK, permissions=[], context=SYSTEM, actor=superuser)
