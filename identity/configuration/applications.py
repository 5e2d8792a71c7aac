"""Applications of a configuration file, with their roles and accounts."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from identity.configuration.plan import ACTOR, APPLICATION_SECTIONS, Plan, apply_registered
from identity.configuration.shapes import (
    SPELLINGS,
    ConfigError,
    check_flag,
    check_keys,
    check_list,
    check_mapping,
    check_sections,
    check_text,
    for_each,
)
from identity.directory import accounts, applications, lists, roles
from identity.models import AppAccount, Application, AppRole, AppRoleMember, Tenant

# Our columns say is_…; a file says what it means.
APPLICATION_COLUMNS = {
    "name": "name",
    "description": "description",
    "logo_url": "logo_url",
    "home_url": "home_url",
    "access": "access",
    "internal": "is_internal",
    "skip_consent": "skip_consent",
    "mfa_mode": "mfa_mode",
    "enabled": "is_active",
}


def apply_application(tenant: Tenant, plan: Plan, entry: Mapping[str, Any], path: str) -> None:
    """Bring an application, found by its code, and what lies below it to what the file says."""
    known = {"code", "accounts", "roles", "accept_lockout", *APPLICATION_COLUMNS}
    check_sections(entry, known, APPLICATION_SECTIONS, path)
    code = check_text(entry, "code", path)
    values = {column: entry[key] for key, column in APPLICATION_COLUMNS.items() if key in entry}
    values["accept_lockout"] = bool(check_flag(entry, "accept_lockout", path))
    application = lists.find_application(tenant=tenant, code=code)
    if application is None:
        application = applications.create(tenant=tenant, context=plan.context, actor=ACTOR, code=code, **values)
        plan.created(f"application {code}")
    else:
        changes = applications.update(application=application, context=plan.context, actor=ACTOR, **values)
        plan.changed(f"application {code}", {SPELLINGS.get(name, name): pair for name, pair in changes.items()})
    # The rows below look at their application's tenant; it is this one, not another copy.
    application.tenant = tenant
    for_each(entry, "roles", f"{path}.", partial(_apply_role, application, plan))
    for_each(entry, "accounts", f"{path}.", partial(_apply_account, application, plan))
    apply_registered(entry, APPLICATION_SECTIONS, f"{path}.", parent=application, plan=plan)


def _apply_role(application: Application, plan: Plan, entry: Mapping[str, Any], path: str) -> None:
    check_keys(entry, {"code", "name"}, path)
    code, name = check_text(entry, "code", path), check_text(entry, "name", path, default="")
    role = AppRole.objects.select_related("application__tenant").filter(application=application, code=code).first()
    subject = f"application {application.code} role {code}"
    if role is None:
        roles.create(application=application, context=plan.context, actor=ACTOR, code=code, name=name or None)
        plan.created(subject)
        return
    before = role.name
    if name and roles.update(role=role, context=plan.context, actor=ACTOR, name=name):
        plan.changed(subject, {"name": [before, name]})


def _apply_account(application: Application, plan: Plan, entry: Mapping[str, Any], path: str) -> None:
    check_keys(entry, {"user_name", "account_name", "name", "enabled", "roles", "extension"}, path)
    user_name = check_text(entry, "user_name", path)
    user = lists.find_user(tenant=application.tenant, user_name=user_name)
    if user is None:
        raise ConfigError(f"{path}.user_name", f'There is no user "{user_name}".')
    values: dict[str, Any] = {key: check_text(entry, key, path) for key in ("account_name", "name") if key in entry}
    if "extension" in entry:
        values["extension"] = check_mapping(entry["extension"], f"{path}.extension")
    is_enabled = check_flag(entry, "enabled", path)
    if is_enabled is not None:
        values["is_active"] = is_enabled
    subject = f"application {application.code} account {user_name}"
    account = accounts.find_for(application=application, user=user)
    if account is None:
        account = accounts.create(application=application, user=user, context=plan.context, actor=ACTOR, **values)
        plan.created(subject)
    else:
        changed = accounts.update(account=account, context=plan.context, actor=ACTOR, **values)
        plan.changed(subject, {name: ["***", "***"] for name in changed})
    if "roles" in entry:
        _apply_account_roles(check_list(entry["roles"], f"{path}.roles"), account, plan, f"{path}.roles", subject)


def _apply_account_roles(codes: list[Any], account: AppAccount, plan: Plan, path: str, subject: str) -> None:
    """Let the account hold exactly these roles."""
    known = {role.code: role for role in AppRole.objects.filter(application=account.application_id)}
    missing = [code for code in codes if code not in known]
    if missing:
        raise ConfigError(path, f'There is no role "{missing[0]}" in this application.')
    held = set(AppRoleMember.objects.filter(account=account).values_list("role__code", flat=True))
    for code in sorted(held ^ set(codes)):
        change = roles.add_members if code in codes else roles.remove_members
        role = known[code]
        role.application = account.application
        change(role=role, account_ids=[account.public_id], context=plan.context, actor=ACTOR)
    if held != set(codes):
        plan.changed(subject, {"roles": [sorted(held), sorted(set(codes))]})
