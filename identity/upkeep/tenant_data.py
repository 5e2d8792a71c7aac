"""All rows of a tenant: to hand them out, and to remove them.

Which rows these are is no list but found: every model from which foreign keys lead to a tenant, on the shortest way.
So a model that is new tomorrow is covered. Left in place are the trail, which is under a chain of hashes and answers
for what was done, with the personal data in it erased, and the tenant's own row, to which the trail refers: it is
closed and keeps its number, which is never given again (S36).
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Any, TextIO

from django.apps import apps
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models, transaction

from identity import audit, authority, copies
from identity.context import SYSTEM, RequestContext
from identity.directory import tenants
from identity.events import EventType
from identity.models import AuditBatch, AuditEvent, Tenant

KEPT: frozenset[type[models.Model]] = frozenset({AuditBatch, AuditEvent})
BATCH_ROWS = 500
_REMOVED = "removed-"
# What proves somebody or opens something, and what is derived from it. Sealed texts are worthless without our keys.
_SECRET_NAMES = frozenset({"password", "payload", "data", "device_code", "user_code"})
_SECRET_ENDINGS = ("_sealed", "_hash", "_index", "_secret", "_checksum")


@dataclass(frozen=True)
class Table:
    """A model whose rows belong to tenants, and the look-up that leads from a row to its tenant."""

    model: type[models.Model]
    path: str

    @property
    def name(self) -> str:
        """For people: app and model."""
        return self.model._meta.label

    def rows(self, tenant: Tenant) -> models.QuerySet[Any]:
        """Return the tenant's rows."""
        return self.model._base_manager.filter(**{self.path: tenant}).order_by("pk")


def tables() -> list[Table]:
    """Return every table with rows of tenants, those that refer to others before these."""
    paths = {model: path for model in _models() if (path := _path(model)) is not None}
    graph = TopologicalSorter({model: _parents(model) & paths.keys() - {model} for model in paths})
    return [Table(model, paths[model]) for model in reversed(list(graph.static_order()))]


def count(tenant: Tenant) -> dict[str, int]:
    """Return how many rows of each table would go; tables without any are left out."""
    counts = {table.name: table.rows(tenant).count() for table in _removable()}
    return {name: rows for name, rows in counts.items() if rows}


def export(tenant: Tenant, *, to: TextIO) -> dict[str, int]:
    """Write one JSON object a line, `model`, `pk` and `fields`, the tenant's own row first; return the rows by table.

    Passwords, secrets, keys and their hashes are left out, in whatever form they are stored.
    """
    counts: dict[str, int] = {}
    own = Table(Tenant, "pk")
    for table in [own, *reversed(tables())]:
        rows = Tenant.objects.filter(pk=tenant.pk) if table is own else table.rows(tenant)
        for row in rows.iterator(chunk_size=BATCH_ROWS):
            line = {"model": table.name, "pk": row.pk, "fields": dict(_fields(row))}
            to.write(json.dumps(line, cls=DjangoJSONEncoder, ensure_ascii=False) + "\n")
            counts[table.name] = counts.get(table.name, 0) + 1
    return counts


def remove(tenant: Tenant, *, context: RequestContext = SYSTEM, actor: Any = None) -> dict[str, int]:
    """Remove a tenant's rows, in short transactions; return how many went by table.

    It may be broken off and begun again. The tenant is closed first, so that nothing new comes while it runs.
    Raises AuthorityRefused where no superuser would be left.
    """
    authority.check_superuser_elsewhere(tenant)
    if tenant.is_active:
        tenants.update(tenant=tenant, context=context, actor=actor, is_active=False)
    Tenant.objects.filter(pk=tenant.pk).update(registration_organization=None)
    counts: dict[str, int] = {}
    removable = _removable()
    for table in removable:
        _loosen(table, tenant)
    for table in removable:
        while keys := list(table.rows(tenant).values_list("pk", flat=True)[:BATCH_ROWS]):
            with transaction.atomic():
                # What refers to these rows is gone by now, so there is nothing to collect.
                rows = table.model._base_manager.filter(pk__in=keys)
                removed = rows._raw_delete(rows.db)
            counts[table.name] = counts.get(table.name, 0) + removed
    audit.erase_personal_of_tenant(tenant)
    with transaction.atomic():
        code, number = tenant.code, f"{_REMOVED}{tenant.pk}"
        Tenant.objects.filter(pk=tenant.pk).update(code=number, name=number, logo_url="", is_default=False)
        if code != number:
            audit.record(
                EventType.TENANT_UPDATE,
                tenant=tenant,
                actor=actor,
                target=tenant,
                context=context,
                details={"removed": counts},
            )
    copies.changed(tenant.pk)
    return counts


def _removable() -> list[Table]:
    return [table for table in tables() if table.model not in KEPT]


def _loosen(table: Table, tenant: Tenant) -> None:
    """Take away what rows of a table say of each other, so that any of them may go first."""
    for field in _references(table.model):
        if field.related_model is table.model and field.null:
            table.rows(tenant).exclude(**{field.name: None}).order_by().update(**{field.name: None})


def _models() -> Iterator[type[models.Model]]:
    return (
        model
        for model in apps.get_models(include_auto_created=True)
        if model is not Tenant and not model._meta.proxy and model._meta.managed
    )


def _references(model: type[models.Model]) -> list[models.ForeignKey[Any, Any]]:
    return [field for field in model._meta.local_fields if isinstance(field, models.ForeignKey)]


def _parents(model: type[models.Model]) -> set[Any]:
    return {field.related_model for field in _references(model)}


def _path(model: type[models.Model]) -> str | None:
    """Return the shortest way to a tenant, required references before such as may be empty."""
    waiting: deque[tuple[type[models.Model], str]] = deque([(model, "")])
    seen = {model}
    while waiting:
        at, prefix = waiting.popleft()
        for field in sorted(_references(at), key=lambda field: field.null):
            target: Any = field.related_model
            path = f"{prefix}{field.name}"
            if target is Tenant:
                return path
            if target not in seen:
                seen.add(target)
                waiting.append((target, f"{path}__"))
    return None


def _fields(row: models.Model) -> Iterator[tuple[str, Any]]:
    for field in row._meta.local_fields:
        if not field.primary_key and not _is_secret(field.name):
            yield field.attname, field.value_from_object(row)


def _is_secret(name: str) -> bool:
    return name in _SECRET_NAMES or name.endswith(_SECRET_ENDINGS)
