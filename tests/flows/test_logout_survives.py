"""Server and worker are killed in the middle of a sign-out: every application hears of it, and knows a repeat."""

from __future__ import annotations

import os
import re
import secrets
import signal
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urljoin

import jwt
import pytest
import requests

from tests.clients.provider import Process, Provider, stop
from tests.factories import PASSWORD
from tests.specs.conformance import Form, Page

pytestmark = [pytest.mark.client, pytest.mark.xdist_group("logout_survives")]
CALLBACK = "https://rp.example.org/callback"
PATIENCE_SECONDS = 60


class Receiver(ThreadingHTTPServer):
    """A relying party that takes logout tokens; it keeps the first caller waiting for its answer."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.tokens: list[dict[str, Any]] = []
        self.first_came = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_address[1]}/backchannel"

    def wait_for(self, count: int) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while len(self.tokens) < count:
            assert time.monotonic() < deadline, f"{len(self.tokens)} of {count} notices came"
            time.sleep(0.1)


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.server.tokens.append(jwt.decode(form["logout_token"][0], options={"verify_signature": False}))
        if len(self.server.tokens) == 1:
            self.server.first_came.set()
            time.sleep(PATIENCE_SECONDS)  # Longer than the caller lives.
            return
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        """Keep quiet."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def provider(tmp_path: Path, receiver: Receiver) -> Iterator[Provider]:
    database_url = os.environ.get("DATABASE_URL", "")
    with Provider(tmp_path, database_url=database_url, settings="tests.support.impatient") as provider:
        client = {
            "client_id": "notes",
            "client_secret": secrets.token_urlsafe(32),
            "dialect": "standard",
            "require_pkce": False,
            "redirect_uris": [CALLBACK],
            "backchannel_logout_uri": receiver.url,
        }
        application = {"code": "notes", "internal": True, "skip_consent": True, "clients": [client]}
        user = {"user_name": "alice", "password": PASSWORD, "name": "Alice"}
        provider.apply({"tenant": "default", "users": [user], "applications": [application]})
        yield provider


def submit(person: requests.Session, response: requests.Response, name: str, **values: str) -> requests.Response:
    """Send the form of a page that has a field or button of this name."""
    form = Page(response.url, response.status_code, response.text, response.headers).form_with(name)
    assert isinstance(form, Form), response.text
    target = urljoin(response.url, form.action or response.url)
    return person.post(target, {**form.fields, **values}, timeout=20, allow_redirects=False)


def sign_in_and_out(provider: Provider) -> None:
    """Sign in to the application with a password, and out on our own page."""
    person = requests.Session()
    query = urlencode({"client_id": "notes", "response_type": "code", "redirect_uri": CALLBACK, "scope": "openid"})
    page = person.get(f"{provider.issuer}/oauth2/authorize?{query}", timeout=20)
    answer = submit(person, page, "password", identifier="alice", password=PASSWORD)
    while answer.headers["Location"].partition("?")[0] != CALLBACK:
        answer = person.get(urljoin(answer.url, answer.headers["Location"]), timeout=20, allow_redirects=False)
    confirm = person.get(f"{provider.issuer}/logout", timeout=20)
    assert "/logged-out" in submit(person, confirm, "confirm", confirm="yes").headers["Location"]


def kill(process: Process) -> None:
    """End a process as a power cut would."""
    process.send_signal(signal.SIGKILL)
    process.wait(10)


@pytest.mark.spec("OIDCBCL-2.4")
def test_killed_server_and_worker_lose_no_notice_and_a_repeat_has_the_same_jti(
    provider: Provider, receiver: Receiver
) -> None:
    sign_in_and_out(provider)
    assert provider.process is not None
    kill(provider.process)
    workers = [provider.run("manage.py", "worker")]
    try:
        assert receiver.first_came.wait(PATIENCE_SECONDS)
        kill(workers[0])
        # Two take its place: whoever comes first sends it, once.
        workers += [provider.run("manage.py", "worker") for _ in range(2)]
        receiver.wait_for(2)
        said = _wait_until_noted(provider)
    finally:
        for worker in workers:
            stop(worker)
    assert said == "delivered 2 200"
    first, second = receiver.tokens
    assert first["jti"] == second["jti"]
    assert (first["sid"], first["sub"]) == (second["sid"], second["sub"])
    assert first["iat"] < second["iat"]


def _wait_until_noted(provider: Provider) -> str:
    """State, attempts and last status of the one delivery, once it waits no more."""
    look = (
        "from identity.models import Delivery\n"
        "row = Delivery.objects.get()\n"
        "print('row', row.state, row.attempts, row.last_status)"
    )
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        found = re.search(r"^row (.*)$", provider.manage("shell", "-c", look), re.MULTILINE)
        assert found is not None
        if not found[1].startswith("pending"):
            return found[1]
    raise AssertionError("the delivery is still waiting")
