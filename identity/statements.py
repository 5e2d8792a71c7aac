"""Statements that are spelled once: the ORM writes the SQL, and from then on they cost a round trip and nothing else.

To compile a query with two joined rows takes the ORM as long as everything else in a short request. A hot path keeps
its statement as a constant beside its rule:

    _BY_HANDLE = Select(lambda hashes, tenant: SSOSession.objects.filter(handle_hash__in=hashes, tenant=tenant)[:1])
    session = _BY_HANDLE.first(hashes, tenant.pk)

The function gets placeholders, one for each value, and returns the queryset; where a list is given, a list of them. It
is called once for each length of its lists. What comes back are instances, read as the ORM reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from django.db import connection, models
from django.db.models import Expression, Model, QuerySet
from django.db.models.query import get_related_populators

Value = Any  # str, int, bool, datetime, date or UUID; or a list of one of them
Row = tuple[Any, ...]
M = TypeVar("M", bound=Model)

# Types that a database may want in another form: PostgreSQL takes them as they are, SQLite as text.
_PREPARED: dict[type, models.Field[Any, Any]] = {
    datetime: models.DateTimeField(),
    date: models.DateField(),
    UUID: models.UUIDField(),
}


class _Place:
    """Where a value goes in a list of parameters."""

    __slots__ = ("index", "position")

    def __init__(self, index: int, position: int | None) -> None:
        self.index, self.position = index, position

    def value(self, values: Sequence[Value]) -> Any:
        found = values[self.index]
        if self.position is not None:
            found = found[self.position]
        field = _PREPARED.get(type(found))
        return found if field is None else field.get_db_prep_value(found, connection)


class _Placeholder(Expression):
    """A value that is not known yet, as the ORM sees it."""

    def __init__(self, place: _Place) -> None:
        super().__init__(output_field=models.TextField())
        self.place = place

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        return "%s", (self.place,)


@dataclass(frozen=True, slots=True)
class _Plan:
    """One spelling of a statement, for lists of certain lengths."""

    sql: str
    params: tuple[Any, ...]
    make: Callable[[Row], Any]

    def bound(self, values: Sequence[Value]) -> list[Any]:
        return [param.value(values) if type(param) is _Place else param for param in self.params]


class Select(Generic[M]):
    """A query of which only the values change."""

    def __init__(self, build: Callable[..., QuerySet[M]]) -> None:
        self._build = build
        self._plans: dict[Row, _Plan] = {}

    def first(self, *values: Value) -> M | None:
        """Return the first row, or None. The queryset says which one that is, and is sliced to one."""
        plan = self._plan(values)
        with connection.cursor() as cursor:
            cursor.execute(plan.sql, plan.bound(values))
            row = cursor.fetchone()
        return None if row is None else plan.make(row)

    def all(self, *values: Value) -> list[M]:
        """Return all rows."""
        plan = self._plan(values)
        with connection.cursor() as cursor:
            cursor.execute(plan.sql, plan.bound(values))
            rows = cursor.fetchall()
        return [plan.make(row) for row in rows]

    def queryset(self, *values: Value) -> QuerySet[M]:
        """Return the query as the ORM would run it."""
        return self._build(*values)

    def _plan(self, values: Sequence[Value]) -> _Plan:
        shape = (connection.vendor, *(len(value) if isinstance(value, list | tuple) else -1 for value in values))
        plan = self._plans.get(shape)
        if plan is None:
            plan = self._plans[shape] = self._spell(values)
        return plan

    def _spell(self, values: Sequence[Value]) -> _Plan:
        compiler = self._build(*map(_placeholders, range(len(values)), values)).query.get_compiler(
            connection=connection
        )
        sql, params = _with_literals(*compiler.as_sql())
        return _Plan(sql, params, _maker(compiler))


def _placeholders(index: int, value: Value) -> Any:
    if isinstance(value, list | tuple):
        return [_Placeholder(_Place(index, position)) for position in range(len(value))]
    return _Placeholder(_Place(index, None))


def _with_literals(sql: str, params: Sequence[Any]) -> tuple[str, tuple[Any, ...]]:
    """Write the texts that the queryset itself brings into the statement.

    A partial index (`WHERE user_key <> ''`) serves a statement that the server keeps only where the statement says the
    same by itself, and not by a value that might be another one the next time.
    """
    first, *rest = sql.split("%s")
    written, left = [first], []
    for param, text in zip(params, rest, strict=True):
        if isinstance(param, str):
            written.append("'" + param.replace("'", "''").replace("%", "%%") + "'" + text)
        else:
            left.append(param)
            written.append("%s" + text)
    return "".join(written), tuple(left)


def _maker(compiler: Any) -> Callable[[Row], Any]:
    """Return what makes instances of rows, as ModelIterable does."""
    select, info, alias = compiler.select, compiler.klass_info, connection.alias
    converters = list(compiler.get_converters([column[0] for column in select]).items())
    fields = info["select_fields"]
    start, end = fields[0], fields[-1] + 1
    names = [column[0].target.attname for column in select[start:end]]
    populators = get_related_populators(info, select, alias)  # type: ignore[call-arg] # stubs of a later Django
    model = info["model"]

    def make(row: Row) -> Any:
        found = list(row)
        for index, (functions, expression) in converters:
            for function in functions:
                found[index] = function(found[index], expression, connection)
        instance = model.from_db(alias, names, found[start:end])
        for populator in populators:
            populator.populate(found, instance)
        return instance

    return make
