"""Who may change what of whom: the table of docs/security.md, cell by cell, against the services (S46)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.management import CommandError, call_command

from identity import audit, authority, policies, throttle
from identity.context import SYSTEM
from identity.directory import tenants, users
from identity.errors import AuthorityRefused, IdentityError
from identity.federation import external_identities
from identity.models import AuditEvent, SessionEndReason, SSOSession, Tenant, User
from identity.operator_groups import AUDITORS
from identity.sign_in import account
from identity.sso import sessions
from identity.upkeep import rescue
from tests.factories import PASSWORD, make_operator, make_tenant, make_user
from tests.factories.oidc import make_session
from tests.factories.upstreams import make_link, make_upstream

pytestmark = [pytest.mark.django_db, pytest.mark.security("S46")]

SECURITY = Path(__file__).resolve().parents[2] / "docs" / "security.md"
FRESH = "Amber-Meadow-77"

Act = Callable[[User, Any], object]

_BY = {"context": SYSTEM}


def _change_identifiers(user: User, actor: Any) -> None:
    """Each of them by itself, as one that is free would hide beside another that is not; all or none is refused."""
    values = {"user_name": "a", "email": "a@example.org", "mobile": "13900000009", "employee_id": "E9"}
    values["identity_number"] = "ID9"
    refused = []
    for name, value in values.items():
        try:
            users.update(user=user, actor=actor, **_BY, **{name: value})
        except AuthorityRefused as error:
            refused.append(error)
    if refused:
        assert len(refused) == len(values)
        raise refused[0]


def _set_rights(user: User, actor: Any) -> None:
    groups = [Group.objects.get(name=AUDITORS)]
    users.set_operator(user=user, is_operator=True, is_superuser=user.is_superuser, groups=groups, actor=actor, **_BY)


def _unlink(user: User, actor: Any) -> None:
    link = make_link(user, make_upstream(user.tenant))
    external_identities.unlink(identity=link, actor=actor, is_forced=True, **_BY)


def _end_sessions(user: User, actor: Any) -> None:
    make_session(user)
    sessions.end_all(user, reason=SessionEndReason.ENDED_BY_OPERATOR, actor=actor, **_BY)


def _switch(user: User, actor: Any) -> None:
    users.disable(user=user, actor=actor, **_BY)


def _mark(user: User, actor: Any) -> None:
    users.update(user=user, phone_number_verified=True, actor=actor, **_BY)


def _speak_for(user: User, actor: Any) -> None:
    authority.check(authority.Change.SIGN_IN, user=user, actor=actor)


ACTS: dict[str, Act] = {
    "What describes a person": lambda user, actor: users.update(user=user, name="Other", city="X", actor=actor, **_BY),
    "User name": _change_identifiers,
    "The mark": _mark,
    "Password": lambda user, actor: account.set_password_of(user=user, password=FRESH, actor=actor, **_BY),
    "Second factors": _unlink,
    "The lock": lambda user, actor: throttle.unlock(user, actor=actor, **_BY),
    "Open sign-ins": _end_sessions,
    "Enabled or disabled": _switch,
    "Operator": _set_rights,
    "Existence": lambda user, actor: users.delete(user=user, actor=actor, **_BY),
    "Speaking": _speak_for,
}
ACTORS: dict[str, Callable[[User], Any]] = {
    "a client of an API": lambda user: SimpleNamespace(client_id="hr"),
    "an operator": lambda user: make_operator(user.tenant),
    "a superuser": lambda user: make_operator(make_tenant(), is_superuser=True),
    "`apply_config` and commands": lambda user: audit.SYSTEM_ACTOR,
    "oneself": lambda user: user,
}
PEOPLE: dict[str, dict[str, bool]] = {
    "a person": {},
    "an operator": {"is_staff": True},
    "a superuser": {"is_staff": True, "is_superuser": True},
}
_ALLOWED = {"all": set(PEOPLE), "people": {"a person"}, "nobody": set()}


def _table() -> list[list[str]]:
    section = SECURITY.read_text(encoding="utf-8").partition("## Who may change what of whom")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|") and not line.startswith("|---")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def _cells() -> Iterator[Any]:
    head, *rows = _table()
    for row in rows:
        act = next(name for name in ACTS if row[0].startswith(name))
        for column, word in zip(head[1:], row[1:], strict=True):
            actor = column.removeprefix("By ")
            for whom in PEOPLE:
                name = f"{actor} changes of {whom}: {row[0]}"
                yield pytest.param(act, actor, whom, whom in _ALLOWED[word], id=re.sub("[^A-Za-z_ :]", "", name))


def test_the_table_speaks_of_everything_that_is_tried() -> None:
    head, *rows = _table()
    assert [column.removeprefix("By ") for column in head[1:]] == list(ACTORS)
    assert [next(name for name in ACTS if row[0].startswith(name)) for row in rows] == list(ACTS)


@pytest.mark.parametrize(("act", "actor", "whom", "is_allowed"), list(_cells()))
def test_a_cell_of_the_table_holds(act: str, actor: str, whom: str, is_allowed: bool) -> None:
    tenant = make_tenant()
    user = make_user(tenant, user_name="zhangsan", mobile="13900000001", employee_id="E1", **PEOPLE[whom])
    make_operator(tenant, is_superuser=True)  # so that nobody is the last one
    by = ACTORS[actor](user)
    before = _protected(user)
    if is_allowed:
        ACTS[act](user, by)
        return
    with pytest.raises(AuthorityRefused):
        ACTS[act](user, by)
    assert _protected(user) == before


def _protected(user: User) -> dict[str, Any]:
    row = User.objects.filter(pk=user.pk).values().get()
    rights = sorted(user.groups.values_list("name", flat=True))
    ended = SSOSession.objects.filter(user=user).exclude(ended_at=None).count()
    return {**{name: value for name, value in row.items() if name != "updated_at"}, "groups": rights, "ended": ended}


def test_an_operator_has_no_rights_over_people_of_another_tenant() -> None:
    stranger = make_user(make_tenant())
    with pytest.raises(AuthorityRefused, match=r"RIGHT\.0001"):
        users.disable(user=stranger, actor=make_operator(make_tenant()), **_BY)


def test_a_mark_stays_with_the_address_that_earned_it() -> None:
    user = make_user(make_tenant(), email="old@example.org", email_verified=True)
    users.update(user=user, email="new@example.org", actor=audit.SYSTEM_ACTOR, **_BY)
    assert not user.email_verified


@pytest.mark.security("S46")
def test_whoever_becomes_an_operator_loses_a_mark_that_an_api_may_have_set() -> None:
    tenant = make_tenant()
    root = make_operator(tenant, is_superuser=True)
    person = make_user(tenant, mobile="13812345678", phone_number_verified=True)
    users.set_operator(user=person, is_operator=True, actor=root, **_BY)
    assert not User.objects.get(pk=person.pk).phone_number_verified
    users.update(user=person, phone_number_verified=True, actor=root, **_BY)
    users.set_operator(user=person, is_operator=True, groups=[], actor=root, **_BY)
    assert User.objects.get(pk=person.pk).phone_number_verified


def test_nobody_gives_their_own_new_address_the_mark_by_writing_both() -> None:
    user = make_operator(make_tenant(), is_superuser=True, email="old@example.org", email_verified=True)
    with pytest.raises(AuthorityRefused, match=r"RIGHT\.0002"):
        users.update(user=user, email="new@example.org", email_verified=True, actor=user, **_BY)


@pytest.mark.parametrize(("actor", "is_allowed"), [("an operator", False), ("a superuser", True)])
def test_who_may_not_set_operators_passwords_opens_no_other_way_to_them(actor: str, is_allowed: bool) -> None:
    user = make_user(make_tenant())
    policy = policies.password_policy(user.tenant)
    changes = {"policy": policy, "operators_may_reset": True, "actor": ACTORS[actor](user), **_BY}
    if is_allowed:
        tenants.update_policy(**changes)
        return
    with pytest.raises(AuthorityRefused, match=r"RIGHT\.0001"):
        tenants.update_policy(**changes)


# The last superuser ----------------------------------------------------------------------------------------


@pytest.fixture
def root() -> User:
    return make_operator(make_tenant(), is_superuser=True)


LOSING: dict[str, Act] = {
    "disable": _switch,
    "delete": ACTS["Existence"],
    "demote": lambda user, actor: users.set_operator(user=user, is_operator=True, actor=actor, **_BY),
    "stop the tenant": lambda user, actor: tenants.update(tenant=user.tenant, is_active=False, actor=actor, **_BY),
}


@pytest.mark.security("S50")
@pytest.mark.parametrize("losing", LOSING.values(), ids=LOSING.keys())
def test_the_last_superuser_stays(root: User, losing: Act) -> None:
    # Neither counts: one is disabled, and the tenant of the other is.
    make_operator(make_tenant(), is_superuser=True, is_active=False)
    make_operator(make_tenant(is_active=False), is_superuser=True)
    before = _protected(root)
    with pytest.raises(AuthorityRefused, match=r"RIGHT\.0003"):
        losing(root, audit.SYSTEM_ACTOR)
    assert _protected(root) == before
    assert Tenant.objects.get(pk=root.tenant_id).is_active


@pytest.mark.security("S50")
@pytest.mark.parametrize("losing", LOSING.values(), ids=LOSING.keys())
def test_a_superuser_who_is_not_the_last_one_may_go(root: User, losing: Act) -> None:
    losing(root, make_operator(make_tenant(), is_superuser=True))


@pytest.mark.security("S50")
@pytest.mark.parametrize("losing", ["disable", "delete", "demote"])
def test_nobody_does_it_to_themselves(root: User, losing: str) -> None:
    make_operator(make_tenant(), is_superuser=True)
    with pytest.raises(AuthorityRefused, match=r"RIGHT\.0002"):
        LOSING[losing](root, root)


# The way back ----------------------------------------------------------------------------------------------


def test_whoever_has_the_machine_restores_an_operator() -> None:
    tenant = make_tenant(is_active=False)
    user = make_user(tenant, user_name="olga", is_active=False, password=PASSWORD)
    out = StringIO()
    call_command("rescue_operator", "olga", "--tenant", tenant.code, "--email", "olga@example.org", stdout=out)
    user.refresh_from_db()
    assert (user.is_active, user.is_staff, user.is_superuser, user.password_must_change) == (True, True, True, True)
    assert (user.email, user.email_verified, user.tenant.is_active) == ("olga@example.org", True, True)
    assert user.check_password(out.getvalue().splitlines()[-1])
    events = AuditEvent.objects.filter(target_id=user.public_id)
    assert {"user:rescue", "user:enable", "user:update", "password:reset"} <= set(
        events.values_list("event_type", flat=True)
    )
    assert set(events.values_list("actor_type", flat=True)) == {"system"}


@pytest.mark.parametrize("names", [("nobody", "--tenant", "{code}"), ("olga", "--tenant", "no-such-tenant")])
def test_a_rescue_of_nobody_is_refused(names: tuple[str, ...]) -> None:
    tenant = make_tenant()
    make_user(tenant, user_name="olga")
    with pytest.raises(CommandError):
        call_command("rescue_operator", *(name.format(code=tenant.code) for name in names), stdout=StringIO())


def test_a_rescue_lifts_the_lock() -> None:
    user = make_user(make_tenant(), password=PASSWORD)
    for _try in range(6):
        try:
            throttle.admit(tenant=user.tenant, user=user, name="", context=SYSTEM)
        except IdentityError:
            break
    rescue.rescue(user=user, context=SYSTEM)
    throttle.admit(tenant=user.tenant, user=user, name="", context=SYSTEM)
