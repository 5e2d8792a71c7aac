"""Apache's mod_auth_mellon before a page, against a real server. It runs where Apache and the module are installed."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest
import requests

from tests.clients.provider import Provider, free_port, stop, wait_until_open
from tests.clients.test_saml_clients import Person
from tests.factories import PASSWORD
from tests.support import saml

MODULES = Path("/usr/lib/apache2/modules")
MODULE = MODULES / "mod_auth_mellon.so"
APACHE = shutil.which("apache2") or shutil.which("apache2", path="/usr/sbin")
pytestmark = [
    pytest.mark.client,
    pytest.mark.xdist_group("mod_auth_mellon"),
    pytest.mark.skipif(APACHE is None or not MODULE.exists(), reason="no Apache with mod_auth_mellon on this machine"),
]

CONFIGURATION = """
ServerRoot {directory}
ServerName 127.0.0.1
PidFile {directory}/apache.pid
ErrorLog {directory}/error.log
LogLevel warn
Mutex file:{directory}
{user}
{modules}
Listen 127.0.0.1:{port}
DocumentRoot {directory}/pages
<Location />
  AuthType Mellon
  Require valid-user
  MellonEnable auth
  MellonSecureCookie Off
  MellonEndpointPath /mellon
  MellonSPentityId {url}/mellon/metadata
  MellonSPPrivateKeyFile {directory}/sp.key
  MellonSPCertFile {directory}/sp.crt
  MellonIdPMetadataFile {directory}/idp.xml
  MellonRedirectDomains [self]
  Header set X-Seen-User "expr=%{{REMOTE_USER}}"
  Header set X-Seen-Mail "expr=%{{reqenv:MELLON_mail}}"
</Location>
"""
LOADED = ("mpm_event", "authz_core", "authn_core", "authz_user", "auth_mellon", "headers", "dir")


@dataclass
class Site:
    provider: Provider
    url: str
    log: Path


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Apache with one page behind mod_auth_mellon."""
    # Apache's own user must reach it, which pytest's directories forbid.
    directory = Path(tempfile.mkdtemp(prefix="mod_auth_mellon-"))
    directory.chmod(0o755)
    (directory / "pages").mkdir()
    (directory / "pages" / "index.html").write_text("<!doctype html><title>Page</title><h1>Behind the gate</h1>")
    owner = saml.credential("mellon")
    (directory / "sp.key").write_bytes(saml.private_pem(owner))
    (directory / "sp.crt").write_text(saml.pem(owner.certificate))
    user = ""
    if os.getuid() == 0:
        user = "User www-data"
        os.chown(directory / "sp.key", pwd.getpwnam("www-data").pw_uid, -1)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    process = None
    working = tmp_path_factory.mktemp("mellon")
    try:
        with Provider(working, database_url=os.environ.get("DATABASE_URL", "")) as provider:
            provider.apply({"tenant": "default"})
            metadata = requests.get(f"{provider.issuer}/api/v1/saml2/idp/metadata", timeout=60)
            (directory / "idp.xml").write_bytes(metadata.content)
            lines = [f"LoadModule {name}_module {MODULES}/mod_{name}.so" for name in LOADED]
            text = CONFIGURATION.format(
                directory=directory,
                user=user,
                modules="\n".join(line for line in lines if Path(line.rpartition(" ")[2]).exists()),
                port=port,
                url=url,
            )
            (directory / "apache.conf").write_text(text)
            log = directory / "error.log"
            with log.open("ab") as output:
                process = subprocess.Popen(
                    [str(APACHE), "-DFOREGROUND", "-f", str(directory / "apache.conf")], stdout=output, stderr=output
                )
            wait_until_open(process, f"{url}/mellon/metadata", log)
            own_metadata = requests.get(f"{url}/mellon/metadata", timeout=20).text
            provider.apply(
                {
                    "tenant": "default",
                    "users": [
                        {"user_name": "alice", "password": PASSWORD, "name": "Alice", "email": "alice@example.org"}
                    ],
                    "applications": [
                        {
                            "code": "page",
                            "internal": True,
                            "saml_service_providers": [{"metadata": own_metadata, "attributes": {"mail": "email"}}],
                        }
                    ],
                }
            )
            yield Site(provider, url, log)
    finally:
        if process is not None:
            stop(process)
        shutil.rmtree(directory)


def is_let_in(person: Person, site: Site) -> bool:
    return person.http.get(f"{site.url}/", timeout=20, allow_redirects=False).status_code == 200


@pytest.mark.spec("SAMLProf-4.1")
def test_apache_lets_people_in_by_our_word(site: Site) -> None:
    person = Person()
    answer = person.open(f"{site.url}/?page=1&x=a%20b")
    assert (answer.status_code, person.asked) == (200, 1), (answer.text, site.log.read_text())
    assert "Behind the gate" in answer.text
    assert answer.url == f"{site.url}/?page=1&x=a%20b"  # by its RelayState
    assert answer.headers["X-Seen-Mail"] == "alice@example.org"
    assert answer.headers["X-Seen-User"]
    assert is_let_in(person, site)


@pytest.mark.spec("SAMLProf-4.4")
def test_who_leaves_there_has_left_here(site: Site) -> None:
    person = Person()
    person.open(f"{site.url}/")
    person.open(f"{site.url}/mellon/logout?ReturnTo={quote(site.url, safe='')}%2F%3Fgone")
    # The page it returns to sends the browser here, where nobody is signed in any more.
    assert person.asked == 2, (person.seen, site.log.read_text())


@pytest.mark.spec("SAMLProf-4.4")
def test_who_leaves_here_has_left_there(site: Site) -> None:
    person, other = Person(), Person()
    for each in (person, other):
        each.open(f"{site.url}/")
        assert is_let_in(each, site)
    person.sign_out(f"{site.provider.issuer}/logout")
    site.provider.manage("worker", "--once")  # its endpoint for servers comes first
    assert not is_let_in(person, site)
    assert is_let_in(other, site)


@pytest.mark.security("S16")
def test_an_answer_that_we_never_gave_opens_nothing(site: Site) -> None:
    answer = requests.post(f"{site.url}/mellon/postResponse", {"SAMLResponse": "PGEvPg=="}, timeout=20)
    assert "Behind the gate" not in answer.text
    assert "X-Seen-User" not in answer.headers
