"""docs/contract/oidc_topiam.yaml: every operation, refusal and example."""

from __future__ import annotations

import base64
import html
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from oidc_provider.clients import registration
from oidc_provider.dialects.topiam import ERROR_URI
from tests.contract import oidc_contract as contract
from tests.contract.oidc_contract import NewParty, Row
from tests.dialects.party import CALLBACK, Party, basic, query_of

pytestmark = pytest.mark.django_db

NAME = "topiam"
JSON = {"accept": "application/json"}
Cause = Callable[[Party, NewParty], Any]


@pytest.fixture
def party(new_party: NewParty) -> Party:
    return new_party(NAME)


def asked(*missing: str, **changes: str | None) -> Cause:
    return lambda party, new: party.ask(headers=JSON, **changes, **dict.fromkeys(missing))


def exchanged(*missing: str, **changes: Any) -> Cause:
    return lambda party, new: party.exchange(party.code(), **changes, **dict.fromkeys(missing))


def of_another_application(party: Party, new: NewParty) -> Any:
    return party.ask(headers=JSON, client_id=new(NAME).client.client_id)


def at_no_application(party: Party, new: NewParty) -> Any:
    return party.token(path="/api/v1/authorize/nobody/oauth2/token", grant_type="authorization_code", code="x")


def at_a_confidential_client(party: Party, new: NewParty) -> Any:
    host = new(NAME, token_endpoint_auth_method="client_secret_basic")
    return host.token(grant_type="authorization_code", code="x")


def late(party: Party, new: NewParty) -> Any:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        code = party.code()
        clock.shift(timedelta(minutes=5, seconds=1))
        return party.exchange(code)


def twice(party: Party, new: NewParty) -> Any:
    code = party.code()
    party.exchange(code)
    return party.exchange(code)


def of_another_client(party: Party, new: NewParty) -> Any:
    return new(NAME).exchange(party.code())


CAUSES: dict[tuple[str, str], list[Cause]] = {
    ("topiamAuthorize", "client_id_missing"): [asked("client_id")],
    ("topiamAuthorize", "client_id_invalid"): [asked(client_id="unknown"), of_another_application],
    ("topiamAuthorize", "response_type_invalid"): [
        asked("response_type"),
        asked(response_type="token"),
        asked("client_id", response_type="id_token"),
    ],
    ("topiamAuthorize", "redirect_uri_invalid"): [
        asked("redirect_uri"),
        asked(redirect_uri="https://evil.example/"),
        asked(redirect_uri="https://client.example/other", scope="salary"),
    ],
    ("topiamAuthorize", "scope_invalid"): [
        asked(scope="openid salary"),
        asked(scope="openid address"),
        asked("code_challenge", scope="salary"),
    ],
    ("topiamAuthorize", "code_challenge_invalid"): [
        asked("code_challenge"),
        asked("code_challenge", "code_challenge_method"),
        asked(code_challenge="x" * 42),
        asked("code_challenge_method", code_challenge="x"),
    ],
    ("topiamAuthorize", "code_challenge_method_invalid"): [
        asked("code_challenge_method"),
        asked(code_challenge_method="plain"),
        asked(code_challenge_method="s256"),
    ],
    ("topiamToken", "not_authenticated"): [at_no_application, at_a_confidential_client],
    ("topiamToken", "grant_type"): [
        exchanged("grant_type"),
        exchanged(grant_type="password"),
        exchanged(grant_type="client_credentials"),
    ],
    ("topiamToken", "redirect_uri"): [
        exchanged("redirect_uri"),
        exchanged(redirect_uri="https://client.example/other"),
    ],
    ("topiamToken", "code_wrong"): [exchanged("code"), exchanged(code="unknown")],
    ("topiamToken", "code_verifier"): [
        exchanged("code_verifier"),
        exchanged(code_verifier="y" * 43),
        exchanged(code_verifier="aqHAm7JQXUWbjjEJ0DfW"),
    ],
    ("topiamToken", "code_expired"): [late, twice, of_another_client],
    ("topiamToken", "client"): [
        exchanged(client_id="unknown"),
        exchanged(client_secret="wrong"),
        exchanged(headers={"authorization": basic("some:secret")}),
        exchanged(headers={"authorization": "Bearer x"}),
    ],
}


@pytest.mark.parametrize("row", contract.rows(NAME))
def test_every_refusal_is_caused_and_said_as_printed(party: Party, new_party: NewParty, row: Row) -> None:
    for cause in CAUSES[row.operation, row.id]:
        response = cause(party, new_party)
        extra = {"error_uri": ERROR_URI}
        if row.delivery == "redirect":
            extra["state"] = "state1"
        contract.check_refusal(row, response, extra=extra)
        if row.delivery != "redirect":
            contract.check_schema(NAME, "Error", response.json())


def test_every_row_has_a_cause() -> None:
    assert {(row.operation, row.id) for row in contract.all_rows(NAME)} == set(CAUSES)


def test_a_browser_is_shown_a_page(party: Party) -> None:
    page = party.ask(client_id="unknown")
    shown = html.unescape(page.content.decode())
    assert (page.status_code, page["Content-Type"]) == (400, "text/html; charset=utf-8")
    assert "OAuth 2.0 Parameter: client_id" in shown
    assert ERROR_URI in shown


def test_the_error_uri_is_the_printed_one() -> None:
    printed = contract.document(NAME)["x-error-uri"]
    assert printed["wire"] == ERROR_URI


def test_the_rows_are_checked_in_the_contracts_order(party: Party) -> None:
    checks = contract.operations(NAME)["topiamAuthorize"][2]["x-check-order"]["order"]
    wrong: dict[str, dict[str, str | None]] = {
        "response_type_invalid": {"response_type": "token"},
        "client_id_missing": {"client_id": None},
        "client_id_invalid": {"client_id": "unknown"},
        "redirect_uri_invalid": {"redirect_uri": "https://evil.example/"},
        "scope_invalid": {"scope": "salary"},
        "code_challenge_invalid": {"code_challenge": "x"},
        "code_challenge_method_invalid": {"code_challenge_method": "plain"},
    }
    rows = {row.id: row for row in contract.all_rows(NAME)}
    for position, name in enumerate(checks):
        changes: dict[str, str | None] = {}
        for later in reversed(checks[position:]):
            changes |= wrong[later]
        response = party.ask(headers=JSON, **changes)
        body = query_of(response) or response.json()
        assert (body["error"], body["error_description"]) == (rows[name].error, rows[name].text)


@pytest.mark.parametrize(("operation", "example", "value"), contract.refusal_examples(NAME))
def test_every_printed_refusal_is_one_of_the_rows(operation: str, example: str, value: dict[str, str]) -> None:
    assert (value["error"], value["error_description"]) in {(row.error, row.text) for row in contract.all_rows(NAME)}
    assert value["error_uri"] == ERROR_URI


def test_the_printed_error_redirect_is_ours(party: Party) -> None:
    headers = contract.operations(NAME)["topiamAuthorize"][2]["responses"]["302"]["headers"]
    printed = headers["Location"]["examples"]["scope"]["value"]
    query = party.ask(scope="salary", state=None)["Location"].partition("?")[2]
    assert query.partition("&iss=")[0] == printed.partition("?")[2]


# Good answers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("operation", "example", "value"), contract.success_examples(NAME))
def test_every_example_has_the_shape_of_an_answer(party: Party, operation: str, example: str, value: Any) -> None:
    response = party.exchange(party.code())
    assert response.status_code == 200
    contract.check_schema(NAME, "TokenResponse", response.json())
    assert contract.shape(response.json()) == contract.shape(value)
    assert response.json()["expires_in"] == value["expires_in"]


def test_every_operation_is_proved_here() -> None:
    assert set(contract.operations(NAME)) == {operation for operation, _ in CAUSES}


@pytest.mark.spec("TOPIAM-token")
def test_the_client_may_name_itself_or_not(party: Party) -> None:
    assert party.exchange(party.code()).status_code == 200
    assert party.exchange(party.code(), client_id=party.client.client_id).status_code == 200
    # The sample request adds a scope, which says nothing.
    assert party.exchange(party.code(), scope="profile").json()["scope"] == "openid profile"


def test_without_scope_the_least_is_granted(party: Party) -> None:
    assert party.tokens(scope=None)["scope"] == "openid"


def test_without_openid_there_is_no_id_token(party: Party) -> None:
    body = party.exchange(party.code(scope="profile")).json()
    contract.check_schema(NAME, "TokenResponse", body)
    assert "id_token" not in body


@pytest.mark.security("S9")
def test_another_applications_addresses_know_nothing_of_it(party: Party, new_party: NewParty) -> None:
    other = new_party(NAME)
    tokens = party.tokens()
    assert other.userinfo(tokens["access_token"]).status_code == 401
    assert other.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"
    response = other.exchange(party.code(), client_id=party.client.client_id)
    assert (response.status_code, response.json()["error"]) == (401, "invalid_client")
    assert party.issuer != other.issuer
    assert party.userinfo(tokens["access_token"]).status_code == 200


@pytest.mark.parametrize("path", ["oidc/.well-known/openid-configuration", "oidc/jwks"])
def test_an_application_without_a_client_has_no_issuer(party: Party, path: str) -> None:
    assert party.machine.get(f"/api/v1/authorize/nobody/{path}", secure=True).status_code == 404


def test_a_confidential_client_needs_pkce_too(new_party: NewParty) -> None:
    party = new_party(NAME, token_endpoint_auth_method="client_secret_basic", require_pkce=False)
    party.sign_in()
    assert query_of(party.ask(code_challenge=None, code_challenge_method=None))["error"] == "invalid_request"
    proof = {"authorization": basic(f"{party.client.client_id}:{party.secret}")}
    assert party.exchange(party.code(), headers=proof).status_code == 200


def test_an_application_has_one_public_client(party: Party) -> None:
    from django.core.exceptions import ValidationError

    with pytest.raises(ValidationError, match="another public client"):
        registration.register_client(
            catalogue_entry=party.client.catalogue_entry, dialect=NAME, redirect_uris=[CALLBACK]
        )


def test_the_verifier_of_the_documents_recipe_and_its_sample_are_taken(new_party: NewParty) -> None:
    recipe = base64.urlsafe_b64encode(b"r" * 128).rstrip(b"=").decode()
    assert len(recipe) == 171
    sample = "aqHAm7JQXUWbjjEJ0DfW"
    for verifier, flags, status in (
        (recipe, {}, 200),
        (sample, {}, 400),
        (sample, {"short_verifiers": True}, 200),
    ):
        party = new_party(NAME, flags=flags)
        code = party.code(code_challenge=party.habits.challenge(verifier))
        assert party.exchange(code, code_verifier=verifier).status_code == status
