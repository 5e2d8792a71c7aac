"""Ask the server what it keeps prepared, without the cursors that lie between Django and libpq.

A cursor of Django's over one of psycopg's takes several times as long as libpq and the server together, and spells a
statement of more than 4,096 characters anew each time. What `identity.statements` asks has one text for each shape, so
its name is all that has to be sent. Values are adapted by psycopg, as a cursor does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from types import NoneType
from typing import Any
from uuid import UUID

import psycopg
from psycopg import errors
from psycopg.abc import AdaptContext, Buffer
from psycopg.adapt import AdaptersMap, Loader, PyFormat, Transformer
from psycopg.pq import ExecStatus, TransactionStatus

Row = tuple[Any, ...]


def _write_text(value: str) -> bytes:
    if "\x00" in value:
        raise psycopg.DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes")
    return value.encode()


# The text form of the types that are most of all values. What is not here, psycopg writes.
_WRITERS: Mapping[type, Callable[[Any], bytes | None]] = {
    NoneType: lambda value: None,
    str: _write_text,
    int: lambda value: b"%d" % value,
    bool: lambda value: b"t" if value else b"f",
    datetime: lambda value: value.isoformat().encode(),
    UUID: lambda value: value.hex.encode(),
}

# SQLSTATE where what is kept is of no use: dropped, or a migration has changed the type of a column that it returns.
_UNKNOWN_STATEMENT, _OTHER_COLUMNS = b"26000", b"0A000"


class _Instant(Loader):
    """Read a timestamptz of a connection whose zone is UTC, which Django sees to."""

    def load(self, data: Buffer) -> datetime:
        return datetime.fromisoformat(bytes(data).decode())


class Kept:
    """The statements that the server keeps for one connection, and how values are adapted for it."""

    def __init__(self, raw: psycopg.Connection[Any]) -> None:
        self.raw, self._pgconn, self._encoding = raw, raw.pgconn, raw.info.encoding
        self.is_doubtful = False  # psycopg drops all that a server keeps when something is rolled back
        self._names: dict[bytes, bytes] = {}
        self._made = 0
        context = _Context(raw)
        if (raw.info.parameter_status("DateStyle") or "").startswith("ISO"):
            context.adapters.register_loader("timestamptz", _Instant)
        self._adapter = Transformer.from_context(context)

    def run(self, text: bytes, params: Sequence[Any]) -> tuple[list[Row], int]:
        """Return the rows of a statement, and how many it wrote or found. Raises what psycopg raises.

        text: with $1 and so on for its parameters.
        """
        values = [_WRITERS.get(type(param), self._write)(param) for param in params]
        if self.is_doubtful:
            self._look_what_is_kept()
        result = self._execute(text, values)
        if result.status == ExecStatus.FATAL_ERROR and self._is_of_no_use(text, result):
            result = self._execute(text, values)
        if result.status == ExecStatus.TUPLES_OK:
            self._adapter.set_pgresult(result)
            return self._adapter.load_rows(0, result.ntuples, tuple), result.ntuples
        if result.status == ExecStatus.COMMAND_OK:
            return [], result.command_tuples or 0
        raise error_of(result, encoding=self._encoding)

    def _execute(self, text: bytes, values: list[bytes | None]) -> Any:
        return self._pgconn.exec_prepared(self._names.get(text) or self._prepare(text), values)  # type: ignore[arg-type] # None is NULL

    def _is_of_no_use(self, text: bytes, result: Any) -> bool:
        """Tell whether the statement failed because of what is kept, and may be run once more: then it is made anew.

        After any other error the server keeps it, and so do we: to forget the name would leave a plan there each time.
        """
        state = result.error_field(psycopg.pq.DiagnosticField.SQLSTATE)
        can_ask = self._pgconn.transaction_status == TransactionStatus.IDLE  # in a transaction all is lost
        if state == _UNKNOWN_STATEMENT and can_ask:
            self._look_what_is_kept()
        elif state == _OTHER_COLUMNS and (name := self._names.pop(text, None)) is not None and can_ask:
            self._pgconn.exec_(b"DEALLOCATE " + name)
        else:
            return False
        return True

    def _look_what_is_kept(self) -> None:
        result = self._pgconn.exec_(b"SELECT name FROM pg_prepared_statements")
        if result.status != ExecStatus.TUPLES_OK:
            raise error_of(result, encoding=self._encoding)
        kept = {result.get_value(row, 0) for row in range(result.ntuples)}
        self._names = {text: name for text, name in self._names.items() if name in kept}
        self.is_doubtful = False

    def _write(self, param: Any) -> bytes | None:
        (value,) = self._adapter.dump_sequence([param], [PyFormat.TEXT])
        return None if value is None else bytes(value)

    def _prepare(self, text: bytes) -> bytes:
        self._made += 1
        name = b"monban_%d" % self._made
        result = self._pgconn.prepare(name, text)
        if result.status != ExecStatus.COMMAND_OK:
            raise error_of(result, encoding=self._encoding)
        self._names[text] = name
        return name


def error_of(result: Any, *, encoding: str) -> psycopg.Error:
    """Return what psycopg raises for a result. One that names no SQLSTATE is not of the server, which is gone."""
    if result.error_field(psycopg.pq.DiagnosticField.SQLSTATE) is None:
        return psycopg.OperationalError(result.get_error_message(encoding))
    return errors.error_from_result(result, encoding=encoding)


class _Context(AdaptContext):
    """How a connection adapts values, to which something may be added."""

    def __init__(self, raw: psycopg.Connection[Any]) -> None:
        self._raw, self._adapters = raw, AdaptersMap(raw.adapters)

    @property
    def adapters(self) -> AdaptersMap:
        return self._adapters

    @property
    def connection(self) -> psycopg.Connection[Any]:
        return self._raw
