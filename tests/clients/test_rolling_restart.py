"""Two nodes behind the documented nginx are restarted one after the other under load: no request fails."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tests.clients.nginx import documented_nginx
from tests.clients.provider import Process, Provider, free_port, stop, wait_until_open

pytestmark = [pytest.mark.client, pytest.mark.xdist_group("web_server")]

HOST = {"Host": "id.rolling.test"}
SECRET = "choose-a-long-secret-of-your-own"
CLIENTS, ROUNDS = 6, 3
BETWEEN = 50  # requests from one restart to the next
CONFIGURATION = {
    "tenant": {"code": "default", "domains": [HOST["Host"]]},
    "applications": [
        {
            "code": "rolling",
            "clients": [{"client_id": "rolling", "client_secret": SECRET, "grant_types": ["client_credentials"]}],
        }
    ],
}


class Node:
    """One node, which can be started anew on its port."""

    def __init__(self, provider: Provider) -> None:
        self.port = free_port()
        self.provider, self.log = provider, provider.directory / f"{self.port}.log"
        self.process: Process | None = None

    def start(self) -> None:
        # As an operator does, without a word about the server: gunicorn.conf.py is found.
        environment = {"PORT": str(self.port), "WEB_CONCURRENCY": "2", "TRUSTED_PROXIES": "127.0.0.0/8"}
        self.process = self.provider.run("-m", "gunicorn", "config.wsgi", log=self.log, environment=environment)
        wait_until_open(self.process, f"http://127.0.0.1:{self.port}/livez", self.log)

    def stop(self) -> None:
        if self.process is not None:
            stop(self.process)


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Node]]:
    directory = tmp_path_factory.mktemp("rolling")
    with Provider(directory, database_url=os.environ.get("DATABASE_URL", ""), workers=1) as provider:
        provider.apply(CONFIGURATION)
        nodes = [Node(provider), Node(provider)]
        try:
            for node in nodes:
                node.start()
            yield nodes
        finally:
            for node in nodes:
                node.stop()


@pytest.mark.parametrize("is_kept", [True, False], ids=["connections kept", "a connection for each request"])
def test_a_rolling_restart_fails_no_request(nodes: list[Node], is_kept: bool, tmp_path: Path) -> None:
    answers: Counter[str] = Counter()
    counting, over = threading.Lock(), threading.Event()

    def ask(session: requests.Session, number: int) -> str:
        try:
            if number % 2:
                answer = session.get(f"{address}/.well-known/openid-configuration", headers=HOST, timeout=30)
            else:
                form = {"grant_type": "client_credentials"}
                auth = ("rolling", SECRET)
                answer = session.post(f"{address}/oauth2/token", form, auth=auth, headers=HOST, timeout=30)
        except requests.RequestException as error:
            return type(error).__name__
        return f"{answer.request.method} {answer.status_code}"

    def client(number: int) -> None:
        with requests.Session() as session:
            while not over.is_set():
                number += 1
                told = ask(session, number)
                with counting:
                    answers[told] += 1

    with (
        documented_nginx(tmp_path, [node.port for node in nodes], is_kept=is_kept) as address,
        ThreadPoolExecutor(CLIENTS) as pool,
    ):
        clients = [pool.submit(client, number) for number in range(CLIENTS)]
        try:
            for node in nodes * ROUNDS:
                before = answers.total()
                while answers.total() < before + BETWEEN and not any(one.done() for one in clients):
                    over.wait(0.01)
                node.stop()
                node.start()
        finally:
            over.set()
        for one in clients:
            one.result()
    assert set(answers) == {"GET 200", "POST 200"}, answers
