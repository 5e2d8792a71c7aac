"""Stock CAS clients in processes of their own, against a real server: python-cas and django-cas-ng."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clients.person import Person
from tests.clients.provider import ROOT, Provider, free_port, stop, wait_until_open
from tests.factories import PASSWORD

pytestmark = [pytest.mark.client, pytest.mark.xdist_group("cas_clients")]

ATTRIBUTES = {"mail": "email", "memberOf": "roles"}


class AppProcess:
    """One application of tests/clients/cas_app.py."""

    def __init__(self, kind: str, directory: Path) -> None:
        self.kind, self.directory = kind, directory
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/"
        self.log = directory / f"{kind}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, server_url: str) -> None:
        environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "tests.clients.cas_app", self.kind, "--server", server_url),
                    *("--port", str(self.port), "--directory", str(self.directory)),
                ],
                cwd=ROOT,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        wait_until_open(self.process, self.url, self.log)

    def close(self) -> None:
        if self.process is not None:
            stop(self.process)


@dataclass
class Site:
    """What the tests talk to."""

    provider: Provider
    plain: AppProcess
    django: AppProcess


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    directory = tmp_path_factory.mktemp("cas")
    plain, django = AppProcess("plain", directory), AppProcess("django", directory)
    with Provider(directory, database_url=os.environ.get("DATABASE_URL", "")) as provider:
        provider.apply(
            {
                "tenant": "default",
                "users": [{"user_name": "alice", "password": PASSWORD, "name": "Alice", "email": "alice@example.org"}],
                "applications": [
                    {
                        "code": app.kind,
                        "internal": True,  # its notices go to this machine
                        "roles": [{"code": "reader"}, {"code": "writer"}],
                        "accounts": [{"user_name": "alice", "roles": ["reader", "writer"]}],
                        "cas_services": [{"url": app.url, "match": "prefix", "attributes": ATTRIBUTES}],
                    }
                    for app in (plain, django)
                ],
            }
        )
        try:
            for app in (plain, django):
                app.start(f"{provider.issuer}/api/v1/cas/")
            yield Site(provider, plain, django)
        finally:
            for app in (plain, django):
                app.close()


@pytest.mark.parametrize("version", ["1", "2", "3"])
def test_python_cas_signs_in_with_every_version(site: Site, version: str) -> None:
    person = Person()
    person.open(f"{site.plain.url}v{version}/login")
    known = person.known_to(site.plain.url)
    assert (known["user"], known["version"], person.asked) == ("alice", version, 1)
    if version == "3":
        attributes = known["attributes"]
        assert (attributes["mail"], attributes["memberOf"]) == ("alice@example.org", ["reader", "writer"])
        assert (attributes["isFromNewLogin"], attributes["longTermAuthenticationRequestTokenUsed"]) == ("true", "false")
    else:
        assert known["attributes"] is None


def test_django_cas_ng_signs_in_and_keeps_the_attributes(site: Site) -> None:
    person = Person()
    person.open(f"{site.django.url}accounts/login?next=/")
    known = person.known_to(site.django.url)
    assert (known["user"], known["email"]) == ("alice", "alice@example.org")
    assert known["attributes"]["memberOf"] == ["reader", "writer"]


@pytest.mark.spec("CAS-2.3.3")
def test_one_password_opens_both_and_one_logout_closes_both(site: Site) -> None:
    person, other = Person(), Person()
    for browser in (person, other):
        browser.open(f"{site.plain.url}v3/login")
        browser.open(f"{site.django.url}accounts/login?next=/")
        assert browser.asked == 1
        assert [browser.known_to(app.url)["user"] for app in (site.plain, site.django)] == ["alice", "alice"]
    # Out at one application, by its own button; it sends the browser to us and we send it back there, unknown.
    left = person.open(f"{site.django.url}accounts/logout")
    assert left.url == site.django.url
    assert left.json()["user"] == ""
    site.provider.manage("worker", "--once")
    assert person.known_to(site.plain.url) == {}
    assert person.known_to(site.django.url)["user"] == ""
    # The other browser is somebody else's business.
    assert [other.known_to(app.url)["user"] for app in (site.plain, site.django)] == ["alice", "alice"]


@pytest.mark.spec("CAS-2.3.3")
def test_django_cas_ng_is_signed_out_by_our_notice(site: Site) -> None:
    person = Person()
    person.open(f"{site.django.url}accounts/login?next=/")
    assert person.known_to(site.django.url)["user"] == "alice"
    person.http.get(f"{site.provider.issuer}/api/v1/cas/logout", timeout=20)
    site.provider.manage("worker", "--once")
    assert person.known_to(site.django.url)["user"] == ""
