"""Every app of ours can be migrated to zero and forward again, on both databases: an upgrade can be taken back."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from tests.clients.provider import ROOT, OwnDatabase
from tests.support import templates
from tests.support.schema import schema

pytestmark = pytest.mark.client

SECONDS = 900


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a migrated database."""
    if request.param == "sqlite":
        shutil.copyfile(templates.sqlite_file(), tmp_path / "monban.sqlite3")
        yield f"sqlite:///{tmp_path / 'monban.sqlite3'}"
        return
    server = os.environ.get("DATABASE_URL", "")
    if not server.startswith("postgres"):
        pytest.skip("needs the PostgreSQL of DATABASE_URL")
    own = OwnDatabase(server, template=templates.postgresql_database(server))
    yield own.url
    own.drop()


def migrate(url: str, direction: str) -> None:
    """Migrate everything "back" to zero or "forward", in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.clients.test_migrations_back", direction],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "config.settings.test"},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def migrate_back() -> None:
    """Take every migration back, the last one first, as `migrate APP zero` does.

    The command draws up the models of every state in between before it begins, which takes longer than the rest.
    """
    from django.db import connection
    from django.db.migrations.executor import MigrationExecutor
    from django.db.migrations.state import ProjectState

    executor = MigrationExecutor(connection)
    # The toolkit first, whose tables refer to our clients though its migrations do not say so.
    apps = sorted(executor.loader.migrated_apps, key=lambda app: (app != "oauth2_provider", app))
    plan = executor.migration_plan([(app, None) for app in apps])
    state, steps = ProjectState(real_apps=executor.loader.unmigrated_apps), []
    for migration, is_backwards in reversed(plan):
        assert is_backwards
        steps.append((state, migration))
        state = migration.mutate_state(state)
    while steps:
        before, migration = steps.pop()
        before.apps  # noqa: B018 - drawn up once here, and not at each operation
        executor.unapply_migration(before, migration)


def others(url: str) -> list[str]:
    """Sequences, types and functions of PostgreSQL's, and triggers and views of either."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            rows = connection.execute("SELECT name FROM sqlite_master WHERE type NOT IN ('table', 'index')").fetchall()
        return sorted(name for (name,) in rows)
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind NOT IN ('r', 'i')"
            " UNION ALL SELECT typname FROM pg_type"
            " WHERE typnamespace = 'public'::regnamespace AND typtype IN ('d', 'e')"
            " UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
            " UNION ALL SELECT tgname FROM pg_trigger WHERE NOT tgisinternal"
        ).fetchall()
    return sorted(name for (name,) in rows)


def test_everything_migrates_to_zero_and_forward_again(database: str) -> None:
    before = schema(database)
    assert {row[0].partition("_")[0] for row in before} >= {"identity", "oidc", "cas"}
    migrate(database, "back")
    # What is not a migration's is left: Django's own record of them, and the cache's table.
    assert {row[0] for row in schema(database)} - {"sqlite_sequence"} == {"cache", "django_migrations"}
    assert set(others(database)) <= {"django_migrations_id_seq"}
    # So forward again is what made the template. On one of the two databases that is seen, too.
    if database.startswith("sqlite"):
        migrate(database, "forward")
        assert schema(database) == before


if __name__ == "__main__":
    import django
    from django.core.management import call_command

    django.setup()
    templates.hurry()
    if sys.argv[1] == "back":
        migrate_back()
    else:
        call_command("migrate", interactive=False, verbosity=0)
