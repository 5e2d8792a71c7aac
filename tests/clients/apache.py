"""An Apache of our own with a page behind a module that speaks SAML, in a directory that its user can read."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import requests

from tests.clients.provider import Provider, free_port, stop, wait_until_open
from tests.factories import PASSWORD
from tests.support import saml

MODULES = Path("/usr/lib/apache2/modules")
APACHE = shutil.which("apache2") or shutil.which("apache2", path="/usr/sbin")
_MODULES = ("mpm_event", "authz_core", "authn_core", "authz_user", "headers", "dir")
_CONFIGURATION = """
ServerRoot {directory}
ServerName 127.0.0.1
PidFile {directory}/apache.pid
ErrorLog {directory}/apache.log
LogLevel warn
Mutex file:{directory}
{user}
{modules}
Listen 127.0.0.1:{port}
DocumentRoot {directory}/pages
{protection}
"""


def has_module(name: str) -> bool:
    """Whether Apache and this module are installed."""
    return APACHE is not None and (MODULES / f"{name}.so").exists()


class Site:
    """Apache, the page behind its module, and the identity provider."""

    def __init__(self, provider: Provider, *, key: str) -> None:
        self.provider = provider
        self.directory = Path(tempfile.mkdtemp(prefix=f"{key}-"))
        self.directory.chmod(0o755)
        self.url = f"http://127.0.0.1:{free_port()}"
        self._processes: list[subprocess.Popen[bytes]] = []
        (self.directory / "pages").mkdir()
        (self.directory / "pages" / "index.html").write_text("<!doctype html><h1>Behind the gate</h1>")
        owner = saml.credential(key)
        (self.directory / "sp.key").write_bytes(saml.private_pem(owner))
        (self.directory / "sp.crt").write_text(saml.pem(owner.certificate))
        provider.apply({"tenant": "default"})
        self.idp_metadata = requests.get(f"{provider.issuer}/api/v1/saml2/idp/metadata", timeout=60).text
        (self.directory / "idp.xml").write_text(self.idp_metadata)
        self.own()

    def own(self) -> None:
        """Let Apache's user have the files, where we are root."""
        if os.getuid() == 0:
            for each in (self.directory, *self.directory.iterdir()):
                os.chown(each, pwd.getpwnam("www-data").pw_uid, -1)

    @property
    def log(self) -> str:
        return "\n".join(path.read_text(errors="replace") for path in sorted(self.directory.glob("*.log")))

    def run(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        with (self.directory / "output.log").open("ab") as output:
            process = subprocess.Popen(
                list(command), stdout=output, stderr=output, env={**os.environ, **(environment or {})}
            )
        self._processes.append(process)
        return process

    def start_apache(self, module: Path, identifier: str, protection: str, *, probe: str) -> None:
        """Start it, with a module and what protects the page; return when the module answers at `probe`."""
        modules = {f"{name}_module": MODULES / f"mod_{name}.so" for name in _MODULES} | {identifier: module}
        text = _CONFIGURATION.format(
            directory=self.directory,
            user="User www-data" if os.getuid() == 0 else "",
            modules="\n".join(f"LoadModule {name} {path}" for name, path in modules.items() if path.exists()),
            port=self.url.rpartition(":")[2],
            protection=protection,
        )
        (self.directory / "apache.conf").write_text(text)
        process = self.run([str(APACHE), "-DFOREGROUND", "-f", str(self.directory / "apache.conf")])
        wait_until_open(process, f"{self.url}{probe}", self.directory / "output.log")

    def register(self, metadata: str) -> None:
        """Tell the identity provider of it."""
        provider = {"metadata": metadata, "attributes": {"mail": "email"}}
        user = {"user_name": "alice", "password": PASSWORD, "name": "Alice", "email": "alice@example.org"}
        application = {"code": "page", "internal": True, "saml_service_providers": [provider]}
        self.provider.apply({"tenant": "default", "users": [user], "applications": [application]})

    def close(self) -> None:
        for process in reversed(self._processes):
            stop(process)
        shutil.rmtree(self.directory)


@contextlib.contextmanager
def new_site(directory: Path, *, key: str) -> Iterator[Site]:
    """An identity provider, and a directory for an Apache that is not started yet."""
    with Provider(directory, database_url=os.environ.get("DATABASE_URL", "")) as provider:
        site = Site(provider, key=key)
        try:
            yield site
        finally:
            site.close()
