"""What an error of the database means to a caller: what trying again may mend is 503, all else is a fault of ours."""

from __future__ import annotations

from functools import cache

from django.db import Error, InterfaceError, OperationalError, ProgrammingError, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from identity.retries import conflict_of

# PostgreSQL: undefined_table, undefined_column. SQLite says it in words, as an OperationalError.
_UNKNOWN_STATES = frozenset({"42P01", "42703"})
_UNKNOWN_WORDS = ("no such table", "no such column", "has no column named")


def is_behind(error: BaseException | None) -> bool:
    """Tell whether the schema lacks what a statement names: a migration has not run yet."""
    if isinstance(error, ProgrammingError):
        return getattr(error.__cause__, "sqlstate", "") in _UNKNOWN_STATES
    return isinstance(error, OperationalError) and any(words in str(error) for words in _UNKNOWN_WORDS)


def is_unavailable(error: BaseException | None) -> bool:
    """Tell whether the database is away, or older than the code: the same request may succeed in a moment."""
    return isinstance(error, OperationalError | InterfaceError) or is_behind(error)


def event_of(error: Error) -> str:
    """Name in the log why a request was not served: a conflict that went on, a schema, or no database."""
    return conflict_of(error) or ("database.schema_behind" if is_behind(error) else "database.away")


def missing_migrations() -> list[str]:
    """List what the code has and the database has not, as `app.name`; newer databases than the code are fine."""
    return sorted(".".join(key) for key in _known() - MigrationRecorder(connection).applied_migrations().keys())


@cache
def _known() -> frozenset[tuple[str, str]]:
    return frozenset(MigrationLoader(None).disk_migrations)
