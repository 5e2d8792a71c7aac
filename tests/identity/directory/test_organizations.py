"""Both kinds of organisation tree: rules, moves, and what may be deleted."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from identity.context import RequestContext
from identity.directory import lists, organizations, users
from identity.errors import AlreadyExists, IdentityError, NotAllowed, NotFound, ValueInvalid, ValueRequired
from identity.models import AppOrganization, AuditEvent, Organization, Tenant
from tests.factories import (
    make_account,
    make_app_organization,
    make_application,
    make_membership,
    make_organization,
    make_tenant,
    make_user,
)
from tests.support.at_once import each_at_once

pytestmark = pytest.mark.django_db


@pytest.fixture
def tenant() -> Tenant:
    return make_tenant()


@pytest.fixture
def context(tenant: Tenant) -> RequestContext:
    return RequestContext(tenant=tenant)


def refusal_of(call: Any, **arguments: Any) -> tuple[type[IdentityError], str]:
    with pytest.raises(IdentityError) as caught:
        call(**arguments)
    return type(caught.value), caught.value.error_code


def test_a_node_carries_the_path_from_the_top(tenant: Tenant, context: RequestContext) -> None:
    top = organizations.create(tenant=tenant, context=context, code="hq", name="总部 & Co", category="company")
    below = organizations.create(tenant=tenant, context=context, code="研发", name="R-D 1", parent_id=top.public_id)
    assert (top.path, below.path) == (f"/{top.pk}/", f"/{top.pk}/{below.pk}/")
    assert AuditEvent.objects.get(target_id=below.public_id).changes == {
        "code": ["", "研发"],
        "name": ["", "R-D 1"],
        "parent_id": ["", top.public_id],
        "category": ["", "department"],
    }


@pytest.mark.parametrize(
    ("values", "error", "code"),
    [
        ({"code": ""}, ValueRequired, "ORG.0010"),
        ({"name": " "}, ValueRequired, "ORG.0011"),
        ({"code": "has space"}, ValueInvalid, "ORG.0014"),
        ({"code": "x" * 65}, ValueInvalid, "ORG.0014"),
        ({"name": "a/b"}, ValueInvalid, "ORG.0015"),
        ({"name": "x" * 101}, ValueInvalid, "ORG.0015"),
        ({"code": "taken"}, AlreadyExists, "ORG.0012"),
        ({"name": "Taken"}, AlreadyExists, "ORG.0015"),
        ({"parent_id": "20210621095935811-5E16-6B3060ABC"}, NotFound, "ORG.0002"),
    ],
)
def test_an_organisation_that_breaks_a_rule_is_refused(
    tenant: Tenant, context: RequestContext, values: dict[str, str], error: type[IdentityError], code: str
) -> None:
    make_organization(tenant, code="taken", name="Taken")
    refused = refusal_of(
        organizations.create, tenant=tenant, context=context, **{"code": "new", "name": "New", **values}
    )
    assert refused == (error, code)
    assert Organization.objects.count() == 1


def test_a_name_is_unique_among_siblings_only_and_a_code_in_the_tenant_only(
    tenant: Tenant, context: RequestContext
) -> None:
    top = make_organization(tenant, code="top", name="Same")
    below = organizations.create(tenant=tenant, context=context, code="b", name="Same", parent_id=top.public_id)
    refused = refusal_of(
        organizations.create, tenant=tenant, context=context, code="c", name="Same", parent_id=top.public_id
    )
    assert refused == (AlreadyExists, "ORG.0015")
    assert refusal_of(organizations.update, organization=below, context=context, parent_id="") == (
        AlreadyExists,
        "ORG.0015",
    )
    organizations.create(tenant=make_tenant(), context=context, code="top", name="Same")


@pytest.mark.security("S36")
def test_a_parent_of_another_tenant_does_not_exist(tenant: Tenant, context: RequestContext) -> None:
    theirs = make_organization(make_tenant())
    refused = refusal_of(
        organizations.create, tenant=tenant, context=context, code="a", name="A", parent_id=theirs.public_id
    )
    assert refused == (NotFound, "ORG.0002")
    with pytest.raises(NotFound):
        lists.get_organization(tenant=tenant, public_id=theirs.public_id)


def test_a_move_takes_everything_below_along(tenant: Tenant, context: RequestContext) -> None:
    one, two = make_organization(tenant), make_organization(tenant)
    moved = make_organization(parent=one)
    leaf = make_organization(parent=moved)
    changes = organizations.update(organization=moved, context=context, parent_id=two.public_id, name="Moved")
    assert changes == {"name": [changes["name"][0], "Moved"], "parent_id": [one.public_id, two.public_id]}
    leaf.refresh_from_db()
    assert (moved.path, leaf.path) == (f"{two.path}{moved.pk}/", f"{two.path}{moved.pk}/{leaf.pk}/")
    organizations.update(organization=moved, context=context, parent_id="")
    leaf.refresh_from_db()
    assert (moved.parent, moved.path, leaf.path) == (None, f"/{moved.pk}/", f"/{moved.pk}/{leaf.pk}/")
    assert organizations.update(organization=moved, context=context, parent_id="", name="Moved") == {}


def test_a_node_does_not_move_below_itself(tenant: Tenant, context: RequestContext) -> None:
    top = make_organization(tenant)
    leaf = make_organization(parent=make_organization(parent=top))
    for parent in (top, leaf):
        refused = refusal_of(organizations.update, organization=top, context=context, parent_id=parent.public_id)
        assert refused == (NotAllowed, "ORG.0017")


def pad_path(node: Organization, length: int) -> None:
    """Pretend that the node lies so deep that its path has this length."""
    own = f"/{node.pk}/"
    node.path = "/" + "9" * (length - len(own) - 1) + own
    node.save(update_fields=["path"])


def test_the_tree_is_only_so_deep_that_paths_fit(tenant: Tenant, context: RequestContext) -> None:
    deep = make_organization(tenant)
    pad_path(deep, 500)
    refused = refusal_of(
        organizations.create, tenant=tenant, context=context, code="new", name="New", parent_id=deep.public_id
    )
    assert refused == (NotAllowed, "ORG.0002")
    assert not Organization.objects.filter(code="new").exists()


def test_a_subtree_is_moved_only_where_its_deepest_node_fits(tenant: Tenant, context: RequestContext) -> None:
    deep, top = make_organization(tenant), make_organization(tenant)
    leaf = make_organization(parent=top)
    pad_path(deep, 500 - len(f"{top.pk}/"))
    refused = refusal_of(organizations.update, organization=top, context=context, parent_id=deep.public_id)
    assert refused == (NotAllowed, "ORG.0002")
    leaf.refresh_from_db()
    assert leaf.path == f"/{top.pk}/{leaf.pk}/"
    organizations.delete(organization=leaf, context=context)
    organizations.update(organization=top, context=context, parent_id=deep.public_id)
    assert len(top.path) == 500


def test_only_an_empty_organisation_is_deleted(tenant: Tenant, context: RequestContext) -> None:
    top = make_organization(tenant)
    below = make_organization(parent=top)
    make_membership(make_user(tenant), below)
    for node in (top, below):
        assert refusal_of(organizations.delete, organization=node, context=context) == (NotAllowed, "ORG.0016")
    below.memberships.all().delete()
    organizations.delete(organization=below, context=context)
    organizations.delete(organization=top, context=context)
    assert not Organization.objects.exists()
    assert AuditEvent.objects.filter(event_type="organization:delete").count() == 2
    assert refusal_of(organizations.delete, organization=top, context=context) == (NotFound, "ORG.0001")


def test_lists_follow_decision_43(tenant: Tenant) -> None:
    one, two = make_organization(tenant), make_organization(tenant)
    child = make_organization(parent=one)
    leaf = make_organization(parent=child)
    make_organization(make_tenant())

    def listed(**arguments: Any) -> list[Organization]:
        page = lists.list_organizations(tenant=tenant, **arguments)
        assert page.total == len(page.rows)
        return page.rows

    assert listed() == [one, two]
    assert listed(all_children=True) == [one, two, child, leaf]
    assert listed(organization_id=one.public_id) == [one, child]
    assert listed(organization_id=one.public_id, all_children=True) == [one, child, leaf]


# An application's tree -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "error", "code"),
    [
        ({"code": ""}, ValueRequired, "APP_ORG.0008"),
        ({"name": ""}, ValueRequired, "APP_ORG.0009"),
        ({"code": "a b"}, ValueInvalid, "APP_ORG.0011"),
        ({"name": "<b>"}, ValueInvalid, "APP_ORG.0012"),
        ({"code": "taken"}, AlreadyExists, "APP_ORG.0003"),
        ({"name": "Taken"}, AlreadyExists, "APP_ORG.0010"),
        ({"parent_id": "nobody"}, NotFound, "APP_ORG.0004"),
    ],
)
def test_an_application_organisation_that_breaks_a_rule_is_refused(
    tenant: Tenant, context: RequestContext, values: dict[str, str], error: type[IdentityError], code: str
) -> None:
    application = make_application(tenant)
    make_app_organization(application, code="taken", name="Taken")
    refused = refusal_of(
        organizations.create_app_organization,
        application=application,
        context=context,
        **{"code": "new", "name": "New", **values},
    )
    assert refused == (error, code)


def test_application_organisations_move_and_go_like_organisations(tenant: Tenant, context: RequestContext) -> None:
    application = make_application(tenant)
    top = make_app_organization(application)
    leaf = make_app_organization(parent=make_app_organization(parent=top))
    update, delete = organizations.update_app_organization, organizations.delete_app_organization
    assert refusal_of(update, organization=top, context=context, parent_id=leaf.public_id) == (
        NotAllowed,
        "APP_ORG.0006",
    )
    assert refusal_of(delete, organization=top, context=context) == (NotAllowed, "APP_ORG.0007")
    make_account(make_user(tenant), application, organization=leaf)
    assert refusal_of(delete, organization=leaf, context=context) == (NotAllowed, "APP_ORG.0007")
    update(organization=leaf, context=context, parent_id="", name="Leaf")
    assert (leaf.path, leaf.name) == (f"/{leaf.pk}/", "Leaf")


def test_an_application_may_be_without_organisations(tenant: Tenant, context: RequestContext) -> None:
    application = make_application(tenant, has_organizations=False)
    refused = refusal_of(
        organizations.create_app_organization, application=application, context=context, code="a", name="A"
    )
    assert refused == (NotAllowed, "APP_ORG.0002")
    assert not AppOrganization.objects.exists()


# At once ---------------------------------------------------------------------------------------------------


def told(results: list[Any]) -> list[str]:
    """What each was told: the code of its refusal, or that it is done."""
    return sorted(getattr(result, "error_code", "done") for result in results)


@pytest.mark.django_db(transaction=True)
def test_two_moves_at_once_make_no_circle() -> None:
    tenant = make_tenant()
    context = RequestContext(tenant=tenant)
    for _round in range(10):
        one, two = make_organization(tenant), make_organization(tenant)
        moves = [
            partial(organizations.update, organization=node, context=context, parent_id=parent.public_id)
            for node, parent in ((one, two), (two, one))
        ]
        assert told(each_at_once(*moves, refusals=NotAllowed)) == ["ORG.0017", "done"]
        one.refresh_from_db()
        two.refresh_from_db()
        assert {one.path, two.path} in (
            {f"/{one.pk}/", f"/{one.pk}/{two.pk}/"},
            {f"/{two.pk}/", f"/{two.pk}/{one.pk}/"},
        )


@pytest.mark.django_db(transaction=True)
def test_nobody_joins_an_organisation_while_it_is_deleted() -> None:
    tenant = make_tenant()
    context = RequestContext(tenant=tenant)
    for number in range(10):
        organization = make_organization(tenant, code=f"o{number}")
        joining: dict[str, Any] = {"tenant": tenant, "user_name": f"u{number}", "organization_code": f"o{number}"}
        results = each_at_once(
            partial(organizations.delete, organization=organization, context=context),
            partial(users.create, context=context, **joining),
            refusals=IdentityError,
        )
        assert told(results) in (["ORG.0016", "done"], ["ORG.0001", "done"])
