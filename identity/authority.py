"""Who may change what of whom: the one decision, asked by every service that writes a person (S46).

What tells who a person is, what signs a person in, and what a person may do, is never changed by somebody who may do
less. Otherwise whoever may write a directory sets a superuser's telephone number, resets the password by a message to
it, and is one. Views, forms and files do not decide this: they say who acts, and a service asks here.

What only describes a person (names, organisations, attributes) is not protected, so that the sync of a directory may
meet operators too. The table that people read is in docs/security.md.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import IntEnum, StrEnum
from typing import Any

from django.db.models import QuerySet

from identity.errors import AuthorityRefused
from identity.models import PasswordPolicy, Tenant, User


class Standing(IntEnum):
    """How much somebody may do in the product, from least to most."""

    PERSON = 0  # nobody, a person without rights, a client of an API, a host application
    OPERATOR = 1  # some rights in one tenant
    SUPERUSER = 2  # every right in every tenant
    MACHINE = 3  # whoever runs commands on the machine has its keys and its database


class Change(StrEnum):
    """What is done to a person."""

    DESCRIPTION = "description"  # names, organisations, attributes
    IDENTIFIER = "identifier"  # user name, e-mail address, mobile number, employee id, identity number
    MARK = "mark"  # the note that an address or a number is proved
    PASSWORD = "password"
    FACTOR = "factor"  # second factors, and accounts elsewhere that sign the person in
    LOCK = "lock"  # lifting the lock that wrong tries have set
    SESSION = "session"  # ending sign-ins
    STATE = "state"  # enabled or disabled
    RIGHTS = "rights"  # operator, superuser, groups
    EXISTENCE = "existence"  # deleting
    SIGN_IN = "sign_in"  # speaking for the person without a proof of theirs


# Attributes of a user that tell who it is, or where it is reached with a code.
IDENTIFIERS = frozenset({"user_name", "email", "mobile", "employee_id", "identity_number"})

# S25: nobody proves an address by saying so. And nobody takes the branch away on which they sit.
_NEVER_ONE_S_OWN = frozenset({Change.MARK, Change.STATE, Change.RIGHTS, Change.EXISTENCE})


def standing_of(actor: Any) -> Standing:
    """Return how much an actor may do. actor: a User, a row with a `client_id`, "system", or None for nobody known."""
    if actor == "system":
        return Standing.MACHINE
    if not isinstance(actor, User):
        return Standing.PERSON
    if actor.is_superuser:
        return Standing.SUPERUSER
    return Standing.OPERATOR if actor.is_staff else Standing.PERSON


def is_privileged(user: User) -> bool:
    """Tell whether the person may do anything beyond their own account, so that taking it over gives rights."""
    return standing_of(user) > Standing.PERSON


def is_proved_by_message(user: User) -> bool:
    """Tell whether a code that was sent to the person's number is, by itself, proof of the person.

    Operators choose the gateways that carry codes, so a code is no proof of a superuser, who has more rights than they.
    An operator's number counts only once it is marked as proved: a directory may have written it before.
    """
    standing = standing_of(user)
    return standing == Standing.PERSON or (standing == Standing.OPERATOR and user.phone_number_verified)


def may_sign_in_by_code(user: User) -> bool:
    """Tell whether a code to an address that the person has proved lets them in on the sign-in page.

    Operators choose the gateways that carry codes, so a code lets no superuser in.
    """
    return standing_of(user) < Standing.SUPERUSER


def check_proof_from_elsewhere(user: User) -> None:
    """Refuse a sign-in that another provider vouches for, where it is no proof of this person.

    Operators choose the providers and the addresses at which they are asked, so a provider's word is no proof of a
    superuser. Raises AuthorityRefused (RIGHT.0005).
    """
    if standing_of(user) == Standing.SUPERUSER:
        raise AuthorityRefused("RIGHT.0005", log_detail=f"user={user.pk}")


def may_reset_password(*, user: User, policy: PasswordPolicy) -> bool:
    """Tell whether the person may replace a forgotten password by codes: people do, operators by the policy."""
    standing = standing_of(user)
    return standing == Standing.PERSON or (standing == Standing.OPERATOR and policy.operators_may_reset)


def check(change: Change, *, user: User, actor: Any) -> None:
    """Refuse what this actor may not do to this person.

    user: as the row stands now; in a transaction that writes it, read under its lock. Operators have no rights over
    each other: whoever could reset another operator's password could become that operator.
    Raises AuthorityRefused: RIGHT.0001 for a person with more rights, RIGHT.0002 for what nobody does to themselves.
    """
    if change == Change.DESCRIPTION:
        return
    if isinstance(actor, User) and actor.pk == user.pk:
        if change in _NEVER_ONE_S_OWN:
            raise AuthorityRefused("RIGHT.0002", log_detail=f"user={user.pk} own {change}")
        return
    if standing_of(actor) >= Standing.SUPERUSER:
        return
    is_foreign = isinstance(actor, User) and actor.tenant_id != user.tenant_id
    if is_privileged(user) or is_foreign or change == Change.RIGHTS:
        raise AuthorityRefused("RIGHT.0001", log_detail=f"user={user.pk} {change}")


def may(change: Change, *, user: User, actor: Any) -> bool:
    """Return what `check` would say, for pages that offer only what can be done."""
    try:
        check(change, user=user, actor=actor)
    except AuthorityRefused:
        return False
    return True


def check_policy_change(names: Collection[str], *, actor: Any) -> None:
    """Refuse to open a way to operators' accounts to whoever may not set their passwords. Raises AuthorityRefused."""
    if "operators_may_reset" in names and standing_of(actor) < Standing.SUPERUSER:
        raise AuthorityRefused("RIGHT.0001", log_detail="operators_may_reset")


def check_group_change(*, actor: Any) -> None:
    """Refuse to write a set of rights: it holds in every tenant, and nobody gives rights that are not their own.

    Superusers have every right. Raises AuthorityRefused (RIGHT.0001).
    """
    if standing_of(actor) < Standing.SUPERUSER:
        raise AuthorityRefused("RIGHT.0001", log_detail="group of rights")


def hold_superusers(user: User) -> None:
    """Where a superuser may be lost, make everybody wait who might lose another one at the same moment.

    In the transaction that writes, before the row itself is locked: one order for all, so nobody waits in a circle.
    """
    if user.is_superuser:
        rows = User.objects.present().filter(is_superuser=True).order_by("pk")
        list(rows.select_for_update(no_key=True).values_list("pk", flat=True))


def check_superuser_left(*, without: User) -> None:
    """Refuse to lose the last person who administers all tenants. Raises AuthorityRefused (RIGHT.0003)."""
    if without.is_superuser and not _able_superusers().exclude(pk=without.pk).exists():
        raise AuthorityRefused("RIGHT.0003", log_detail=f"user={without.pk}")


def check_superuser_elsewhere(tenant: Tenant) -> None:
    """Refuse to stop the tenant in which the last superusers are. Raises AuthorityRefused (RIGHT.0003)."""
    able = _able_superusers()
    if able.filter(tenant=tenant).exists() and not able.exclude(tenant=tenant).exists():
        raise AuthorityRefused("RIGHT.0003", log_detail=f"tenant={tenant.pk}")


def _able_superusers() -> QuerySet[User]:
    able: QuerySet[User] = User.objects.present().filter(is_superuser=True, is_active=True, tenant__is_active=True)
    return able


def check_attributes(names: Collection[str], *, user: User, actor: Any) -> None:
    """Refuse a change of these attributes of a person. Raises as `check`."""
    if not IDENTIFIERS.isdisjoint(names):
        check(Change.IDENTIFIER, user=user, actor=actor)
