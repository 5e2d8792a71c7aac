"""A real Monban for tests and measurements: gunicorn in its own processes, with a database of its own.

    with Provider(directory, database_url="") as provider:
        provider.apply({"tenant": "default", …})
        requests.get(provider.issuer + "/livez")

The database is a new one on the server that database_url names, or an SQLite file in the directory, migrated
already (tests/support/templates.py); a database made here is dropped at the end. Its processes are forked from one
that has imported everything (tests/clients/warm.py); measurements take cold ones. The server is stopped by its process
id.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit, urlunsplit

import psycopg
import yaml
from psycopg import sql

from tests.clients.warm import Forked, Warm
from tests.support import templates

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 60
STOP_SECONDS = 15
LOG_LINES_SHOWN = 60
Process = subprocess.Popen[bytes] | Forked


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until_open(process: Process, url: str, log: Path) -> None:
    """Return when the URL answers; raise with the end of the log when the process dies or stays silent."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"{url} does not answer; the log ends:\n{tail(log)}")


def tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-LOG_LINES_SHOWN:])


def stop(process: Process) -> None:
    """End one process that we started, gently first."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_SECONDS)


class OwnDatabase:
    """A new database on the server of database_url, empty or a copy of the template; dropped by drop()."""

    def __init__(self, database_url: str, *, template: str = "template0") -> None:
        parts = urlsplit(database_url)
        self.name = f"monban_process_{secrets.token_hex(6)}"
        self.url = urlunsplit(parts._replace(path=f"/{self.name}"))
        self._maintenance = urlunsplit(parts._replace(scheme="postgresql", path="/postgres"))
        self._execute("CREATE DATABASE {} TEMPLATE {}", template)

    def drop(self) -> None:
        self._execute("DROP DATABASE IF EXISTS {} WITH (FORCE)")

    def backend_pids(self) -> list[int]:
        """Process ids of the server's backends that work for this database."""
        with psycopg.connect(self._maintenance, autocommit=True) as connection:
            rows = connection.execute("SELECT pid FROM pg_stat_activity WHERE datname = %s", [self.name]).fetchall()
        return [row[0] for row in rows]

    def _execute(self, statement: str, *names: str) -> None:
        with psycopg.connect(self._maintenance, autocommit=True, connect_timeout=5) as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, (self.name, *names))))


class Provider:
    """One running Monban."""

    def __init__(
        self,
        directory: Path,
        *,
        database_url: str = "",
        workers: int = 2,
        threads: int = 4,
        log_requests: bool = True,
        settings: str = "config.settings.dev",
        environment: dict[str, str] | None = None,
        is_warm: bool = True,
        database: OwnDatabase | None = None,
    ) -> None:
        self.directory = directory
        self.port = free_port()
        self.issuer = f"http://127.0.0.1:{self.port}"
        self.log = directory / "monban.log"
        self._workers, self._threads, self._log_requests = workers, threads, log_requests
        self._is_warm, self._warm = is_warm, None
        self.database = database
        if database is None and database_url.startswith("postgres"):
            self.database = OwnDatabase(database_url, template=templates.postgresql_database(database_url))
        elif database is None:
            shutil.copyfile(templates.sqlite_file(), directory / "monban.sqlite3")
        own = {
            "DEBUG": "1",
            "SECRET_KEY": secrets.token_urlsafe(48),
            "DATABASE_URL": self.database.url if self.database else f"sqlite:///{directory / 'monban.sqlite3'}",
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            "DJANGO_SETTINGS_MODULE": settings,
            **(environment or {}),
        }
        inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TZ", "TMPDIR") if name in os.environ}
        self.environment = {**inherited, **own}
        self.process: Process | None = None

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as undo:
            undo.callback(self.close)
            self.start()
            undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Start the server and wait until it answers."""
        self.process = self.run(
            *("-m", "gunicorn", "config.wsgi:application"),
            *("--bind", f"127.0.0.1:{self.port}", "--workers", str(self._workers)),
            *("--threads", str(self._threads), "--keep-alive", "75"),
            *("--access-logfile", "-" if self._log_requests else os.devnull),
            # Codes and tokens travel in query strings: the log names the path only.
            *("--access-logformat", "%(m)s %(U)s %(s)s"),
        )
        wait_until_open(self.process, f"{self.issuer}/livez", self.log)

    def run(self, *words: str, log: Path | None = None, environment: dict[str, str] | None = None) -> Process:
        """Start `python *words` in this server's environment, and what is added to it for the process alone."""
        with (log or self.log).open("ab") as output:
            if self._is_warm:
                self._warm = self._warm or Warm(self.environment, self.log)
                return self._warm.start(*words, output=output, environment=environment)
            return subprocess.Popen(
                [sys.executable, *words],
                cwd=ROOT,
                env={**self.environment, **(environment or {})},
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def manage(self, *arguments: str) -> str:
        """Run a management command against this server's database; its output."""
        with tempfile.TemporaryDirectory() as directory:
            log = Path(directory) / "output"
            status = self.run("manage.py", *arguments, log=log).wait()
            output = log.read_text(errors="replace")
        if status != 0:
            raise RuntimeError(f"manage.py {arguments[0]} ended with {status}:\n{output}")
        return output

    def apply(self, configuration: dict[str, Any]) -> None:
        """Create tenants, users, applications and clients from a configuration document."""
        file = self.directory / "configuration.yaml"
        file.write_text(yaml.safe_dump(configuration, allow_unicode=True, sort_keys=False))
        self.manage("apply_config", str(file))

    def close(self) -> None:
        if self.process is not None:
            stop(self.process)
            self.process = None
        if self._warm is not None:
            self._warm.close()
            self._warm = None
        if self.database is not None:
            self.database.drop()
            self.database = None


@contextlib.contextmanager
def second_node(provider: Provider, *, threads: int) -> Iterator[tuple[str, Path]]:
    """Another server on the provider's database; its address and its log."""
    port, log = free_port(), provider.directory / "second.log"
    words = ("-m", "gunicorn", "config.wsgi:application", "--bind", f"127.0.0.1:{port}")
    options = ("--workers", "1", "--threads", str(threads))
    process = provider.run(*words, *options, log=log, environment={"PORT": str(port)})
    try:
        wait_until_open(process, f"http://127.0.0.1:{port}/livez", log)
        yield f"http://127.0.0.1:{port}", log
    finally:
        stop(process)


class RelyingPartyProcess:
    """One relying party (tests/clients/relying_party.py) in its own process."""

    def __init__(
        self, directory: Path, *, client_id: str, client_secret: str = "", auth_method: str = "client_secret_basic"
    ) -> None:
        self.client_id, self.client_secret, self.auth_method = client_id, client_secret, auth_method
        self.port = free_port()
        self.url = f"http://localhost:{self.port}"
        self.redirect_uri = f"{self.url}/callback"
        self.post_logout_redirect_uri = f"{self.url}/signed-out"
        self.log = directory / f"{client_id}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, issuer: str) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "tests.clients.relying_party", "--issuer", issuer),
                    *("--client-id", self.client_id, f"--client-secret={self.client_secret}"),
                    *("--auth-method", self.auth_method, "--port", str(self.port)),
                ],
                cwd=ROOT,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        wait_until_open(self.process, f"http://127.0.0.1:{self.port}/blank", self.log)

    def close(self) -> None:
        if self.process is not None:
            stop(self.process)
            self.process = None
