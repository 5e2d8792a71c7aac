"""Roles of an application and the accounts that hold them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.utils import timezone

from identity import audit
from identity.context import RequestContext
from identity.directory import attributes
from identity.errors import AlreadyExists, NotAllowed, NotFound, ValueInvalid, ValueRequired
from identity.events import EventType
from identity.integrity import refusing
from identity.models import AppAccount, Application, AppRole, AppRoleMember
from identity.retries import retried
from identity.texts import is_storable

MAX_MEMBERS_PER_CALL = 50  # PARAM.0029
_CODE_RULE = attributes.Rule("code", invalid_code="APP_ROLE.0006", max_length=50, pattern=r"\S+", is_identifier=True)
_NAME_RULE = attributes.Rule("name", invalid_code="APP_ROLE.0008", max_length=32)


def check_enabled(application: Application) -> None:
    """Refuse when the application has no role model (APP_ROLE.0002)."""
    if not application.has_roles:
        raise NotAllowed("APP_ROLE.0002", log_detail=f"application={application.pk}")


def create(
    *, application: Application, context: RequestContext, code: str, name: str | None = None, actor: Any = None
) -> AppRole:
    """Add a role; it may be without a name, but not with an empty one.

    Raises APP_ROLE.0002 (switched off), .0005 (no code), .0007 (empty name), .0006, .0008 (pattern), .0003 (taken).
    """
    check_enabled(application)
    if not code.strip():
        raise ValueRequired("APP_ROLE.0005")
    if name is not None and not name.strip():
        raise ValueRequired("APP_ROLE.0007")
    role = AppRole(
        application=application, code=attributes.clean(_CODE_RULE, code), name=attributes.clean(_NAME_RULE, name)
    )
    with transaction.atomic():
        with refusing(AppRole, {"role_code_per_application": lambda: AlreadyExists("APP_ROLE.0003")}):
            role.save()
        audit.record(
            EventType.ROLE_CREATE,
            tenant=application.tenant,
            actor=actor,
            target=role,
            application=application,
            context=context,
            changes={"code": ["", role.code], "name": ["", role.name]},
        )
    return role


@retried
def update(*, role: AppRole, context: RequestContext, name: str, actor: Any = None) -> bool:
    """Rename; the code cannot be changed. Raises APP_ROLE.0002, .0007 (empty), .0008 (pattern), .0001 (gone)."""
    check_enabled(role.application)
    if not name.strip():
        raise ValueRequired("APP_ROLE.0007")
    cleaned = attributes.clean(_NAME_RULE, name)
    with transaction.atomic():
        row = _locked(role)
        if row.name == cleaned:
            return False
        before, row.name, row.updated_at = row.name, cleaned, timezone.now()
        row.save(update_fields=["name", "updated_at"])
        audit.record(
            EventType.ROLE_UPDATE,
            tenant=row.application.tenant,
            actor=actor,
            target=row,
            application=row.application,
            context=context,
            changes={"name": [before, cleaned]},
        )
    role.refresh_from_db()
    return True


@retried
def delete(*, role: AppRole, context: RequestContext, actor: Any = None) -> None:
    """Delete a role that nobody holds. Raises APP_ROLE.0004 while somebody does."""
    check_enabled(role.application)
    with transaction.atomic():
        row = _locked(role)
        if row.members.exists():
            raise NotAllowed("APP_ROLE.0004", log_detail=f"role={row.pk}")
        audit.record(
            EventType.ROLE_DELETE,
            tenant=row.application.tenant,
            actor=actor,
            target=row,
            application=row.application,
            context=context,
            changes={"code": [row.code, ""], "name": [row.name, ""]},
        )
        row.delete()


def add_members(
    *, role: AppRole, account_ids: Sequence[str], context: RequestContext, actor: Any = None
) -> tuple[list[str], list[str]]:
    """Assign the role; return the ids assigned and the ids that are unknown.

    An account that holds it already is a success. Raises ValueInvalid (PARAM.0029) for an empty or too long list.
    """
    return _change_members(role, account_ids, context=context, actor=actor, is_adding=True)


def remove_members(
    *, role: AppRole, account_ids: Sequence[str], context: RequestContext, actor: Any = None
) -> tuple[list[str], list[str]]:
    """Unassign the role; return the ids unassigned and the ids that did not hold it.

    Raises ValueInvalid (PARAM.0029) for an empty or too long list.
    """
    return _change_members(role, account_ids, context=context, actor=actor, is_adding=False)


@retried
def _change_members(
    role: AppRole, account_ids: Sequence[str], *, context: RequestContext, actor: Any, is_adding: bool
) -> tuple[list[str], list[str]]:
    check_enabled(role.application)
    wanted = list(dict.fromkeys(account_ids))
    if not 1 <= len(wanted) <= MAX_MEMBERS_PER_CALL:
        raise ValueInvalid("PARAM.0029")
    with transaction.atomic():
        row = _locked(role)
        accounts = {
            account.public_id: account
            for account in AppAccount.objects.filter(
                application=row.application, public_id__in=filter(is_storable, wanted)
            )
        }
        held = set(row.members.filter(account__in=accounts.values()).values_list("account__public_id", flat=True))
        if is_adding:
            done = [public_id for public_id in wanted if public_id in accounts]
            touched = [public_id for public_id in done if public_id not in held]
            AppRoleMember.objects.bulk_create(
                AppRoleMember(role=row, account=accounts[public_id]) for public_id in touched
            )
        else:
            done = touched = [public_id for public_id in wanted if public_id in held]
            row.members.filter(account__public_id__in=touched).delete()
        if touched:
            audit.record(
                EventType.ROLE_MEMBERS,
                tenant=row.application.tenant,
                actor=actor,
                target=row,
                application=row.application,
                context=context,
                details={"added" if is_adding else "removed": touched},
                changes={"members": [[], touched] if is_adding else [touched, []]},
            )
    return done, [public_id for public_id in wanted if public_id not in done]


def _locked(role: AppRole) -> AppRole:
    """Return the role as it is now. Writers of its members wait for each other, so no member is added twice."""
    row = (
        AppRole.objects.select_related("application__tenant")
        .select_for_update(of=("self",), no_key=True)
        .filter(pk=role.pk)
        .first()
    )
    if row is None:
        raise NotFound("APP_ROLE.0001", log_detail=f"role={role.pk}")
    return row
