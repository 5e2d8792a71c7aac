"""Smallest valid rows. Override what the test is about; names are made up and differ from call to call.

Rows are written directly, so a test of a service does not depend on the services that build its surroundings. Clients
and what belongs to them: `tests.factories.oidc`.
"""

from __future__ import annotations

from functools import cache
from itertools import count
from typing import Any

from django.contrib.auth.hashers import make_password
from django.utils import timezone

from identity.messaging import phone
from identity.models import (
    AppAccount,
    Application,
    AppOrganization,
    AppRole,
    AppRoleMember,
    AttributeDefinition,
    Membership,
    MessagePolicy,
    Organization,
    PasswordPolicy,
    SessionPolicy,
    Tenant,
    TenantDomain,
    User,
)

PASSWORD = "Quiet-Harbour-41"  # good under the default policy

_numbers = count(1)


@cache
def hashed(password: str) -> str:
    """The hash of a test password. Made once in a process, for speed; the hasher of the tests is cheap anyway."""
    return make_password(password)


def make_tenant(
    *,
    host: str | None = None,
    password_policy: dict[str, Any] | None = None,
    session_policy: dict[str, Any] | None = None,
    message_policy: dict[str, Any] | None = None,
    **values: Any,
) -> Tenant:
    """A tenant with its policies and one domain: `tenant.domains.get().host` is `host`."""
    number = next(_numbers)
    values = {"code": f"tenant-{number}", "name": f"Tenant {number}", **values}
    tenant = Tenant.objects.create(**values)
    TenantDomain.objects.create(tenant=tenant, host=host or f"{tenant.code}.monban.example")
    PasswordPolicy.objects.create(tenant=tenant, **(password_policy or {}))
    SessionPolicy.objects.create(tenant=tenant, **(session_policy or {}))
    MessagePolicy.objects.create(tenant=tenant, **(message_policy or {}))
    return tenant


def make_user(tenant: Tenant | None = None, *, password: str | None = PASSWORD, **values: Any) -> User:
    """A user who may sign in with `password`; None leaves the user without one.

    `mobile` and `identity_number` are given in clear.
    """
    number = next(_numbers)
    sealed = {name: values.pop(name) for name in ("mobile", "identity_number") if name in values}
    values = {"user_name": f"user{number}", "name": f"User {number}", **values}
    values.setdefault("password_changed_at", timezone.now() if password is not None else None)
    user = User(tenant=tenant or make_tenant(), **values)
    if "mobile" in sealed:
        sealed["mobile"] = phone.canonical(sealed["mobile"], country=phone.country_of(user.tenant))
    for name, value in sealed.items():
        setattr(user, name, value)
    if password is None:
        user.set_unusable_password()
    else:
        user.password = hashed(password)
    user.save()
    return user


def make_operator(tenant: Tenant | None = None, **values: Any) -> User:
    """An operator without any right; `is_superuser=True` gives them all, in all tenants."""
    return make_user(tenant, **{"is_staff": True, **values})


def make_organization(
    tenant: Tenant | None = None, *, parent: Organization | None = None, **values: Any
) -> Organization:
    """A node of the tenant's tree, with its path."""
    number = next(_numbers)
    owner = parent.tenant if parent else tenant or make_tenant()
    values = {"code": f"org-{number}", "name": f"Organisation {number}", **values}
    organization = Organization.objects.create(tenant=owner, parent=parent, **values)
    organization.path = f"{parent.path if parent else '/'}{organization.pk}/"
    organization.save(update_fields=["path"])
    return organization


def make_membership(user: User, organization: Organization, *, is_primary: bool = True) -> Membership:
    """The user belongs to the organisation."""
    return Membership.objects.create(user=user, organization=organization, is_primary=is_primary)


def make_attribute(tenant: Tenant, name: str, **values: Any) -> AttributeDefinition:
    """The tenant's rule for a built-in or extended attribute of users."""
    return AttributeDefinition.objects.create(tenant=tenant, name=name, **values)


def make_application(tenant: Tenant | None = None, **values: Any) -> Application:
    """An entry of the tenant's catalogue, open to everyone."""
    number = next(_numbers)
    values = {"code": f"app-{number}", "name": f"Application {number}", **values}
    return Application.objects.create(tenant=tenant or make_tenant(), **values)


def make_app_organization(
    application: Application | None = None, *, parent: AppOrganization | None = None, **values: Any
) -> AppOrganization:
    """A node of an application's own tree, with its path."""
    number = next(_numbers)
    owner = parent.application if parent else application or make_application()
    values = {"code": f"app-org-{number}", "name": f"Branch {number}", **values}
    organization = AppOrganization.objects.create(application=owner, parent=parent, **values)
    organization.path = f"{parent.path if parent else '/'}{organization.pk}/"
    organization.save(update_fields=["path"])
    return organization


def make_account(user: User, application: Application, **values: Any) -> AppAccount:
    """The user's account inside the application."""
    values = {"account_name": user.user_name, "name": user.name, **values}
    return AppAccount.objects.create(user=user, application=application, **values)


def make_role(application: Application, *accounts: AppAccount, **values: Any) -> AppRole:
    """A role of the application, held by the accounts."""
    number = next(_numbers)
    role = AppRole.objects.create(
        application=application, **{"code": f"role-{number}", "name": f"Role {number}", **values}
    )
    AppRoleMember.objects.bulk_create(AppRoleMember(role=role, account=account) for account in accounts)
    return role
