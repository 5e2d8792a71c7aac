"""Every entry point refuses a database that was restored beside other secrets, and names the variable."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.local_secrets import render
from tests.clients.provider import OwnDatabase, free_port
from tests.support import templates

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = {
    "check": ["manage.py", "check", "--deploy"],
    "migrate": ["manage.py", "migrate"],
    "apply_config": ["manage.py", "apply_config", "tenant.yaml"],
    "verify_audit": ["manage.py", "verify_audit"],
    "worker": ["manage.py", "worker", "--skip-checks"],
    "web server": ["-m", "gunicorn", "config.wsgi"],
}
pytestmark = [pytest.mark.client, pytest.mark.xdist_group("other_secrets")]


def made() -> dict[str, str]:
    return dict(line.split("=", 1) for line in render(prefix="").splitlines())


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a production database that has been written to, without DJANGO_SETTINGS_MODULE."""
    directory = tmp_path_factory.mktemp("secrets")
    server = os.environ.get("DATABASE_URL", "")
    database = OwnDatabase(server, template=templates.postgresql_database(server)) if server else None
    if database is None:
        shutil.copyfile(templates.sqlite_file(), directory / "monban.sqlite3")
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    settings = {
        **inherited,
        **made(),
        "DATABASE_URL": database.url if database else f"sqlite:///{directory / 'monban.sqlite3'}",
        "VAR_DIR": str(directory),
        "PORT": str(free_port()),
        "WEB_CONCURRENCY": "1",
        "TRUSTED_PROXIES": "127.0.0.0/8",
        "EMAIL_URL": "smtp+tls://monban:password@mail.example:587",
    }
    try:
        (directory / "tenant.yaml").write_text("tenant: {code: default, name: Example, domains: [id.example.com]}\n")
        finished = run(COMMANDS["apply_config"], settings)
        assert finished.returncode == 0, finished.stdout + finished.stderr
        yield settings
    finally:
        if database:
            database.drop()


def run(words: list[str], settings: dict[str, str]) -> subprocess.CompletedProcess[str]:
    words = [str(Path(settings["VAR_DIR"]) / word) if word == "tenant.yaml" else word for word in words]
    return subprocess.run(
        [sys.executable, *words], cwd=ROOT, env=settings, capture_output=True, text=True, check=False, timeout=90
    )


@pytest.mark.parametrize("entry", COMMANDS)
def test_other_secrets_stop_the_start_and_are_named(written: dict[str, str], entry: str) -> None:
    finished = run(COMMANDS[entry], {**written, "HASH_PEPPERS": made()["HASH_PEPPERS"]})
    assert finished.returncode != 0
    said = finished.stdout + finished.stderr
    assert "HASH_PEPPERS" in said
    assert "BLIND_INDEX_KEY" not in said
    assert written["HASH_PEPPERS"] not in said


def test_the_right_secrets_pass_and_a_new_first_key_too(written: dict[str, str]) -> None:
    new = made()["HASH_PEPPERS"]
    for peppers in (written["HASH_PEPPERS"], f"{new},{written['HASH_PEPPERS']}", new):
        finished = run(["manage.py", "worker", "--once"], {**written, "HASH_PEPPERS": peppers})
        assert finished.returncode == 0, finished.stdout + finished.stderr
    back = run(["manage.py", "worker", "--once"], {**written, "HASH_PEPPERS": f"{written['HASH_PEPPERS']},{new}"})
    assert back.returncode == 0, back.stdout + back.stderr


def test_without_a_settings_module_both_entry_points_are_productions(written: dict[str, str]) -> None:
    said = run(["manage.py", "shell", "-c", "from django.conf import settings; print(settings.DEBUG)"], written)
    assert said.stdout.strip().splitlines()[-1] == "False", said.stderr
    bare = {name: value for name, value in written.items() if name != "SECRET_KEY"}
    refused = run(["-m", "gunicorn", "config.wsgi"], bare)
    assert refused.returncode != 0
    assert "Set SECRET_KEY in the environment" in refused.stdout + refused.stderr
