"""A real server, real relying parties and headless Chromium.

Everything is started once for this package and stopped by process id. Without a browser or without the PostgreSQL
that DATABASE_URL names, the tests are skipped with the reason; under CI=true they fail.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

from tests.clients.provider import Provider, RelyingPartyProcess, tail

CHROMIUM_ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# The first is the same browser without its windows, which is a third of the work.
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
PAGE_TIMEOUT_MS = 15_000


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.nodeid.startswith("tests/browser/"):
            item.add_marker(pytest.mark.browser)
            # One server and one browser for all: with several test processes, the same one takes them all.
            item.add_marker(pytest.mark.xdist_group("browser"))


def missing(reason: str) -> None:
    """Skip where a developer's machine lacks something; fail where CI does."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@dataclass(frozen=True)
class Person:
    user_name: str
    name: str
    password: str = field(default_factory=lambda: f"Quiet-{secrets.token_urlsafe(9)}-7x")


@dataclass(frozen=True)
class Site:
    """What the tests talk to."""

    provider: Provider
    alice: Person
    bob: Person
    operator: Person
    notes: RelyingPartyProcess  # asks for consent
    wiki: RelyingPartyProcess  # trusted: no consent page
    panel: RelyingPartyProcess  # public client, used from its own pages

    def url(self, path: str) -> str:
        return f"{self.provider.issuer}{path}"


def registration(party: RelyingPartyProcess, *, name: str, skip_consent: bool, **extra: Any) -> dict[str, Any]:
    """The application entry of one relying party."""
    client: dict[str, Any] = {
        "client_id": party.client_id,
        "dialect": "standard",
        "token_endpoint_auth_method": party.auth_method,
        "redirect_uris": [party.redirect_uri],
        "post_logout_redirect_uris": [party.post_logout_redirect_uri],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "id_token_signed_response_alg": "RS256",
        **extra,
    }
    if party.client_secret:
        client["client_secret"] = party.client_secret
    return {
        "name": name,
        "code": party.client_id,
        "access": "everyone",
        "internal": False,
        "skip_consent": skip_consent,
        "clients": [client],
    }


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    directory = tmp_path_factory.mktemp("site")
    alice, bob = Person("alice", "Alice Anderson"), Person("bob", "Bob Brown")
    operator = Person("operator", "Olga Operator")
    notes = RelyingPartyProcess(directory, client_id="notes", client_secret=secrets.token_urlsafe(32))
    wiki = RelyingPartyProcess(
        directory, client_id="wiki", client_secret=secrets.token_urlsafe(32), auth_method="client_secret_post"
    )
    panel = RelyingPartyProcess(directory, client_id="panel", auth_method="none")
    database_url = os.environ.get("DATABASE_URL", "")
    try:
        provider = Provider(directory, database_url=database_url)
    except psycopg.OperationalError as error:
        missing(f"no PostgreSQL at DATABASE_URL: {error}")
    parties = [notes, wiki, panel]
    with provider:
        provider.apply(
            {
                "tenant": "default",
                "users": [
                    {
                        "user_name": person.user_name,
                        "password": person.password,
                        "name": person.name,
                        "email": f"{person.user_name}@example.org",
                        "operator": person is operator,
                    }
                    for person in (alice, bob, operator)
                ],
                "applications": [
                    registration(notes, name="Notes", skip_consent=False),
                    registration(wiki, name="Wiki", skip_consent=True),
                    registration(panel, name="Panel", skip_consent=True, web_origins=[panel.url]),
                ],
            }
        )
        try:
            for party in parties:
                party.start(provider.issuer)
            yield Site(provider, alice, bob, operator, notes, wiki, panel)
        finally:
            for party in parties:
                party.close()


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    executable = next(filter(None, map(shutil.which, BROWSERS)), None)
    if executable is None:
        missing("no chromium on this machine")
    expect.set_options(timeout=PAGE_TIMEOUT_MS)  # as pages: on a busy machine five seconds are little
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, headless=True, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


@dataclass
class Complaints:
    """What the browser complained about while a test ran."""

    found: list[str] = field(default_factory=list)

    def hear(self, message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text or "Content-Security-Policy" in message.text:
            self.found.append(f"{message.location.get('url')}: {message.text}")

    def hear_error(self, error: Any) -> None:
        self.found.append(f"script error: {error}")


NewBrowser = Callable[..., Page]


@pytest.fixture
def new_browser(site: Site, chromium: Browser, request: pytest.FixtureRequest) -> Iterator[NewBrowser]:
    """Makes a page of a browser that knows nothing yet; keyword arguments as for Playwright's new_context.

    At the end: no page may have broken the content security policy, and no script may have failed.
    """
    contexts: list[BrowserContext] = []
    complaints = Complaints()

    def make(**options: Any) -> Page:
        context = chromium.new_context(**{"locale": "en-GB", "viewport": {"width": 1280, "height": 800}, **options})
        context.set_default_timeout(PAGE_TIMEOUT_MS)
        context.on("console", complaints.hear)
        context.on("weberror", lambda error: complaints.hear_error(error.error))
        contexts.append(context)
        return context.new_page()

    yield make
    for context in contexts:
        context.close()
    assert complaints.found == []


@pytest.fixture
def page(new_browser: NewBrowser) -> Page:
    return new_browser()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Add the processes' logs to the report of a failed test."""
    outcome: Any = yield
    report = outcome.get_result()
    funcargs: dict[str, Any] = getattr(item, "funcargs", {})
    if not report.failed or "site" not in funcargs:
        return
    site: Site = funcargs["site"]
    for name, log in {"monban": site.provider.log, "notes": site.notes.log, "wiki": site.wiki.log}.items():
        report.sections.append((f"log of {name}", tail(log)))
    for name, value in funcargs.items():
        if isinstance(value, Page) and not value.is_closed():
            report.sections.append((f"{name} at {value.url.split('?')[0]}", value.inner_text("body")))
