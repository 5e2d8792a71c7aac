"""Stock SAML service providers in processes of their own, against a real server: pysaml2, python3-saml, node-saml."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests

from tests.clients.person import Person
from tests.clients.provider import ROOT, Provider, free_port, stop, wait_until_open
from tests.clients.saml_app import VARIANTS
from tests.factories import PASSWORD
from tests.support import saml

pytestmark = [pytest.mark.client, pytest.mark.xdist_group("saml_clients")]

NODE = ROOT / "tests" / "clients" / "node"
BY_METADATA_ALONE = ("python3-saml", "plain")  # it refuses an assertion without attributes
NOT_OFFERED = ("python3-saml", "post")  # it sends its requests by Redirect only
LIBRARIES = ("pysaml2", "python3-saml", "node-saml")
WAYS = [(each, binding) for each in LIBRARIES for binding in ("redirect", "post") if (each, binding) != NOT_OFFERED]
ATTRIBUTES = {"mail": "email", "memberOf": "roles"}
PASSWORD_PROTECTED = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"
SINGLE_FACTOR = "urn:monban:acr:single-factor"


class AppProcess:
    """The providers of one library."""

    def __init__(self, library: str, directory: Path) -> None:
        self.library, self.directory = library, directory
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/"
        self.log = directory / f"{library}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        program = (
            ["node", str(NODE / "saml_app.js")]
            if self.library == "node-saml"
            else [sys.executable, "-m", "tests.clients.saml_app", self.library]
        )
        files = {"--idp": "idp.xml", "--key": "sp.key", "--certificate": "sp.crt"}
        options = [part for name, file in files.items() for part in (name, str(self.directory / file))]
        environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*program, *options, "--port", str(self.port)],
                cwd=ROOT,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        wait_until_open(self.process, self.url, self.log)

    def metadata(self, variant: str) -> str:
        response = requests.get(f"{self.url}{variant}/metadata", timeout=20)
        assert response.status_code == 200, response.text
        return response.text

    def close(self) -> None:
        if self.process is not None:
            stop(self.process)


@dataclass
class Site:
    """What the tests talk to."""

    provider: Provider
    apps: dict[str, AppProcess]


def registration(app: AppProcess, variant: str) -> dict[str, Any]:
    values: dict[str, Any] = {
        "metadata": app.metadata(variant),
        "name_id_formats": ["persistent", "transient", "emailAddress", "unspecified"],
        "attributes": ATTRIBUTES,
    }
    if (app.library, variant) == BY_METADATA_ALONE:
        del values["attributes"]
    if VARIANTS[variant].wants_encryption:
        values |= {"encrypt_assertions": True}
    if VARIANTS[variant].signs_requests:
        values |= {"requests_must_be_signed": True}
    return values


def check_machine() -> None:
    """Skip where a developer's machine lacks something; fail where CI does."""
    lacks = [name for name in ("xmlsec1", "node") if shutil.which(name) is None]  # pysaml2 runs xmlsec1
    if not (NODE / "node_modules" / "@node-saml").is_dir():
        lacks.append("node-saml (npm ci --prefix tests/clients/node)")
    if lacks and os.environ.get("CI") == "true":
        pytest.fail(f"missing: {lacks}")
    if lacks:
        pytest.skip(f"missing: {lacks}")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    check_machine()
    directory = tmp_path_factory.mktemp("saml")
    owner = saml.credential("client")
    (directory / "sp.key").write_bytes(saml.private_pem(owner))
    (directory / "sp.crt").write_text(saml.pem(owner.certificate))
    apps = {library: AppProcess(library, directory) for library in LIBRARIES}
    with Provider(directory, database_url=os.environ.get("DATABASE_URL", "")) as provider:
        provider.apply({"tenant": "default"})
        metadata = requests.get(f"{provider.issuer}/api/v1/saml2/idp/metadata", timeout=60)
        assert metadata.status_code == 200, metadata.text
        (directory / "idp.xml").write_bytes(metadata.content)
        try:
            for app in apps.values():
                app.start()
            provider.apply(
                {
                    "tenant": "default",
                    "users": [
                        {"user_name": "alice", "password": PASSWORD, "name": "Alice", "email": "alice@example.org"}
                    ],
                    "applications": [
                        {
                            "code": f"{library}-{variant}",
                            "internal": True,  # its logout requests go to this machine
                            "roles": [{"code": "reader"}, {"code": "writer"}],
                            "accounts": [{"user_name": "alice", "roles": ["reader", "writer"]}],
                            "saml_service_providers": [registration(app, variant)],
                        }
                        for library, app in apps.items()
                        for variant in VARIANTS
                    ],
                }
            )
            yield Site(provider, apps)
        finally:
            for app in apps.values():
                app.close()


@pytest.mark.spec("SAMLProf-4.1")
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(("library", "binding"), WAYS)
def test_a_stock_provider_signs_somebody_in(site: Site, library: str, variant: str, binding: str) -> None:
    person, app = Person(), site.apps[library]
    known = person.sign_in(f"{app.url}{variant}/", binding)
    assert person.asked == 1
    assert known["attributes"]["mail"] == ["alice@example.org"]
    roles = "groups" if (library, variant) == BY_METADATA_ALONE else "memberOf"
    assert sorted(known["attributes"][roles]) == ["reader", "writer"]
    assert known["user"]
    assert known["session_index"]
    assert known["relay_state"] == f"{app.url}{variant}/"
    # What was asked for, or else what our acr says.
    classes = {SINGLE_FACTOR, PASSWORD_PROTECTED} if variant == "plain" else {SINGLE_FACTOR}
    assert known["authn_context"] in classes


@pytest.mark.spec("SAMLProf-4.1.5")
@pytest.mark.parametrize("library", LIBRARIES)
def test_a_sign_in_may_start_here(site: Site, library: str) -> None:
    person, app = Person(), site.apps[library]
    entity_id = f"{app.url}plain/metadata"
    person.open(f"{site.provider.issuer}/api/v1/saml2/idp/sso?sp={quote(entity_id, safe='')}")
    assert person.known_to(f"{app.url}plain/")["attributes"]["mail"] == ["alice@example.org"]


@pytest.mark.spec("SAMLProf-4.4")
@pytest.mark.parametrize("library", LIBRARIES)
def test_a_logout_at_one_provider_reaches_the_others(site: Site, library: str) -> None:
    person, app = Person(), site.apps[library]
    others = [other for name, other in site.apps.items() if name != library]
    for each in site.apps.values():
        person.sign_in(f"{each.url}signed/")
    assert person.asked == 1
    arrived = person.open(f"{app.url}signed/logout")
    assert arrived.status_code == 200, arrived.text
    assert arrived.url == f"{app.url}signed/", (arrived.url, arrived.text)
    assert [person.known_to(f"{each.url}signed/") for each in (app, *others)] == [{}, {}, {}]
    # Here too: the next sign-in asks for the password.
    person.sign_in(f"{app.url}signed/")
    assert person.asked == 2


@pytest.mark.spec("SAMLProf-4.4")
def test_a_logout_here_reaches_every_provider(site: Site) -> None:
    person = Person()
    for app in site.apps.values():
        person.sign_in(f"{app.url}signed/")
    assert person.sign_out(f"{site.provider.issuer}/logout").status_code == 200
    assert [person.known_to(f"{app.url}signed/") for app in site.apps.values()] == [{}, {}, {}]
