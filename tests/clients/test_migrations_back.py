"""Every app of ours can be migrated to zero and forward again, on both databases: an upgrade can be taken back."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from tests.clients.provider import ROOT, OwnDatabase
from tests.support import templates

pytestmark = pytest.mark.client

APPS = ["identity", "oidc_provider", "cas_saml"]
SECONDS = 900

Schema = list[tuple[str, ...]]


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


def migrate(url: str, *arguments: str) -> None:
    """Run `manage.py migrate`."""
    command = [sys.executable, "manage.py", "migrate", "--verbosity", "0", *arguments]
    environment = {**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "config.settings.test"}
    done = subprocess.run(
        command,
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def schema(url: str) -> Schema:
    """Tables with their columns, and indexes with what they say."""
    if url.startswith("sqlite"):
        import sqlite3

        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            columns = connection.execute(
                "SELECT m.name, p.name, p.type, p.'notnull' FROM sqlite_master m JOIN pragma_table_info(m.name) p"
                " WHERE m.type = 'table'"
            ).fetchall()
            indexes = connection.execute("SELECT tbl_name, name, sql FROM sqlite_master WHERE type = 'index'")
            return sorted(tuple(map(str, row)) for row in [*columns, *indexes.fetchall()])
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns"
            " WHERE table_schema = 'public'"
        ).fetchall()
        rows += connection.execute("SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'")
        rows += connection.execute(
            "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
            " WHERE contype IN ('c', 'f') AND connamespace = 'public'::regnamespace"
        )
        return sorted(tuple(map(str, row)) for row in rows)


def test_every_app_migrates_to_zero_and_forward_again(database: str) -> None:
    before = schema(database)
    assert any(row[0].startswith("identity_") for row in before)
    # The toolkit first, whose tables refer to our clients; then identity, and with it what builds on it.
    for app in ("oauth2_provider", "identity"):
        migrate(database, app, "zero")
    left = {row[0] for row in schema(database) if row[0].startswith(tuple(f"{app}_" for app in APPS))}
    assert left == set()
    migrate(database)
    assert schema(database) == before
