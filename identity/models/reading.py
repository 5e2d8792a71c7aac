"""Rows that requests depend on, read so that a bad value stored in one stops nobody.

Forms, services and files are held to the validators of the columns; a value can still be wrong: written by hand, by an
older version, or named in a time zone file that this machine does not have. A page that fails because of it would be
the page on which it is mended. So a bad value is read as the column's default, said once in the log, and listed by
`manage.py check --database default`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any, ClassVar, Self

from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator, MaxValueValidator, MinValueValidator
from django.db import models

log = logging.getLogger(__name__)

_MOST_REMEMBERED = 10_000
_said: set[tuple[str, Any, str]] = set()  # table, primary key and column of what was logged


class ReadSafely(models.Model):
    """A row whose columns are judged by their validators and choices when it is read."""

    # What stands for a bad value where that is not the column's default: less, where it would give a right.
    read_as: ClassVar[Mapping[str, Any]] = {}
    # Judges of columns whose rule does not stand at the column. They raise ValueError, TypeError or
    # ValidationError.
    read_checks: ClassVar[Mapping[str, Callable[[Any], object]]] = {}

    # Columns that stay as they are stored, because whoever uses them refuses what is bad in them.
    read_as_stored: ClassVar[frozenset[str]] = frozenset()

    class Meta:
        abstract = True

    @classmethod
    def from_db(cls, db: str | None, field_names: Any, values: Any, **options: Any) -> Self:
        """Make the row of what the database gave."""
        row = super().from_db(db, field_names, values, **options)
        held = row.__dict__
        for name, is_good in _rules(cls):
            if name in held and not is_good(held[name]):
                row._mend(name)
        return row

    @property
    def unusable(self) -> Mapping[str, Any]:
        """The bad values that are stored, by column; the row has others in their place."""
        found: Mapping[str, Any] = self.__dict__.get("_unusable", {})
        return found

    def _mend(self, name: str) -> None:
        self.__dict__.setdefault("_unusable", {})[name] = self.__dict__[name]
        field: Any = self._meta.get_field(name)
        fallback = self.read_as.get(name, field.get_default)
        setattr(self, name, fallback() if callable(fallback) else fallback)
        place = (self._meta.db_table, self.pk, name)
        if place not in _said and len(_said) < _MOST_REMEMBERED:
            _said.add(place)
            log.error("row.unusable_value", extra={"table": place[0], "row": place[1], "column": name})


def unusable_values(model: type[ReadSafely]) -> Iterator[tuple[Any, str]]:
    """Yield the primary key and column of every bad value that is stored."""
    rules = _rules(model)
    rows = model._default_manager.order_by().values_list("pk", *(name for name, _is_good in rules))
    for pk, *values in rows.iterator():
        yield from ((pk, name) for (name, is_good), value in zip(rules, values, strict=True) if not is_good(value))


@cache
def _rules(model: type[ReadSafely]) -> tuple[tuple[str, Callable[[Any], bool]], ...]:
    """Column and judge, for every column that has a rule of its own."""
    fields = (field for field in model._meta.concrete_fields if not field.is_relation)
    judged = (field for field in fields if field.choices or _validators(field) or field.name in model.read_checks)
    return tuple(
        (field.attname, _judge(field, model.read_checks.get(field.name)))
        for field in judged
        if _has_fallback(model, field)
    )


def _has_fallback(model: type[ReadSafely], field: models.Field[Any, Any]) -> bool:
    """Tell whether anything can stand for a bad value. Nothing can for a name that others refer to, such as a code."""
    if field.name in model.read_as_stored:
        return False
    return field.has_default() or field.null or field.blank or field.name in model.read_as


def _validators(field: models.Field[Any, Any]) -> list[Any]:
    """Return what the column is held to beside its length, which the database holds."""
    return [validator for validator in field.validators if not isinstance(validator, MaxLengthValidator)]


def _judge(field: models.Field[Any, Any], check: Callable[[Any], object] | None) -> Callable[[Any], bool]:
    chosen = frozenset(value for value, _label in field.flatchoices)
    validators, is_json = _validators(field), isinstance(field, models.JSONField)
    bounds = [entry for entry in validators if isinstance(entry, MinValueValidator | MaxValueValidator)]
    # Numbers are most of them, and a row is read at every request: compared without the detour.
    least = max((entry.limit_value for entry in bounds if isinstance(entry, MinValueValidator)), default=None)
    most = min((entry.limit_value for entry in bounds if isinstance(entry, MaxValueValidator)), default=None)
    others = [*(entry for entry in validators if entry not in bounds), *([check] if check else [])]

    def is_good(value: Any) -> bool:
        if value is None:
            return field.null
        if value == "" and not is_json:  # of those columns an empty text is no empty list
            return field.blank
        if chosen and value not in chosen:
            return False
        try:
            if (least is not None and value < least) or (most is not None and value > most):
                return False
            for validator in others:
                validator(value)
        except (ValidationError, ValueError, TypeError):
            return False
        return True

    return is_good
