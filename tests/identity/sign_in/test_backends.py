"""Who may do what in the admin."""

from __future__ import annotations

import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.models import Permission

from identity.sign_in.backends import SSOSessionBackend
from tests.factories import PASSWORD, make_operator, make_tenant, make_user


@pytest.fixture
def tenant(db):
    return make_tenant()


def grant(user, *codenames: str):
    user.user_permissions.add(*Permission.objects.filter(codename__in=codenames))
    return user


def test_nobody_signs_in_through_djangos_own_door(tenant):
    user = make_user(tenant, user_name="alice")
    assert authenticate(None, username="alice", user_name="alice", password=PASSWORD) is None
    assert SSOSessionBackend().get_user(user.pk) == user


@pytest.mark.security("S26")
def test_disabled_operator_has_no_rights_and_is_not_found(tenant):
    operator = grant(make_operator(tenant, is_active=False), "view_user")
    assert not operator.has_perm("identity.view_user")
    assert not operator.has_module_perms("identity")
    assert SSOSessionBackend().get_user(operator.pk) is None


def test_operator_has_the_rights_given_and_no_others(tenant):
    operator = grant(make_operator(tenant), "view_user")
    assert operator.has_perm("identity.view_user")
    assert operator.has_module_perms("identity")
    assert not operator.has_perm("identity.change_user")


def test_rights_without_being_an_operator_are_nothing(tenant):
    person = grant(make_user(tenant), "view_user")
    assert not person.has_perm("identity.view_user")
    assert not person.has_module_perms("identity")


@pytest.mark.security("S36")
def test_operator_has_rights_on_rows_of_the_own_tenant_only(tenant):
    operator = grant(make_operator(tenant), "change_user")
    assert operator.has_perm("identity.change_user", make_user(tenant))
    assert not operator.has_perm("identity.change_user", make_user())


def test_what_belongs_to_the_installation_is_for_superusers(tenant):
    rights = ("add_tenant", "delete_tenant", "change_group", "change_permission")
    operator = grant(make_operator(tenant), *rights)
    names = ("identity.add_tenant", "identity.delete_tenant", "auth.change_group", "auth.change_permission")
    assert not any(operator.has_perm(name) for name in names)
    assert not operator.has_module_perms("auth")
    superuser = make_operator(tenant, is_superuser=True)
    assert all(superuser.has_perm(name) for name in names)
    assert superuser.has_perm("identity.change_user", make_user())
