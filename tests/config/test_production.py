"""The production page of the README, followed to the letter in an environment of its own."""

import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.local_secrets import render
from tests.clients.provider import OwnDatabase, free_port, stop, wait_until_open
from tests.support import templates
from tests.support.schema import Schema, schema

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Production in one page")[2]
BLOCKS = [re.sub(r"(?m)^   ", "", block) for block in re.findall(r"```sh\n(.*?)```", PAGE, re.S)]
SECRET_NAMES = ["SECRET_KEY", "KEY_ENCRYPTION_KEYS", "HASH_PEPPERS", "BLIND_INDEX_KEY"]


def documented() -> dict[str, str]:
    """What the page says to set, without the secrets."""
    (block,) = (block for block in BLOCKS if "DJANGO_SETTINGS_MODULE=" in block)
    return dict(re.findall(r"^([A-Z_]+)=([^\s…]+)$", block, re.M))


def environment(directory: Path, **changes: str) -> dict[str, str]:
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    return {**inherited, **documented(), "VAR_DIR": str(directory), **changes}


def run(command: str, settings: dict[str, str], directory: Path) -> str:
    """Run one line of the page, with the interpreter of this run in the place of the page's."""
    own = {".venv/bin/python": sys.executable, "tenant.yaml": str(directory / "tenant.yaml")}
    words = [own.get(word, word) for word in command.split()]
    finished = subprocess.run(words, cwd=ROOT, env=settings, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


def test_the_secrets_are_made_before_the_settings_can_be_read(tmp_path: Path) -> None:
    (command,) = re.findall(r"`(\S+ manage\.py init_secrets --print)`", PAGE)
    said = run(command, environment(tmp_path), tmp_path)
    assert [line.partition("=")[0] for line in said.splitlines()] == SECRET_NAMES
    assert all(len(line.partition("=")[2]) >= 43 for line in said.splitlines())
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def settings_of_page(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The page's environment with databases that exist here."""
    made = dict(line.split("=", 1) for line in render(prefix="").splitlines())
    here = {"REDIS_URL": "redis://127.0.0.1:6379/9", "TRUSTED_PROXIES": "127.0.0.0/8", "WEB_CONCURRENCY": "1"}
    server = os.environ.get("DATABASE_URL", "")
    database = OwnDatabase(server) if server else None
    try:
        url = database.url if database else f"sqlite:///{tmp_path / 'monban.sqlite3'}"
        yield environment(tmp_path, **made, **here, DATABASE_URL=url, PORT=str(free_port()))
    finally:
        if database:
            database.drop()


def schema_of_template() -> Schema:
    """What all tests have, but for the cache, which is in Redis here."""
    server = os.environ.get("DATABASE_URL", "")
    # PostgreSQL copies no database that somebody is connected to, so we ask a copy.
    copy = OwnDatabase(server, template=templates.postgresql_database(server)) if server else None
    try:
        made = schema(copy.url if copy else f"sqlite:///{templates.sqlite_file()}")
    finally:
        if copy:
            copy.drop()
    return [row for row in made if row[0] != "cache"]


def ask(settings: dict[str, str], path: str) -> tuple[int, str]:
    """Ask as the proxy of the page would."""
    headers = {"Host": "id.example.com", "X-Forwarded-Proto": "https", "X-Forwarded-For": "198.51.100.7"}
    request = urllib.request.Request(f"http://127.0.0.1:{settings['PORT']}{path}", headers=headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.status, answer.read().decode()


@pytest.mark.client
def test_the_page_leads_to_a_server_that_answers_behind_its_proxy(
    tmp_path: Path, settings_of_page: dict[str, str]
) -> None:
    (tmp_path / "tenant.yaml").write_text("tenant: {code: default, name: Example, domains: [id.example.com]}\n")
    (prepare,) = (block for block in BLOCKS if "manage.py migrate" in block)
    for command in prepare.splitlines():
        run(command, settings_of_page, tmp_path)
    assert schema(settings_of_page["DATABASE_URL"]) == schema_of_template()
    (serve,) = (block for block in BLOCKS if "gunicorn" in block)
    commands = [line.replace(".venv/bin/python", sys.executable).split() for line in serve.splitlines()]
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for number, words in enumerate(commands):
            words = [sys.executable, "-m", "gunicorn", *words[1:]] if words[0].endswith("gunicorn") else words
            with (tmp_path / f"{number}.log").open("wb") as log:
                processes.append(
                    subprocess.Popen(words, cwd=ROOT, env=settings_of_page, stdout=log, stderr=subprocess.STDOUT)
                )
        wait_until_open(processes[0], f"http://127.0.0.1:{settings_of_page['PORT']}/livez", tmp_path / "0.log")
        assert ask(settings_of_page, "/readyz") == (200, "ok\n")
        status, metadata = ask(settings_of_page, "/.well-known/openid-configuration")
        assert (status, json.loads(metadata)["issuer"]) == (200, "https://id.example.com")
        status, page = ask(settings_of_page, "/login")
        assert status == 200
        assert "Example" in page
        assert all(process.poll() is None for process in processes)
    finally:
        for process in processes:
            stop(process)
