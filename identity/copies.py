"""What a process remembers of rows that every request needs and that hardly ever change (decision 22, ADR 31).

A copy is used for `process_cache_seconds` after its rows were read; for `copies_seconds` where this process is told
at once of every change on every node (`identity.listening`). Whoever changes such rows says by `changed` whose they
are; models that are watched do so by themselves, and on PostgreSQL their tables, whatever wrote to them.

What was read before a change is never kept after it: `begin` is called before reading, and `keep` looks whether nothing
changed since. A transaction that changed something reads rows and keeps nothing until it is over, for it might be taken
back. All copies of a process together take `copies_max_bytes`; beyond that the one that was not used for longest goes.
Copies are shared between threads: never write to one.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from typing import Any, Generic, TypeVar

from django.db import connection, transaction
from django.db.models import Model
from django.db.models.signals import post_delete, post_save

from identity.conf import conf

# How long a process that hears nothing may go on as if it would have been told.
SILENCE_SECONDS = 2.0
# Of an object that does not say what is in it, such as a key of OpenSSL with what it has precomputed.
_OPAQUE_BYTES = 4096
_PLAIN = (str, bytes, int, float, bool, type(None), date, timedelta)

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass(slots=True)
class _Copy:
    value: Any
    tenant_id: int
    read_at: float  # monotonic
    size: int  # bytes, roughly


@dataclass(frozen=True, slots=True)
class Moment:
    """When somebody began to read."""

    generation: int
    at: float  # monotonic


class _Store:
    """All copies of this process, the one that was used last at the end."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.copies: OrderedDict[tuple[int, Hashable], _Copy] = OrderedDict()
        self.size = 0
        self.generation = 0  # counts changes
        self.heard_at = float("-inf")  # when we last knew that we are told of changes, monotonic

    def put(self, key: tuple[int, Hashable], copy: _Copy, generation: int) -> None:
        with self.lock:
            if generation != self.generation:
                return
            self._drop(key)
            self.copies[key] = copy
            self.size += copy.size
            while self.size > conf.copies_max_bytes and self.copies:
                self._drop(next(iter(self.copies)))

    def forget(self, tenant_ids: set[int | None] | None) -> None:
        """Forget what is remembered of these tenants; None is everything."""
        with self.lock:
            self.generation += 1
            if tenant_ids is None:
                self.copies.clear()
                self.size = 0
                return
            for key in [key for key, copy in self.copies.items() if copy.tenant_id in tenant_ids]:
                self._drop(key)

    def drop_kind(self, kind: int) -> None:
        with self.lock:
            for key in [key for key in self.copies if key[0] == kind]:
                self._drop(key)

    def _drop(self, key: tuple[int, Hashable]) -> None:
        copy = self.copies.pop(key, None)
        if copy is not None:
            self.size -= copy.size


class _Changed(threading.local):
    """The tenants of which the transaction of this thread has changed something."""

    def __init__(self) -> None:
        self.tenant_ids: set[int | None] = set()


_store = _Store()
_changed = _Changed()
_publishers: list[Callable[[int | None], None]] = []
_watched: set[str] = set()


class Copies(Generic[K, V]):
    """The copies of one kind."""

    def __init__(self, *, is_told: bool = True) -> None:
        """is_told: False where changes of the rows are not told, so that only the seconds bound their age."""
        self._is_told = is_told

    def find(self, key: K, *, only_told: bool = False) -> V | None:
        """Return a copy that may be used, or None. only_told: one that a change on another node would have ended."""
        copy = _store.copies.get((id(self), key))
        if copy is None or _reads_rows():
            return None
        now = time.monotonic()
        age, is_told = now - copy.read_at, self._is_told and now - _store.heard_at < SILENCE_SECONDS
        if (only_told and not is_told) or age >= (conf.copies_seconds if is_told else conf.process_cache_seconds):
            return None
        try:
            _store.copies.move_to_end((id(self), key))
        except KeyError:
            return None  # forgotten this moment
        value: V = copy.value
        return value

    def get(self, key: K, read: Callable[[], V | None], *, tenant_id: int) -> V | None:
        """Return a copy, or read and keep what was found; what was not is asked for again."""
        found = self.find(key)
        if found is None:
            moment = begin()
            found = read()
            if found is not None:
                self.keep(key, found, tenant_id=tenant_id, since=moment)
        return found

    def keep(self, key: K, value: V, *, tenant_id: int, since: Moment) -> None:
        """Keep what was read since that moment, unless something changed meanwhile."""
        if not _reads_rows():
            size = _size_of(key, set()) + _size_of(value, set())
            _store.put((id(self), key), _Copy(value, tenant_id, since.at, size), since.generation)

    def clear(self) -> None:
        """Forget all copies of this kind."""
        _store.drop_kind(id(self))

    def __len__(self) -> int:
        return sum(1 for kind, _ in list(_store.copies) if kind == id(self))


def begin() -> Moment:
    """Return the moment at which somebody begins to read what shall be kept."""
    _reads_rows()  # notices that a transaction is over
    return Moment(_store.generation, time.monotonic())


def changed(tenant_id: int | None) -> None:
    """Say that rows of a tenant were written; None: of nobody in particular. Every node forgets what it remembers.

    Now, for this transaction; and again when it has committed, for another thread may have read the old rows since.
    """
    forget([tenant_id])
    if _is_in_transaction():
        _changed.tenant_ids.add(tenant_id)
    transaction.on_commit(partial(_commit, tenant_id))


def forget(tenant_ids: Iterable[int | None]) -> None:
    """Forget in this process what is remembered of these tenants; of all, where None is among them."""
    gone = set(tenant_ids)
    _store.forget(None if None in gone else gone)


def clear() -> None:
    """Forget everything, as a process that has just begun."""
    _changed.tenant_ids.clear()
    _store.heard_at = float("-inf")
    _store.forget(None)


def watch(model: type[Model], *, tenant: str = "tenant_id") -> None:
    """Forget copies when rows of a model are saved or deleted one by one. tenant: the attribute that names it."""

    def tell(instance: Model, **kwargs: Any) -> None:
        changed(getattr(instance, tenant))

    _watched.add(model._meta.label_lower)
    for signal in (post_save, post_delete):
        signal.connect(tell, sender=model, weak=False, dispatch_uid=f"copies.{model._meta.label}")


def watched() -> frozenset[str]:
    """Return the labels of the models that are watched: their tables tell other nodes, by a trigger."""
    return frozenset(_watched)


def publish_by(publisher: Callable[[int | None], None]) -> None:
    """Let this function tell other nodes, after the commit, of each change that is said here."""
    _publishers.append(publisher)


def hear() -> None:
    """Note that this process is told of changes, as of now."""
    _store.heard_at = time.monotonic()


def taken_bytes() -> int:
    """Return roughly how much memory the copies take."""
    return _store.size


def _commit(tenant_id: int | None) -> None:
    _changed.tenant_ids.discard(tenant_id)
    forget([tenant_id])
    for publish in _publishers:
        publish(tenant_id)


def _reads_rows() -> bool:
    """Tell whether this thread has to read the rows: it changed some, and might yet take that back."""
    if not _changed.tenant_ids:
        return False
    if _is_in_transaction():
        return True
    forget(_changed.tenant_ids)  # It is over, by a rollback or within the transaction of a test.
    _changed.tenant_ids.clear()
    return False


def _is_in_transaction() -> bool:
    # The transaction around a test stays open all the time, so it is none; Django itself tells it by this.
    return any(not getattr(block, "_from_testcase", False) for block in connection.atomic_blocks)


def _size_of(value: Any, seen: set[int]) -> int:
    """Estimate the bytes that a value takes with all that it holds."""
    if id(value) in seen:
        return 0
    seen.add(id(value))
    size = sys.getsizeof(value)
    if isinstance(value, _PLAIN):
        return size
    if isinstance(value, dict):
        return size + sum(_size_of(key, seen) + _size_of(item, seen) for key, item in value.items())
    if isinstance(value, list | tuple | set | frozenset):
        return size + sum(_size_of(item, seen) for item in value)
    if isinstance(value, type) or not hasattr(value, "__dict__"):
        return size if isinstance(value, type) else size + _OPAQUE_BYTES
    return size + _size_of(vars(value), seen)


def _begin_in_child() -> None:
    # A lock that another thread of the parent held stays locked here, and what the parent heard nobody tells us.
    global _store
    _store = _Store()


os.register_at_fork(after_in_child=_begin_in_child)
