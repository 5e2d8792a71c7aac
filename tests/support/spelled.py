"""A statement that is spelled once (identity.statements), held against the ORM."""

from __future__ import annotations

from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext

from identity.statements import Select


def state(row: Any, *, seen: tuple[Any, ...] = ()) -> dict[str, Any]:
    """Return the columns of a row and of what was read beside it."""
    own = {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}
    beside = {name: found for name, found in row._state.fields_cache.items() if found not in (None, *seen)}
    return own | {name: state(found, seen=(*seen, row)) for name, found in beside.items()}


def both(select: Select[Any], *values: Any) -> tuple[list[Any], list[Any]]:
    """Return what the statement finds and what its queryset does, with one question each.

    On PostgreSQL it is asked by name first, and by a cursor while somebody listens.
    """
    by_name = select.all(*values)
    with CaptureQueriesContext(connection) as captured:
        found, by_orm = select.all(*values), list(select.queryset(*values))
    assert len(captured) == 2
    assert [state(row) for row in by_name] == [state(row) for row in found]
    return found, by_orm
