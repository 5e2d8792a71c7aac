"""A statement that is spelled once finds what the ORM finds."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from identity.directory import tenants
from identity.models import SessionPolicy, SSOSession, Tenant, User
from identity.sign_in import authentication
from identity.sso import sessions
from identity.statements import Select
from tests.factories import make_tenant, make_user
from tests.factories.oidc import make_session
from tests.support.spelled import both, state

pytestmark = pytest.mark.django_db


def test_a_session_is_found_with_all_that_is_read_beside_it() -> None:
    session = make_session(make_user(make_tenant()), handle_hash="a" * 64)
    make_session(session.user, handle_hash="b" * 64)
    found, by_orm = both(sessions._BY_HANDLE, ["a" * 64, "c" * 64], session.tenant_id)
    assert [row.pk for row in found] == [session.pk]
    assert list(map(state, found)) == list(map(state, by_orm))
    assert isinstance(found[0].tenant.session_policy, SessionPolicy)
    found, by_orm = both(sessions._BY_SID, session.sid, session.tenant_id)
    assert list(map(state, found)) == list(map(state, by_orm)) != []
    assert both(sessions._OF_KIND, ["a" * 64], session.tenant_id, "sdk") == ([], [])
    assert both(sessions._BY_SID, session.sid, session.tenant_id + 1) == ([], [])


def test_a_row_without_the_other_side_of_a_join_is_read_too() -> None:
    session = make_session(make_user(make_tenant()))
    SessionPolicy.objects.all().delete()
    (found,), _ = both(sessions._BY_SID, session.sid, session.tenant_id)
    with pytest.raises(SessionPolicy.DoesNotExist):
        _ = found.tenant.session_policy


def test_values_reach_the_database_in_the_form_of_their_type() -> None:
    now = timezone.now()
    early, late = (make_session(make_user(make_tenant()), expires_at=now + timedelta(hours=hour)) for hour in (1, 3))
    before = Select(lambda moment: SSOSession.objects.filter(expires_at__lt=moment).order_by("pk"))
    assert [row.pk for row in both(before, now + timedelta(hours=2))[0]] == [early.pk]
    assert [row.pk for row in both(before, now + timedelta(hours=4))[0]] == [early.pk, late.pk]
    staff = Select(lambda is_staff, name: User.objects.filter(is_staff=is_staff, user_key=name))
    assert [row.pk for row in both(staff, False, early.user.user_key)[0]] == [early.user.pk]


def test_lists_of_other_lengths_are_other_statements() -> None:
    tenants = [make_tenant() for _number in range(3)]
    by_code = Select(lambda codes: Tenant.objects.filter(code__in=codes).order_by("pk"))
    for length in (1, 3, 2):
        wanted = tenants[:length]
        assert by_code.all([tenant.code for tenant in wanted]) == wanted


def test_a_value_is_never_a_part_of_the_text() -> None:
    by_code = Select(lambda code: Tenant.objects.filter(code=code)[:1])
    tenant = make_tenant(name="%s' OR 1=1 --")
    assert by_code.first("' OR 1=1 --") is None
    assert by_code.first("%s") is None
    assert by_code.first(tenant.code) == tenant


@pytest.mark.parametrize("state", [{}, {"deleted_at": timezone.now()}])
def test_a_person_is_found_by_each_name(state: dict[str, Any]) -> None:
    user = make_user(make_tenant(), email="a@example.com", **state)
    nobody = ("nobody", "nobody@example.com", "0" * 64)
    for place, name in enumerate((user.user_key, user.email_key, user.mobile_index)):
        names = [*nobody[:place], name, *nobody[place + 1 :]]
        found, by_orm = both(authentication._BY_NAMES, *names, user.tenant_id)
        assert found == by_orm == ([user] if name and not state else [])
    assert both(authentication._BY_NAMES, "", "", "", user.tenant_id) == ([], [])
    assert both(authentication._BY_MOBILE, "", user.tenant_id) == ([], [])


def test_a_prepared_look_up_of_a_person_uses_the_indexes() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("PostgreSQL's plans for statements that it keeps")
    tenant = make_tenant()
    people = [
        User(tenant=tenant, user_name=f"u{number}", email=f"u{number}@example.com", mobile_index=f"{number:064}")
        for number in range(2000)
    ]
    for person in people:
        person.user_key, person.email_key = person.user_name, person.email
    User.objects.bulk_create(people)
    values = ("n", "e@example.com", "0" * 64, tenant.pk)
    plan = authentication._BY_NAMES.plan(values)
    types = ("text", "text", "text", "bigint")
    text = plan.sql
    order = [param.index for param in plan.params]
    for place in range(1, len(order) + 1):
        text = text.replace("%s", f"${place}", 1)
    assert "%s" not in text
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE identity_user")
        cursor.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        cursor.execute(f"PREPARE by_names ({', '.join(types[index] for index in order)}) AS {text}")
        arguments = ", ".join(f"'{values[index]}'" for index in order)
        cursor.execute(f"EXPLAIN EXECUTE by_names ({arguments})")
        lines = "\n".join(line for (line,) in cursor.fetchall())
        cursor.execute("DEALLOCATE by_names")
    for name in ("user_name_per_tenant", "user_email_per_tenant", "user_mobile_per_tenant"):
        assert name in lines, lines


def test_a_tenant_is_found_with_its_policies() -> None:
    tenant = make_tenant(is_default=True)
    host = tenant.domains.get().host
    for select, values in (
        (tenants._BY_HOST, [host]),
        (tenants._DEFAULT, []),
        (tenants._BY_PUBLIC_ID, [tenant.public_id]),
    ):
        found, by_orm = both(select, *values)
        assert list(map(state, found)) == list(map(state, by_orm))
        assert found == [tenant]
