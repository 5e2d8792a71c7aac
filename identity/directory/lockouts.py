"""Whom a demand for a second factor, or fewer ways to sign in, would keep out, asked before it is made (S50).

A second factor is what the person has enrolled, or a code to a mailbox or telephone that the person has proved.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Q
from django.utils.translation import gettext_lazy

from identity import policies
from identity.models import Application, ApplicationAccess, FactorKind, MFAMode, Tenant, User, VerificationChannel

# Of a tenant's session policy, what decides who comes in.
METHOD_COLUMNS = ("sign_in_by_password", "sign_in_by_sms", "sign_in_by_email")
POLICY_COLUMNS = (*METHOD_COLUMNS, "mfa_mode", "factors_allowed", "operators_need_own_factor")
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
_NO_PASSKEYS = gettext_lazy(
    "%(people)d of %(all)d people would be kept out where only a passkey will do, as passkeys are not allowed. Confirm"
    " it, or allow them."
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


def count(
    *,
    tenant: Tenant,
    application: Application | None = None,
    mode: str = MFAMode.ALWAYS,
    kinds: str | None = None,
) -> Lockout:
    """Count who could not come in if this was always asked for; of an application, those who may use it.

    kinds: of second factors that are taken, with spaces between them, "" for all; None for those of the tenant.
    """
    people = User.objects.present().filter(tenant=tenant, is_active=True)
    if application is not None and application.access == ApplicationAccess.ASSIGNED:
        people = people.filter(app_accounts__application=application, app_accounts__is_active=True)
    taken = _kinds_of(tenant) if kinds is None else kinds
    return Lockout(people.exclude(_has_factor(taken, mode=mode)).count(), people.count())


def check_mode(
    mode: str,
    *,
    before: str,
    tenant: Tenant,
    application: Application | None = None,
    kinds: str | None = None,
    is_accepted: bool = False,
) -> None:
    """Judge a new rule of when a second factor is asked for. Raises ValidationError at `mfa_mode`.

    kinds: as in `count`. is_accepted: whoever sets it knows that people will be locked out.
    """
    if mode in (before, MFAMode.NEVER, MFAMode.IF_ENROLLED) or is_accepted:
        return
    text = _LOCKED_OUT[MFAMode.PHISHING_RESISTANT if mode == MFAMode.PHISHING_RESISTANT else MFAMode.ALWAYS]
    if mode == MFAMode.PHISHING_RESISTANT and not _takes_passkeys(_kinds_of(tenant) if kinds is None else kinds):
        text = _NO_PASSKEYS
    _refuse("mfa_mode", text, count(tenant=tenant, application=application, mode=mode, kinds=kinds))


def check_policy(
    after: Mapping[str, Any], *, before: Mapping[str, Any], tenant: Tenant, is_accepted: bool = False
) -> None:
    """Judge a change of a tenant's session policy. Raises ValidationError at the column that is to blame.

    after, before: by column of POLICY_COLUMNS. is_accepted: as in `check_mode`.
    """
    if is_accepted:
        return
    check_mode(after["mfa_mode"], before=before["mfa_mode"], tenant=tenant, kinds=after["factors_allowed"])
    _check_methods(after, before=before, tenant=tenant)
    _check_kinds(after, before=before, tenant=tenant)
    _check_operators(after, before=before, tenant=tenant)


def _check_methods(after: Mapping[str, Any], *, before: Mapping[str, Any], tenant: Tenant) -> None:
    is_less = any(before[name] and not after[name] for name in METHOD_COLUMNS)
    if not is_less or after["sign_in_by_password"]:
        return
    people = User.objects.present().filter(tenant=tenant, is_active=True)
    out = people.exclude(_has_factor(after["factors_allowed"], mode=MFAMode.PHISHING_RESISTANT))
    if after["sign_in_by_email"]:
        out = out.exclude(_MAILBOX, is_superuser=False)
    if after["sign_in_by_sms"]:
        out = out.exclude(_TELEPHONE, is_superuser=False)
    _refuse("sign_in_by_password", _CANNOT_BEGIN, Lockout(out.count(), people.count()))


def _check_kinds(after: Mapping[str, Any], *, before: Mapping[str, Any], tenant: Tenant) -> None:
    kinds, had = after["factors_allowed"], before["factors_allowed"]
    if kinds == had:
        return
    people = User.objects.present().filter(tenant=tenant, is_active=True)
    of_applications = Application.objects.filter(tenant=tenant).values_list("mfa_mode", flat=True).distinct()
    modes = {after["mfa_mode"], *of_applications} - {"", MFAMode.NEVER}
    if MFAMode.PHISHING_RESISTANT in modes and _takes_passkeys(had) and not _takes_passkeys(kinds):
        _refuse("factors_allowed", _NO_PASSKEYS, Lockout(people.count(), people.count()))
    for mode in sorted(modes):
        asked = people.exclude(factor_kinds="") if mode == MFAMode.IF_ENROLLED else people
        lost = asked.filter(_has_factor(had, mode=mode)).exclude(_has_factor(kinds, mode=mode))
        _refuse("factors_allowed", _NO_KIND_LEFT, Lockout(lost.count(), people.count()))


def _check_operators(after: Mapping[str, Any], *, before: Mapping[str, Any], tenant: Tenant) -> None:
    name, kinds = "operators_need_own_factor", after["factors_allowed"]
    if not after[name] or (before[name] and kinds == before["factors_allowed"]):
        return
    operators = User.objects.present().filter(Q(is_staff=True) | Q(is_superuser=True), tenant=tenant, is_active=True)
    without = operators.exclude(_has_factor(kinds, is_own=True))
    _refuse(name, _NO_OWN_FACTOR, Lockout(without.count(), operators.count()))


def _refuse(column: str, text: Any, lockout: Lockout) -> None:
    if lockout.people:
        values = {"people": lockout.people, "all": lockout.of}
        raise ValidationError({column: text % values}, code="lockout")


def _kinds_of(tenant: Tenant) -> str:
    return policies.session_policy(tenant).factors_allowed


def _takes_passkeys(kinds: str) -> bool:
    return not kinds or FactorKind.PASSKEY in kinds.split()


def _has_factor(kinds: str, *, mode: str = "", is_own: bool = False) -> Q:
    """Return who has a second factor of one of these kinds, of any where none is named, that this mode is content with.

    is_own: of those that no gateway carries.
    """
    ways = {kind.value: Q(factor_kinds__contains=kind.value) for kind in FactorKind}
    if mode == MFAMode.PHISHING_RESISTANT:
        ways = {FactorKind.PASSKEY.value: ways[FactorKind.PASSKEY]}
    elif not is_own:
        ways |= {VerificationChannel.SMS.value: _TELEPHONE, VerificationChannel.EMAIL.value: _MAILBOX}
    taken = Q(pk__in=())
    for name in kinds.split() or ways:
        taken |= ways.get(name, Q(pk__in=()))
    return taken
