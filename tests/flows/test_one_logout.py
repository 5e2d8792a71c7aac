"""One password, three protocols, one logout: OpenID Connect twice, CAS and SAML in a real browser, with a worker.

Notes is told by back channel and wiki by front channel (OpenID Connect), the example by back channel (CAS), and the
records through the browser (SAML, on python3-saml). Each is seen signed out at its own address.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from onelogin.saml2.settings import OneLogin_Saml2_Settings
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import PAGE_TIMEOUT_MS, Complaints, Person, registration
from tests.browser.steps import sign_in
from tests.clients.provider import ROOT, Provider, RelyingPartyProcess, free_port, stop, tail, wait_until_open
from tests.flows import saml_app

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("one_logout")]
# The worker looks once a second, the signed-out page every three; and the machine is busy with other tests.
ANSWERED_MS = 60_000
NewPage = Callable[..., Page]


class AppProcess:
    """An application in a process of its own."""

    def __init__(self, directory: Path, name: str) -> None:
        self.port = free_port()
        self.url = f"http://localhost:{self.port}/"
        self.log = directory / f"{name}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *arguments: str, **environment: str) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *arguments], cwd=ROOT, env={**os.environ, **environment}, stdout=log, stderr=log
            )
        wait_until_open(self.process, self.url, self.log)

    def close(self) -> None:
        if self.process is not None:
            stop(self.process)


@dataclass
class Site:
    provider: Provider
    notes: RelyingPartyProcess
    wiki: RelyingPartyProcess
    example: AppProcess
    records: AppProcess
    alice: Person


def own_certificate(directory: Path) -> tuple[Path, Path]:
    """A key and a certificate for the service provider; their files."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "records")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
        .sign(key, hashes.SHA256())
    )
    paths = directory / "records.key", directory / "records.crt"
    paths[0].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    paths[1].write_bytes(certificate.public_bytes(Encoding.PEM))
    return paths


def saml_metadata(url: str, key: Path, certificate: Path) -> str:
    """The service provider's metadata, as python3-saml writes them."""
    own = saml_app.own_settings(url=url, key=key.read_text(), certificate=certificate.read_text())
    metadata: bytes | str = OneLogin_Saml2_Settings(own, sp_validation_only=True).get_sp_metadata()
    return metadata if isinstance(metadata, str) else metadata.decode()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    directory = tmp_path_factory.mktemp("one_logout")
    alice = Person("alice", "Alice Anderson")
    notes = RelyingPartyProcess(directory, client_id="notes", client_secret=secrets.token_urlsafe(32))
    wiki = RelyingPartyProcess(directory, client_id="wiki", client_secret=secrets.token_urlsafe(32))
    example, records = AppProcess(directory, "example"), AppProcess(directory, "records")
    key, certificate = own_certificate(directory)
    metadata = saml_metadata(records.url.rstrip("/"), key, certificate)
    applications: list[dict[str, Any]] = [
        registration(notes, name="Notes", skip_consent=True, backchannel_logout_uri=f"{notes.url}/backchannel"),
        registration(wiki, name="Wiki", skip_consent=True, frontchannel_logout_uri=f"{wiki.url}/frontchannel"),
        {"name": "Example", "code": "example", "cas_services": [{"url": example.url, "match": "prefix"}]},
        {
            "name": "Records",
            "code": "records",
            "saml_service_providers": [{"metadata": metadata, "attributes": {"mail": "name"}}],
        },
    ]
    with Provider(directory, database_url=os.environ.get("DATABASE_URL", "")) as provider:
        user = {"user_name": alice.user_name, "password": alice.password, "name": alice.name}
        internal = [{**application, "internal": True} for application in applications]
        provider.apply({"tenant": "default", "users": [user], "applications": internal})
        worker = None
        try:
            notes.start(provider.issuer)
            wiki.start(provider.issuer)
            example.start(
                "docs/examples/cas_application.py",
                CAS_SERVER=f"{provider.issuer}/api/v1/cas/",
                PORT=str(example.port),
            )
            records.start(
                *("-m", "tests.flows.saml_app", "--idp", provider.issuer, "--port", str(records.port)),
                *("--key", str(key), "--certificate", str(certificate)),
            )
            worker = provider.run("manage.py", "worker")
            yield Site(provider, notes, wiki, example, records, alice)
        finally:
            for process in (notes, wiki, example, records):
                process.close()
            if worker is not None:
                stop(worker)


@pytest.fixture
def new_page(site: Site, chromium: Browser) -> Iterator[NewPage]:
    """Pages of browsers that know nothing yet. At the end: no page of ours has broken its content security policy."""
    contexts, complaints = [], Complaints()

    def make(**options: Any) -> Page:
        context = chromium.new_context(**{"locale": "en-GB", **options})
        context.set_default_timeout(PAGE_TIMEOUT_MS)
        context.on("console", complaints.hear)
        context.on("weberror", lambda error: complaints.hear_error(error.error))
        contexts.append(context)
        return context.new_page()

    yield make
    for context in contexts:
        context.close()
    assert complaints.found == [], tail(site.provider.log)


def sign_in_everywhere(site: Site, page: Page, *, has_script: bool = True) -> None:
    """One password; the other applications ask for none."""
    page.goto(f"{site.notes.url}/start")
    sign_in(page, site.alice)
    expect(page.locator("#who")).to_have_text(site.alice.name)
    page.goto(f"{site.wiki.url}/start")
    expect(page.locator("#who")).to_have_text(site.alice.name)
    page.goto(f"{site.example.url}login")
    expect(page.get_by_role("heading")).to_have_text(f"Hello, {site.alice.user_name}")
    page.goto(f"{site.records.url}login")
    if not has_script:
        page.get_by_role("button", name="Continue").click()  # The answer travels by a form.
    expect(page.locator("#who")).to_have_text(site.alice.user_name)


def expect_signed_out_everywhere(site: Site, page: Page) -> None:
    """Nobody is signed in anywhere, here or at the provider. What goes from server to server may be under way still."""
    for url in (f"{site.notes.url}/", f"{site.wiki.url}/", site.records.url, site.example.url):
        deadline = time.monotonic() + ANSWERED_MS / 1000
        page.goto(url)
        while "Nobody is signed in" not in page.inner_text("body"):
            assert time.monotonic() < deadline, f"{url}: {page.inner_text('body')}"
            page.goto(url)
    page.goto(f"{site.notes.url}/start")
    expect(page.locator("input[name=password]")).to_be_visible()


def told(page: Page, name: str) -> Any:
    """What the signed-out page says of an application."""
    return page.locator("#told .row", has_text=name).locator("p").nth(1)


EVERYBODY = {
    "Example": "It has confirmed the sign-out.",
    "Notes": "It has confirmed the sign-out.",
    "Records": "It has confirmed the sign-out.",
    "Wiki": "This browser has told it. It sends no answer.",
}


def expect_told(page: Page) -> None:
    for name, text in EVERYBODY.items():
        expect(told(page, name)).to_have_text(text, timeout=ANSWERED_MS)


@pytest.mark.spec("OIDCBCL-2.5", "OIDCFCL-3", "CAS-2.3.3", "SAMLProf-4.4")
def test_one_password_three_protocols_one_logout(site: Site, new_page: NewPage) -> None:
    page = new_page()
    sign_in_everywhere(site, page)
    page.goto(f"{site.provider.issuer}/logout")
    page.click("button[value=yes]")
    expect(page.get_by_role("heading", level=1)).to_have_text("You are signed out", timeout=ANSWERED_MS)
    expect_told(page)
    expect_signed_out_everywhere(site, page)


def test_a_browser_without_javascript_and_a_small_screen_see_the_same(site: Site, new_page: NewPage) -> None:
    phone = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True}
    page = new_page(java_script_enabled=False, **phone)
    sign_in_everywhere(site, page, has_script=False)
    page.goto(f"{site.provider.issuer}/logout")
    page.tap("button[value=yes]")
    expect(page.get_by_role("heading", level=1)).to_have_text("You are signed out", timeout=ANSWERED_MS)
    expect_told(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    expect_signed_out_everywhere(site, page)


def test_the_keyboard_is_enough(site: Site, new_page: NewPage) -> None:
    page = new_page(java_script_enabled=False)
    page.goto(f"{site.notes.url}/start")
    sign_in(page, site.alice)
    expect(page.locator("#who")).to_be_visible()
    page.goto(f"{site.provider.issuer}/logout")
    page.focus("button[value=yes]")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("You are signed out")
    look_again = page.get_by_role("link", name="Look again")
    if look_again.count():
        look_again.focus()
        page.keyboard.press("Enter")
    expect(told(page, "Notes")).to_have_text(EVERYBODY["Notes"], timeout=ANSWERED_MS)


@pytest.mark.spec("OIDCRIL-3")
def test_a_sign_out_that_an_application_starts_comes_back_to_it(site: Site, new_page: NewPage) -> None:
    page = new_page()
    sign_in_everywhere(site, page)
    page.goto(f"{site.notes.url}/logout")
    expect(page.locator("#signed-out")).to_be_visible(timeout=ANSWERED_MS)
    expect_signed_out_everywhere(site, page)


@pytest.mark.spec("SAMLProf-4.4")
def test_a_sign_out_that_a_saml_provider_starts_comes_back_to_it(site: Site, new_page: NewPage) -> None:
    page = new_page()
    sign_in_everywhere(site, page)
    page.goto(f"{site.records.url}logout")
    page.wait_for_url(site.records.url, timeout=ANSWERED_MS)
    expect(page.locator("#nobody")).to_be_visible()
    expect_signed_out_everywhere(site, page)
