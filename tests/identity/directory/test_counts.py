"""The number of a tenant's users is kept, and is what counting would say."""

from __future__ import annotations

import threading

import pytest
from django.db import connections

from identity.context import RequestContext
from identity.directory import counts, lists, tenants, users
from identity.models import Tenant, User, UserCount
from tests.factories import make_tenant, make_user

pytestmark = pytest.mark.django_db


def kept(tenant: Tenant) -> int:
    return UserCount.objects.get(tenant=tenant).users


def test_creating_and_deleting_keep_the_number() -> None:
    tenant = tenants.create(code="acme", context=RequestContext(tenant=None))
    context = RequestContext(tenant=tenant)
    people = [users.create(tenant=tenant, context=context, user_name=f"u{number}") for number in range(3)]
    assert kept(tenant) == lists.list_users(tenant=tenant).total == 3
    users.update(user=people[0], context=context, name="Changed")
    users.disable(user=people[0], context=context)
    users.delete(user=people[1], context=context)
    assert kept(tenant) == lists.list_users(tenant=tenant).total == 2


def test_a_refused_creation_is_not_counted() -> None:
    tenant = tenants.create(code="acme", context=RequestContext(tenant=None))
    context = RequestContext(tenant=tenant)
    users.create(tenant=tenant, context=context, user_name="one")
    for values in ({"user_name": "ONE"}, {"user_name": "two", "organization_code": "nowhere"}):
        with pytest.raises(Exception, match=r"USER.0029|ORG.0001"):
            users.create(tenant=tenant, context=context, **values)
    assert kept(tenant) == User.objects.filter(tenant=tenant).count() == 1


def test_rows_that_were_loaded_otherwise_are_counted_once_asked() -> None:
    tenant = make_tenant()
    make_user(tenant)
    assert lists.list_users(tenant=tenant).total == 1  # nothing is kept yet, so they are counted
    assert not UserCount.objects.filter(tenant=tenant).exists()
    User.objects.bulk_create([User(tenant=tenant, user_name="x", user_key="x"), make_unsaved(tenant)])
    assert counts.recount(tenant) == kept(tenant) == 3
    make_user(tenant)
    assert kept(tenant) == 4
    assert counts.recount(tenant) == 4


def make_unsaved(tenant: Tenant) -> User:
    return User(tenant=tenant, user_name="y", user_key="y")


@pytest.mark.django_db(transaction=True)
def test_many_at_once_are_counted_exactly() -> None:
    tenant = tenants.create(code="acme", context=RequestContext(tenant=None))
    context = RequestContext(tenant=tenant)

    def work(number: int) -> None:
        try:
            for step in range(5):
                user = users.create(tenant=tenant, context=context, user_name=f"u{number}-{step}")
                if step % 2:
                    users.delete(user=user, context=context)
                counts.recount(tenant)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert kept(tenant) == User.objects.present().filter(tenant=tenant).count() == 18
