"""Sealing every stored value again under the newest encryption key, so that an old key can be dropped."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass

from django.apps import apps
from django.db import models

from identity import crypto

log = logging.getLogger(__name__)

BATCH_ROWS = 200


@dataclass(frozen=True)
class SealedColumn:
    """One column whose values are sealed, and what for."""

    model: type[models.Model]
    name: str

    @property
    def purpose(self) -> str:
        """See crypto.column_purpose."""
        return crypto.column_purpose(self.model, self.name)

    def __str__(self) -> str:
        return f"{self.model._meta.label}.{self.name}"


@dataclass(frozen=True)
class Result:
    """What became of one column."""

    resealed: int
    unreadable: int  # damaged, or their key is not configured any more; left as they are


def sealed_columns() -> Iterator[SealedColumn]:
    """Return every column named `*_sealed`, of every app."""
    for model in apps.get_models():
        for field in model._meta.local_fields:
            if field.name.endswith("_sealed"):
                yield SealedColumn(model, field.name)


def reseal(column: SealedColumn, *, batch_rows: int = BATCH_ROWS) -> Result:
    """Seal again what an older key sealed, in batches by primary key.

    Safe to stop and to run beside requests: a value that changed meanwhile is left alone, for whoever changed it
    used the newest key.
    """
    manager = column.model._base_manager
    resealed = unreadable = 0
    last_pk = None
    while True:
        rows = manager.exclude(**{column.name: ""}).exclude(
            **{f"{column.name}__startswith": crypto.newest_seal_prefix()}
        )
        if last_pk is not None:
            rows = rows.filter(pk__gt=last_pk)
        batch = list(rows.order_by("pk").values_list("pk", column.name)[:batch_rows])
        for pk, sealed in batch:
            try:
                plaintext = crypto.unseal_bytes(sealed, purpose=column.purpose)
            except crypto.UnsealError as error:
                log.warning("reseal.unreadable", extra={"column": str(column), "row": pk, "reason": str(error)})
                unreadable += 1
                continue
            fresh = crypto.seal(plaintext, purpose=column.purpose)
            resealed += manager.filter(pk=pk, **{column.name: sealed}).update(**{column.name: fresh})
        if len(batch) < batch_rows:
            return Result(resealed, unreadable)
        last_pk = batch[-1][0]
