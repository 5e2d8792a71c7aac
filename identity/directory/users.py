"""People: creating, changing, enabling, disabling and deleting them.

Every rule of the contract's USER.* rows is here or in `attributes`, so each API only spells the wire. What must be
unique is decided by the database; a write and its audit event are one transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from identity import audit, authority, crypto
from identity.authority import Change
from identity.context import RequestContext
from identity.directory import attributes
from identity.directory.attributes import Rule
from identity.errors import AlreadyExists, IdentityError, NotFound, ValueInvalid, ValueRequired
from identity.events import EventType
from identity.integrity import check_references, refusing
from identity.lookups import equals
from identity.messaging import phone
from identity.models import (
    AppAccount,
    AttributeEditor,
    AuthenticatorApp,
    ExternalIdentity,
    FactorCeremony,
    Membership,
    Organization,
    Passkey,
    RecoveryCode,
    SessionEndReason,
    Tenant,
    TrustedDevice,
    UniqueAttributeValue,
    User,
    UserCount,
)
from identity.models.users import make_email_key, make_user_key
from identity.operator_groups import TENANT_OPERATORS
from identity.passwords import credentials
from identity.retries import retried
from identity.sso import access, devices, trusted_devices
from identity.texts import is_storable

_CONSTRAINTS = {
    "user_name_per_tenant": "user_name",
    "user_email_per_tenant": "email",
    "user_mobile_per_tenant": "mobile",
    "user_identity_number_per_tenant": "identity_number",
    "user_employee_id_per_tenant": "employee_id",
}
# Kept sealed; reading one costs a decryption, so they are touched only when they are written.
_SEALED = ("mobile", "identity_number")
# What tells who a person is never enters the hashed part of the audit in clear; it could not be erased there.
_PERSONAL = frozenset(attributes.BUILT_IN) - {"user_type", "language", "time_zone", "area"} | {"address"}
_ADDRESS_MEMBERS = frozenset({"formatted", "street_address", "locality", "region", "postal_code", "country"})
_VERIFIED_FLAG = {"email": "email_verified", "mobile": "phone_number_verified"}
# Where codes for the second factor go: whoever changes one changes a factor.
_WAYS_OF_PROOF = frozenset({"email", "mobile", "email_verified", "phone_number_verified"})
# Who may set which of them, beside a proved code.
_MARKED_BY: Mapping[AttributeEditor, frozenset[str]] = {
    AttributeEditor.OPERATOR: frozenset(_VERIFIED_FLAG.values()),
    AttributeEditor.API: frozenset({"phone_number_verified"}),
    AttributeEditor.USER: frozenset(),
}


@dataclass(frozen=True, slots=True)
class Relation:
    """One membership as a caller asks for it."""

    organization_code: str
    is_primary: bool = False


# Creating --------------------------------------------------------------------------------------------------


def create(
    *,
    tenant: Tenant,
    context: RequestContext,
    editor: str = AttributeEditor.OPERATOR,
    actor: Any = None,
    password: str = "",
    password_must_change: bool = False,
    organization_code: str = "",
    relations: Sequence[Relation] | None = None,
    extension: Mapping[str, Any] | None = None,
    address: Mapping[str, str] | None = None,
    looks_up: bool = False,
    **values: Any,
) -> User:
    """Add a person to the tenant.

    editor: AttributeEditor; which attributes must be given depends on who writes. values: built-in attributes, and
    the verified flags, which only an operator, a proved code, or for a number the API may set (S25).
    organization_code: the primary organisation; without one, and without relations, the tenant's first one at the
    top, if it has any. Without a name, it is the user name. Without a password nobody can sign in with one.
    looks_up: whether the password is looked up in breaches, where the tenant wants that; never in a transaction.
    Raises ValueRequired, ValueInvalid and AlreadyExists (USER.*), NotFound (ORG.0001), PasswordRefused (PWD.*).
    """
    flags = _take_flags(values, editor=editor)
    rules = attributes.user_rules(tenant)
    cleaned = attributes.clean_built_in(rules, values)
    cleaned_extension = attributes.clean_extension(rules, extension or {})
    if not cleaned.get("name"):
        cleaned["name"] = cleaned.get("user_name", "")
    attributes.check_required(rules, {**cleaned, **cleaned_extension}, editor=editor)
    user = User(
        tenant=tenant, password_must_change=password_must_change, address=_clean_address(address or {}), **flags
    )
    for name, value in cleaned.items():
        setattr(user, name, value)
    user.extension = _without_empty(cleaned_extension)
    # Slow on purpose, so before the transaction.
    if password:
        by = {"context": context, "actor": actor} if looks_up else None
        user.password = credentials.hash_new(user=user, password=password, looked_up_by=by)
        user.password_changed_at = timezone.now()
    else:
        user.password = make_password(None)
    _check_marks(flags, user=user, rules=rules)
    _refuse_foreign_names(user, written=cleaned)
    with refusing(User, _refusals(user), {Membership: _organization_gone}):
        user.save()
        attributes.store_unique_values(user=user, rules=rules, extension=cleaned_extension)
        memberships = _set_memberships(user, organization_code, relations, is_new=True)
        given = {name: ["", value] for name, value in cleaned.items() if value not in ("", None)}
        given |= {f"extension.{name}": ["", value] for name, value in user.extension.items()}
        audit.record(
            EventType.USER_CREATE,
            tenant=tenant,
            actor=actor,
            target=user,
            context=context,
            changes={**masked(given), **memberships},
            details={"editor": editor, "has_password": bool(password)},
            personal={"changes": in_clear(given)},
        )
    return user


# Changing --------------------------------------------------------------------------------------------------


@retried
def update(
    *,
    user: User,
    context: RequestContext,
    editor: str = AttributeEditor.OPERATOR,
    actor: Any = None,
    organization_code: str = "",
    relations: Sequence[Relation] | None = None,
    extension: Mapping[str, Any] | None = None,
    address: Mapping[str, str] | None = None,
    password_must_change: bool | None = None,
    **values: Any,
) -> dict[str, list[Any]]:
    """Change what is given and leave the rest; an empty value empties the attribute.

    Answers what changed, as attribute to [before, after], personal values masked; nothing is written when nothing
    changes. A new e-mail address or mobile number is not verified any more.
    extension: merged by name. relations: the whole list; organization_code alone changes only the primary one.
    Raises as `create`, NotFound (USER.0001) when the user was deleted meanwhile, NotAllowed for an attribute that
    this editor may not change, and AuthorityRefused where the person has more rights than the actor.
    """
    rules = attributes.user_rules(user.tenant)
    flags = _take_flags(values, editor=editor)
    cleaned = attributes.clean_built_in(rules, values)
    cleaned_extension = attributes.clean_extension(rules, extension or {})
    new_address = None if address is None else _clean_address(address)
    with transaction.atomic():
        row = _locked(user)
        if cleaned.get("name") == "" and not rules["name"].required_for:
            cleaned["name"] = cleaned.get("user_name") or row.user_name  # as in a creation
        changes = {name: [getattr(row, name), value] for name, value in cleaned.items() if getattr(row, name) != value}
        extension_changes = {
            name: [row.extension.get(name, ""), value]
            for name, value in cleaned_extension.items()
            if row.extension.get(name, "") != value
        }
        new_values = {name: after for name, (_before, after) in {**changes, **extension_changes}.items()}
        attributes.check_editable(rules, new_values, editor=editor)
        attributes.check_not_emptied(rules, new_values)
        authority.check_attributes(changes, user=row, actor=actor)
        for name, flag in _VERIFIED_FLAG.items():
            # A mark that is given together with a new address is given to that one.
            if flag in flags and (flags[flag] != getattr(row, flag) or (flags[flag] and name in changes)):
                authority.check(Change.MARK, user=row, actor=actor)
                attributes.check_editable(rules, [name], editor=editor)
            if name in changes and getattr(row, flag):
                flags.setdefault(flag, False)
        others: dict[str, Any] = {**flags}
        if password_must_change is not None and password_must_change != row.password_must_change:
            authority.check(Change.PASSWORD, user=row, actor=actor)
            others["password_must_change"] = password_must_change
        if new_address is not None:
            others["address"] = new_address
        changes |= {name: [getattr(row, name), value] for name, value in others.items() if getattr(row, name) != value}
        for name, (_before, after) in changes.items():
            setattr(row, name, after)
        _check_marks(flags, user=row, rules=rules)
        row.extension = _without_empty({**row.extension, **cleaned_extension})
        changed = {**changes, **{f"extension.{name}": pair for name, pair in extension_changes.items()}}
        recorded = masked(changed)
        if recorded:
            _refuse_foreign_names(row, written=changes)
            with refusing(User, _refusals(row)):
                row.save()
            attributes.store_unique_values(user=row, rules=rules, extension=cleaned_extension)
            if not _WAYS_OF_PROOF.isdisjoint(changes):
                trusted_devices.forget_all(row, context=context, actor=actor)
        recorded |= _set_memberships(row, organization_code, relations, is_new=False)
        if recorded:
            audit.record(
                EventType.USER_UPDATE,
                tenant=user.tenant,
                actor=actor,
                target=row,
                context=context,
                changes=recorded,
                details={"editor": editor},
                personal={"changes": in_clear(changed)},
            )
    _refresh(user)
    return recorded


@retried
def mark_verified(*, user: User, attribute: str, context: RequestContext, actor: Any = None) -> None:
    """Note that the person proved the e-mail address or mobile number that is on the row now.

    attribute: "email" or "mobile". The caller has checked a code that was sent to exactly this value; if the value
    was changed meanwhile nothing is noted. Call it in the transaction that spends the code.
    """
    flag = _VERIFIED_FLAG[attribute]
    proved = {"email": {"email_key": user.email_key}, "mobile": {"mobile_index": user.mobile_index}}[attribute]
    event = EventType.EMAIL_VERIFIED if attribute == "email" else EventType.MOBILE_VERIFIED
    with transaction.atomic():
        if User.objects.present().filter(pk=user.pk, **proved, **{flag: False}).update(**{flag: True}):
            setattr(user, flag, True)
            audit.record(
                event,
                tenant=user.tenant,
                actor=actor or user,
                target=user,
                context=context,
                changes={flag: [False, True]},
            )


@retried
def set_operator(
    *,
    user: User,
    is_operator: bool,
    context: RequestContext,
    actor: Any = None,
    is_superuser: bool = False,
    groups: Collection[Group] | None = None,
) -> dict[str, list[Any]]:
    """Let the person into the admin of the tenant, or of all tenants; tell what changed.

    groups: sets of rights, the whole list; None leaves them. A new operator who has none gets every right inside the
    tenant.
    Taking the right away, or giving it, ends the sessions: what they were opened for has changed (S27). Who becomes an
    operator loses the mark that the number is proved, because a client of an API may have set it (S46); the number is
    proved anew, or marked on purpose afterwards.
    Only superusers and the machine's own commands do this, nobody to themselves, and a superuser stays. Raises
    AuthorityRefused.
    """
    wanted = {"is_staff": is_operator or is_superuser, "is_superuser": is_superuser}
    with transaction.atomic():
        authority.hold_superusers(user)
        row = _locked(user)
        changes: dict[str, list[Any]] = {
            name: [getattr(row, name), value] for name, value in wanted.items() if getattr(row, name) != value
        }
        ends_sessions = bool(changes)
        if wanted["is_staff"] and not row.is_staff and row.phone_number_verified and actor != "system":
            wanted["phone_number_verified"] = False
            changes["phone_number_verified"] = [True, False]
        if groups is not None and (before := _names(row.groups.all())) != (after := _names(groups)):
            changes["groups"] = [before, after]
        if changes:
            authority.check(Change.RIGHTS, user=row, actor=actor)
            if not is_superuser:
                authority.check_superuser_left(without=row)
            for name, value in wanted.items():
                setattr(row, name, value)
            if ends_sessions:
                row.epoch += 1
            row.save(update_fields=[*wanted, "epoch", "updated_at"])
            if "groups" in changes:
                row.groups.set(groups or ())
            if row.is_staff and not row.is_superuser and not row.groups.exists():
                row.groups.add(Group.objects.get(name=TENANT_OPERATORS))
            audit.record(
                EventType.USER_UPDATE, tenant=user.tenant, actor=actor, target=row, context=context, changes=changes
            )
        if ends_sessions:
            access.close_old_epochs(user=user, reason=SessionEndReason.ENDED_BY_OPERATOR, context=context, actor=actor)
        for name in (*wanted, "epoch"):
            setattr(user, name, getattr(row, name))
    return changes


# Enabling, disabling, deleting -----------------------------------------------------------------------------


@retried
def enable(*, user: User, context: RequestContext, actor: Any = None) -> bool:
    """Let the person sign in again. Answers whether that changed anything. Sessions that ended stay ended.

    Raises AuthorityRefused and NotFound (USER.0001).
    """
    with transaction.atomic():
        changed = _switch(user, is_active=True, actor=actor)
        if changed:
            audit.record(
                EventType.USER_ENABLE,
                tenant=user.tenant,
                actor=actor,
                target=user,
                context=context,
                changes={"is_active": [False, True]},
            )
    return changed


@retried
def disable(*, user: User, context: RequestContext, actor: Any = None) -> bool:
    """Keep the person out, at once: all sessions and tokens end (decision 14). Answers as `enable`."""
    with transaction.atomic():
        changed = _switch(user, is_active=False, actor=actor)
        if changed:
            audit.record(
                EventType.USER_DISABLE,
                tenant=user.tenant,
                actor=actor,
                target=user,
                context=context,
                changes={"is_active": [True, False]},
            )
            access.close_old_epochs(user=user, reason=SessionEndReason.USER_DISABLED, context=context, actor=actor)
    return changed


@retried
def delete(*, user: User, context: RequestContext, actor: Any = None) -> None:
    """Delete a person: the row stays without personal data, so that the id is never given to anybody else (decision 2).

    Accounts, memberships, second factors and old passwords go; names are free again; personal data leaves the audit.
    Raises AuthorityRefused and NotFound (USER.0001).
    """
    with transaction.atomic():
        authority.hold_superusers(user)
        row = _locked(user)
        authority.check(Change.EXISTENCE, user=row, actor=actor)
        authority.check_superuser_left(without=row)
        access.close_old_epochs(user=row, reason=SessionEndReason.USER_DELETED, context=context, actor=actor)
        owned = (AuthenticatorApp, FactorCeremony, Passkey, RecoveryCode, TrustedDevice)
        for model in (AppAccount, ExternalIdentity, Membership, UniqueAttributeValue, *owned):
            model.objects.filter(user=row).delete()
        devices.forget_all(row)
        credentials.remove_password(user=row)
        blank = User(tenant=row.tenant)
        for name in [*attributes.BUILT_IN, "email_verified", "phone_number_verified", "address", "extension"]:
            setattr(row, name, getattr(blank, name))
        row.user_name, row.name = "", ""
        row.is_active, row.is_staff, row.is_superuser = False, False, False
        row.password_changed_at, row.password_must_change = None, False
        row.factor_kinds, row.factor_required = "", False
        row.locked_until, row.deleted_at = None, timezone.now()
        row.epoch += 1
        row.save()
        row.groups.clear()
        row.user_permissions.clear()
        UserCount.add(row.tenant_id, -1)
        audit.erase_personal(row)
        # After the erasure: this event's address and browser are those of whoever deleted.
        audit.record(
            EventType.USER_DELETE,
            tenant=row.tenant,
            actor=actor,
            target=row,
            context=context,
            changes={"deleted_at": [None, row.deleted_at]},
        )
    _refresh(user)


def _switch(user: User, *, is_active: bool, actor: Any) -> bool:
    authority.hold_superusers(user)
    row = _locked(user)
    if row.is_active == is_active:
        user.is_active = is_active
        return False
    authority.check(Change.STATE, user=row, actor=actor)
    if not is_active:
        authority.check_superuser_left(without=row)
    row.is_active = is_active
    if not is_active:
        row.epoch += 1
    row.save(update_fields=["is_active", "epoch", "updated_at"])
    user.is_active, user.epoch = is_active, row.epoch
    return True


# Rows ------------------------------------------------------------------------------------------------------


def _locked(user: User) -> User:
    """Return the user as the row stands now, kept from other writers. Raises NotFound (USER.0001) when deleted."""
    rows = User.objects.present().select_related("tenant").select_for_update(of=("self",), no_key=True)
    row: User | None = rows.filter(pk=user.pk).first()
    if row is None:
        raise NotFound("USER.0001", log_detail=f"user={user.pk}")
    return row


def _names(groups: Iterable[Group]) -> list[str]:
    return sorted(group.name for group in groups)


def _refresh(user: User) -> None:
    tenant = user.tenant
    user.refresh_from_db()
    user.tenant = tenant


def _refusals(user: User) -> dict[str, Callable[[], IdentityError]]:
    return {name: partial(_taken, user, attribute) for name, attribute in _CONSTRAINTS.items()}


def _taken(user: User, broken: str) -> IdentityError:
    """Return the refusal of a row with taken values: of the first in the order of the form, whichever was met."""
    columns = {
        "user_name": "user_key",
        "mobile": "mobile_index",
        "email": "email_key",
        "identity_number": "identity_number_index",
        "employee_id": "employee_id",
    }
    others = User.objects.present().filter(tenant=user.tenant_id).exclude(pk=user.pk)

    def is_taken(name: str) -> bool:
        value = getattr(user, columns[name])
        return name == broken or bool(value and others.filter(equals(columns[name], value)).exists())

    attribute = next(name for name in columns if is_taken(name))
    return AlreadyExists(attributes.BUILT_IN_UNIQUE[attribute], log_detail=f"attribute={attribute}")


def _refuse_foreign_names(user: User, *, written: Collection[str]) -> None:
    """Refuse a user name that is somebody else's address, and an address that is somebody else's user name.

    All three are typed into one field to sign in. Constraints cannot span columns; of two such writes at the same
    moment both may pass, and then the user name wins at sign-in, as it always does.
    """
    foreign = Q(pk__in=[])  # nothing; alone it asks no query
    as_addresses: tuple[str, ...] = ()
    if "user_name" in written and user.user_name:
        email_key = make_email_key(user.user_name)
        mobile_index = phone.mobile_index(user.user_name, tenant=user.tenant)
        as_addresses = (email_key, mobile_index)
        foreign |= equals("email_key", email_key) | equals("mobile_index", mobile_index)
    as_names: dict[str, set[str]] = {}
    if "email" in written and user.email:
        as_names["email"] = {make_user_key(user.email)}
    if "mobile" in written and user.mobile:
        as_names["mobile"] = set(phone.spellings(user.mobile, country=phone.country_of(user.tenant)))
    if as_names:
        foreign |= equals("user_key__in", sorted(set[str]().union(*as_names.values())))
    others = User.objects.present().filter(foreign, tenant_id=user.tenant_id)
    if user.pk is not None:
        others = others.exclude(pk=user.pk)
    # One query for all of it; what it finds is at most a row for each value.
    found = list(others.values_list("user_key", "email_key", "mobile_index"))
    if any(not {email_key, mobile_index}.isdisjoint(as_addresses) for _key, email_key, mobile_index in found):
        raise AlreadyExists("USER.0029", log_detail="another user's address")
    taken = {user_key for user_key, _email, _mobile in found}
    for name, code in (("email", "USER.0031"), ("mobile", "USER.0030")):
        if not as_names.get(name, set()).isdisjoint(taken):
            raise AlreadyExists(code, log_detail="another user's name")


# Values ----------------------------------------------------------------------------------------------------


def _take_flags(values: dict[str, Any], *, editor: str) -> dict[str, bool]:
    """Take the verified flags out of the values. S25: nobody verifies an address by saying so.

    A directory answers for the numbers that it writes, so the management API may mark them, of whom `authority` says.
    """
    flags = {flag: bool(values.pop(flag)) for flag in _VERIFIED_FLAG.values() if flag in values}
    if not flags.keys() <= _MARKED_BY[AttributeEditor(editor)]:
        raise PermissionError("verified flags are set by a proved code or by an operator")
    return flags


def _check_marks(flags: Mapping[str, bool], *, user: User, rules: Mapping[str, Rule]) -> None:
    """Refuse to mark an address or a number that is not there."""
    for name, flag in _VERIFIED_FLAG.items():
        if flags.get(flag) and not getattr(user, name):
            raise rules[name].required()


def _clean_address(address: Mapping[str, str]) -> dict[str, str]:
    """Check the members of OIDCC-5.1.1."""
    for name, value in address.items():
        is_text = isinstance(value, str) and len(value) <= attributes.MAX_TEXT_LENGTH and is_storable(value)
        if name not in _ADDRESS_MEMBERS or not is_text:
            raise ValueInvalid("USER.0056", "address", log_detail="address")
    return {name: value.strip() for name, value in address.items() if value.strip()}


def _without_empty(extension: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in extension.items() if value != ""}


def masked(changes: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
    """Return changes as the audit may keep them: personal values hidden, others as they are."""
    return {name: [_mask(name, value) for value in pair] for name, pair in changes.items()}


def in_clear(changes: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
    """Return the personal ones of these changes, for the part of the audit that is erased with the person.

    What is sealed on the row is sealed for a reason, so it stays masked here too.
    """
    return {
        name: [str(value or "") for value in pair]
        for name, pair in changes.items()
        if name not in _SEALED and _is_personal(name)
    }


def _is_personal(name: str) -> bool:
    return name in _PERSONAL or name.startswith("extension.")


def _mask(name: str, value: Any) -> Any:
    if value in ("", None, {}):
        return ""
    if name == "mobile":
        return crypto.mask_mobile(value)
    if name == "email":
        return crypto.mask_email(value)
    if name in ("identity_number", "employee_id"):
        return crypto.mask_id(value)
    if _is_personal(name):
        return "***"
    return value.isoformat() if isinstance(value, date) else value


# Memberships -----------------------------------------------------------------------------------------------


def _set_memberships(
    user: User, organization_code: str, relations: Sequence[Relation] | None, *, is_new: bool
) -> dict[str, list[Any]]:
    """Bring the user's memberships to what was asked for; answer the change as lists of "code" and "code (primary)"."""
    present = {
        membership.organization_id: membership
        for membership in ([] if is_new else user.memberships.select_related("organization"))
    }
    wanted = _wanted_memberships(user, organization_code, relations, present, is_new=is_new)
    before = {pk: membership.is_primary for pk, membership in present.items()}
    after = {organization.pk: is_primary for organization, is_primary in wanted.items()}
    if before == after:
        return {}
    codes = {pk: membership.organization.code for pk, membership in present.items()}
    codes |= {organization.pk: organization.code for organization in wanted}
    if before:
        _change_present(user, before, after)
    Membership.objects.bulk_create(
        Membership(user=user, organization_id=pk, is_primary=is_primary)
        for pk, is_primary in after.items()
        if pk not in before
    )
    if not is_new:
        check_references(_organization_gone)
    return {"organizations": [_in_words(before, codes), _in_words(after, codes)]}


def _change_present(user: User, before: Mapping[int, bool], after: Mapping[int, bool]) -> None:
    """Leave organisations and make another one the primary one, in an order that the database allows at any moment."""
    user.memberships.exclude(organization_id__in=after).delete()
    stepping_down = [pk for pk, is_primary in after.items() if not is_primary and before.get(pk)]
    user.memberships.filter(organization_id__in=stepping_down).update(is_primary=False)
    rising = [pk for pk, is_primary in after.items() if is_primary and before.get(pk) is False]
    user.memberships.filter(organization_id__in=rising).update(is_primary=True)


def _organization_gone() -> NotFound:
    return NotFound("ORG.0001", log_detail="organisation deleted meanwhile")


def _wanted_memberships(
    user: User,
    organization_code: str,
    relations: Sequence[Relation] | None,
    present: Mapping[int, Membership],
    *,
    is_new: bool,
) -> dict[Organization, bool]:
    if relations is not None:
        return _from_relations(user.tenant, organization_code, relations)
    if organization_code:
        primary = _organizations(user.tenant, [organization_code])[organization_code]
        others = [
            membership.organization
            for membership in present.values()
            if not membership.is_primary and membership.organization_id != primary.pk
        ]
        return {primary: True, **dict.fromkeys(others, False)}
    if is_new:
        first = Organization.objects.filter(tenant=user.tenant_id, parent=None).order_by("pk").first()
        return {first: True} if first else {}
    return {membership.organization: membership.is_primary for membership in present.values()}


def _from_relations(tenant: Tenant, organization_code: str, relations: Sequence[Relation]) -> dict[Organization, bool]:
    """Decision 44: the list names each organisation once and has exactly one primary one, that of organization_code."""
    codes = [relation.organization_code for relation in relations]
    primary = [relation.organization_code for relation in relations if relation.is_primary]
    if len(set(codes)) != len(codes) or len(primary) != 1 or (organization_code and primary != [organization_code]):
        raise NotFound("ORG.0001", log_detail="not exactly one primary organisation in the list")
    found = _organizations(tenant, codes)
    return {found[relation.organization_code]: relation.is_primary for relation in relations}


def _organizations(tenant: Tenant, codes: Sequence[str]) -> dict[str, Organization]:
    if not all(codes):
        raise ValueRequired("ORG.0010", log_detail="empty organisation code")
    storable = [code for code in codes if is_storable(code)]
    rows = Organization.objects.filter(tenant_id=tenant.pk, code__in=storable).only("code")
    found = {row.code: row for row in rows}
    if len(found) != len(set(codes)):
        raise NotFound("ORG.0001", log_detail="no such organisation code")
    return found


def _in_words(memberships: Mapping[int, bool], codes: Mapping[int, str]) -> list[str]:
    return sorted(f"{codes[pk]} (primary)" if is_primary else codes[pk] for pk, is_primary in memberships.items())
