"""Organisations and people of a configuration file."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from identity.configuration.plan import ACTOR, Plan
from identity.configuration.shapes import ConfigError, check_flag, check_keys, check_list, check_text
from identity.directory import attributes, lists, organizations, users
from identity.directory.users import Relation
from identity.models import Organization, Tenant, User
from identity.sign_in import enrolment, imported_totp

USER_KEYS = (*attributes.BUILT_IN, "email_verified", "phone_number_verified", "address", "extension")


def apply_organization(tenant: Tenant, plan: Plan, entry: Mapping[str, Any], path: str) -> None:
    """Bring an organisation, found by its code, to what the file says."""
    check_keys(entry, {"code", "name", "parent", "category"}, path)
    code = check_text(entry, "code", path)
    values = {key: check_text(entry, key, path) for key in ("name", "category") if key in entry}
    if "parent" in entry:
        values["parent_id"] = _organization_id(tenant, check_text(entry, "parent", path, default=""), f"{path}.parent")
    organization = Organization.objects.select_related("tenant", "parent").filter(tenant=tenant, code=code).first()
    if organization is None:
        organizations.create(tenant=tenant, context=plan.context, actor=ACTOR, code=code, **{"name": code, **values})
        plan.created(f"organization {code}")
        return
    changes = organizations.update(organization=organization, context=plan.context, actor=ACTOR, **values)
    plan.changed(f"organization {code}", changes)


def _organization_id(tenant: Tenant, code: str, path: str) -> str:
    if not code:
        return ""
    organization = Organization.objects.filter(tenant=tenant, code=code).first()
    if organization is None:
        raise ConfigError(path, f'There is no organization "{code}"; name it before what lies below it.')
    return organization.public_id


def apply_user(tenant: Tenant, plan: Plan, entry: Mapping[str, Any], path: str) -> None:
    """Bring a person, found by the user name, to what the file says."""
    own = {"password", "password_must_change", "organization", "organizations", "enabled", "operator", "superuser"}
    check_keys(entry, {"totp", *own, *USER_KEYS}, path)
    user_name = check_text(entry, "user_name", path)
    values = {name: _plain(entry[name]) for name in USER_KEYS if name in entry}
    memberships = _memberships(entry, path)
    user = lists.find_user(tenant=tenant, user_name=user_name)
    subject = f"user {user_name}"
    if user is None:
        user = users.create(
            tenant=tenant,
            context=plan.context,
            actor=ACTOR,
            password=plan.secret(entry["password"], f"{path}.password") if "password" in entry else "",
            password_must_change=check_flag(entry, "password_must_change", path) or False,
            **memberships,
            **values,
        )
        plan.created(subject)
        _apply_rights(entry, user, plan, path)
        _apply_apps(entry, user, plan, path)
        return
    # The password, and the demand to change it, are for the first time: what people chose since then is theirs.
    changes = users.update(user=user, context=plan.context, actor=ACTOR, **memberships, **values)
    plan.changed(subject, {**changes, **_apply_rights(entry, user, plan, path)})
    _apply_apps(entry, user, plan, path)


def _apply_rights(entry: Mapping[str, Any], user: User, plan: Plan, path: str) -> dict[str, list[Any]]:
    """Bring what the person may do to what the file says; what it does not mention stays."""
    changes: dict[str, list[Any]] = {}
    is_operator, is_superuser = check_flag(entry, "operator", path), check_flag(entry, "superuser", path)
    if is_operator is not None or is_superuser is not None:
        changes |= users.set_operator(
            user=user,
            context=plan.context,
            actor=ACTOR,
            is_operator=user.is_staff if is_operator is None else is_operator,
            is_superuser=user.is_superuser if is_superuser is None else is_superuser,
        )
    is_enabled = check_flag(entry, "enabled", path)
    if is_enabled is not None:
        switch = users.enable if is_enabled else users.disable
        if switch(user=user, context=plan.context, actor=ACTOR):
            changes["enabled"] = [not is_enabled, is_enabled]
    return changes


def _apply_apps(entry: Mapping[str, Any], user: User, plan: Plan, path: str) -> None:
    """Add the authenticator apps that another product has enrolled. None is ever removed, nor written to a file."""
    for number, value in enumerate(check_list(entry.get("totp", []), f"{path}.totp")):
        place = f"{path}.totp[{number}]"
        try:
            is_credential = isinstance(value, Mapping) and "file" not in value
            secret = imported_totp.read(value if is_credential else plan.secret(value, place))
        except ValueError as error:
            raise ConfigError(place, str(error)) from None
        added = enrolment.import_app(
            user=user,
            secret=secret.base32,
            algorithm=secret.algorithm,
            name=secret.name,
            context=plan.context,
            actor=ACTOR,
        )
        if added:
            plan.created(f"authenticator app of user {user.user_name}")


def _memberships(entry: Mapping[str, Any], path: str) -> dict[str, Any]:
    """Read `organization`, the primary one, and `organizations`, further ones, which then are the whole list."""
    primary = check_text(entry, "organization", path, default="")
    if "organizations" not in entry:
        return {"organization_code": primary}
    others = check_list(entry["organizations"], f"{path}.organizations")
    if not primary:
        raise ConfigError(f"{path}.organizations", "needs `organization`, the primary one.")
    relations = [Relation(primary, is_primary=True)]
    relations += [Relation(str(code)) for code in others if code != primary]
    return {"organization_code": primary, "relations": relations}


def _plain(value: Any) -> Any:
    """YAML reads an unquoted 1990-01-31 as a date; rules compare texts and dates alike."""
    return value.isoformat() if isinstance(value, date) else value
