"""CAS in a real browser: the README's example, and a ticket that travels by POST."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect

from tests.browser import steps
from tests.browser.conftest import Site
from tests.clients.provider import ROOT, free_port, stop, wait_until_open

EXAMPLE = ROOT / "docs" / "examples" / "cas_application.py"


@pytest.fixture
def example(site: Site, tmp_path: Path) -> Iterator[str]:
    """The example as its own process; its address."""
    port = free_port()
    log = tmp_path / "example.log"
    home = f"http://localhost:{port}/"
    service = {"url": home, "match": "prefix", "attributes": {"displayName": "name"}}
    application = {"code": "cas-example", "name": "CAS example", "internal": True, "cas_services": [service]}
    site.provider.apply({"tenant": "default", "applications": [application]})
    environment = {**os.environ, "CAS_SERVER": site.url("/api/v1/cas/"), "PORT": str(port)}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, str(EXAMPLE)], env=environment, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        wait_until_open(process, home, log)
        yield home
    finally:
        stop(process)


def test_signing_in_and_being_signed_out_from_elsewhere(site: Site, page: Page, example: str) -> None:
    page.goto(example)
    page.click("text=Sign in")
    steps.sign_in(page, site.alice)
    expect(page.get_by_role("heading")).to_have_text(f"Hello, {site.alice.user_name}")
    expect(page.get_by_text(site.alice.name)).to_be_visible()
    page.goto(site.url("/logout"))
    page.click("button[value=yes]")
    site.provider.manage("worker", "--once")
    page.goto(example)
    expect(page.get_by_role("heading")).to_have_text("Nobody is signed in")


@pytest.mark.spec("CAS-2.1.1")
def test_a_ticket_that_travels_by_post_needs_no_click(site: Site, page: Page, example: str) -> None:
    query = urlencode({"service": f"{example}callback", "method": "POST"})
    with page.expect_request(lambda request: request.url == f"{example}callback" and request.method == "POST") as sent:
        page.goto(site.url(f"/api/v1/cas/login?{query}"))
        steps.sign_in(page, site.alice)
    assert (sent.value.post_data or "").startswith("ticket=ST-")
