"""A Java client made from the Pactera guide's samples, against this server. It runs where a JDK is."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from pytest_django.live_server_helper import LiveServer

from identity.models import Tenant
from tests.dialects.party import CALLBACK, VERIFIER, Party
from tests.factories import make_tenant
from tests.factories.keys import make_keys
from tests.support.vectors import VECTORS

SOURCE = Path(__file__).resolve().parents[1] / "clients" / "java" / "PacteraClient.java"
pytestmark = [
    pytest.mark.client,
    pytest.mark.xdist_group("java_client"),
    pytest.mark.skipif(shutil.which("javac") is None or shutil.which("java") is None, reason="no JDK on this machine"),
]
Java = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def java(tmp_path_factory: pytest.TempPathFactory) -> Java:
    """Run the client; a failure is the test's."""
    classes = tmp_path_factory.mktemp("classes")
    subprocess.run(["javac", "-Xlint:all", "-Werror", "-d", str(classes), str(SOURCE)], check=True)

    def run(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        finished = subprocess.run(
            [
                "java",
                "-cp",
                str(classes),
                "-Dfile.encoding=UTF-8",
                "-Dstdout.encoding=UTF-8",
                "PacteraClient",
                *arguments,
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        assert not check or finished.returncode == 0, finished.stderr
        return finished

    return run


@pytest.mark.spec("Pactera-4.2")
@pytest.mark.parametrize("row", VECTORS["pkce"][:3], ids=lambda row: row["id"])
def test_challenges(java: Java, row: dict[str, Any]) -> None:
    assert java("challenge", row["code_verifier"]).stdout.strip() == row["challenge_pactera"]


@pytest.mark.spec("Pactera-4.4")
@pytest.mark.parametrize(
    "row",
    [row for row in VECTORS["at_hash"] if row["id"] in ("pactera-doc-3.2", "leading-zero-bits-20")],
    ids=lambda row: row["id"],
)
def test_at_hash(java: Java, row: dict[str, Any]) -> None:
    assert java("at-hash", row["access_token"]).stdout.strip() == row["at_hash_pactera"]


@pytest.fixture
def tenant(live_server: LiveServer) -> Tenant:
    """A tenant whose host is the server's own."""
    tenant = make_tenant(host=urlsplit(live_server.url).netloc)
    make_keys(tenant)
    return tenant


@pytest.mark.spec("Pactera-4.3")
@pytest.mark.django_db(transaction=True)
def test_the_whole_back_channel(java: Java, live_server: LiveServer, new_party: Callable[..., Party]) -> None:
    party = new_party("pactera")
    challenge = java("challenge", VERIFIER).stdout.strip()
    code = party.code(code_challenge=challenge)
    arguments = [live_server.url, party.client.client_id, party.secret, code, VERIFIER, CALLBACK, party.issuer]
    said = java("run", *arguments, "nonce1").stdout.splitlines()
    assert [line.partition(" ")[0] for line in said] == ["verified", "userinfo", "verified", "refreshed"]
    assert '"gender": "1"' in said[1]


@pytest.mark.spec("Pactera-4.3")
@pytest.mark.django_db(transaction=True)
def test_a_token_of_another_nonce_is_refused_by_the_client(
    java: Java, live_server: LiveServer, new_party: Callable[..., Party]
) -> None:
    party = new_party("pactera")
    code = party.code()
    arguments = [live_server.url, party.client.client_id, party.secret, code, VERIFIER, CALLBACK, party.issuer]
    finished = java("run", *arguments, "another", check=False)
    assert finished.returncode != 0
    assert "nonce" in finished.stderr
