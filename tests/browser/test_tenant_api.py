"""An integrator learns the tenant API by clicking: the documentation, the sign-in with a token, an operation."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator

import pytest
import requests
from playwright.sync_api import ConsoleMessage, Page, expect

from tests.browser.conftest import Site

USERS = "/api/v2/tenant/users?org_id=&offset=0&limit=10"
# What the browser itself notes when a page's answer is a refusal; the refusal is what the page shows.
REFUSAL = "Failed to load resource: the server responded with a status of 4"


@pytest.fixture(scope="module")
def token(site: Site) -> str:
    """An access token of a client that may do everything here."""
    client_id, client_secret = "integrator", secrets.token_urlsafe(32)
    client = {
        "client_id": client_id,
        "client_secret": client_secret,
        "grant_types": ["client_credentials"],
        "response_types": [],
        "scopes": [],
        "tenant_api": ["user_all", "org_all", "app_all"],
    }
    application = {"name": "Personnel", "code": "personnel", "clients": [client]}
    site.provider.apply({"tenant": "default", "applications": [application]})
    form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": client_secret}
    answer = requests.post(site.url("/api/v2/tenant/token"), data=form, timeout=30)
    assert answer.status_code == 200, answer.text
    access_token: str = answer.json()["access_token"]
    return access_token


@pytest.fixture(autouse=True)
def quiet_console(page: Page) -> Iterator[None]:
    """No page may have written an error or a warning."""
    heard: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(REFUSAL):
            heard.append(f"{message.location.get('url')}: {message.text}")

    page.on("console", hear)
    yield
    assert heard == []


def sign_in(page: Page, token: str) -> None:
    page.fill("input[name=access_token]", token)
    page.click("main form button[type=submit]")


def test_the_documentation_opens_and_unfolds(site: Site, page: Page) -> None:
    page.goto(site.url("/api/docs"))
    expect(page.locator("details")).to_have_count(40)
    operation = page.locator("details#createUser")
    expect(operation.locator("pre")).to_be_hidden()
    operation.locator("summary").click()
    expect(operation.locator("pre")).to_contain_text("user_name")
    with page.expect_navigation():
        page.click("text=openapi.json")
    assert json.loads(page.inner_text("body"))["openapi"].startswith("3.1")


def test_an_operation_is_tried_after_a_sign_in_with_a_token(site: Site, page: Page, token: str) -> None:
    page.goto(site.url(USERS))
    expect(page.locator(".response-info")).to_contain_text("HTTP 401")
    page.click("text=Sign in with an access token")
    sign_in(page, "nonsense")
    expect(page.locator("main")).to_contain_text("This access token is not valid here.")
    sign_in(page, token)
    page.wait_for_url(site.url(USERS))
    expect(page.locator(".response-info")).to_contain_text(site.alice.user_name)
    # The form is filled with an example; what is changed in it is sent by the page.
    body = json.loads(page.input_value("textarea[name=_content]"))
    body |= {"user_name": "clicked", "mobile": "13900000001"}
    for name in ("org_code", "user_org_relation_list", "extension"):
        body.pop(name, None)
    page.fill("textarea[name=_content]", json.dumps(body))
    page.click("button:has-text('POST')")
    expect(page.locator(".response-info")).to_contain_text("HTTP 201")
    expect(page.locator(".response-info")).to_contain_text("user_id")
    # A refusal of a rule stands on the page, too.
    page.goto(site.url(USERS))
    page.fill("textarea[name=_content]", json.dumps(body))
    page.click("button:has-text('POST')")
    expect(page.locator(".response-info")).to_contain_text("USER.0029")


def test_a_user_is_changed_and_deleted_by_clicking(site: Site, page: Page, token: str) -> None:
    bearer = {"Authorization": f"Bearer {token}"}
    person = {"user_name": "short-lived", "mobile": "13900000002"}
    user_id = requests.post(site.url(USERS), json=person, headers=bearer, timeout=30).json()["user_id"]
    path = f"/api/v2/tenant/users/{user_id}"
    page.goto(site.url(f"/api/docs/sign-in?next={path}"))
    sign_in(page, token)
    expect(page.locator(".response-info")).to_contain_text("short-lived")
    page.fill("textarea[name=_content]", '{"name": "By a click"}')
    page.click("button:has-text('PUT')")
    expect(page.locator(".request-info")).to_contain_text("PUT")
    expect(page.locator(".response-info")).to_contain_text("HTTP 200")
    page.goto(site.url(path))
    expect(page.locator(".response-info")).to_contain_text("By a click")
    page.click("button:has-text('DELETE')")
    page.locator("#deleteModal button:has-text('Delete')").click()
    expect(page.locator(".response-info")).to_contain_text("HTTP 204")
    page.goto(site.url(path))
    expect(page.locator(".response-info")).to_contain_text("USER.0001")


def test_signing_out_forgets_the_token(site: Site, page: Page, token: str) -> None:
    page.goto(site.url("/api/docs/sign-in"))
    sign_in(page, token)
    page.wait_for_url(site.url("/api/docs"))
    page.click("text=Sign out")
    expect(page.locator("text=Sign in with an access token")).to_be_visible()
    page.goto(site.url(USERS))
    expect(page.locator(".response-info")).to_contain_text("HTTP 401")
