"""One migrated database to copy from: to migrate is fifteen seconds of work, and to copy is less than one.

The database of each test process and of each server that tests start is a copy. The template itself is made from
zero whenever a migration or a locked package changes, and migrated again whenever any code of ours does, so a copy
never differs from what `manage.py migrate` and `createcachetable` would have made.

    sqlite_file()              an SQLite file in var/test
    postgresql_database(url)   the name of a database on the server of this DATABASE_URL
"""

from __future__ import annotations

import copy
import fcntl
import gc
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

ROOT = Path(__file__).resolve().parents[2]
DIRECTORY = ROOT / "var" / "test"
APPS = ["config", "identity", "oidc_provider", "cas_saml", "miniapp", "sdk_api", "tenant_api"]
QUIET_SECONDS = 10
GARBAGE = 500_000  # objects made before one looks for garbage; 700 is usual


@cache
def sqlite_file() -> Path:
    """Return the template, made or brought up to date first."""
    schema, code = digests()
    file = DIRECTORY / f"template-{schema}.sqlite3"
    stamp = file.with_suffix(".stamp")
    with one_at_a_time():
        if not (file.exists() and stamp.exists() and stamp.read_text() == code):
            stamp.unlink(missing_ok=True)
            for old in DIRECTORY.glob("template-*"):
                if not old.name.startswith(file.stem):
                    old.unlink()
            migrate(f"sqlite:///{file}")
            stamp.write_text(code)
    return file


@cache
def postgresql_database(url: str) -> str:
    """Return the template's name. It stays on the server, beside the database that the URL names, for the next run."""
    schema, code = digests()
    parts = urlsplit(url)
    name = f"test_{parts.path[1:]}_template"
    maintenance = urlunsplit(parts._replace(scheme="postgresql", path="/postgres"))
    with one_at_a_time(), psycopg.connect(maintenance, autocommit=True, connect_timeout=5) as connection:
        found = connection.execute(
            "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s", [name]
        ).fetchone()
        known = (found[0] or "") if found else ""
        if known == f"{schema} {code}":
            return name
        identifier = sql.Identifier(name)
        if not known.startswith(schema):
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(identifier))
            connection.execute(sql.SQL("CREATE DATABASE {}").format(identifier))
        else:
            connection.execute(sql.SQL("COMMENT ON DATABASE {} IS {}").format(identifier, sql.Literal(schema)))
        migrate(urlunsplit(parts._replace(path=f"/{name}")))
        wait_until_nobody_is_connected(connection, name)
        comment = sql.Literal(f"{schema} {code}")
        connection.execute(sql.SQL("COMMENT ON DATABASE {} IS {}").format(identifier, comment))
    return name


def make_ahead() -> subprocess.Popen[bytes]:
    """Let a process of its own make the template while test processes still collect; they find it, or wait for it."""
    make = "import os; from tests.support import templates as t; url = os.environ.get('DATABASE_URL', ''); "
    make += "t.postgresql_database(url) if url.startswith('postgres') else t.sqlite_file()"
    return subprocess.Popen([sys.executable, "-c", make], cwd=ROOT, stderr=subprocess.DEVNULL)


@cache
def digests() -> tuple[str, str]:
    """Tell the state of the migrations with the locked packages, and the state of all code of ours."""
    sources = sorted(path for app in APPS for path in (ROOT / app).rglob("*.py"))
    return (
        digest([ROOT / "requirements" / "base.txt", *(path for path in sources if path.parent.name == "migrations")]),
        digest(sources),
    )


def digest(files: list[Path]) -> str:
    found = hashlib.sha256()
    for path in files:
        found.update(f"{path.relative_to(ROOT)} {path.stat().st_size}\n".encode())
        found.update(path.read_bytes())
    return found.hexdigest()[:16]


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Hold the lock of the templates: of several test processes, the first makes one and the others wait for it."""
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    with (DIRECTORY / "template.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def migrate(url: str) -> None:
    """Migrate in a process of its own, since a test process may not touch the database yet."""
    finished = subprocess.run(
        [sys.executable, "-m", "tests.support.templates"],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "config.settings.test"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if finished.returncode != 0:
        raise RuntimeError(f"migrating the template ended with {finished.returncode}:\n{finished.stdout}")


def wait_until_nobody_is_connected(connection: psycopg.Connection[tuple[str, ...]], name: str) -> None:
    """Return when the migrating process's connection is gone: PostgreSQL copies no database that is in use."""
    deadline = time.monotonic() + QUIET_SECONDS
    while connection.execute("SELECT 1 FROM pg_stat_activity WHERE datname = %s", [name]).fetchone():
        if time.monotonic() > deadline:
            raise RuntimeError(f"Somebody is connected to {name}.")
        time.sleep(0.05)


def hurry() -> None:
    """Let this process migrate in half the time.

    Django draws up the models anew after each operation. Half of that is to take every field to pieces and to make it
    again, where a copy is the same, and to look for garbage among them. Starts with nothing do not hurry, and come to
    the same schema (tests/config).
    """
    from django.db.models import Field

    def clone(self: Field) -> Field:
        cloned = copy.deepcopy(self)
        cloned.creation_counter = Field.creation_counter  # columns are in the order in which fields were made
        Field.creation_counter += 1
        return cloned

    Field.clone = clone
    gc.freeze()
    gc.set_threshold(GARBAGE)


if __name__ == "__main__":
    import django
    from django.core.management import call_command
    from django.db import connections

    django.setup()
    hurry()
    call_command("migrate", interactive=False, verbosity=0)
    call_command("createcachetable", verbosity=0)
    # What is frozen is not closed at the end, and SQLite would leave everything in the journal beside the file.
    connections.close_all()
