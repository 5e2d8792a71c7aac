"""Statements that are spelled once: the ORM writes the SQL, and from then on they cost a round trip and nothing else.

To compile a query with two joined rows takes the ORM as long as everything else in a short request. A hot path keeps
its statement as a constant beside its rule:

    _BY_HANDLE = Select(lambda hashes, tenant: SSOSession.objects.filter(handle_hash__in=hashes, tenant=tenant)[:1])
    session = _BY_HANDLE.first(hashes, tenant.pk)

The function gets placeholders, one for each value, and returns the queryset; where a list is given, a list of them. It
is called once for each length of its lists. What comes back are instances, read as the ORM reads them.

    _SPEND = Update(lambda pk, now: (SSOTicket.objects.filter(pk=pk, consumed_at=None), {"consumed_at": now}))
    is_first = _SPEND.run(ticket.pk, now) == 1

An `Update` is a condition and what to write: of any number of requests at once, one changes the row. What follows from
that is written by the same statement:

    is_first = write(session, audit.describe(...), gate=_SPEND.bind(ticket.pk, now))

On PostgreSQL `write` is one statement, which is its own transaction: nobody sees the ticket spent and no session.
Elsewhere it is the same list in one transaction.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import cache, cached_property, lru_cache, partial
from types import NoneType
from typing import Any, Generic, TypeVar, cast
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connection, connections, models, transaction
from django.db.models import Expression, Model, QuerySet
from django.db.models.base import ModelState
from django.db.models.signals import post_init, pre_init
from django.db.models.sql import DeleteQuery, UpdateQuery

Value = Any  # str, int, bool, datetime, date or UUID; or a list of one of them; in a column, what its field takes
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

    __slots__ = ("field", "index", "position")

    def __init__(self, index: int, position: int | None, field: models.Field[Any, Any] | None = None) -> None:
        self.index, self.position = index, position
        self.field = field  # of the column that it is written to

    def value(self, values: Sequence[Value]) -> Any:
        found = values[self.index]
        if self.position is not None:
            found = found[self.position]
        if self.field is not None:
            return self.field.get_db_prep_save(found, connection)
        field = _PREPARED.get(type(found))
        return found if field is None else field.get_db_prep_value(found, connection)


class _Placeholder(Expression):
    """A value that is not known yet, as the ORM sees it."""

    def __init__(self, place: _Place) -> None:
        super().__init__(output_field=models.TextField())
        self.place = place

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        return "%s", (self.place,)

    def of_column(self, field: models.Field[Any, Any]) -> _Placeholder:
        return _Placeholder(_Place(self.place.index, self.place.position, field))


@dataclass(frozen=True, eq=False)
class _Plan:
    """One spelling of a statement, for lists of certain lengths."""

    sql: str
    params: tuple[Any, ...]
    make: Callable[[Row], Any]
    returning: str | None = None  # of an UPDATE: its last words, "" where it returns nothing

    @cached_property
    def text(self) -> Text:
        return Text(self.sql + (self.returning or ""))

    def bound(self, values: Sequence[Value]) -> list[Any]:
        return [param.value(values) if type(param) is _Place else param for param in self.params]


class _Statement:
    """What is spelled once for each length of its lists."""

    _plans: dict[Row, _Plan]

    def bind(self, *values: Value) -> Bound:
        """Return the statement with its values, for `write`."""
        return Bound(self, values)

    def holds(self, values: Sequence[Value]) -> bool:
        """Run it by itself: whether there was a row."""
        raise NotImplementedError

    def plan(self, values: Sequence[Value]) -> _Plan:
        """Return its spelling for these values."""
        shape = tuple([len(value) if isinstance(value, list | tuple) else -1 for value in values])
        plan = self._plans.get(shape)
        if plan is None:
            plan = self._plans[shape] = self._spell(values)
        return plan

    def _spell(self, values: Sequence[Value]) -> _Plan:
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Bound:
    """A statement and its values."""

    statement: _Statement
    values: tuple[Value, ...]


class Select(_Statement, Generic[M]):
    """A query of which only the values change."""

    def __init__(self, build: Callable[..., QuerySet[M]]) -> None:
        self._build = build
        self._plans = {}

    def first(self, *values: Value) -> M | None:
        """Return the first row, or None. The queryset says which one that is, and is sliced to one."""
        plan = self.plan(values)
        rows, _ = _run(plan.text, plan.bound(values))
        return plan.make(rows[0]) if rows else None

    def all(self, *values: Value) -> list[M]:
        """Return all rows."""
        plan = self.plan(values)
        rows, _ = _run(plan.text, plan.bound(values))
        return [plan.make(row) for row in rows]

    def queryset(self, *values: Value) -> QuerySet[M]:
        """Return the query as the ORM would run it."""
        return self._build(*values)

    def holds(self, values: Sequence[Value]) -> bool:
        return bool(self.all(*values))

    def _spell(self, values: Sequence[Value]) -> _Plan:
        compiler = self._build(*_placeholders(values)).query.get_compiler(connection=connection)
        with transaction.atomic() if compiler.query.select_for_update else nullcontext():  # the ORM demands one
            sql, params = _with_literals(*compiler.as_sql())
        return _Plan(sql, params, _maker(compiler))


class Update(_Statement, Generic[M]):
    """A conditional UPDATE of which only the values change.

    build: returns the rows and what to write, by column: a value, or an expression of the row's own columns.
    returning: columns whose new values `rows` gives back.
    """

    def __init__(
        self, build: Callable[..., tuple[QuerySet[M], Mapping[str, Any]]], *, returning: Sequence[str] = ()
    ) -> None:
        self._build, self._returning = build, tuple(returning)
        self._plans = {}

    def run(self, *values: Value) -> int:
        """Return how many rows it changed."""
        plan = self.plan(values)
        rows, count = _run(plan.text, plan.bound(values))
        return len(rows) if plan.returning else count

    def rows(self, *values: Value) -> list[Row]:
        """Return the columns of `returning` of each row that it changed, read as the ORM reads them."""
        plan = self.plan(values)
        rows, _ = _run(plan.text, plan.bound(values))
        return [plan.make(row) for row in rows]

    def by_orm(self, *values: Value) -> int:
        """Run it as the ORM would."""
        rows, columns = self._build(*values)
        return rows.update(**columns)

    def holds(self, values: Sequence[Value]) -> bool:
        return bool(self.run(*values))

    def _spell(self, values: Sequence[Value]) -> _Plan:
        rows, columns = self._build(*_placeholders(values))
        meta: Any = rows.model._meta
        query: Any = rows.query.chain(UpdateQuery)
        _check_own_row(query)
        query.add_update_values({name: _of_column(value, meta.get_field(name)) for name, value in columns.items()})
        compiler = query.get_compiler(connection=connection)
        sql, params = _with_literals(*compiler.as_sql())
        if not self._returning:
            return _Plan(sql, params, tuple, "")
        fields: list[Any] = [meta.get_field(name) for name in self._returning]
        returning = " RETURNING " + ", ".join(connection.ops.quote_name(field.column) for field in fields)
        convert = _converter(compiler, [field.get_col(meta.db_table) for field in fields])
        return _Plan(sql, params, lambda row: tuple(convert(row)), returning)


class Delete(_Statement, Generic[M]):
    """A conditional DELETE of which only the values change: of two requests at once, one deletes the row.

    build: returns the rows. Nothing may refer to them, for nothing is collected first.
    """

    def __init__(self, build: Callable[..., QuerySet[M]]) -> None:
        self._build = build
        self._plans = {}

    def run(self, *values: Value) -> int:
        """Return how many rows it deleted."""
        plan = self.plan(values)
        return _run(plan.text, plan.bound(values))[1]

    def holds(self, values: Sequence[Value]) -> bool:
        return bool(self.run(*values))

    def _spell(self, values: Sequence[Value]) -> _Plan:
        query: Any = self._build(*_placeholders(values)).query.chain(DeleteQuery)
        _check_own_row(query)
        sql, params = _with_literals(*query.get_compiler(connection=connection).as_sql())
        return _Plan(sql, params, tuple, "")


def _check_own_row(query: Any) -> None:
    """Refuse what the ORM would choose by a sub-select.

    Who waited for another's change would find what it was chosen for gone, and change it a second time.
    """
    if query.count_active_tables() > 1 or query.is_sliced or not query.where:
        raise TypeError("An Update asks its own row; what it asks of others is an Exists.")


@dataclass(frozen=True, slots=True)
class Upsert:
    """A row for `write` that may be there already: then it stays, and only some columns are written anew.

    by: what the constraint says that makes it the same row.
    """

    row: Model
    by: tuple[str, ...]
    columns: tuple[str, ...] = ()


def write(
    *rows: Model | Upsert,
    gate: Bound | Sequence[Bound | Upsert] = (),
    besides: Sequence[Bound] = (),
    keys: bool = False,
) -> bool:
    """Insert the rows, all or none; with a gate, only where it holds, and return whether it did.

    gate: an Update that has to change a row, a Select that has to find one, or an Upsert whose row must not have been
    there. Of several each is tried where the one before it held, and what that one wrote stays; only the first may be a
    Select. besides: Updates that run with the inserts, in this order, which is that of their locks; whether they change
    anything decides nothing. No row may be changed by two of them. On PostgreSQL all of it sees the database as it was
    before, so one cannot find what another wrote.
    keys: set the rows' primary keys, which the database makes; without, the instances stay as they are. Not those of
    an Upsert, which may write nothing.
    Signals are not sent and `save` is not called, so it is for rows that have no such rules. Raises IntegrityError.
    """
    gates = (gate,) if isinstance(gate, Bound) else gate
    if keys and any(isinstance(row, Upsert) for row in rows):
        raise TypeError("The key of an Upsert is not told.")
    if not _is_postgresql():
        return _write_in_turn(rows, gates=gates, besides=besides, keys=keys)
    spelled: list[_Plan | _Insert] = []
    params: list[Any] = []
    for part in (*gates, *besides, *rows):
        if isinstance(part, Bound):
            plan = part.statement.plan(part.values)
            spelled.append(plan)
            params += plan.bound(part.values)
        else:
            insert = _insert_into(part)
            spelled.append(insert)
            params += insert.params(part)
    text = _chain(len(gates), keys, tuple(spelled))
    made, count = _run(text, params)
    if keys and made:
        for row, key in zip(rows, made[0], strict=True):
            _take_key(cast(Model, row), key)
    return count > 0


def _write_in_turn(
    rows: Sequence[Model | Upsert], *, gates: Sequence[Bound | Upsert], besides: Sequence[Bound], keys: bool
) -> bool:
    # Without a savepoint, as one statement has none: what fails here fails in the transaction of the caller.
    with transaction.atomic(savepoint=False):
        for gate in gates:
            if not (_insert(gate)[0] if isinstance(gate, Upsert) else gate.statement.holds(gate.values)):
                return False
        for bound in besides:
            bound.statement.holds(bound.values)
        for row in rows:
            _, key = _insert(row)
            if keys:
                _take_key(cast(Model, row), key)
    return True


def _insert(row: Model | Upsert) -> tuple[int, Any]:
    """Insert one row; return how many were written, and its key."""
    insert = _insert_into(row)
    with connection.cursor() as cursor:
        cursor.execute(f"{insert.head} VALUES ({insert.places}){insert.on_conflict}", insert.params(row))
        return cursor.rowcount, cursor.lastrowid


def _take_key(row: Model, key: Any) -> None:
    row.pk, row._state.adding, row._state.db = key, False, connection.alias


@lru_cache(maxsize=1024)
def _chain(gates: int, has_keys: bool, parts: tuple[_Plan | _Insert, ...]) -> Text:
    """Spell one statement of gates, Updates and inserts. PostgreSQL runs each named part, read or not."""
    named, only_if = [], ""
    for number, gate in enumerate(parts[:gates]):
        named.append(f"g{number} AS ({_where(gate, only_if)}{_telling(gate)})")
        only_if = f"EXISTS (SELECT 1 FROM g{number})"  # noqa: S608
    updates = [part for part in parts[gates:] if isinstance(part, _Plan)]
    inserts = [part for part in parts[gates:] if isinstance(part, _Insert)]
    after = ""
    for number, update in enumerate(updates):
        # By itself PostgreSQL begins with the last one, against the order in which others take locks on these rows.
        named.append(f"u{number} AS ({_where(update, only_if)}{after} RETURNING 1)")
        after = f" AND (SELECT count(*) FROM u{number}) >= 0"  # noqa: S608
    bodies = [_where(insert, only_if) for insert in inserts]
    where = only_if and f" WHERE {only_if}"
    if has_keys:
        bodies = [f"{body} RETURNING {insert.key}" for insert, body in zip(inserts, bodies, strict=True)]
        made = ", ".join(f"(SELECT {insert.key} FROM w{number})" for number, insert in enumerate(inserts))  # noqa: S608
        last = f"SELECT {made}{where}"
    elif bodies and not inserts[-1].on_conflict:
        last = bodies.pop()
    else:  # an Upsert may write nothing where the gate holds
        last = f"SELECT 1{where}"
    named += [f"w{number} AS ({body})" for number, body in enumerate(bodies)]
    return Text(f"WITH {', '.join(named)} {last}" if named else last)


def _where(part: _Plan | _Insert, condition: str) -> str:
    """Return a part that does something only under a condition, "" for always."""
    if isinstance(part, _Insert):
        return f"{part.head} SELECT {part.casts}{condition and f' WHERE {condition}'}{part.on_conflict}"
    # The condition of an UPDATE is its end, and there always is one.
    return part.sql + (condition and f" AND {condition}")


def _telling(gate: _Plan | _Insert) -> str:
    # A Select has rows by itself.
    return "" if isinstance(gate, _Plan) and gate.returning is None else " RETURNING 1"


@dataclass(frozen=True, slots=True, eq=False)
class _Insert:
    """How a row of a model is inserted."""

    head: str
    places: str  # for VALUES
    casts: str  # for SELECT, where a value does not take the type of its column by itself
    key: str
    columns: tuple[tuple[str, frozenset[type], Callable[[Model], Any]], ...]
    on_conflict: str = ""

    def params(self, row: Model | Upsert) -> list[Any]:
        """Return the values of a row, each in the form that its field has in the database."""
        row = row.row if isinstance(row, Upsert) else row
        values = row.__dict__
        return [values[name] if type(values[name]) in plain else prepare(row) for name, plain, prepare in self.columns]


# What PostgreSQL takes as it is, by the kind of the field.
_PLAIN: Mapping[str, type] = {
    "BigAutoField": int,
    "BooleanField": bool,
    "CharField": str,
    "DateTimeField": datetime,
    "IntegerField": int,
    "BigIntegerField": int,
    "TextField": str,
    "UUIDField": UUID,
}


def _plain_types(field: Any) -> frozenset[type]:
    """Return the types of values that need no preparation in this column."""
    if not _is_postgresql() or getattr(field, "auto_now", False) or getattr(field, "auto_now_add", False):
        return frozenset()
    kind = _PLAIN.get(getattr(field, "target_field", field).get_internal_type(), NoneType)
    return frozenset({kind, NoneType})


def _prepared(field: models.Field[Any, Any], row: Model) -> Any:
    value = field.pre_save(row, True)
    if hasattr(value, "resolve_expression"):
        raise TypeError(f"{field.name}: a row that is written so has values, not expressions.")
    if isinstance(field, models.JSONField) and value is not None and _is_postgresql():
        return json.dumps(value, cls=field.encoder)  # a text, of which the cast makes jsonb
    return field.get_db_prep_save(value, connection)


def _insert_into(row: Model | Upsert) -> _Insert:
    if isinstance(row, Upsert):
        return _spelled_upsert(type(row.row), row.by, row.columns)
    return _spelled_insert(type(row))


@cache
def _spelled_upsert(model: type[Model], by: tuple[str, ...], columns: tuple[str, ...]) -> _Insert:
    meta: Any = model._meta
    same, anew = ([connection.ops.quote_name(meta.get_field(name).column) for name in names] for names in (by, columns))
    then = f"UPDATE SET {', '.join(f'{column} = EXCLUDED.{column}' for column in anew)}" if anew else "NOTHING"
    return replace(_spelled_insert(model), on_conflict=f" ON CONFLICT ({', '.join(same)}) DO {then}")


@cache
def _spelled_insert(model: type[Model]) -> _Insert:
    meta: Any = model._meta
    quote = connection.ops.quote_name
    fields = [
        field for field in meta.concrete_fields if not isinstance(field, models.AutoField) and not field.generated
    ]
    return _Insert(
        head=f"INSERT INTO {quote(meta.db_table)} ({', '.join(quote(field.column) for field in fields)})",
        places=", ".join("%s" for _field in fields),
        # Without the length: a cast would cut what is too long, and an insert refuses it.
        casts=", ".join(f"%s::{str(field.cast_db_type(connection)).partition('(')[0]}" for field in fields),
        key=quote(meta.pk.column),
        columns=tuple((field.attname, _plain_types(field), partial(_prepared, field)) for field in fields),
    )


def new(model: type[M], **columns: Any) -> M:
    """Return an instance that is not stored, as the model's constructor makes it, in a fraction of the time.

    columns: values by the names of the columns, so `user_id` and not `user`; the others have their defaults.
    """
    defaults, makers = _defaults(model)
    values = defaults | columns
    if len(values) != len(defaults):
        raise TypeError(f"{model.__name__} has no {', '.join(columns.keys() - defaults.keys())}.")
    for name, make in makers:
        if name not in columns:
            values[name] = make()
    instance = model.__new__(model)
    instance.__dict__.update(values, _state=ModelState())
    return instance


@cache
def _defaults(model: type[Model]) -> tuple[dict[str, Any], tuple[tuple[str, Callable[[], Any]], ...]]:
    """Return the defaults of all columns, and the makers of those that are made anew for each row."""
    if not _is_plain(model):
        raise TypeError(f"{model.__name__} has a constructor of its own, or somebody listens to it.")
    fields = model._meta.concrete_fields
    is_made = {field.attname: callable(field.default) for field in fields}
    defaults = {field.attname: None if is_made[field.attname] else field.get_default() for field in fields}
    return defaults, tuple((field.attname, field.get_default) for field in fields if is_made[field.attname])


def _is_plain(model: Any) -> bool:
    """Tell whether an instance is its columns: nothing happens where it is made."""
    is_own = model.__init__ is not Model.__init__
    return not (is_own or pre_init.has_listeners(model) or post_init.has_listeners(model))


@cache
def _is_postgresql() -> bool:
    return bool(connection.vendor == "postgresql")


class Text:
    """The text of a statement, with %s for each parameter."""

    __slots__ = ("numbered", "sql")

    def __init__(self, sql: str) -> None:
        first, *rest = sql.split("%s")
        numbered = first + "".join(f"${number}{part}" for number, part in enumerate(rest, 1))
        self.sql, self.numbered = sql, numbered.replace("%%", "%").encode()


def _run(text: Text, params: Sequence[Any]) -> tuple[list[Row], int]:
    """Return the rows of a statement, and how many rows it wrote or found."""
    our: Any = connections[DEFAULT_DB_ALIAS]
    # Our backend for PostgreSQL has a shorter way than its cursors (config/postgresql).
    if (run_prepared := getattr(our, "run_prepared", None)) is not None:
        answer: tuple[list[Row], int] | None = run_prepared(text.numbered, params)
        if answer is not None:
            return answer
    with our.cursor() as cursor:
        cursor.execute(text.sql, params)
        return (cursor.fetchall() if cursor.description else []), cursor.rowcount


def _placeholders(values: Sequence[Value]) -> list[Any]:
    return [
        [_Placeholder(_Place(index, position)) for position in range(len(value))]
        if isinstance(value, list | tuple)
        else _Placeholder(_Place(index, None))
        for index, value in enumerate(values)
    ]


def _of_column(value: Any, field: models.Field[Any, Any]) -> Any:
    """Return a column's value as its field prepares it. A list is one value there: that of a JSON column."""
    if isinstance(value, list) and value and all(isinstance(each, _Placeholder) for each in value):
        return _Placeholder(_Place(value[0].place.index, None, field))
    return value.of_column(field) if isinstance(value, _Placeholder) else value


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


def _converter(compiler: Any, expressions: Sequence[Any]) -> Callable[[Row], list[Any]]:
    """Return what turns the database's values into those of the fields."""
    converters = list(compiler.get_converters(expressions).items())

    def convert(row: Row) -> list[Any]:
        found = list(row)
        for index, (functions, expression) in converters:
            for function in functions:
                found[index] = function(found[index], expression, connection)
        return found

    return convert


def _maker(compiler: Any) -> Callable[[Row], Any]:
    """Return what makes instances of rows, as ModelIterable does."""
    select, info = compiler.select, compiler.klass_info
    convert = _converter(compiler, [column[0] for column in select])
    fields = info["select_fields"]
    start, end = fields[0], fields[-1] + 1
    make_own = _instances(info["model"], [column[0].target.attname for column in select[start:end]])
    beside = [_beside(related, select) for related in info.get("related_klass_infos", ())]

    def make(row: Row) -> Any:
        found = convert(row)
        instance = make_own(found[start:end])
        for fill_in in beside:
            fill_in(found, instance)
        return instance

    return make


def _beside(info: Mapping[str, Any], select: Any) -> Callable[[list[Any], Any], None]:
    """Return what makes the instance of the other side of a join, and those beside that, as RelatedPopulator does."""
    fields, model = info["select_fields"], info["model"]
    start, end = fields[0], fields[-1] + 1
    names = [column[0].target.attname for column in select[start:end]]
    key, make_own = start + names.index(model._meta.pk.attname), _instances(model, names)
    set_here, set_there = info["local_setter"], info["remote_setter"]
    beside = [_beside(related, select) for related in info.get("related_klass_infos", ())]

    def fill_in(found: list[Any], owner: Any) -> None:
        if found[key] is None:
            set_here(owner, None)
            return
        instance = make_own(found[start:end])
        for further in beside:
            further(found, instance)
        set_here(owner, instance)
        set_there(instance, owner)

    return fill_in


def _instances(model: Any, names: Sequence[str]) -> Callable[[list[Any]], Any]:
    """Return what makes an instance of values; where nobody listens to it being made, without setting one by one."""
    alias = connection.alias
    if not _is_plain(model) or model.from_db.__func__ is not Model.from_db.__func__:  # type: ignore[attr-defined]
        return lambda values: model.from_db(alias, names, values)

    def make(values: list[Any]) -> Any:
        instance = model.__new__(model)
        state = ModelState()
        state.adding, state.db = False, alias
        instance.__dict__.update(zip(names, values, strict=True), _state=state)
        return instance

    return make
