"""A way back for whoever has the machine, when nobody can enter the console any more."""

from __future__ import annotations

from typing import Any

from identity import audit, policies
from identity.context import RequestContext
from identity.directory import tenants, users
from identity.events import EventType
from identity.models import User
from identity.passwords import credentials
from identity.sign_in import account


def rescue(*, user: User, context: RequestContext, email: str = "") -> str:
    """Make a person a superuser who can sign in; return the password, which must be changed at the next sign-in.

    Whatever stands in the way goes: a disabled tenant, a disabled person, a lock, a forgotten password.
    email: an address that is set and marked as proved, for a tenant that asks for a second factor.
    Each change is audited, and the rescue as such. Raises AlreadyExists and ValueInvalid (USER.*) for the address.
    """
    by: dict[str, Any] = {"context": context, "actor": audit.SYSTEM_ACTOR}
    if email:
        users.update(user=user, email=email, email_verified=True, **by)
    tenants.update(tenant=user.tenant, is_active=True, **by)
    users.enable(user=user, **by)
    users.set_operator(user=user, is_operator=True, is_superuser=True, **by)
    password = credentials.generate_password(policies.password_policy(user.tenant))
    account.set_password_of(user=user, password=password, must_change=True, **by)
    audit.record(EventType.USER_RESCUE, tenant=user.tenant, target=user, details={"has_email": bool(email)}, **by)
    return password
