"""`manage.py serve`, which is what `make run` does once the packages are there, in processes of its own."""

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from config.management.commands.serve import is_loopback
from tests.clients.provider import free_port

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


def refused(directory: Path, **changes: str) -> str:
    finished = subprocess.run(
        [sys.executable, "manage.py", "serve"],
        cwd=ROOT,
        env=environment(directory, **changes),
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert finished.returncode == 1, finished.stdout + finished.stderr
    return finished.stderr


@pytest.mark.client
def test_a_first_start_serves_a_demo_tenant_and_stops_on_a_signal(tmp_path: Path) -> None:
    with serving(tmp_path) as (process, url, log):
        said = log.read_text()
        assert f"{url}/admin/" in said
        passwords = re.findall(r"^  (?:Operator|User) +\S+ / (\S+)$", said, re.M)
        assert len(passwords) == 2
        assert all(len(password) >= 12 for password in passwords)
        with urllib.request.urlopen(f"{url}/readyz", timeout=10) as answer:
            assert answer.status == 200
        started = children(process.pid)
        assert len(started) == 2
        process.send_signal(signal.SIGINT)
        assert process.wait(90) == 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in started)


@pytest.mark.client
def test_a_second_start_keeps_the_people_and_their_passwords(tmp_path: Path) -> None:
    with serving(tmp_path) as (_, _, log):
        first = re.findall(r"^  (?:Operator|User) .*$", log.read_text(), re.M)
    with serving(tmp_path) as (_, _, log):
        assert re.findall(r"^  (?:Operator|User) .*$", log.read_text(), re.M) == first


@pytest.mark.client
def test_one_process_that_dies_ends_the_other(tmp_path: Path) -> None:
    with serving(tmp_path) as (process, _, _):
        web, worker = children(process.pid)
        os.kill(worker, signal.SIGKILL)
        assert process.wait(90) == 1
        assert not Path(f"/proc/{web}").exists()


def test_a_generated_key_stays_on_this_machine(tmp_path: Path) -> None:
    said = refused(tmp_path, HOST="0.0.0.0", DEBUG="0")
    assert "SECRET_KEY was generated" in said


def test_debug_stays_on_this_machine(tmp_path: Path) -> None:
    said = refused(tmp_path, HOST="0.0.0.0", SECRET_KEY=CHOSEN_KEY)
    assert "DEBUG is on" in said


@pytest.mark.client
def test_demo_data_stays_on_this_machine(tmp_path: Path) -> None:
    with serving(tmp_path, SECRET_KEY=CHOSEN_KEY):
        pass
    said = refused(tmp_path, HOST="0.0.0.0", SECRET_KEY=CHOSEN_KEY, DEBUG="0")
    assert said.strip().splitlines()[0].endswith("the database holds the demo tenant's data.")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_addresses_are_known(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "192.168.1.2", "example.org", "localhost.example"])
def test_every_other_address_counts_as_reachable(host: str) -> None:
    assert not is_loopback(host)
