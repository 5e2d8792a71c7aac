"""The organisation tree of a tenant and the separate one of each application.

Each node carries its path, "/<id>/…/<own id>/", so that a subtree is one prefix query. All writes to one tree happen
one after another: they lock the row that owns the tree first, so two moves cannot make a circle between them, and a
node cannot get a child while it is deleted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from django.db import transaction
from django.db.models import F, Max, ProtectedError, Value
from django.db.models.functions import Concat, Length, Substr

from identity import audit
from identity.context import RequestContext
from identity.errors import (
    AlreadyExists,
    ApplicationDisabled,
    IdentityError,
    NotAllowed,
    NotFound,
    ValueInvalid,
    ValueRequired,
)
from identity.events import EventType
from identity.integrity import check_references, refusing
from identity.models import Application, AppOrganization, Organization, OrganizationCategory, Tenant
from identity.retries import retried
from identity.texts import is_storable

MAX_PATH_LENGTH = 500  # of the column; about forty levels
# Chinese characters, Latin letters, digits, underscore and hyphen; names also space and "&" (OneAccess 3.1.4.1).
CODE_PATTERN = re.compile(r"[A-Za-z0-9_\-\u4e00-\u9fff]{1,64}")
NAME_PATTERN = re.compile(r"[A-Za-z0-9 _\-&\u4e00-\u9fff]{1,100}")

Node = TypeVar("Node", Organization, AppOrganization)


@dataclass(frozen=True, slots=True)
class _Tree:
    """What differs between the two kinds of tree."""

    owner: str  # the foreign key of the node to what owns the tree
    not_found: str
    no_parent: str
    own_parent: str
    not_empty: str
    code_required: str
    code_invalid: str
    code_taken: str
    name_required: str
    name_invalid: str
    name_taken: str
    constraints: Sequence[str]  # which keep codes and names unique
    residents: str  # what must be gone, beside children, before a node is deleted


ORGANIZATIONS: Final = _Tree(
    owner="tenant",
    not_found="ORG.0001",
    no_parent="ORG.0002",
    own_parent="ORG.0017",
    not_empty="ORG.0016",
    code_required="ORG.0010",
    code_invalid="ORG.0014",
    code_taken="ORG.0012",
    name_required="ORG.0011",
    name_invalid="ORG.0015",
    name_taken="ORG.0015",  # decision 44: the table has no row of its own
    constraints=(
        "organization_code_per_tenant",
        "organization_name_per_parent",
        "root_organization_name_per_tenant",
    ),
    residents="memberships",
)
APP_ORGANIZATIONS: Final = _Tree(
    owner="application",
    not_found="APP_ORG.0001",
    no_parent="APP_ORG.0004",
    own_parent="APP_ORG.0006",
    not_empty="APP_ORG.0007",
    code_required="APP_ORG.0008",
    code_invalid="APP_ORG.0011",
    code_taken="APP_ORG.0003",
    name_required="APP_ORG.0009",
    name_invalid="APP_ORG.0012",
    name_taken="APP_ORG.0010",
    constraints=("app_organization_code", "app_organization_name_per_parent", "root_app_organization_name"),
    residents="accounts",
)


# The tenant's tree -----------------------------------------------------------------------------------------


@retried
def create(
    *,
    tenant: Tenant,
    context: RequestContext,
    actor: Any = None,
    code: str,
    name: str,
    parent_id: str = "",
    category: str = OrganizationCategory.DEPARTMENT,
) -> Organization:
    """Add an organisation below the parent with that public id, or at the top.

    Raises ORG.0010 and ORG.0011 (empty), ORG.0014 and ORG.0015 (pattern, or a sibling has the name), ORG.0012
    (code taken), ORG.0002 (no such parent, or it lies too deep).
    """
    _check_category(category)
    with transaction.atomic():
        organization = _insert(
            ORGANIZATIONS, Organization(tenant=tenant, category=category), code=code, name=name, parent_id=parent_id
        )
        _record_created(organization, EventType.ORGANIZATION_CREATE, context, actor, category=category)
    return organization


@retried
def update(
    *,
    organization: Organization,
    context: RequestContext,
    actor: Any = None,
    code: str | None = None,
    name: str | None = None,
    parent_id: str | None = None,
    category: str | None = None,
) -> dict[str, list[Any]]:
    """Change or move an organisation; None leaves a value, a parent_id of "" moves it to the top.

    Answers what changed, as attribute to [before, after]. Raises as `create`, and ORG.0017 when the new parent is the
    organisation itself or lies below it.
    """
    if category is not None:
        _check_category(category)
    with transaction.atomic():
        row = _locked(ORGANIZATIONS, organization)
        changes = _change(ORGANIZATIONS, row, code=code, name=name, category=category)
        changes |= _move(ORGANIZATIONS, row, parent_id)
        _save(ORGANIZATIONS, row, changes)
        if changes:
            audit.record(
                EventType.ORGANIZATION_UPDATE,
                tenant=row.tenant,
                actor=actor,
                target=row,
                context=context,
                changes=changes,
            )
    organization.refresh_from_db()
    return changes


@retried
def delete(*, organization: Organization, context: RequestContext, actor: Any = None) -> None:
    """Delete an empty organisation. Raises ORG.0016 while it has organisations or users."""
    with transaction.atomic():
        row = _locked(ORGANIZATIONS, organization)
        _record_deleted(row, EventType.ORGANIZATION_DELETE, context, actor)
        _delete_empty(ORGANIZATIONS, row)


# An application's tree -------------------------------------------------------------------------------------


@retried
def create_app_organization(
    *,
    application: Application,
    context: RequestContext,
    actor: Any = None,
    code: str,
    name: str,
    parent_id: str = "",
) -> AppOrganization:
    """Add an organisation to the application's own tree.

    Raises APP.0003 (application disabled), APP_ORG.0002 (switched off), .0008 and .0009 (empty), .0011 and .0012
    (pattern), .0003 and .0010 (taken), .0004 (no such parent, or it lies too deep).
    """
    if not application.is_active:
        raise ApplicationDisabled(log_detail=f"application={application.pk}")
    check_app_organizations_enabled(application)
    with transaction.atomic():
        row = _insert(
            APP_ORGANIZATIONS, AppOrganization(application=application), code=code, name=name, parent_id=parent_id
        )
        _record_created(row, EventType.ORGANIZATION_CREATE, context, actor)
    return row


@retried
def update_app_organization(
    *,
    organization: AppOrganization,
    context: RequestContext,
    actor: Any = None,
    name: str | None = None,
    parent_id: str | None = None,
) -> dict[str, list[Any]]:
    """Rename or move; the code cannot be changed. Raises as `create_app_organization`, and APP_ORG.0006."""
    check_app_organizations_enabled(organization.application)
    with transaction.atomic():
        row = _locked(APP_ORGANIZATIONS, organization)
        changes = _change(APP_ORGANIZATIONS, row, name=name) | _move(APP_ORGANIZATIONS, row, parent_id)
        _save(APP_ORGANIZATIONS, row, changes)
        if changes:
            audit.record(
                EventType.ORGANIZATION_UPDATE,
                tenant=row.application.tenant,
                actor=actor,
                target=row,
                context=context,
                changes=changes,
            )
    organization.refresh_from_db()
    return changes


@retried
def delete_app_organization(*, organization: AppOrganization, context: RequestContext, actor: Any = None) -> None:
    """Delete an empty organisation. Raises APP_ORG.0007 while it has organisations or accounts."""
    check_app_organizations_enabled(organization.application)
    with transaction.atomic():
        row = _locked(APP_ORGANIZATIONS, organization)
        _record_deleted(row, EventType.ORGANIZATION_DELETE, context, actor)
        _delete_empty(APP_ORGANIZATIONS, row)


def check_app_organizations_enabled(application: Application) -> None:
    """Refuse when the application has no organisation model (APP_ORG.0002)."""
    if not application.has_organizations:
        raise NotAllowed("APP_ORG.0002", log_detail=f"application={application.pk}")


# Trees -----------------------------------------------------------------------------------------------------


def _lock_tree(tree: _Tree, node: Node) -> None:
    """Wait for other writers of this tree. Foreign keys to the owner are not held up by this lock."""
    owner = getattr(node, tree.owner)
    type(owner).objects.select_for_update(no_key=True).get(pk=owner.pk)


def _locked(tree: _Tree, node: Node) -> Node:
    """Return the node as it is now, with its tree locked. Raises the tree's "not found" when it is gone."""
    _lock_tree(tree, node)
    row = type(node).objects.select_related(tree.owner).filter(pk=node.pk).first()
    if row is None:
        raise NotFound(tree.not_found, log_detail=f"organization={node.pk}")
    return row


def _insert(tree: _Tree, node: Node, *, code: str, name: str, parent_id: str) -> Node:
    _lock_tree(tree, node)
    node.code, node.name = _checked_code(tree, code), _checked_name(tree, name)
    node.parent = _find_parent(tree, node, parent_id)
    with refusing(type(node), _refusals(tree, node)):
        node.save()
    node.path = _path_below(tree, node, node.parent)
    node.save(update_fields=["path"])
    return node


def _change(tree: _Tree, node: Node, **values: str | None) -> dict[str, list[Any]]:
    """Set the values that differ and answer them as [before, after]."""
    changes = {}
    for name, value in values.items():
        if value is None:
            continue
        if name == "code":
            value = _checked_code(tree, value)
        elif name == "name":
            value = _checked_name(tree, value)
        if value != getattr(node, name):
            changes[name] = [getattr(node, name), value]
            setattr(node, name, value)
    return changes


def _move(tree: _Tree, node: Node, parent_id: str | None) -> dict[str, list[Any]]:
    """Hang the node and all below it under another parent; they keep their place among themselves."""
    if parent_id is None:
        return {}
    parent = _find_parent(tree, node, parent_id)
    if (parent.pk if parent else None) == node.parent_id:
        return {}
    if parent is not None and parent.path.startswith(node.path):
        raise NotAllowed(tree.own_parent, log_detail=f"organization={node.pk} parent={parent.pk}")
    before = node.parent.public_id if node.parent else ""
    old_path, new_path = node.path, _path_below(tree, node, parent)
    below = type(node).objects.filter(**{tree.owner: getattr(node, tree.owner)}, path__startswith=old_path)
    longest = below.aggregate(longest=Max(Length("path")))["longest"] or 0
    if longest - len(old_path) + len(new_path) > MAX_PATH_LENGTH:
        raise NotAllowed(tree.no_parent, log_detail=f"organization={node.pk} would lie too deep")
    below.update(path=Concat(Value(new_path), Substr(F("path"), len(old_path) + 1)))
    node.parent, node.path = parent, new_path
    return {"parent_id": [before, parent.public_id if parent else ""]}


def _save(tree: _Tree, node: Node, changes: Mapping[str, Any]) -> None:
    if changes:
        with refusing(type(node), _refusals(tree, node)):
            node.save()


def _delete_empty(tree: _Tree, node: Any) -> None:
    refusal = NotAllowed(tree.not_empty, log_detail=f"organization={node.pk}")
    if node.children.exists() or getattr(node, tree.residents).exists():
        raise refusal
    # Residents do not wait for the tree's lock; one may have come in since it was asked for.
    try:
        node.delete()
    except ProtectedError as error:
        raise refusal from error
    check_references(lambda: refusal)


def _find_parent(tree: _Tree, node: Node, parent_id: str) -> Node | None:
    if not parent_id:
        return None
    owner = getattr(node, tree.owner)
    rows = type(node).objects.filter(**{tree.owner: owner}, public_id=parent_id)
    parent = rows.first() if is_storable(parent_id) else None
    if parent is None:
        raise NotFound(tree.no_parent, log_detail="no such parent in this tree")
    return parent


def _path_below(tree: _Tree, node: Node, parent: Any) -> str:
    path = f"{parent.path if parent else '/'}{node.pk}/"
    if len(path) > MAX_PATH_LENGTH:
        raise NotAllowed(tree.no_parent, log_detail=f"parent={parent.pk} lies too deep")
    return path


def _checked_code(tree: _Tree, code: str) -> str:
    if not code:
        raise ValueRequired(tree.code_required)
    if not CODE_PATTERN.fullmatch(code):
        raise ValueInvalid(tree.code_invalid)
    return code


def _checked_name(tree: _Tree, name: str) -> str:
    name = name.strip()
    if not name:
        raise ValueRequired(tree.name_required)
    if not NAME_PATTERN.fullmatch(name):
        raise ValueInvalid(tree.name_invalid)
    return name


def _check_category(category: str) -> None:
    # The catalogue has no row for it; the wire's schema lets no other value through.
    if category not in OrganizationCategory.values:
        raise ValueInvalid("ORG.0015", log_detail="category")


def _refusals(tree: _Tree, node: Node) -> dict[str, Any]:
    """Return what a broken constraint means. A taken code is told before a taken name, whichever the database met.

    Who sends a creation again must learn that it was done already (OneAccess-3.1.4.1).
    """

    def refusal() -> IdentityError:
        owner = {tree.owner: getattr(node, tree.owner)}
        is_code = type(node).objects.filter(**owner, code=node.code).exclude(pk=node.pk).exists()
        return AlreadyExists(tree.code_taken if is_code else tree.name_taken, log_detail=f"code={is_code}")

    return dict.fromkeys(tree.constraints, refusal)


def _tenant_of(node: Organization | AppOrganization) -> Tenant:
    return node.tenant if isinstance(node, Organization) else node.application.tenant


def _record_created(
    node: Organization | AppOrganization, event: EventType, context: RequestContext, actor: Any, **values: str
) -> None:
    values = {
        "code": node.code,
        "name": node.name,
        "parent_id": node.parent.public_id if node.parent else "",
        **values,
    }
    audit.record(
        event,
        tenant=_tenant_of(node),
        actor=actor,
        target=node,
        context=context,
        changes={name: ["", value] for name, value in values.items()},
    )


def _record_deleted(
    node: Organization | AppOrganization, event: EventType, context: RequestContext, actor: Any
) -> None:
    audit.record(
        event,
        tenant=_tenant_of(node),
        actor=actor,
        target=node,
        context=context,
        changes={"code": [node.code, ""], "name": [node.name, ""]},
    )
