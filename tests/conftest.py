"""What every test gets: no network beyond loopback, a clean cache, a database that was copied."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.db.backends.sqlite3.creation import DatabaseCreation
from pytest_django.plugin import DjangoDbBlocker

from tests.support import templates

LOOPBACK = {"127.0.0.1", "::1", "localhost", "0.0.0.0"}


_AHEAD = pytest.StashKey[subprocess.Popen[bytes]]()


def pytest_sessionstart(session: pytest.Session) -> None:
    """Begin with the template at once, where several processes will ask for it after they have collected."""
    config = session.config
    is_first = bool(config.getoption("numprocesses", None)) and not hasattr(config, "workerinput")
    if is_first and not config.option.collectonly:
        config.stash[_AHEAD] = templates.make_ahead()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Leave no process behind."""
    if ahead := session.config.stash.get(_AHEAD, None):
        ahead.wait()


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    """Let the test database be a copy of the template, which is migrated and has the cache table."""
    if connection.vendor == "postgresql":
        connection.settings_dict["TEST"]["TEMPLATE"] = templates.postgresql_database(os.environ["DATABASE_URL"])
    else:
        connection.creation = CopiedFile(connection)


class CopiedFile(DatabaseCreation):
    """Begins the test database as a copy, as TEMPLATE does on PostgreSQL."""

    def _create_test_db(self, verbosity: int, autoclobber: bool, keepdb: bool = False) -> str:
        name: str = super()._create_test_db(verbosity, autoclobber, keepdb)
        shutil.copyfile(templates.sqlite_file(), name)
        return name


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Prove the secrets once, as a process does at its start, and end what is still connected before it is dropped."""
    from identity.keyring import secret_check

    with django_db_blocker.unblock():
        secret_check.prove()
    yield
    # Processes and threads that tests have stopped may still be closing their connections, and PostgreSQL drops no
    # database that somebody is connected to.
    if connection.vendor == "postgresql":
        with django_db_blocker.unblock(), connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )


@pytest.fixture(autouse=True)
def fresh_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin as a process that has read nothing yet and listens to nobody.

    The rows of the test before, and their ids, are gone.
    """
    from identity import budgets, copies, listening, outbound

    copies.clear()
    budgets.clear()
    outbound.clear_circuits()
    # Importing the WSGI application, or running the worker's command, lets this process listen from then on, and a
    # process that listens signs with no key that is younger than two seconds.
    monkeypatch.setattr(listening, "_wanted", False)


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse every connection that would leave the machine."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in LOOPBACK:
            raise AssertionError(f"A test tried to connect to {address[0]}.")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(autouse=True)
def clean_cache(request: pytest.FixtureRequest) -> None:
    """Empty the cache before a test that commits. The cache is a table here, so other tests roll it back."""
    marker = request.node.get_closest_marker("django_db")
    commits = marker is not None and marker.kwargs.get("transaction", False)
    if commits or {"transactional_db", "live_server"} & set(request.fixturenames):
        request.getfixturevalue("transactional_db")
        cache.clear()
