"""`manage.py serve`, which is what `make run` does once the packages are there, in processes of its own.

One start begins with nothing at all, and later ones go on where it ended. What is refused begins with a copy of the
template, since every start migrates first.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from config.management.commands.serve import is_loopback
from tests.clients.provider import free_port
from tests.support import templates
from tests.support.schema import schema

pytestmark = pytest.mark.xdist_group("serve")
ROOT = Path(__file__).resolve().parents[2]
CHOSEN_KEY = "a key that an operator chose for this one test, long enough for anybody"


def environment(directory: Path, **changes: str) -> dict[str, str]:
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    own = {"VAR_DIR": str(directory), "PORT": str(free_port()), "WEB_CONCURRENCY": "1", "PYTHONUNBUFFERED": "1"}
    if "SECRET_KEY" in changes:
        own["DJANGO_SETTINGS_MODULE"] = "config.settings.dev"  # else the environment would be production's
    return {**inherited, **own, **changes}


@contextmanager
def serving(directory: Path, **changes: str) -> Iterator[tuple[subprocess.Popen[bytes], str, Path]]:
    """A server that has said where it is; ended by its process id."""
    settings = environment(directory, **changes)
    log = directory / "serve.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "serve"],
            cwd=ROOT,
            env=settings,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + 180  # the first start migrates
        while "Sign in" not in log.read_text() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.1)
        assert "Sign in" in log.read_text(), log.read_text()
        yield process, f"http://127.0.0.1:{settings['PORT']}", log
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(90)


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def ended(command: str, directory: Path, **changes: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", command],
        cwd=ROOT,
        env=environment(directory, **changes),
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )


def refused(directory: Path, **changes: str) -> str:
    finished = ended("serve", directory, **changes)
    assert finished.returncode == 1, finished.stdout + finished.stderr
    return finished.stderr


@pytest.fixture
def migrated(tmp_path: Path) -> Path:
    """A directory with a database that nobody has written to."""
    shutil.copyfile(templates.sqlite_file(), tmp_path / "monban.sqlite3")
    return tmp_path


@dataclass(frozen=True)
class Start:
    """What a start with nothing came to, from its first line until a signal ended it."""

    directory: Path
    url: str
    said: str
    status_of_probe: int
    started: list[int]
    left: list[int]
    exit_status: int

    @property
    def people(self) -> list[str]:
        return people(self.said)


def people(said: str) -> list[str]:
    return re.findall(r"^  (?:Operator|User) +.*$", said, re.M)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Start:
    directory = tmp_path_factory.mktemp("first")
    with serving(directory) as (process, url, log):
        said = log.read_text()
        with urllib.request.urlopen(f"{url}/readyz", timeout=10) as answer:
            status_of_probe: int = answer.status
        started = children(process.pid)
        process.send_signal(signal.SIGINT)
        exit_status = process.wait(90)
    left = [pid for pid in started if Path(f"/proc/{pid}").exists()]
    return Start(directory, url, said, status_of_probe, started, left, exit_status)


@pytest.mark.client
def test_a_first_start_serves_a_demo_tenant_and_stops_on_a_signal(first: Start) -> None:
    assert f"{first.url}/admin/" in first.said
    assert len(first.people) == 2
    passwords = [person.rpartition(" / ")[2] for person in first.people]
    assert all(re.fullmatch(r"\S{12,}", password) for password in passwords)
    assert first.status_of_probe == 200
    assert len(first.started) == 2
    assert first.exit_status == 0
    assert first.left == []


@pytest.mark.client
def test_a_first_start_makes_the_schema_that_all_tests_have(first: Start) -> None:
    made = schema(f"sqlite:///{first.directory / 'monban.sqlite3'}")
    assert made == schema(f"sqlite:///{templates.sqlite_file()}")


@pytest.mark.client
def test_a_second_start_keeps_the_people_and_their_passwords(first: Start) -> None:
    with serving(first.directory) as (_, _, log):
        assert people(log.read_text()) == first.people


@pytest.mark.client
def test_one_process_that_dies_ends_the_other(first: Start) -> None:
    with serving(first.directory) as (process, _, _):
        web, worker = children(process.pid)
        os.kill(worker, signal.SIGKILL)
        assert process.wait(90) == 1
        assert not Path(f"/proc/{web}").exists()


def test_a_generated_key_stays_on_this_machine(migrated: Path) -> None:
    said = refused(migrated, HOST="0.0.0.0", DEBUG="0")
    assert "SECRET_KEY was generated" in said


def test_debug_stays_on_this_machine(migrated: Path) -> None:
    said = refused(migrated, HOST="0.0.0.0", SECRET_KEY=CHOSEN_KEY)
    assert "DEBUG is on" in said


@pytest.mark.client
def test_demo_data_stays_on_this_machine(migrated: Path) -> None:
    loaded = ended("load_demo", migrated, SECRET_KEY=CHOSEN_KEY)
    assert loaded.returncode == 0, loaded.stderr
    said = refused(migrated, HOST="0.0.0.0", SECRET_KEY=CHOSEN_KEY, DEBUG="0")
    assert said.strip().splitlines()[0].endswith("the database holds the demo tenant's data.")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_addresses_are_known(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "192.168.1.2", "example.org", "localhost.example"])
def test_every_other_address_counts_as_reachable(host: str) -> None:
    assert not is_loopback(host)
