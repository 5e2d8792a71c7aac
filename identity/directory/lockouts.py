"""Whom a demand for a second factor, or fewer ways to sign in, would keep out, asked before it is made (S50).

A second factor is what the person has enrolled, or a code to a mailbox or telephone that the person has proved.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy

from identity import policies
from identity.models import Application, ApplicationAccess, FactorKind, MFAMode, Tenant, User

METHOD_COLUMNS = ("sign_in_by_password", "sign_in_by_sms", "sign_in_by_email")
_MAILBOX = Q(email_verified=True) & ~Q(email="")
_TELEPHONE = Q(phone_number_verified=True) & ~Q(mobile_index="")
_LOCKED_OUT = {
    MFAMode.ALWAYS: gettext_lazy(
        "%(people)d of %(all)d people have no second factor and no verified e-mail address or mobile number. A browser"
        " lets them set one up at their next sign-in; an app lets them in no more. Confirm it, or verify their"
        " addresses first."
    ),
    MFAMode.PHISHING_RESISTANT: gettext_lazy(
        "%(people)d of %(all)d people have no passkey. A browser lets them add one at their next sign-in; an app lets"
        " them in no more. Confirm it."
    ),
}


_CANNOT_BEGIN = gettext_lazy(
    "%(people)d of %(all)d people could not sign in any more: they have no passkey, and no proved address or number"
    " that a code goes to; superusers are never let in by a code. Confirm it, or let them add passkeys first."
)


@dataclass(frozen=True)
class Lockout:
    """How many people could sign in no more, of how many."""

    people: int
    of: int


def count(*, tenant: Tenant, application: Application | None = None, mode: str = MFAMode.ALWAYS) -> Lockout:
    """Count who could not come in if this was always asked for; of an application, those who may use it."""
    people = User.objects.present().filter(tenant=tenant, is_active=True)
    if application is not None and application.access == ApplicationAccess.ASSIGNED:
        people = people.filter(app_accounts__application=application, app_accounts__is_active=True)
    return Lockout(_without_factor(people, mode).count(), people.count())


def check_mode(
    mode: str, *, before: str, tenant: Tenant, application: Application | None = None, is_accepted: bool = False
) -> None:
    """Judge a new rule of when a second factor is asked for. Raises ValidationError at `mfa_mode`.

    is_accepted: whoever sets it knows that people will be locked out.
    """
    if mode in (before, MFAMode.NEVER, MFAMode.IF_ENROLLED) or is_accepted:
        return
    lockout = count(tenant=tenant, application=application, mode=mode)
    if lockout.people:
        text = _LOCKED_OUT[MFAMode.PHISHING_RESISTANT if mode == MFAMode.PHISHING_RESISTANT else MFAMode.ALWAYS]
        raise ValidationError({"mfa_mode": text % {"people": lockout.people, "all": lockout.of}}, code="lockout")


def check_methods(
    after: Mapping[str, Any], *, before: Mapping[str, Any], tenant: Tenant, is_accepted: bool = False
) -> None:
    """Judge a change of the ways to sign in. Raises ValidationError at `sign_in_by_password`.

    after, before: by column of METHOD_COLUMNS. is_accepted: as in `check_mode`.
    """
    is_less = any(before[name] and not after[name] for name in METHOD_COLUMNS)
    if is_accepted or not is_less or after["sign_in_by_password"]:
        return
    people = User.objects.present().filter(tenant=tenant, is_active=True)
    has_passkey = Q(factor_kinds__contains=FactorKind.PASSKEY)
    out = people.exclude(has_passkey) if policies.allows_factor(tenant, FactorKind.PASSKEY) else people
    if after["sign_in_by_email"]:
        out = out.exclude(_MAILBOX, is_superuser=False)
    if after["sign_in_by_sms"]:
        out = out.exclude(_TELEPHONE, is_superuser=False)
    lockout = Lockout(out.count(), people.count())
    if lockout.people:
        values = {"people": lockout.people, "all": lockout.of}
        raise ValidationError({"sign_in_by_password": _CANNOT_BEGIN % values}, code="lockout")


def _without_factor(people: QuerySet[User], mode: str) -> QuerySet[User]:
    if mode == MFAMode.PHISHING_RESISTANT:
        return people.exclude(factor_kinds__contains=FactorKind.PASSKEY)
    return people.exclude(_MAILBOX | _TELEPHONE | ~Q(factor_kinds=""))
