"""docs/contract/oidc_tencent.yaml: every operation, refusal and example."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
import time_machine
from django.db import connection
from django.utils import timezone

from tests.contract import oidc_contract as contract
from tests.contract.oidc_contract import NewParty, Row
from tests.dialects.party import CALLBACK, FORM, VERIFIER, Party, basic, query_of, s256, sm3

pytestmark = pytest.mark.django_db

NAME = "tencent"
Cause = Callable[[Party], Any]


@pytest.mark.parametrize("spelled", [str.lower, str.upper])
@pytest.mark.parametrize(("method", "digest"), [("SM3", sm3), ("S256", s256)])
def test_a_challenge_may_be_hexadecimal(
    party: Party, method: str, digest: Callable[[str], str], spelled: Callable[[str], str]
) -> None:
    challenge = base64.urlsafe_b64decode(digest(VERIFIER) + "=").hex()
    code = party.code(code_challenge=spelled(challenge), code_challenge_method=method)
    assert party.exchange(code, code_verifier="x" * 43).status_code == 400
    code = party.code(code_challenge=spelled(challenge), code_challenge_method=method)
    assert party.exchange(code).status_code == 200


@pytest.fixture
def party(new_party: NewParty) -> Party:
    return new_party(NAME)


def asked(*missing: str, **changes: str | None) -> Cause:
    return lambda party: party.ask(**changes, **dict.fromkeys(missing))


def exchanged(*missing: str, **changes: Any) -> Cause:
    return lambda party: party.exchange(party.code(), **changes, **dict.fromkeys(missing))


def disabled(party: Party) -> Any:
    party.client.is_active = False
    party.client.save()
    return party.ask()


def not_stored(party: Party) -> Any:
    """The database itself refuses the row, as it would when it is damaged or out of space."""
    party.sign_in()
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
                " $$ BEGIN RAISE EXCEPTION 'refused' USING ERRCODE = 'check_violation'; END $$"
            )
            cursor.execute(
                "CREATE TRIGGER refuse BEFORE INSERT ON oidc_provider_authorizationcode"
                " FOR EACH ROW EXECUTE FUNCTION refuse()"
            )
        else:
            cursor.execute(
                "CREATE TRIGGER refuse BEFORE INSERT ON oidc_provider_authorizationcode"
                " BEGIN SELECT RAISE(ABORT, 'refused'); END"
            )
        try:
            return party.ask()
        finally:
            cursor.execute(
                "DROP FUNCTION refuse CASCADE" if connection.vendor == "postgresql" else "DROP TRIGGER refuse"
            )


def late(party: Party) -> Any:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        code = party.code()
        clock.shift(timedelta(minutes=10, seconds=1))
        return party.exchange(code)


def twice(party: Party) -> Any:
    code = party.code()
    party.exchange(code)
    return party.exchange(code)


CAUSES: dict[tuple[str, str], list[Cause]] = {
    ("tencentAuthorize", "response_type_invalid"): [asked(response_type="token")],
    ("tencentAuthorize", "client_id_missing"): [asked("client_id"), asked("client_id", "response_type", "scope")],
    ("tencentAuthorize", "response_type_missing"): [asked("response_type"), asked("response_type", client_id="none")],
    ("tencentAuthorize", "scope_missing"): [asked("scope"), asked("scope", code_challenge="x")],
    ("tencentAuthorize", "client_invalid"): [asked(client_id="unknown"), asked("scope", client_id="x"), disabled],
    ("tencentAuthorize", "code_failed"): [not_stored],
    ("tencentAuthorize", "redirect_uri_invalid"): [
        asked(redirect_uri="https://evil.example/"),
        asked("scope", redirect_uri="https://evil.example/"),
    ],
    ("tencentAuthorize", "scope_invalid"): [asked(scope="profile openid"), asked(scope="get_user_info")],
    ("tencentAuthorize", "pkce_invalid"): [
        asked("code_challenge"),
        asked(code_challenge="x" * 42),
        asked(code_challenge="A" * 44),
        asked("code_challenge_method"),
        asked(code_challenge_method="plain"),
        asked(code_challenge_method="sm3"),
    ],
    ("tencentToken", "code"): [
        exchanged(code="unknown"),
        exchanged(redirect_uri="https://evil.example/"),
        exchanged("redirect_uri"),
        exchanged("code_verifier"),
        exchanged(code_verifier="y" * 43),
        exchanged(code_verifier="short"),
        late,
        twice,
    ],
    ("tencentToken", "grant_type"): [exchanged(grant_type="password"), exchanged(grant_type="client_credentials")],
    ("tencentToken", "client"): [
        exchanged(client_id="unknown"),
        exchanged(client_secret="wrong"),
        exchanged("client_secret"),
    ],
}
PKCE_TEXTS = ["invalid code_challenge"] * 3 + ["invalid code_challenge_method"] * 3


def rows() -> list[Any]:
    """Every row; one is caused outside of a transaction, which takes no statement after one that was refused."""
    return [
        pytest.param(*row.values, id=row.id, marks=pytest.mark.django_db(transaction="code_failed" in str(row.id)))
        for row in contract.rows(NAME)
    ]


@pytest.mark.parametrize("row", rows())
def test_every_refusal_is_caused_and_said_as_printed(party: Party, row: Row) -> None:
    causes = CAUSES[row.operation, row.id]
    texts = PKCE_TEXTS if row.id == "pkce_invalid" else [""] * len(causes)
    for cause, text in zip(causes, texts, strict=True):
        response = cause(party)
        contract.check_refusal(row, response, text=text)
        contract.check_schema(NAME, "Error", response.json())


def test_every_row_has_a_cause_or_a_reason_why_not() -> None:
    rows = {(row.operation, row.id) for row in contract.all_rows(NAME)}
    unreachable = {key for key in contract.unreachable() if key in rows}
    assert rows == set(CAUSES) | unreachable
    assert unreachable == {
        ("tencentAuthorize", "subject_token_missing"),
        ("tencentAuthorize", "access_token_failed"),
    }


def test_the_rows_are_checked_in_the_contracts_order(party: Party) -> None:
    checks = contract.operations(NAME)["tencentAuthorize"][2]["x-check-order"]["order"]
    wrong = {  # each check fails, until it is made good
        "client_id_missing": {"client_id": None},
        "response_type_missing": {"response_type": None},
        "response_type_invalid": {"response_type": "token"},
        "client_invalid": {"client_id": "unknown"},
        "redirect_uri_invalid": {"redirect_uri": "https://evil.example/"},
        "scope_missing": {"scope": None},
        "scope_invalid": {"scope": "email"},
        "pkce_invalid": {"code_challenge": "x"},
    }
    rows = {row.id: row for row in contract.all_rows(NAME)}
    for position, name in enumerate(checks):
        changes: dict[str, str | None] = {}
        for later in reversed(checks[position:]):
            changes |= wrong[later]
        body = party.ask(**changes).json()
        assert body["error_description"] in rows[name].text, name


@pytest.mark.parametrize(("operation", "example", "value"), contract.refusal_examples(NAME))
def test_every_printed_refusal_is_one_of_the_rows(operation: str, example: str, value: dict[str, str]) -> None:
    assert (value["error"], value["error_description"]) in {(row.error, row.text) for row in contract.all_rows(NAME)}
    contract.check_schema(NAME, "Error", value)


def test_every_operation_is_proved_here() -> None:
    assert set(contract.operations(NAME)) == {operation for operation, _ in CAUSES}


# Good answers ----------------------------------------------------------------------------------------------


@pytest.mark.spec("Tencent-authorize")
def test_the_printed_request_is_understood(party: Party) -> None:
    """The sample of the page, with this client's registration: a scope that only begins with openid, and no PKCE."""
    party.sign_in()
    state = "baa07350-e2b9-4f4f-a8ae-350325288049"
    response = party.ask(
        scope="openidasd6786hj824xxxx24993e0achjty",
        state=state,
        nonce="xxxxxxxx",
        code_challenge=None,
        code_challenge_method=None,
    )
    assert response["Location"].startswith(f"{CALLBACK}?")
    assert query_of(response)["state"] == state
    body = party.exchange(query_of(response)["code"], code_verifier=None)
    contract.check_schema(NAME, "TokenResponse", body.json())
    assert (body.json()["scope"], body.json()["expires_in"]) == ("openid", 7200)
    assert party.verify(body.json()["id_token"])["nonce"] == "xxxxxxxx"


def test_without_a_state_the_answer_has_none(party: Party) -> None:
    party.sign_in()
    assert set(query_of(party.ask(state=None))) == {"code", "iss"}


def test_without_an_address_the_registered_one_is_used(party: Party) -> None:
    party.sign_in()
    response = party.ask(redirect_uri=None)
    assert response["Location"].startswith(f"{CALLBACK}?")
    assert party.exchange(query_of(response)["code"], redirect_uri=None).status_code == 200


def test_without_an_address_two_registered_ones_are_no_answer(new_party: NewParty) -> None:
    party = new_party(NAME, redirect_uris=[CALLBACK, "https://client.example/other"])
    party.sign_in()
    assert party.ask(redirect_uri=None).status_code == 400


@pytest.mark.spec("Tencent-token")
@pytest.mark.parametrize("place", ["query", "form", "header", "none"])
def test_where_the_secret_may_stand(new_party: NewParty, place: str) -> None:
    values = {"token_endpoint_auth_method": "none"} if place == "none" else {}
    party = new_party(NAME, **values)
    params = {
        "grant_type": "authorization_code",
        "code": party.code(),
        "redirect_uri": CALLBACK,
        "code_verifier": VERIFIER,
        "client_id": party.client.client_id,
    }
    headers = {"authorization": basic(f"{party.client.client_id}:{party.secret}")} if place == "header" else {}
    if place in ("query", "form"):
        params["client_secret"] = party.secret
    if place == "query":
        response = party.machine.post(
            "/auth/oauth2/token", query_params=params, content_type=FORM, secure=True, headers=headers
        )
    else:
        response = party.machine.post(
            "/auth/oauth2/token", urlencode(params), content_type=FORM, secure=True, headers=headers
        )
    assert response.status_code == 200, response.content


@pytest.mark.security("S45")
def test_a_name_in_query_and_form_is_refused(party: Party) -> None:
    response = party.machine.post(
        "/auth/oauth2/token?grant_type=authorization_code", "grant_type=refresh_token", content_type=FORM, secure=True
    )
    assert (response.status_code, response.json()["error"]) == (400, "invalid_request")


@pytest.mark.security("S8")
@pytest.mark.parametrize(("challenge", "method"), [(sm3, "S256"), (s256, "SM3")])
def test_the_method_that_was_said_is_the_one_that_counts(
    party: Party, challenge: Callable[[str], str], method: str
) -> None:
    code = party.code(code_challenge=challenge(VERIFIER), code_challenge_method=method)
    response = party.exchange(code)
    assert (response.status_code, response.json()) == (
        400,
        {"error": "invalid_grant", "error_description": "invalid code"},
    )


def test_a_standard_clients_s256_is_as_good(party: Party) -> None:
    code = party.code(code_challenge=s256(VERIFIER), code_challenge_method="S256")
    assert party.exchange(code).status_code == 200


def test_a_standard_client_hears_of_refusals_where_it_is_flagged(new_party: NewParty) -> None:
    party = new_party(NAME, flags={"errors_by_redirect": True})
    assert query_of(party.ask(scope="email"))["error"] == "invalid_request"
    assert party.ask(redirect_uri="https://evil.example/").status_code == 400
