"""Registering oneself, on the proof of a code sent to one's mobile number.

Who is registered decides the tenant: its switch, its attribute definitions, its password policy, its organisation for
newcomers. The caller has proved the code and spends it in the same transaction, so that of two tries one makes a user.
"""

from __future__ import annotations

import secrets
import string
from collections.abc import Mapping
from typing import Any

from django.db import transaction

from identity.context import RequestContext
from identity.directory import attributes, users
from identity.directory.attributes import Rule
from identity.errors import NotAllowed
from identity.models import AttributeEditor, Organization, Tenant, UnknownUser, Upstream, User

# What a registration may say of a person; the rest of the built-in attributes is the tenant's to write.
OPEN_ATTRIBUTES = frozenset(
    {
        "user_name",
        "name",
        "email",
        "picture_url",
        "gender",
        "birth_date",
        "nick_name",
        "first_name",
        "middle_name",
        "last_name",
    }
)

_NAME_CHARACTERS = string.ascii_lowercase + string.digits


def is_offered(tenant: Tenant) -> bool:
    """Tell whether a code for registering may be sent: by the tenant's switch, or to whom another provider sent."""
    if tenant.allow_registration:
        return True
    offering = {"is_active": True, "unknown_user": UnknownUser.BIND_OR_REGISTER}
    return Upstream.objects.filter(tenant=tenant, **offering).exists()


def register(
    *,
    tenant: Tenant,
    mobile: str,
    context: RequestContext,
    password: str = "",
    extension: Mapping[str, Any] | None = None,
    **values: Any,
) -> User:
    """Make a user whose mobile number was just proved. In the transaction that spends the code.

    values: of OPEN_ATTRIBUTES. Raises ValueRequired, ValueInvalid and AlreadyExists (USER.*), PasswordRefused (PWD.*).
    """
    closed = sorted(set(values) - OPEN_ATTRIBUTES)
    if closed:
        raise TypeError(f"not for a registration: {', '.join(closed)}")
    rules = attributes.user_rules(tenant)
    _check_open(rules, extension or {})
    _check_names(rules, values)
    if values.get("user_name") in (None, ""):
        values["user_name"] = _new_user_name()
    with transaction.atomic():
        user = users.create(
            tenant=tenant,
            mobile=mobile,
            password=password,
            extension=extension,
            organization_code=_organization_code(tenant),
            editor=AttributeEditor.USER,
            context=context,
            **values,
        )
        users.mark_verified(user=user, attribute="mobile", context=context)
    return user


def _check_names(rules: Mapping[str, Rule], values: Mapping[str, Any]) -> None:
    """Refuse a registration that lacks a required name, before defaults fill it in."""
    for name in ("user_name", "name"):
        if not values.get(name) and AttributeEditor.USER in rules[name].required_for:
            raise rules[name].required()


def _check_open(rules: Mapping[str, Rule], extension: Mapping[str, Any]) -> None:
    """Refuse what only others may write of a person, unless the tenant demands it of everybody."""
    for name in extension:
        rule = rules.get(name)
        if rule is None or rule.is_built_in:
            continue  # refused as unknown where the values are checked
        if AttributeEditor.USER not in rule.required_for and not rule.may_be_edited_by(AttributeEditor.USER):
            raise NotAllowed(rule.invalid_code, name, log_detail=f"attribute={name} at a registration")


def _new_user_name() -> str:
    """Make a name for whoever gave none. Not the number: that one is kept sealed, and may be somebody else's later."""
    return "u" + "".join(secrets.choice(_NAME_CHARACTERS) for _character in range(11))


def _organization_code(tenant: Tenant) -> str:
    if tenant.registration_organization_id is None:
        return ""
    rows = Organization.objects.filter(tenant=tenant, pk=tenant.registration_organization_id)
    return rows.values_list("code", flat=True).first() or ""
