"""What may be told about one user to one application. Every protocol spells its claims and attributes from this."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property
from types import MappingProxyType
from typing import Any

from identity.messaging import phone
from identity.models import AppAccount, Application, ApplicationAccess, AppRole, Gender, Membership, User


@dataclass(frozen=True, slots=True)
class OrganizationEntry:
    """One organisation of the user."""

    public_id: str
    code: str
    name: str
    is_primary: bool


@dataclass(frozen=True)
class Profile:
    """A user as one application may see them. Names are ours; protocols have their own.

    Making one costs nothing: what is on the user's row is read when asked for, and each of `roles`, `organizations`
    and (where accounts are assigned) `account_name` is one query at its first use.
    """

    user: User = field(repr=False)  # the row; protocols read the properties below
    application: Application | None = None  # None: nothing that belongs to an application
    has_bare_phone_number: bool = False  # the application reads numbers as they are dialled in the tenant's country

    @property
    def sub(self) -> str:
        """The one lasting identifier (S24)."""
        return self.user.public_id

    @property
    def user_name(self) -> str:
        """What the user signs in with; it may change, so it identifies nobody."""
        return self.user.user_name

    @property
    def name(self) -> str:
        """The full name as shown."""
        return self.user.get_full_name()

    @property
    def first_name(self) -> str:
        """The given name."""
        return self.user.first_name

    @property
    def middle_name(self) -> str:
        """The middle name."""
        return self.user.middle_name

    @property
    def last_name(self) -> str:
        """The family name."""
        return self.user.last_name

    @property
    def nick_name(self) -> str:
        """The nickname."""
        return self.user.nick_name

    @property
    def email(self) -> str:
        """The e-mail address, verified or not."""
        return self.user.email

    @property
    def email_verified(self) -> bool | None:
        """Whether the user, or an operator for them, proved the address; None where there is none."""
        return self.user.email_verified if self.user.email else None

    @cached_property
    def phone_number(self) -> str:
        """The mobile number in E.164 (OIDCC-5.1), or as vendors' documents print it where the application asks so."""
        return self.bare_phone_number if self.has_bare_phone_number else str(self.user.mobile)

    @cached_property
    def bare_phone_number(self) -> str:
        """The mobile number as it is dialled in the tenant's country."""
        return phone.bare(self.user.mobile, country=phone.country_of(self.user.tenant))

    @property
    def phone_number_verified(self) -> bool | None:
        """Whether the number was proved; None where there is none."""
        return self.user.phone_number_verified if self.user.mobile_sealed else None

    @property
    def address(self) -> Mapping[str, str]:
        """Members of OIDCC-5.1.1, without empty ones."""
        return MappingProxyType(self.user.address)

    @property
    def gender(self) -> str:
        """A value of Gender; nothing where it is unknown."""
        return "" if self.user.gender == Gender.UNKNOWN else self.user.gender

    @property
    def birth_date(self) -> date | None:
        """The day of birth."""
        return self.user.birth_date

    @property
    def time_zone(self) -> str:
        """The IANA name; the tenant's where the user has none."""
        return self.user.time_zone or self.user.tenant.time_zone

    @property
    def language(self) -> str:
        """BCP 47; the tenant's where the user has none."""
        return self.user.language or self.user.tenant.language

    @property
    def picture_url(self) -> str:
        """The address of a picture."""
        return self.user.picture_url

    @property
    def employee_id(self) -> str:
        """The employee id."""
        return self.user.employee_id

    @property
    def updated_at(self) -> datetime:
        """When the row was last changed."""
        return self.user.updated_at

    @property
    def extension(self) -> Mapping[str, Any]:
        """Extended attributes, by name."""
        return MappingProxyType(self.user.extension)

    @cached_property
    def account_name(self) -> str:
        """The user's name in the application; the user name where there is no application or no account."""
        if self.application is None:
            return self.user.user_name
        return account_name_for(application=self.application, user=self.user) or self.user.user_name

    @cached_property
    def roles(self) -> tuple[str, ...]:
        """Codes of the roles that the user's enabled account holds in this application, in order. One query."""
        if self.application is None or not self.application.has_roles:
            return ()
        held = AppRole.objects.filter(
            application=self.application, members__account__user=self.user, members__account__is_active=True
        )
        return tuple(held.order_by("code").values_list("code", flat=True))

    @cached_property
    def organizations(self) -> tuple[OrganizationEntry, ...]:
        """The user's organisations, the primary one first. One query."""
        memberships = Membership.objects.filter(user=self.user).select_related("organization")
        return tuple(
            OrganizationEntry(
                public_id=membership.organization.public_id,
                code=membership.organization.code,
                name=membership.organization.name,
                is_primary=membership.is_primary,
            )
            for membership in memberships.order_by("-is_primary", "organization__code")
        )


def account_name_for(*, application: Application, user: User) -> str:
    """Return the name under which the application knows the person; "" when it does not.

    The user name where everyone may come in, else the name of the enabled account.
    """
    if application.access == ApplicationAccess.EVERYONE:
        return user.user_name
    # A user has one account in an application at most, by constraint.
    account = AppAccount.objects.filter(application=application, user=user, is_active=True).order_by()
    return account.values_list("account_name", flat=True).first() or ""
