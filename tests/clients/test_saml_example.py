"""The SAML application of the README works as printed."""

from __future__ import annotations

import base64
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

pytestmark = [pytest.mark.client, pytest.mark.xdist_group("saml_clients")]


def printed_commands() -> list[str]:
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Connect a CAS or SAML application")[2]
    blocks = re.findall(r"```sh\n(.*?)```", section.partition("\n## ")[0], re.DOTALL)
    return str(blocks[1]).strip().splitlines()


def test_the_readmes_steps_lead_to_a_signed_in_person_and_out_again(tmp_path: Path) -> None:
    apply, install, start = printed_commands()
    assert install.endswith("pip install python3-saml")
    port = free_port()
    log = tmp_path / "example.log"
    with Provider(tmp_path, database_url=os.environ.get("DATABASE_URL", "")) as provider:
        user = {"user_name": "alice", "password": PASSWORD, "name": "Alice", "email": "alice@example.org"}
        provider.apply({"tenant": "default", "users": [user]})
        # The printed file, with the port of this run.
        file = tmp_path / "saml-provider.yaml"
        text = (ROOT / shlex.split(apply)[-1]).read_text(encoding="utf-8")
        [entry] = yaml.safe_load(text)["applications"][0]["saml_service_providers"]
        assert entry["entity_id"] == "http://localhost:5002/metadata"
        file.write_text(text.replace("localhost:5002", f"localhost:{port}"), encoding="utf-8")
        provider.manage(*shlex.split(apply)[2:-1], str(file))
        variable, program = shlex.split(start)[0], shlex.split(start)[-1]
        assert variable == "IDP_METADATA=http://127.0.0.1:8000/api/v1/saml2/idp/metadata"
        metadata = f"{provider.issuer}/api/v1/saml2/idp/metadata"
        environment = {**os.environ, "IDP_METADATA": metadata, "PORT": str(port)}
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, str(ROOT / program)], env=environment, stdout=output, stderr=subprocess.STDOUT
            )
        try:
            home = f"http://localhost:{port}/"
            wait_until_open(process, home, log)
            person = Person()
            assert "Nobody is signed in" in person.open(home).text
            shown = person.open(f"{home}login")
            assert "Hello, alice" in shown.text, log.read_text(encoding="utf-8")
            assert "alice@example.org" in shown.text
            # Out at Monban: the browser is led through the application, which answers.
            told = person.sign_out(f"{provider.issuer}/logout")
            assert "It has confirmed the sign-out." in told.text
            assert "Nobody is signed in" in person.open(home).text
            text = b'<p:Response xmlns:p="urn:oasis:names:tc:SAML:2.0:protocol" ID="_a" Version="2.0"/>'
            forged = requests.post(f"{home}acs", {"SAMLResponse": base64.b64encode(text)}, timeout=20)
            assert forged.status_code == 403
        finally:
            stop(process)
