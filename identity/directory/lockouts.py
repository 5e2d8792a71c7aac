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
from identity.models import Application, ApplicationAccess, FactorKind, MFAMode, Tenant, User, VerificationChannel

METHOD_COLUMNS = ("sign_in_by_password", "sign_in_by_sms", "sign_in_by_email")
FACTOR_COLUMNS = ("mfa_mode", "factors_allowed", "operators_need_own_factor")
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
_NO_KIND_LEFT = gettext_lazy(
    "%(people)d of %(all)d people would have no second factor left that is taken. A browser lets them set another one"
    " up at their next sign-in; an app lets them in no more. Confirm it."
)
_NO_OWN_FACTOR = gettext_lazy(
    "%(people)d of %(all)d operators have none of their own. A browser lets them set one up at their next sign-in."
    " Confirm it."
)
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
    kinds = policies.session_policy(tenant).factors_allowed
    return Lockout(_without_factor(people, mode=mode, kinds=kinds).count(), people.count())


def check_mode(
    mode: str, *, before: str, tenant: Tenant, application: Application | None = None, is_accepted: bool = False
) -> None:
    """Judge a new rule of when a second factor is asked for. Raises ValidationError at `mfa_mode`.

    is_accepted: whoever sets it knows that people will be locked out.
    """
    if mode in (before, MFAMode.NEVER, MFAMode.IF_ENROLLED) or is_accepted:
        return
    text = _LOCKED_OUT[MFAMode.PHISHING_RESISTANT if mode == MFAMode.PHISHING_RESISTANT else MFAMode.ALWAYS]
    _refuse("mfa_mode", text, count(tenant=tenant, application=application, mode=mode))


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
    _refuse("sign_in_by_password", _CANNOT_BEGIN, Lockout(out.count(), people.count()))


def check_factors(
    after: Mapping[str, Any], *, before: Mapping[str, Any], tenant: Tenant, is_accepted: bool = False
) -> None:
    """Judge a change of the kinds that are taken, and of what operators need. Raises ValidationError at its column.

    after, before: by column of FACTOR_COLUMNS. is_accepted: as in `check_mode`.
    """
    if is_accepted:
        return
    people = User.objects.present().filter(tenant=tenant, is_active=True)
    kinds, is_changed = after["factors_allowed"], after["factors_allowed"] != before["factors_allowed"]
    if is_changed and (asked := _asked(tenant, mode=after["mfa_mode"])) is not None:
        had = people.filter(asked & _has_factor(before["factors_allowed"]))
        _refuse("factors_allowed", _NO_KIND_LEFT, Lockout(had.exclude(_has_factor(kinds)).count(), people.count()))
    if after["operators_need_own_factor"] and (is_changed or not before["operators_need_own_factor"]):
        operators = people.filter(Q(is_staff=True) | Q(is_superuser=True))
        without = operators.exclude(_has_factor(kinds, is_own=True))
        _refuse("operators_need_own_factor", _NO_OWN_FACTOR, Lockout(without.count(), operators.count()))


def _asked(tenant: Tenant, *, mode: str) -> Q | None:
    """Return whom the tenant's rule, or one of an application, asks for a second factor. None: nobody."""
    own = Application.objects.filter(tenant=tenant).exclude(mfa_mode=MFAMode.NEVER).values_list("mfa_mode", flat=True)
    modes = {mode, *own.distinct()} - {"", MFAMode.NEVER}
    if not modes:
        return None
    return ~Q(factor_kinds="") if modes == {MFAMode.IF_ENROLLED} else Q()


def _refuse(column: str, text: Any, lockout: Lockout) -> None:
    if lockout.people:
        values = {"people": lockout.people, "all": lockout.of}
        raise ValidationError({column: text % values}, code="lockout")


def _has_factor(names: str, *, is_own: bool = False) -> Q:
    """Return who has a second factor of one of these kinds, of any where none is named.

    is_own: of those that no gateway carries.
    """
    ways = {kind.value: Q(factor_kinds__contains=kind.value) for kind in FactorKind}
    if not is_own:
        ways |= {VerificationChannel.SMS.value: _TELEPHONE, VerificationChannel.EMAIL.value: _MAILBOX}
    taken = Q(pk__in=())
    for name in names.split() or ways:
        taken |= ways.get(name, Q(pk__in=()))
    return taken


def _without_factor(people: QuerySet[User], *, mode: str, kinds: str) -> QuerySet[User]:
    if mode == MFAMode.PHISHING_RESISTANT:
        return people.exclude(factor_kinds__contains=FactorKind.PASSKEY)
    return people.exclude(_has_factor(kinds))
