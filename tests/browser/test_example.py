"""The relying party of the README works as printed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser import steps
from tests.browser.conftest import Site
from tests.clients.provider import ROOT, free_port, stop, wait_until_open

EXAMPLE = ROOT / "docs" / "examples" / "relying_party.py"


@pytest.fixture
def example(site: Site, tmp_path: Path) -> Iterator[str]:
    """The example as its own process, on the registration of the wiki; its address."""
    port = free_port()
    log = tmp_path / "example.log"
    configuration = {"code": "example", "name": "Example", "access": "everyone", "skip_consent": True}
    client: dict[str, Any] = {
        "client_id": "example",
        "dialect": "standard",
        "token_endpoint_auth_method": "client_secret_basic",
        "client_secret": "a secret for one test run only 4711",
        "redirect_uris": [f"http://localhost:{port}/callback"],
        "post_logout_redirect_uris": [f"http://localhost:{port}/"],
        "grant_types": ["authorization_code"],
        "response_types": ["code"],
    }
    site.provider.apply({"tenant": "default", "applications": [{**configuration, "clients": [client]}]})
    environment = {
        **os.environ,
        "ISSUER": site.provider.issuer,
        "CLIENT_ID": client["client_id"],
        "CLIENT_SECRET": client["client_secret"],
        "PORT": str(port),
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, str(EXAMPLE)], env=environment, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        wait_until_open(process, f"http://127.0.0.1:{port}/", log)
        yield f"http://localhost:{port}/"
    finally:
        stop(process)


def test_example_signs_in_and_out(site: Site, page: Page, example: str) -> None:
    page.goto(example)
    page.click("text=Sign in")
    steps.sign_in(page, site.alice)
    expect(page.locator("#name")).to_have_text(site.alice.name)
    page.click("text=Sign out")
    page.wait_for_url(example)
    page.click("text=Sign in")
    expect(page.locator(steps.PASSWORD)).to_be_visible()
