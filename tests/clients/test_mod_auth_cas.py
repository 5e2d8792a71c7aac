"""Apache's mod_auth_cas before a page, against a real server. It runs where Apache and the module are installed."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.clients.person import Person
from tests.clients.provider import Provider, free_port, stop, tail, wait_until_open
from tests.factories import PASSWORD

MODULES = Path("/usr/lib/apache2/modules")
MODULE = MODULES / "mod_auth_cas.so"
APACHE = shutil.which("apache2") or shutil.which("apache2", path="/usr/sbin")
pytestmark = [
    pytest.mark.client,
    pytest.mark.xdist_group("mod_auth_cas"),
    pytest.mark.skipif(APACHE is None or not MODULE.exists(), reason="no Apache with mod_auth_cas on this machine"),
]

# The module asks by https only, so Apache itself stands before our server with a certificate.
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
Listen 127.0.0.1:{tls_port}
DocumentRoot {directory}/pages
CASVersion 2
CASLoginURL {issuer}/api/v1/cas/login
CASValidateURL https://127.0.0.1:{tls_port}/api/v1/cas/p3/serviceValidate
CASCertificatePath {directory}/server.crt
CASCookiePath {directory}/cookies/
CASSSOEnabled On
CASRootProxiedAs {url}
<VirtualHost 127.0.0.1:{port}>
  <Location />
    AuthType CAS
    Require valid-user
    CASAuthNHeader X-CAS-User
    Header set X-Seen-User "expr=%{{REMOTE_USER}}"
  </Location>
</VirtualHost>
<VirtualHost 127.0.0.1:{tls_port}>
  SSLEngine on
  SSLCertificateFile {directory}/server.crt
  SSLCertificateKeyFile {directory}/server.key
  ProxyPass / {issuer}/
</VirtualHost>
"""
LOADED = (
    *("mpm_event", "authz_core", "authn_core", "authz_user", "auth_cas", "headers", "dir", "proxy", "proxy_http"),
    *("ssl", "socache_shmcb"),
)


def write_certificate(directory: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    (directory / "server.crt").write_bytes(certificate.public_bytes(Encoding.PEM))
    (directory / "server.key").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    )


@dataclass
class Site:
    provider: Provider
    url: str


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Apache with one page behind mod_auth_cas."""
    # Apache's own user must reach it, which pytest's directories forbid.
    directory = Path(tempfile.mkdtemp(prefix="mod_auth_cas-"))
    directory.chmod(0o755)
    for name in ("pages", "cookies"):
        (directory / name).mkdir()
    (directory / "pages" / "index.html").write_text("<!doctype html><title>Page</title><h1>Behind the gate</h1>")
    write_certificate(directory)
    user = ""
    if os.getuid() == 0:
        user = "User www-data"
        os.chown(directory / "cookies", pwd.getpwnam("www-data").pw_uid, -1)
    port, tls_port = free_port(), free_port()
    url = f"http://127.0.0.1:{port}"
    process = None
    try:
        with Provider(tmp_path, database_url=os.environ.get("DATABASE_URL", "")) as provider:
            provider.apply(
                {
                    "tenant": "default",
                    "users": [{"user_name": "alice", "password": PASSWORD, "name": "Alice"}],
                    "applications": [
                        {"code": "page", "internal": True, "cas_services": [{"url": f"{url}/", "match": "prefix"}]}
                    ],
                }
            )
            lines = [f"LoadModule {name}_module {MODULES}/mod_{name}.so" for name in LOADED]
            text = CONFIGURATION.format(
                directory=directory,
                user=user,
                modules="\n".join(line for line in lines if Path(line.rpartition(" ")[2]).exists()),
                port=port,
                tls_port=tls_port,
                issuer=provider.issuer,
                url=url,
            )
            (directory / "apache.conf").write_text(text)
            log = directory / "error.log"
            with log.open("ab") as output:
                process = subprocess.Popen(
                    [str(APACHE), "-DFOREGROUND", "-f", str(directory / "apache.conf")], stdout=output, stderr=output
                )
            wait_until_open(process, f"{url}/", log)
            yield Site(provider, url)
    finally:
        if process is not None:
            stop(process)
        shutil.rmtree(directory)


@pytest.mark.spec("CAS-2.5", "CAS-2.3.3")
def test_apache_lets_people_in_by_our_word_and_out_by_our_notice(site: Site) -> None:
    person = Person()
    answer = person.open(f"{site.url}/?page=1&x=a%20b")
    assert (answer.status_code, person.asked) == (200, 1), answer.text
    assert "Behind the gate" in answer.text
    assert answer.headers["X-Seen-User"] == "alice"
    # Its own session carries on: nobody asks us.
    assert person.http.get(f"{site.url}/", timeout=20, allow_redirects=False).status_code == 200
    person.http.get(f"{site.provider.issuer}/api/v1/cas/logout", timeout=20)
    site.provider.manage("worker", "--once")
    again = person.http.get(f"{site.url}/", timeout=20, allow_redirects=False)
    assert again.status_code == 302, tail(site.provider.log)
    assert again.headers["Location"].startswith(f"{site.provider.issuer}/api/v1/cas/login?service=")


@pytest.mark.spec("CAS-2.5")
def test_a_ticket_that_we_never_gave_opens_nothing(site: Site) -> None:
    answer = requests.get(f"{site.url}/?ticket=ST-{'0' * 64}", timeout=20, allow_redirects=False)
    assert "Behind the gate" not in answer.text
    assert "X-Seen-User" not in answer.headers
