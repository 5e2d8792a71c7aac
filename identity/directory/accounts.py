"""Accounts inside applications: a user's own one, which also opens an application that is assigned, and unowned ones.

Accounts without an owner and public ones open nothing: they are what an application has beside its people.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from identity import audit, crypto
from identity.context import RequestContext
from identity.directory import attributes
from identity.directory.organizations import check_app_organizations_enabled
from identity.errors import (
    AlreadyExists,
    ApplicationDisabled,
    NotAllowed,
    NotFound,
    PasswordRefused,
    ValueInvalid,
    ValueRequired,
)
from identity.events import EventType
from identity.integrity import check_references, refusing
from identity.models import AccountType, AppAccount, Application, AppOrganization, User
from identity.retries import retried
from identity.texts import is_storable

MAX_NAME_LENGTH = 150
_PURPOSE = "appaccount.password"  # the rule of crypto.column_purpose
_CONSTRAINTS = ("account_name_per_application", "one_account_per_user_and_application")


@retried
def create(
    *,
    application: Application,
    user: User | None,
    context: RequestContext,
    actor: Any = None,
    account_type: str = AccountType.BASIC,
    account_name: str = "",
    name: str = "",
    organization_code: str = "",
    password: str = "",
    is_active: bool = True,
    extension: Mapping[str, Any] | None = None,
) -> AppAccount:
    """Give a user an account in the application; without a name it is the user name.

    user: None for the two kinds that have no owner, and for these only.
    Raises ApplicationDisabled (APP.0003), AlreadyExists (APP_ACCOUNT.0002: the name is taken or the user has an
    account there), ValueRequired (.0035, USER.0061 for a basic account without a user), ValueInvalid (.0036, .0007,
    and .0003 for a kind that there is not or that has no owner), NotFound (USER.0001, APP_ORG.0001).
    """
    if not application.is_active:
        raise ApplicationDisabled(log_detail=f"application={application.pk}")
    if account_type not in AccountType.values or (user is not None and account_type != AccountType.BASIC):
        raise ValueInvalid("APP_ACCOUNT.0003", log_detail=f"application={application.pk}")
    if user is None and account_type == AccountType.BASIC:
        raise ValueRequired("USER.0061", log_detail=f"application={application.pk}")
    if user is not None and (user.tenant_id != application.tenant_id or user.deleted_at is not None):
        raise NotFound("USER.0001", log_detail=f"user={user.pk} is not of the application's tenant")
    account = AppAccount(
        application=application,
        user=user,
        account_type=account_type,
        account_name=_checked_name(account_name or (user.user_name if user else "")),
        name=_checked_text(name or (user.name if user else "")),
        password_sealed=_sealed(password),
        extension=_clean_extension(application, {}, extension or {}),
        is_active=is_active,
    )
    with transaction.atomic():
        account.organization = _find_organization(application, organization_code)
        _save(account)
        audit.record(
            EventType.ACCOUNT_CREATE,
            tenant=application.tenant,
            actor=actor,
            target=account,
            application=application,
            context=context,
            details={
                "user": user.public_id if user else "",
                "account_type": str(account_type),
                "is_active": is_active,
                "has_password": bool(password),
            },
            personal={"account_name": account.account_name},
        )
    return account


@retried
def update(
    *,
    account: AppAccount,
    context: RequestContext,
    actor: Any = None,
    account_name: str | None = None,
    name: str | None = None,
    organization_code: str | None = None,
    password: str | None = None,
    is_active: bool | None = None,
    extension: Mapping[str, Any] | None = None,
) -> list[str]:
    """Change what is not None; answer the names of what changed. The owner cannot be changed (S37).

    extension: merged by name. Raises as `create`; ValueRequired for an empty account name (APP_ACCOUNT.0035) or
    display name (APP_ACCOUNT.0008).
    """
    with transaction.atomic():
        row = _locked(account)
        values: dict[str, Any] = {}
        if account_name is not None:
            values["account_name"] = _checked_name(account_name)
        if name is not None:
            if not name.strip():
                raise ValueRequired("APP_ACCOUNT.0008")
            values["name"] = _checked_text(name)
        if organization_code is not None:
            values["organization"] = _find_organization(row.application, organization_code)
        if is_active is not None:
            values["is_active"] = is_active
        if extension is not None:
            values["extension"] = _clean_extension(row.application, row.extension, extension)
        changed = [attribute for attribute, value in values.items() if getattr(row, attribute) != value]
        for attribute in changed:
            setattr(row, attribute, values[attribute])
        if password is not None:
            row.password_sealed = _sealed(password)
            changed.append("password")
        if changed:
            _save(row)
            audit.record(
                EventType.ACCOUNT_UPDATE,
                tenant=row.application.tenant,
                actor=actor,
                target=row,
                application=row.application,
                context=context,
                # Names and free text may tell who somebody is; the rest is said in clear.
                changes={
                    attribute: [not row.is_active, row.is_active] if attribute == "is_active" else ["***", "***"]
                    for attribute in changed
                },
            )
    account.refresh_from_db()
    return changed


def enable(*, account: AppAccount, context: RequestContext, actor: Any = None) -> None:
    """Let the owner into an assigned application again."""
    update(account=account, context=context, actor=actor, is_active=True)


def disable(*, account: AppAccount, context: RequestContext, actor: Any = None) -> None:
    """Keep the owner out of an assigned application from now on."""
    update(account=account, context=context, actor=actor, is_active=False)


@retried
def delete(*, account: AppAccount, context: RequestContext, actor: Any = None) -> None:
    """Delete the account with its roles. Raises NotFound (APP_ACCOUNT.0001)."""
    with transaction.atomic():
        row = _locked(account)
        audit.record(
            EventType.ACCOUNT_DELETE,
            tenant=row.application.tenant,
            actor=actor,
            target=row,
            application=row.application,
            context=context,
            details={"user": row.user.public_id if row.user else ""},
        )
        row.delete()


def find_for(*, application: Application, user: User) -> AppAccount | None:
    """Return the user's account in the application, enabled or not."""
    return AppAccount.objects.filter(application=application, user=user).first()


def _locked(account: AppAccount) -> AppAccount:
    rows = AppAccount.objects.select_related("application__tenant", "user").select_for_update(of=("self",), no_key=True)
    row = rows.filter(pk=account.pk).first()
    if row is None:
        raise NotFound("APP_ACCOUNT.0001", log_detail=f"account={account.pk}")
    return row


def _save(account: AppAccount) -> None:
    taken = {
        constraint: lambda: AlreadyExists("APP_ACCOUNT.0002", log_detail=f"application={account.application_id}")
        for constraint in _CONSTRAINTS
    }
    with refusing(AppAccount, taken):
        account.save()
    check_references(lambda: NotFound("APP_ORG.0001", log_detail="organisation deleted meanwhile"))


def _checked_name(account_name: str) -> str:
    if not account_name.strip():
        raise ValueRequired("APP_ACCOUNT.0035")
    try:
        return str(attributes.clean(_ACCOUNT_NAME_RULE, account_name))
    except ValueInvalid as error:
        raise ValueInvalid("APP_ACCOUNT.0036", log_detail=error.log_detail) from error


def _checked_text(name: str) -> str:
    try:
        return str(attributes.clean(_NAME_RULE, name))
    except ValueInvalid as error:
        raise ValueInvalid("APP_ACCOUNT.0036", log_detail=error.log_detail) from error


_ACCOUNT_NAME_RULE = attributes.Rule("account_name", max_length=MAX_NAME_LENGTH, is_identifier=True)
_NAME_RULE = attributes.Rule("name", max_length=MAX_NAME_LENGTH)


def _sealed(password: str) -> str:
    if not is_storable(password):
        raise PasswordRefused("PWD.0005", log_detail="no text")
    return crypto.seal(password, purpose=_PURPOSE) if password else ""


def _find_organization(application: Application, code: str) -> AppOrganization | None:
    if not code:
        return None
    check_app_organizations_enabled(application)
    rows = AppOrganization.objects.filter(application=application, code=code)
    organization = rows.first() if is_storable(code) else None
    if organization is None:
        raise NotFound("APP_ORG.0001", log_detail=f"application={application.pk}")
    return organization


def _clean_extension(application: Application, present: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Merge checked values into those that are there. APP_ACCOUNT.0007 for what is not defined or breaks its rule."""
    if not given:
        return dict(present)
    rules = attributes.account_rules(application)
    cleaned = {}
    for name, value in given.items():
        if name not in rules:
            raise NotAllowed("APP_ACCOUNT.0007", log_detail=f"application={application.pk}")
        cleaned[name] = attributes.clean(rules[name], value)
    return {name: value for name, value in {**present, **cleaned}.items() if value != ""}
