"""The catalogue, access to it, accounts, roles, and what a profile tells."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection

from identity.context import RequestContext
from identity.directory import accounts, applications, lists, organizations, roles, tenants, users
from identity.directory.profiles import Profile, account_name_for
from identity.errors import (
    AccessDenied,
    AlreadyExists,
    ApplicationDisabled,
    IdentityError,
    NotAllowed,
    NotFound,
    ValueInvalid,
    ValueRequired,
)
from identity.models import AppAccount, AppRoleMember, AttributeDefinition, AuditEvent, Tenant, User
from identity.sso import access
from tests.factories import (
    make_account,
    make_app_organization,
    make_application,
    make_membership,
    make_organization,
    make_role,
    make_tenant,
    make_user,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def tenant() -> Tenant:
    return make_tenant()


@pytest.fixture
def context(tenant: Tenant) -> RequestContext:
    return RequestContext(tenant=tenant)


@pytest.fixture
def user(tenant: Tenant) -> User:
    return make_user(tenant, user_name="alice", name="Alice")


def refusal_of(call: Any, **arguments: Any) -> tuple[type[IdentityError], str]:
    with pytest.raises(IdentityError) as caught:
        call(**arguments)
    return type(caught.value), caught.value.error_code


# Access (decision 7) ---------------------------------------------------------------------------------------


def test_an_application_for_everyone_asks_nothing(tenant: Tenant, user: User, django_assert_num_queries: Any) -> None:
    application = make_application(tenant)
    with django_assert_num_queries(0):
        access.check_application(application=application, user=user)
        assert account_name_for(application=application, user=user) == "alice"


def test_an_assigned_application_needs_an_enabled_account(
    tenant: Tenant, user: User, context: RequestContext, django_assert_num_queries: Any
) -> None:
    application = make_application(tenant, access="assigned")
    assert refusal_of(access.check_application, application=application, user=user)[0] is AccessDenied
    assert account_name_for(application=application, user=user) == ""
    account = make_account(user, application, account_name="a.lice")
    make_account(make_user(tenant), application)
    with django_assert_num_queries(1):
        access.check_application(application=application, user=user)
    assert account_name_for(application=application, user=user) == "a.lice"
    accounts.disable(account=account, context=context)
    assert refusal_of(access.check_application, application=application, user=user)[0] is AccessDenied
    accounts.enable(account=account, context=context)
    access.check_application(application=application, user=user)


@pytest.mark.security("S36")
def test_everyone_means_everyone_of_the_tenant(user: User) -> None:
    refused = refusal_of(access.check_application, application=make_application(), user=user)
    assert refused[0] is AccessDenied


@pytest.mark.security("S26")
def test_a_disabled_application_lets_nobody_in(tenant: Tenant, user: User, context: RequestContext) -> None:
    application = make_application(tenant)
    applications.disable(application=application, context=context)
    refused = refusal_of(access.check_application, application=application, user=user)
    assert refused == (ApplicationDisabled, "APP.0003")
    applications.enable(application=application, context=context)
    access.check_application(application=application, user=user)


def test_the_catalogue_is_checked_and_audited(tenant: Tenant, context: RequestContext) -> None:
    application = applications.create(tenant=tenant, context=context, code="wiki")
    assert (application.name, application.access) == ("wiki", "everyone")
    assert applications.update(application=application, context=context, name="Wiki", access="assigned") == {
        "name": ["wiki", "Wiki"],
        "access": ["everyone", "assigned"],
    }
    assert applications.update(application=application, context=context, name="Wiki") == {}
    assert AuditEvent.objects.filter(application_id=application.public_id).count() == 2
    for values in (
        {"code": "wiki"},
        {"code": "no spaces"},
        {"code": "x", "access": "nobody"},
        {"code": "x", "tenant_id": 1},
    ):
        with pytest.raises(ValidationError):
            applications.create(tenant=tenant, context=context, **values)


@pytest.mark.parametrize("odd", ["a\x00b", "\ud800"])
def test_texts_that_no_database_takes_name_nothing(
    tenant: Tenant, user: User, context: RequestContext, odd: str
) -> None:
    application = make_application(tenant)
    role = make_role(application)
    assert refusal_of(applications.get, tenant=tenant, public_id=odd) == (NotFound, "APP.0001")
    assert refusal_of(tenants.get_by_public_id, public_id=odd) == (NotFound, "APP.0001")
    assert refusal_of(lists.get_organization, tenant=tenant, public_id=odd) == (NotFound, "ORG.0001")
    create, make = organizations.create, accounts.create
    assert refusal_of(create, tenant=tenant, context=context, code="a", name="A", parent_id=odd)[1] == "ORG.0002"
    refused = refusal_of(users.create, tenant=tenant, context=context, user_name="bob", organization_code=odd)
    assert refused == (NotFound, "ORG.0001")
    refused = refusal_of(users.create, tenant=tenant, context=context, user_name="bob", address={"locality": odd})
    assert refused == (ValueInvalid, "USER.0056")
    assert roles.add_members(role=role, account_ids=[odd], context=context) == ([], [odd])
    for values, code in (({"organization_code": odd}, "APP_ORG.0001"), ({"password": odd}, "PWD.0005")):
        assert refusal_of(make, application=application, user=user, context=context, **values)[1] == code


@pytest.mark.security("S36")
def test_another_tenants_application_does_not_exist(tenant: Tenant) -> None:
    theirs = make_application()
    assert refusal_of(applications.get, tenant=tenant, public_id=theirs.public_id) == (NotFound, "APP.0001")
    assert refusal_of(applications.get, tenant=tenant, public_id="") == (NotFound, "APP.0002")
    assert applications.get(tenant=theirs.tenant, public_id=theirs.public_id) == theirs


# Accounts --------------------------------------------------------------------------------------------------


def test_an_account_takes_the_users_name_and_keeps_its_password_sealed(
    tenant: Tenant, user: User, context: RequestContext
) -> None:
    application = make_application(tenant)
    branch = make_app_organization(application, code="b1")
    AttributeDefinition.objects.create(
        tenant=tenant, application=application, target="account", name="seat", type="integer"
    )
    account = accounts.create(
        application=application,
        user=user,
        context=context,
        organization_code="b1",
        password="an application's own",
        extension={"seat": "7"},
    )
    row = AppAccount.objects.get(pk=account.pk)
    assert (row.account_name, row.name, row.organization, row.extension) == ("alice", "Alice", branch, {"seat": 7})
    with connection.cursor() as cursor:
        cursor.execute("SELECT password_sealed FROM identity_appaccount")
        assert "own" not in cursor.fetchone()[0]
    assert accounts.update(account=account, context=context, account_name="al", name="Al", extension={"seat": ""}) == [
        "account_name",
        "name",
        "extension",
    ]
    assert (account.account_name, account.extension) == ("al", {})
    assert accounts.update(account=account, context=context, account_name="al") == []


@pytest.mark.parametrize(
    ("values", "error", "code"),
    [
        ({"account_name": "taken"}, AlreadyExists, "APP_ACCOUNT.0002"),
        ({"account_name": "x" * 151}, ValueInvalid, "APP_ACCOUNT.0036"),
        ({"account_name": "a\x00"}, ValueInvalid, "APP_ACCOUNT.0036"),
        ({"organization_code": "missing"}, NotFound, "APP_ORG.0001"),
        ({"extension": {"missing": "1"}}, NotAllowed, "APP_ACCOUNT.0007"),
    ],
)
def test_an_account_that_breaks_a_rule_is_refused(
    tenant: Tenant, user: User, context: RequestContext, values: dict[str, Any], error: type[IdentityError], code: str
) -> None:
    application = make_application(tenant)
    make_account(make_user(tenant), application, account_name="taken")
    refused = refusal_of(accounts.create, application=application, user=user, context=context, **values)
    assert refused == (error, code)
    mine = make_account(user, application)
    refused = refusal_of(accounts.update, account=mine, context=context, **values)
    assert refused == (error, code)
    assert refusal_of(accounts.update, account=mine, context=context, account_name="") == (
        ValueRequired,
        "APP_ACCOUNT.0035",
    )


def test_a_user_has_one_account_in_an_application(tenant: Tenant, user: User, context: RequestContext) -> None:
    application = make_application(tenant)
    accounts.create(application=application, user=user, context=context)
    refused = refusal_of(accounts.create, application=application, user=user, context=context, account_name="another")
    assert refused == (AlreadyExists, "APP_ACCOUNT.0002")


@pytest.mark.security("S36")
def test_a_stranger_or_a_deleted_user_gets_no_account(tenant: Tenant, user: User, context: RequestContext) -> None:
    application = make_application(tenant)
    users.delete(user=user, context=context)
    for person in (make_user(), user):
        refused = refusal_of(accounts.create, application=application, user=person, context=context)
        assert refused == (NotFound, "USER.0001")
    disabled = make_application(tenant, is_active=False)
    assert refusal_of(accounts.create, application=disabled, user=make_user(tenant), context=context) == (
        ApplicationDisabled,
        "APP.0003",
    )


def test_a_deleted_account_takes_its_roles_along(tenant: Tenant, user: User, context: RequestContext) -> None:
    application = make_application(tenant)
    account = make_account(user, application)
    make_role(application, account)
    accounts.delete(account=account, context=context)
    assert not AppRoleMember.objects.exists()
    assert AuditEvent.objects.get(event_type="account:delete").details == {"user": user.public_id}


# Roles -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "error", "code"),
    [
        ({"code": ""}, ValueRequired, "APP_ROLE.0005"),
        ({"code": "x" * 51}, ValueInvalid, "APP_ROLE.0006"),
        ({"code": "a b"}, ValueInvalid, "APP_ROLE.0006"),
        ({"name": "x" * 33}, ValueInvalid, "APP_ROLE.0008"),
        ({"code": "taken"}, AlreadyExists, "APP_ROLE.0003"),
    ],
)
def test_a_role_that_breaks_a_rule_is_refused(
    tenant: Tenant, context: RequestContext, values: dict[str, str], error: type[IdentityError], code: str
) -> None:
    application = make_application(tenant)
    make_role(application, code="taken")
    refused = refusal_of(roles.create, application=application, context=context, **{"code": "new", **values})
    assert refused == (error, code)


def test_a_role_is_renamed_and_deleted_when_nobody_holds_it(
    tenant: Tenant, user: User, context: RequestContext
) -> None:
    application = make_application(tenant)
    role = roles.create(application=application, context=context, code="reader")
    assert role.updated_at is None
    assert refusal_of(roles.update, role=role, context=context, name="") == (ValueRequired, "APP_ROLE.0007")
    assert roles.update(role=role, context=context, name="Reader")
    assert role.updated_at is not None
    assert not roles.update(role=role, context=context, name="Reader")
    account = make_account(user, application)
    roles.add_members(role=role, account_ids=[account.public_id], context=context)
    assert refusal_of(roles.delete, role=role, context=context) == (NotAllowed, "APP_ROLE.0004")
    roles.remove_members(role=role, account_ids=[account.public_id], context=context)
    roles.delete(role=role, context=context)
    assert refusal_of(roles.delete, role=role, context=context) == (NotFound, "APP_ROLE.0001")
    off = make_application(tenant, has_roles=False)
    assert refusal_of(roles.create, application=off, context=context, code="x") == (NotAllowed, "APP_ROLE.0002")


def test_members_are_added_and_removed_one_by_one(tenant: Tenant, user: User, context: RequestContext) -> None:
    application = make_application(tenant)
    one, two = make_account(user, application), make_account(make_user(tenant), application)
    theirs = make_account(user, make_application(tenant))
    role = make_role(application, one)
    add, remove = roles.add_members, roles.remove_members
    ids = [one.public_id, two.public_id, theirs.public_id, two.public_id]
    assert add(role=role, account_ids=ids, context=context) == (ids[:2], ids[2:3])
    assert AuditEvent.objects.get(event_type="role:members").details == {"added": [two.public_id]}
    assert remove(role=role, account_ids=[two.public_id, "nobody"], context=context) == ([two.public_id], ["nobody"])
    assert [member.account for member in role.members.all()] == [one]
    for ids in ([], [str(number) for number in range(51)]):
        assert refusal_of(add, role=role, account_ids=ids, context=context) == (ValueInvalid, "PARAM.0029")


# Lists -----------------------------------------------------------------------------------------------------


@pytest.mark.security("S36")
def test_lists_and_look_ups_stay_in_their_application(tenant: Tenant, user: User) -> None:
    application, other = make_application(tenant), make_application(tenant)
    account, role = make_account(user, application), make_role(application)
    branch = make_app_organization(application)
    make_account(user, other), make_role(other), make_app_organization(other)
    assert lists.list_accounts(application=application).rows == [account]
    assert lists.list_accounts(application=application, account_type="PUBLIC_ACCOUNT").rows == []
    assert lists.list_roles(application=application).rows == [role]
    assert lists.list_app_organizations(application=application).rows == [branch]
    assert lists.list_role_members(role=role).total == 0
    assert len(lists.list_accounts_of(user=user)) == 2
    refusals = [
        (lists.get_account, account, "APP_ACCOUNT.0001"),
        (lists.get_role, role, "APP_ROLE.0001"),
        (lists.get_app_organization, branch, "APP_ORG.0001"),
    ]
    for look_up, row, code in refusals:
        assert look_up(application=application, public_id=row.public_id) == row
        assert refusal_of(look_up, application=other, public_id=row.public_id) == (NotFound, code)
        assert refusal_of(look_up, application=other, public_id="a\x00") == (NotFound, code)
    refused = refusal_of(lists.list_accounts, application=application, account_type="ROBOT")
    assert refused == (ValueInvalid, "APP_ACCOUNT.0003")


# Profiles --------------------------------------------------------------------------------------------------


def test_a_profile_asks_the_database_only_for_what_is_read(
    tenant: Tenant, user: User, django_assert_num_queries: Any
) -> None:
    application = make_application(tenant, access="assigned")
    account = make_account(user, application, account_name="a.lice")
    make_role(application, account, code="writer")
    make_role(application, account, code="reader")
    make_role(application, code="admin")
    other = make_application(tenant)
    make_role(other, make_account(user, other), code="elsewhere")
    make_membership(user, make_organization(tenant, code="b"), is_primary=False)
    make_membership(user, make_organization(tenant, code="z"), is_primary=True)
    with django_assert_num_queries(0):
        profile = Profile(user=user, application=application)
        assert (profile.sub, profile.user_name, profile.name) == (user.public_id, "alice", "Alice")
        assert (profile.language, profile.time_zone) == ("en", "Asia/Shanghai")
        assert profile.updated_at == user.updated_at
    for _again in range(2):
        with django_assert_num_queries(0 if _again else 3):
            assert profile.roles == ("reader", "writer")
            assert [(entry.code, entry.is_primary) for entry in profile.organizations] == [("z", True), ("b", False)]
            assert profile.account_name == "a.lice"


def test_a_profile_without_an_application_tells_nothing_of_one(user: User, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        profile = Profile(user=user)
        assert (profile.roles, profile.account_name) == ((), "alice")


def test_a_disabled_account_gives_no_roles(tenant: Tenant, user: User) -> None:
    application = make_application(tenant)
    make_role(application, make_account(user, application, is_active=False))
    assert Profile(user=user, application=application).roles == ()


def test_nothing_is_verified_that_is_not_there(tenant: Tenant) -> None:
    user = make_user(tenant, email="", email_verified=True, phone_number_verified=True)
    profile = Profile(user=user)
    assert (profile.email_verified, profile.phone_number_verified, profile.phone_number) == (None, None, "")
    user = make_user(tenant, mobile="13812345678", phone_number_verified=True)
    profile = Profile(user=user)
    assert (profile.phone_number, profile.phone_number_verified) == ("+8613812345678", True)
