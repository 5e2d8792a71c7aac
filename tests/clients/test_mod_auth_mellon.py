"""Apache's mod_auth_mellon before a page, against a real server. It runs where Apache and the module are installed."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import pytest
import requests

from tests.clients.apache import MODULES, Site, has_module, new_site
from tests.clients.person import Person

pytestmark = [
    pytest.mark.client,
    pytest.mark.xdist_group("mod_auth_mellon"),
    pytest.mark.skipif(not has_module("mod_auth_mellon"), reason="no Apache with mod_auth_mellon on this machine"),
]

PROTECTION = """
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


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Apache with one page behind mod_auth_mellon."""
    with new_site(tmp_path_factory.mktemp("mellon"), key="mellon") as site:
        protection = PROTECTION.format(url=site.url, directory=site.directory)
        module = MODULES / "mod_auth_mellon.so"
        site.start_apache(module, "auth_mellon_module", protection, probe="/mellon/metadata")
        site.register(requests.get(f"{site.url}/mellon/metadata", timeout=20).text)
        yield site


@pytest.mark.spec("SAMLProf-4.1")
def test_apache_lets_people_in_by_our_word(site: Site) -> None:
    person = Person()
    answer = person.open(f"{site.url}/?page=1&x=a%20b")
    assert (answer.status_code, person.asked) == (200, 1), (answer.text, site.log)
    assert "Behind the gate" in answer.text
    assert answer.url == f"{site.url}/?page=1&x=a%20b"  # by its RelayState
    assert answer.headers["X-Seen-Mail"] == "alice@example.org"
    assert answer.headers["X-Seen-User"]
    assert person.is_let_in(site.url)


@pytest.mark.spec("SAMLProf-4.4")
def test_who_leaves_there_has_left_here(site: Site) -> None:
    person = Person()
    person.open(f"{site.url}/")
    person.open(f"{site.url}/mellon/logout?ReturnTo={quote(site.url, safe='')}%2F%3Fgone")
    # The page it returns to sends the browser here, where nobody is signed in any more.
    assert person.asked == 2, (person.seen, site.log)


@pytest.mark.spec("SAMLProf-4.4")
def test_who_leaves_here_has_left_there(site: Site) -> None:
    person, other = Person(), Person()
    for each in (person, other):
        each.open(f"{site.url}/")
        assert each.is_let_in(site.url)
    person.sign_out(f"{site.provider.issuer}/logout")
    site.provider.manage("worker", "--once")  # its endpoint for servers comes first
    assert not person.is_let_in(site.url)
    assert other.is_let_in(site.url)


@pytest.mark.security("S16")
def test_an_answer_that_we_never_gave_opens_nothing(site: Site) -> None:
    answer = requests.post(f"{site.url}/mellon/postResponse", {"SAMLResponse": "PGEvPg=="}, timeout=20)
    assert "Behind the gate" not in answer.text
    assert "X-Seen-User" not in answer.headers
