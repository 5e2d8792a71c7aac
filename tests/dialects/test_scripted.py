"""The sign-in that a page's script drives (Pactera-4.5, decision 18), as a browser would send its requests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import pytest
from django.test import Client as HttpClient

from tests.dialects.party import CALLBACK, FORM, Party
from tests.factories import PASSWORD

pytestmark = [pytest.mark.django_db, pytest.mark.spec("Pactera-4.5")]

NewParty = Callable[..., Party]
APP = "https://app.monban.example"  # another host of our own site, and registered
STRANGER = "https://other.monban.example"


@pytest.fixture
def party(new_party: NewParty) -> Party:
    party = new_party("pactera", web_origins=[APP])
    party.browser = HttpClient(HTTP_HOST=party.host, enforce_csrf_checks=True)
    return party


def script(party: Party, origin: str = "", site: str = "") -> dict[str, str]:
    """What a browser adds to a request of XMLHttpRequest."""
    own = not origin or origin == party.origin
    headers = {"sec-fetch-mode": "cors", "sec-fetch-site": site or ("same-origin" if own else "same-site")}
    return {**headers, "origin": origin} if origin else headers


def path_of(response: Any) -> str:
    """Where the script is sent: as the guide's interceptor reads it."""
    assert response.status_code == 302
    assert "Location" not in response
    return str(response["path"])


def post_form(party: Party, address: str, headers: dict[str, str], **changes: str) -> Any:
    transaction = parse_qs(urlsplit(address).query)["transaction"][0]
    form = {"transaction": transaction, "identifier": "taro", "password": PASSWORD, **changes}
    return party.browser.post("/login", urlencode(form), content_type=FORM, secure=True, headers=headers)


@pytest.mark.parametrize("origin", ["own", APP])
def test_a_script_signs_in_and_reads_the_code(party: Party, origin: str) -> None:
    origin = party.origin if origin == "own" else origin
    headers = script(party, origin)
    login = path_of(party.ask(headers=headers))
    assert login.startswith(f"{party.origin}/login?transaction=")
    following = path_of(post_form(party, login, headers))
    assert urlsplit(following).path == "/oauth2/authorize/continue"
    answer = party.browser.get(following, secure=True, headers=headers)
    target = path_of(answer)
    assert target.startswith(f"{CALLBACK}?")
    assert party.exchange(dict(parse_qsl(urlsplit(target).query))["code"]).status_code == 200
    if origin == APP:
        assert answer["Access-Control-Allow-Origin"] == APP
        assert answer["Access-Control-Allow-Credentials"] == "true"
        assert answer["Access-Control-Expose-Headers"] == "path"
    else:
        assert "Access-Control-Allow-Origin" not in answer
    assert "Origin" in answer["Vary"]


def test_axios_in_an_older_browser_is_known_by_its_header(party: Party) -> None:
    party.sign_in()
    answer = party.ask(headers={"x-requested-with": "XMLHttpRequest"})
    assert path_of(answer).startswith(CALLBACK)


def test_a_navigation_has_both_headers(party: Party) -> None:
    party.sign_in()
    answer = party.ask(headers={"sec-fetch-mode": "navigate", "sec-fetch-site": "cross-site"})
    assert answer.status_code == 302
    assert answer["Location"] == answer["path"]
    assert "Access-Control-Allow-Origin" not in answer


def test_a_refusal_is_json_with_the_address_of_the_page(party: Party) -> None:
    answer = party.ask(headers=script(party, APP), scope="salary")
    body = {"error": "invalid_scope", "error_description": "scopeの値が無効です", "state": "state1"}
    assert (answer.status_code, answer.json()) == (400, body)
    assert answer["path"].startswith(f"{party.origin}/error?error=invalid_scope&")


@pytest.mark.security("S1")
@pytest.mark.parametrize(
    ("origin", "site"),
    [(STRANGER, "same-site"), (APP, "cross-site"), ("https://evil.example", "cross-site"), ("null", "same-origin")],
)
def test_a_page_of_another_site_or_client_reads_nothing_and_signs_nobody_in(
    party: Party, origin: str, site: str
) -> None:
    good, bad = script(party, APP), script(party, origin, site)
    answer = party.ask(headers=bad)
    assert "Access-Control-Allow-Origin" not in answer
    assert "Location" in answer
    refused = post_form(party, path_of(party.ask(headers=good)), bad)
    assert refused.status_code == 403
    assert "__Host-monban_session" not in refused.cookies


@pytest.mark.security("S1")
def test_one_clients_pages_do_not_read_another_clients_codes(party: Party, new_party: NewParty) -> None:
    other = new_party("pactera", web_origins=["https://two.monban.example"])
    other.sign_in()
    answer = other.ask(headers=script(other, APP))
    assert "Access-Control-Allow-Origin" not in answer
    assert answer["Location"].startswith(CALLBACK)  # The browser follows it; the script cannot.


def test_a_form_of_a_page_still_needs_its_token(party: Party) -> None:
    login = path_of(party.ask(headers=script(party, APP)))
    refused = post_form(party, login, {"origin": party.origin, "sec-fetch-mode": "navigate"})
    assert refused.status_code == 403


def test_a_wrong_password_is_no_redirect(party: Party) -> None:
    headers = script(party, APP)
    answer = post_form(party, path_of(party.ask(headers=headers)), headers, password="wrong")
    assert answer.status_code in (400, 401)
    assert "path" not in answer
    assert answer["Access-Control-Allow-Origin"] == APP


@pytest.mark.parametrize("path", ["/login", "/oidc/authorize", "/oauth2/authorize/continue"])
@pytest.mark.parametrize(("origin", "is_allowed"), [(APP, True), (STRANGER, False)])
def test_a_script_may_ask_leave_first(party: Party, path: str, origin: str, is_allowed: bool) -> None:
    headers = {
        **script(party, origin),
        "access-control-request-method": "POST",
        "access-control-request-headers": "x-requested-with",
    }
    answer = party.browser.options(path, secure=True, headers=headers)
    assert answer.status_code == 204
    assert answer.get("Access-Control-Allow-Origin") == (origin if is_allowed else None)
    if is_allowed:
        assert "X-Requested-With" in answer["Access-Control-Allow-Headers"]
        assert answer["Access-Control-Allow-Credentials"] == "true"


@pytest.mark.parametrize("name", ["standard", "tencent", "topiam", "oneaccess"])
def test_other_dialects_have_no_such_header(new_party: NewParty, name: str) -> None:
    party = new_party(name, web_origins=[APP])
    party.sign_in()
    answer = party.ask(headers=script(party, APP))
    assert "path" not in answer
    assert answer["Location"].startswith(CALLBACK)
    assert "Access-Control-Allow-Origin" not in answer
