"""Sets of rights for operators. They hold in every tenant, so only superusers and the machine's commands write them.

What an installation starts with is kept complete by `identity.operator_groups`, after each migrate.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from django.contrib.auth.models import Group, Permission
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from identity import audit, authority
from identity.context import RequestContext
from identity.events import EventType
from identity.integrity import assign
from identity.models import User
from identity.operator_groups import OURS
from identity.retries import retried


def create(*, name: str, permissions: Collection[Permission], context: RequestContext, actor: Any = None) -> Group:
    """Make a set of rights. Raises AuthorityRefused and ValidationError."""
    group = Group()
    _write(group, name=name, permissions=permissions, context=context, actor=actor)
    return group


@retried
def update(
    *,
    group: Group,
    context: RequestContext,
    actor: Any = None,
    name: str | None = None,
    permissions: Collection[Permission] | None = None,
) -> dict[str, list[Any]]:
    """Change a set of rights, for whoever has it; None leaves a part. Tell what changed, as name to [before, after].

    Raises AuthorityRefused and ValidationError.
    """
    with transaction.atomic():
        row = Group.objects.select_for_update(no_key=True).get(pk=group.pk)
        wanted = row.name if name is None else name
        changes = _write(row, name=wanted, permissions=permissions, context=context, actor=actor)
    group.name = row.name
    return changes


def delete(*, group: Group, context: RequestContext, actor: Any = None) -> None:
    """Take a set of rights away, from whoever has it. Raises AuthorityRefused and ValidationError."""
    authority.check_group_change(actor=actor)
    _refuse_ours(group)
    with transaction.atomic():
        gone: dict[str, list[Any]] = {"name": [group.name, ""], "permissions": [_names(group.permissions.all()), []]}
        _record(group, gone, context=context, actor=actor)
        group.delete()


def _write(
    group: Group, *, name: str, permissions: Collection[Permission] | None, context: RequestContext, actor: Any
) -> dict[str, list[Any]]:
    authority.check_group_change(actor=actor)
    is_new = group.pk is None
    if not is_new and name != group.name:
        _refuse_ours(group)
    before = [] if is_new else _names(group.permissions.all())
    with transaction.atomic():
        changes = assign(group, {"name": name})
        group.save()
        if permissions is not None and before != (after := _names(permissions)):
            changes["permissions"] = [before, after]
            group.permissions.set(permissions)
        if changes:
            _record(group, changes, context=context, actor=actor)
    return changes


def _refuse_ours(group: Group) -> None:
    if group.name in OURS:
        # New operators are given one of them by its name, and each migrate would make it anew.
        raise ValidationError(_("This set of rights is part of the product: its name stays, and so does it."))


def _names(permissions: Iterable[Permission]) -> list[str]:
    return sorted(f"{permission.content_type.app_label}.{permission.codename}" for permission in permissions)


def _record(group: Group, changes: dict[str, list[Any]], *, context: RequestContext, actor: Any) -> None:
    tenant = actor.tenant if isinstance(actor, User) else None
    audit.record(EventType.ADMIN_CHANGE, tenant=tenant, actor=actor, target=group, context=context, changes=changes)
