"""Shibboleth's service provider (shibd and Apache's mod_shib) against a real server, where both are installed."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator

import pytest
import requests

from tests.clients.apache import MODULES, Site, has_module, new_site
from tests.clients.person import Person

SHIBD = shutil.which("shibd") or shutil.which("shibd", path="/usr/sbin")
pytestmark = [
    pytest.mark.client,
    pytest.mark.xdist_group("shibboleth"),
    pytest.mark.skipif(SHIBD is None or not has_module("mod_shib"), reason="no Shibboleth on this machine"),
]

PROTECTION = """
ShibConfig {directory}/shibboleth2.xml
<Location />
  AuthType shibboleth
  ShibRequestSetting requireSession 1
  Require valid-user
  Header set X-Seen-User "expr=%{{REMOTE_USER}}"
</Location>
"""
# The file that the package installs, with paths and addresses of our own; plain http needs handlerSSL and cookieProps.
CONFIGURATION = """
<SPConfig xmlns="urn:mace:shibboleth:3.0:native:sp:config" clockSkew="180">
  <OutOfProcess logger="/etc/shibboleth/console.logger"/>
  <InProcess logger="/etc/shibboleth/console.logger"/>
  <UnixListener address="{directory}/shibd.sock"/>
  <ApplicationDefaults entityID="{url}/shibboleth" REMOTE_USER="mail">
    <Sessions lifetime="28800" timeout="3600" relayState="ss:mem" checkAddress="false" handlerSSL="false"
              cookieProps="http" redirectLimit="exact">
      <SSO entityID="{idp}">SAML2</SSO>
      <Logout>SAML2 Local</Logout>
      <Handler type="MetadataGenerator" Location="/Metadata" signing="false"/>
    </Sessions>
    <Errors supportContact="root@localhost"/>
    <MetadataProvider type="XML" validate="true" path="{directory}/idp.xml"/>
    <AttributeExtractor type="XML" validate="true" reloadChanges="false" path="{directory}/attribute-map.xml"/>
    <AttributeFilter type="XML" validate="true" path="/etc/shibboleth/attribute-policy.xml"/>
    <CredentialResolver type="File" use="signing" key="{directory}/sp.key" certificate="{directory}/sp.crt"/>
    <CredentialResolver type="File" use="encryption" key="{directory}/sp.key" certificate="{directory}/sp.crt"/>
  </ApplicationDefaults>
  <SecurityPolicyProvider type="XML" validate="true" path="/etc/shibboleth/security-policy.xml"/>
  <ProtocolProvider type="XML" validate="true" reloadChanges="false" path="/etc/shibboleth/protocols.xml"/>
</SPConfig>
"""
ATTRIBUTES = """
<Attributes xmlns="urn:mace:shibboleth:2.0:attribute-map">
  <Attribute name="mail" nameFormat="{name_format}" id="mail"/>
</Attributes>
"""
BASIC = "urn:oasis:names:tc:SAML:2.0:attrname-format:basic"
START_SECONDS = 60


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Apache with one page behind Shibboleth."""
    with new_site(tmp_path_factory.mktemp("shibboleth"), key="shibboleth") as site:
        entity = re.search(r'entityID="([^"]+)"', site.idp_metadata)
        assert entity is not None
        text = CONFIGURATION.format(directory=site.directory, url=site.url, idp=entity.group(1))
        (site.directory / "shibboleth2.xml").write_text(text.strip())
        (site.directory / "attribute-map.xml").write_text(ATTRIBUTES.format(name_format=BASIC).strip())
        site.own()
        daemon = site.run([str(SHIBD), "-f", "-F", "-c", f"{site.directory}/shibboleth2.xml", "-p",
                           f"{site.directory}/shibd.pid"])  # fmt: skip
        socket, deadline = site.directory / "shibd.sock", time.monotonic() + START_SECONDS
        while not socket.exists():
            assert daemon.poll() is None, site.log
            assert time.monotonic() < deadline, site.log
            time.sleep(0.1)
        socket.chmod(0o777)
        protection = PROTECTION.format(directory=site.directory)
        site.start_apache(MODULES / "mod_shib.so", "mod_shib", protection, probe="/Shibboleth.sso/Metadata")
        site.register(requests.get(f"{site.url}/Shibboleth.sso/Metadata", timeout=20).text)
        yield site


@pytest.mark.spec("SAMLProf-4.1")
def test_shibboleth_lets_people_in_by_our_word(site: Site) -> None:
    person = Person()
    answer = person.open(f"{site.url}/?page=1")
    assert (answer.status_code, person.asked) == (200, 1), (answer.text, site.log)
    assert "Behind the gate" in answer.text, (answer.text, site.log)
    assert answer.url == f"{site.url}/?page=1"
    assert answer.headers["X-Seen-User"] == "alice@example.org"


@pytest.mark.spec("SAMLProf-4.4")
def test_who_leaves_there_has_left_here(site: Site) -> None:
    person = Person()
    person.open(f"{site.url}/")
    person.open(f"{site.url}/Shibboleth.sso/Logout")
    assert not person.is_let_in(site.url)
    person.open(f"{site.url}/")
    assert person.asked == 2, (person.seen, site.log)


@pytest.mark.spec("SAMLProf-4.4")
def test_who_leaves_here_has_left_there(site: Site) -> None:
    person, other = Person(), Person()
    for each in (person, other):
        each.open(f"{site.url}/")
        assert each.is_let_in(site.url)
    person.sign_out(f"{site.provider.issuer}/logout")
    site.provider.manage("worker", "--once")  # its endpoint for servers comes first
    assert not person.is_let_in(site.url), site.log
    assert other.is_let_in(site.url)
