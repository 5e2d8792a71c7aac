"""From a broken database constraint to the domain error that names it.

Uniqueness is decided by the database alone: asking first and writing later lets two of many parallel writers pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.db.models import Model, UniqueConstraint

from identity.errors import IdentityError

_FOREIGN_KEY_VIOLATION = "23503"  # SQLSTATE
_SQLITE_UNIQUE = "UNIQUE constraint failed: "


@contextmanager
def refusing(
    model: type[Model],
    refusals: Mapping[str, Callable[[], IdentityError]],
    references: Mapping[type[Model], Callable[[], IdentityError]] = MappingProxyType({}),
) -> Iterator[None]:
    """Run the block as a transaction, inside another one as a savepoint, and turn a broken constraint into its error.

    refusals: name of a constraint of `model` to a maker of the error. references: a model whose rows the block writes,
    to the error for one that refers to a row which was deleted meanwhile; see `check_references`, which costs two
    statements that a transaction of its own does not need. Other broken constraints pass through: they are ours to fix.
    """
    is_own_transaction = not connection.in_atomic_block
    try:
        with transaction.atomic():
            yield
            if references and not is_own_transaction and connection.features.has_select_for_update:
                connection.check_constraints()
    except IntegrityError as error:
        make_refusal = _dangling(error, references) or refusals.get(broken_constraint(error, model))
        if make_refusal is None:
            raise
        raise make_refusal() from error


def _dangling(
    error: IntegrityError, references: Mapping[type[Model], Callable[[], IdentityError]]
) -> Callable[[], IdentityError] | None:
    """Return the maker of the error for a broken foreign key. Only PostgreSQL tells of one, and names the table."""
    if getattr(error.__cause__, "sqlstate", "") != _FOREIGN_KEY_VIOLATION:
        return None
    table = getattr(error.__cause__, "diag").table_name  # noqa: B009 - of psycopg's errors only
    return next((make for model, make in references.items() if model._meta.db_table == table), None)


def broken_constraint(error: IntegrityError, model: type[Model]) -> str:
    """Return the name of the constraint that was broken, or "" when it is none of the model's own.

    PostgreSQL names it; SQLite names the columns, which tell it as long as no two constraints have the same ones.
    """
    diagnostics = getattr(error.__cause__, "diag", None)
    if diagnostics is not None:
        return str(diagnostics.constraint_name or "")
    text = str(error)
    if not text.startswith(_SQLITE_UNIQUE):
        return ""
    columns = set(text.removeprefix(_SQLITE_UNIQUE).split(", "))
    table = model._meta.db_table
    for constraint in model._meta.constraints:
        if isinstance(constraint, UniqueConstraint):
            fields = (model._meta.get_field(name) for name in constraint.fields)
            if {f"{table}.{getattr(field, 'column', '')}" for field in fields} == columns:
                return constraint.name
    return ""


def assign(row: Model, values: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Set columns of a row that only operators write, check the row, and tell what changed as [before, after].

    Raises django's ValidationError. Compared after the check, which turns spellings into values ("8" into 8).
    """
    stored = getattr(row, "unusable", {})  # what the row holds is not what was read
    before = {name: stored.get(name, getattr(row, name)) for name in values}
    for name, value in values.items():
        setattr(row, name, value)
    row.full_clean()
    return {name: [before[name], getattr(row, name)] for name in values if before[name] != getattr(row, name)}


def check_references(make_refusal: Callable[[], IdentityError]) -> None:
    """Check foreign keys now, not at the commit, and refuse when what was just referenced, or deleted, does not fit.

    PostgreSQL would check at the commit and lock the referenced row only then, too late to say what is wrong. SQLite
    has one writer at a time, so what was read in the transaction is still there.
    """
    if not connection.features.has_select_for_update:
        return
    try:
        connection.check_constraints()
    except IntegrityError as error:
        raise make_refusal() from error
