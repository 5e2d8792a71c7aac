"""The processes of gunicorn, forked from one that has loaded the application: what they share, what they must not."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tests.clients.provider import Provider

pytestmark = [
    pytest.mark.client,
    pytest.mark.skipif(not os.path.exists("/proc/self/smaps_rollup"), reason="reads Linux's /proc"),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    with Provider(
        tmp_path_factory.mktemp("processes"),
        database_url=os.environ.get("DATABASE_URL", ""),
        workers=2,
        is_warm=False,
    ) as provider:
        yield provider


def processes(server: Provider) -> tuple[int, list[int]]:
    """The first process, and the two that it forks."""
    assert server.process is not None
    pid, forked = server.process.pid, list[int]()
    deadline = time.monotonic() + 30
    while len(forked) < 2 and time.monotonic() < deadline:
        forked = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    assert len(forked) == 2
    return pid, forked


def kib(pid: int, *names: str) -> int:
    found = dict(re.findall(r"^(\w+): +(\d+) kB$", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M))
    return sum(int(found[name]) for name in names)


def sockets(pid: int) -> set[str]:
    """The inodes of a process's sockets."""
    links = [os.readlink(entry) for entry in Path(f"/proc/{pid}/fd").iterdir() if entry.is_symlink()]
    return {found[1] for link in links if (found := re.fullmatch(r"socket:\[(\d+)\]", link))}


def listening() -> set[str]:
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {line[9] for line in lines if line[3] == "0A"}


def ask_for_a_row(server: Provider) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _one: requests.get(f"{server.issuer}/readyz", timeout=30), range(40)))
    assert {answer.status_code for answer in answers} == {200}


def test_a_process_shares_what_it_never_writes(server: Provider) -> None:
    _first, forked = processes(server)
    for pid in forked:
        assert kib(pid, "Private_Clean", "Private_Dirty") < kib(pid, "Rss") / 2


def test_no_process_has_the_connection_of_another(server: Provider) -> None:
    ask_for_a_row(server)
    first, forked = processes(server)
    held = [sockets(pid) - listening() for pid in (first, *forked)]
    assert sum(map(len, held)) == len(set.union(*held))
