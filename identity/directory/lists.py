"""Tenant-scoped look-ups and lists. Every query names the tenant, or a row that belongs to it (S36).

`get_…` raises NotFound with the contract's code; `find_…` may answer None; `list_…` answers a page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.db.models import Model, Prefetch, Q, QuerySet, prefetch_related_objects

from identity.errors import NotAllowed, NotFound, ValueInvalid, ValueRequired
from identity.lookups import equals
from identity.messaging import phone
from identity.models import (
    AccountType,
    AppAccount,
    Application,
    AppOrganization,
    AppRole,
    AppRoleMember,
    Membership,
    Organization,
    Tenant,
    User,
    UserCount,
)
from identity.models.users import make_email_key, make_user_key
from identity.texts import is_storable

MIN_PAGE_SIZE, MAX_PAGE_SIZE = 10, 100  # PAGE.0001
# An offset beyond this is a mistake or an attack, and databases walk through what they skip.
MAX_PAGE_INDEX = 1_000_000

_ROLES = Prefetch("roles", AppRoleMember.objects.select_related("role").order_by("pk"))

Row = TypeVar("Row")  # a model, or a column of one
Found = TypeVar("Found", bound=Model)


@dataclass(frozen=True, slots=True)
class MembershipReference:
    """An organisation that a user belongs to, by its public id."""

    organization_id: str
    is_primary: bool


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """One page of rows and how many there are in all."""

    total: int
    rows: list[Row]


def paginate(
    rows: QuerySet[Any, Row], *, index: int, size: int, min_size: int = MIN_PAGE_SIZE, total: int | None = None
) -> Page[Row]:
    """Return the page with that index, from 0. Two queries, one when nothing matches. Raises ValueInvalid (PAGE.0001).

    total: where it is known without counting the rows.
    """
    if not (min_size <= size <= MAX_PAGE_SIZE and 0 <= index <= MAX_PAGE_INDEX):
        raise ValueInvalid("PAGE.0001")
    total = rows.count() if total is None else total
    return Page(total=total, rows=list(rows[index * size : (index + 1) * size]) if total > index * size else [])


# Users -----------------------------------------------------------------------------------------------------


def get_user(*, tenant: Tenant, public_id: str) -> User:
    """Return the user of that id. Raises ValueRequired (USER.0061) and NotFound (USER.0001), for other tenants' too."""
    if not public_id:
        raise ValueRequired("USER.0061")
    return _found(find_user(tenant=tenant, public_id=public_id))


def get_user_by_name(*, tenant: Tenant, user_name: str) -> User:
    """Return the user of that name. Raises ValueRequired (USER.0008) and NotFound (USER.0001)."""
    if not user_name:
        raise ValueRequired("USER.0008")
    return _found(find_user(tenant=tenant, user_name=user_name))


def find_user(
    *, tenant: Tenant, public_id: str = "", user_name: str = "", mobile: str = "", email: str = ""
) -> User | None:
    """Return the user with exactly this one property. One query; none when the property is empty."""
    if not all(is_storable(text) for text in (public_id, user_name, mobile, email)):
        return None
    wanted = {
        "public_id": public_id,
        "user_key": make_user_key(user_name),
        "mobile_index": phone.mobile_index(mobile, tenant=tenant),
        "email_key": make_email_key(email),
    }
    given = [equals(column, value) for column, value in wanted.items() if value]
    if len(given) != 1:
        return None
    user: User | None = User.objects.present().filter(*given, tenant=tenant).first()
    if user is not None:
        user.tenant = tenant
    return user


def list_users(*, tenant: Tenant, organization_id: str = "", index: int = 0, size: int = MIN_PAGE_SIZE) -> Page[User]:
    """List users of the tenant, oldest first; of one organisation's own members if it is named. See `memberships_of`.

    Raises NotFound (ORG.0001) and ValueInvalid (PAGE.0001).
    """
    users = User.objects.present().filter(tenant=tenant)
    if organization_id:
        organization = get_organization(tenant=tenant, public_id=organization_id)
        users = users.filter(memberships__organization=organization)
        total = None
    else:
        total = UserCount.objects.filter(tenant=tenant).values_list("users", flat=True).first()
    # Keys first: a late page walks an index over what it skips, in place of the rows.
    keys = paginate(users.order_by("pk").values_list("pk", flat=True), index=index, size=size, total=total)
    rows = list(User.objects.filter(pk__in=keys.rows).order_by("pk"))
    for user in rows:
        user.tenant = tenant
    return Page(total=keys.total, rows=rows)


def memberships_of(users: Sequence[User]) -> dict[int, list[MembershipReference]]:
    """Return where each of the users belongs, by the user's key, the primary organisation first. One query for all.

    Columns and no rows: of a page of users, their memberships would cost as much as the users.
    """
    found: dict[int, list[MembershipReference]] = {user.pk: [] for user in users}
    rows = Membership.objects.filter(user__in=list(found)).order_by("-is_primary", "pk")
    for user_id, organization_id, is_primary in rows.values_list("user_id", "organization__public_id", "is_primary"):
        found[user_id].append(MembershipReference(organization_id, is_primary))
    return found


def _found(user: User | None) -> User:
    if user is None:
        raise NotFound("USER.0001", log_detail="no such user in this tenant")
    return user


# Organisations ---------------------------------------------------------------------------------------------


def get_organization(*, tenant: Tenant, public_id: str) -> Organization:
    """Return the organisation with that id. Raises NotFound (ORG.0001)."""
    return _get(
        Organization.objects.select_related("tenant", "parent").filter(tenant=tenant), public_id, refusal="ORG.0001"
    )


def list_organizations(
    *,
    tenant: Tenant,
    organization_id: str = "",
    all_children: bool = False,
    index: int = 0,
    size: int = MIN_PAGE_SIZE,
) -> Page[Organization]:
    """List organisations of the tenant, parents before children (decision 43).

    Without an id the tenant itself is meant: those without a parent, or with all_children every one. With an id: the
    organisation and its children, or with all_children everything below it.
    Raises NotFound (ORG.0001) and ValueInvalid (PAGE.0001).
    """
    organizations = Organization.objects.filter(tenant=tenant).select_related("parent")
    if organization_id:
        top = get_organization(tenant=tenant, public_id=organization_id)
        is_below = Q(path__startswith=top.path) if all_children else Q(pk=top.pk) | Q(parent=top)
        organizations = organizations.filter(is_below)
    elif not all_children:
        organizations = organizations.filter(parent=None)
    return paginate(organizations.order_by("pk"), index=index, size=size)


# Applications ----------------------------------------------------------------------------------------------


def find_application(*, tenant: Tenant, code: str) -> Application | None:
    """Return the application of that code."""
    return Application.objects.filter(tenant=tenant, code=code).first() if is_storable(code) else None


def get_app_organization(*, application: Application, public_id: str) -> AppOrganization:
    """Find an organisation in the application's own tree. Raises NotAllowed (APP_ORG.0002), NotFound (APP_ORG.0001)."""
    _check_switched_on(application.has_organizations, application, refusal="APP_ORG.0002")
    rows = AppOrganization.objects.select_related("application__tenant", "parent").filter(application=application)
    return _get(rows, public_id, refusal="APP_ORG.0001")


def list_app_organizations(
    *, application: Application, index: int = 0, size: int = MIN_PAGE_SIZE
) -> Page[AppOrganization]:
    """List the application's own tree, flat. Raises NotAllowed (APP_ORG.0002) and ValueInvalid (PAGE.0001)."""
    _check_switched_on(application.has_organizations, application, refusal="APP_ORG.0002")
    rows = AppOrganization.objects.filter(application=application).select_related("parent")
    return paginate(rows.order_by("pk"), index=index, size=size)


def get_account(*, application: Application, public_id: str) -> AppAccount:
    """Return the application account with that id. Raises NotFound (APP_ACCOUNT.0001)."""
    rows = AppAccount.objects.select_related("application__tenant", "organization", "user")
    return _get(rows.filter(application=application), public_id, refusal="APP_ACCOUNT.0001")


def list_accounts(
    *, application: Application, account_type: str = "", index: int = 0, size: int = MIN_PAGE_SIZE
) -> Page[AppAccount]:
    """List accounts of the application with their roles. Raises ValueInvalid (APP_ACCOUNT.0003, PAGE.0001)."""
    rows = AppAccount.objects.filter(application=application).select_related("organization")
    if account_type:
        if account_type not in AccountType.values:
            raise ValueInvalid("APP_ACCOUNT.0003")
        rows = rows.filter(account_type=account_type)
    return paginate(rows.order_by("pk").prefetch_related(_ROLES), index=index, size=size)


def list_accounts_of(*, user: User) -> list[AppAccount]:
    """Return all accounts of a user, over all applications."""
    return list(AppAccount.objects.filter(user=user).select_related("application").order_by("pk"))


def with_roles(account: AppAccount) -> AppAccount:
    """Return the same account, with its roles loaded. One query."""
    prefetch_related_objects([account], _ROLES)
    return account


def get_role(*, application: Application, public_id: str) -> AppRole:
    """Return the role with that id. Raises NotAllowed (APP_ROLE.0002) and NotFound (APP_ROLE.0001)."""
    _check_switched_on(application.has_roles, application, refusal="APP_ROLE.0002")
    rows = AppRole.objects.select_related("application__tenant").filter(application=application)
    return _get(rows, public_id, refusal="APP_ROLE.0001")


def list_roles(*, application: Application, index: int = 0, size: int = MIN_PAGE_SIZE) -> Page[AppRole]:
    """List roles of the application. Raises NotAllowed (APP_ROLE.0002) and ValueInvalid (PAGE.0001)."""
    _check_switched_on(application.has_roles, application, refusal="APP_ROLE.0002")
    return paginate(AppRole.objects.filter(application=application).order_by("pk"), index=index, size=size)


def list_role_members(*, role: AppRole, index: int = 0, size: int = MIN_PAGE_SIZE) -> Page[AppRoleMember]:
    """List who holds the role, with account and organisation. Raises ValueInvalid (PAGE.0001)."""
    rows = AppRoleMember.objects.filter(role=role).select_related("account__organization")
    return paginate(rows.order_by("pk"), index=index, size=size)


def _check_switched_on(is_on: bool, application: Application, *, refusal: str) -> None:
    if not is_on:
        raise NotAllowed(refusal, log_detail=f"application={application.pk}")


def _get(rows: QuerySet[Found], public_id: str, *, refusal: str) -> Found:
    row = rows.filter(public_id=public_id).first() if public_id and is_storable(public_id) else None
    if row is None:
        raise NotFound(refusal, log_detail="no such row here")
    return row
