"""A crowd that signs in at one server at once: some are told to come back, the others sign in, and memory stays."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from identity.passwords.hashers import Argon2id
from tests.clients.provider import Provider

pytestmark = pytest.mark.client

CROWD, THREADS = 50, 16
PASSWORD = "Amber-Meadow-77"
CLIENT_ID = "crowd"
CONFIGURATION = {
    "tenant": {"code": "default", "password_policy": {"max_failures": 1000, "max_failures_per_source": 1000}},
    "users": [{"user_name": "alice", "password": PASSWORD, "name": "Alice"}],
    "applications": [
        {
            "code": "crowd",
            "access": "everyone",
            "clients": [
                {
                    "client_id": CLIENT_ID,
                    "client_secret": "choose-a-long-secret-of-your-own",
                    "redirect_uris": ["http://127.0.0.1:9/callback"],
                    "grant_types": ["authorization_code"],
                    "response_types": ["code"],
                    "scopes": ["openid"],
                    "may_use_sdk": True,
                }
            ],
        }
    ],
}
DEVICE = {
    "X-operating-sys-version": "Android 14",
    "X-device-fingerprint": "one-of-a-crowd",
    "X-agent": "Crowd 1",
    "X-client-id": CLIENT_ID,
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    with Provider(
        tmp_path_factory.mktemp("crowd"),
        database_url=os.environ.get("DATABASE_URL", ""),
        workers=1,
        threads=THREADS,
        settings="tests.support.crowded",
    ) as provider:
        provider.apply(CONFIGURATION)
        yield provider


def sign_in(server: Provider, password: str) -> requests.Response:
    body = {"user_name": "alice", "password": password}
    return requests.post(f"{server.issuer}/api/v2/sdk/login", json=body, headers=DEVICE, timeout=60)


def worker_pid(server: Provider) -> int:
    assert server.process is not None
    pid = server.process.pid
    (worker,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(worker)


def kib(pid: int, name: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


@pytest.mark.skipif(not os.path.exists("/proc/self/clear_refs"), reason="reads Linux's /proc")
def test_of_a_crowd_some_are_told_to_come_back_and_no_more_than_one_hash_is_held_in_memory(server: Provider) -> None:
    with ThreadPoolExecutor(CROWD) as pool:
        assert sign_in(server, PASSWORD).status_code == 200
        list(pool.map(lambda _one: requests.get(f"{server.issuer}/livez", timeout=60), range(CROWD)))  # threads begin
        worker = worker_pid(server)
        before = kib(worker, "VmRSS")
        Path(f"/proc/{worker}/clear_refs").write_text("5")  # VmHWM begins anew
        # Wrong ones and right ones meet the same queue.
        answers = list(pool.map(lambda one: sign_in(server, PASSWORD if one % 2 else "wrong"), range(CROWD)))
        grown = kib(worker, "VmHWM") - before
    told = Counter((answer.status_code, answer.json().get("error_code", "")) for answer in answers)
    assert set(told) == {(200, ""), (400, "LOGIN.0002"), (503, "COM.0002")}, told
    assert all(answer.headers["Retry-After"] == "5" for answer in answers if answer.status_code == 503)
    # Python's own of 16 threads, and one hash. Sixteen hashes at once would be 300 MiB.
    assert grown < 5 * Argon2id.memory_cost
    assert sign_in(server, PASSWORD).status_code == 200
