"""The CAS application of the README works as printed."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import requests
import yaml

from tests.clients.person import Person
from tests.clients.provider import ROOT, Provider, free_port, stop, wait_until_open
from tests.factories import PASSWORD

pytestmark = [pytest.mark.client, pytest.mark.xdist_group("cas_clients")]

EXAMPLES = ROOT / "docs" / "examples"


def printed_commands() -> list[str]:
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Connect a CAS or SAML application")[2]
    found = re.search(r"```sh\n(.*?)```", section, re.DOTALL)
    assert found
    return found[1].strip().splitlines()


def test_the_readmes_steps_lead_to_a_signed_in_person_and_out_again(tmp_path: Path) -> None:
    apply, install, start = printed_commands()
    assert install.endswith("pip install python-cas")
    port = free_port()
    log = tmp_path / "example.log"
    with Provider(tmp_path, database_url=os.environ.get("DATABASE_URL", "")) as provider:
        user = {"user_name": "alice", "password": PASSWORD, "name": "Alice", "email": "alice@example.org"}
        provider.apply({"tenant": "default", "users": [user]})
        # The printed file, with the port of this run.
        file = tmp_path / "cas-service.yaml"
        text = (ROOT / shlex.split(apply)[-1]).read_text(encoding="utf-8")
        assert yaml.safe_load(text)["applications"][0]["cas_services"][0]["url"] == "http://localhost:5001/"
        file.write_text(text.replace("localhost:5001", f"localhost:{port}"), encoding="utf-8")
        provider.manage(*shlex.split(apply)[2:-1], str(file))
        variable, program = shlex.split(start)[0], shlex.split(start)[-1]
        assert variable == "CAS_SERVER=http://127.0.0.1:8000/api/v1/cas/"
        environment = {**os.environ, "CAS_SERVER": f"{provider.issuer}/api/v1/cas/", "PORT": str(port)}
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, str(ROOT / program)], env=environment, stdout=output, stderr=subprocess.STDOUT
            )
        try:
            home = f"http://localhost:{port}/"
            wait_until_open(process, home, log)
            person = Person()
            shown = person.open(f"{home}login")
            assert "Hello, alice" in shown.text
            assert "alice@example.org" in shown.text
            signed_out = person.http.get(f"{home}logout", timeout=20)
            assert signed_out.url == home
            assert "Nobody is signed in" in signed_out.text
            # Out at the server: the application is told.
            assert "Hello, alice" in person.open(f"{home}login").text
            assert person.asked == 2
            person.http.get(f"{provider.issuer}/api/v1/cas/logout", timeout=20)
            assert "Hello, alice" in person.http.get(home, timeout=20).text
            provider.manage("worker", "--once")
            assert "Nobody is signed in" in person.http.get(home, timeout=20).text
            forged = requests.get(f"{home}callback?ticket=ST-forged", timeout=20)
            assert forged.status_code == 403
        finally:
            stop(process)
