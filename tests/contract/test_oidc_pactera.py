"""docs/contract/oidc_pactera.yaml: every operation, refusal and example but those of mini programs."""

from __future__ import annotations

import base64
import html
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import jwt
import pytest
import time_machine
from cryptography.hazmat.primitives.serialization import load_der_public_key
from django.utils import timezone

from oidc_provider.dialects.pactera import binary_digits_hash
from tests.contract import oidc_contract as contract
from tests.contract.oidc_contract import NewParty, Row
from tests.dialects.party import CALLBACK, FORM, VERIFIER, Party, basic, query_of, s256
from tests.support.machine import end_the_grace

pytestmark = pytest.mark.django_db

NAME = "pactera"
# What a cause gives: the answer, and the missing names where the row has a pattern.
Cause = Callable[[Party], tuple[Any, str]]


@pytest.fixture
def party(new_party: NewParty) -> Party:
    return new_party(NAME)


def post(party: Party, **changes: str | None) -> Any:
    """The same request as a form."""
    return party.browser.post("/oidc/authorize", urlencode(party.request(**changes)), content_type=FORM, secure=True)


def asked(*missing: str, **changes: str | None) -> Cause:
    """An authorization request by GET."""
    return lambda party: (party.ask(**changes, **dict.fromkeys(missing)), ",".join(missing))


def posted(*missing: str, **changes: str | None) -> Cause:
    """An authorization request by POST."""
    return lambda party: (post(party, **changes, **dict.fromkeys(missing)), ",".join(missing))


def exchanged(*missing: str, **changes: Any) -> Cause:
    """A token request with a good code."""
    absent = dict.fromkeys(missing)
    return lambda party: (party.exchange(party.code(), **changes, **absent), ",".join(missing))


def late(party: Party) -> tuple[Any, str]:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        code = party.code()
        clock.shift(timedelta(minutes=10, seconds=1))
        return party.exchange(code), ""


def twice(party: Party) -> tuple[Any, str]:
    code = party.code()
    party.exchange(code)
    return party.exchange(code), ""


def late_refresh(party: Party) -> tuple[Any, str]:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        token = party.tokens()["refresh_token"]
        clock.shift(timedelta(weeks=4, seconds=1))
        return party.refresh(token), ""


def used_refresh(party: Party) -> tuple[Any, str]:
    token = party.tokens()["refresh_token"]
    party.refresh(token)
    end_the_grace()
    return party.refresh(token), ""


def late_userinfo(party: Party) -> tuple[Any, str]:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        token = party.tokens()["access_token"]
        clock.shift(timedelta(hours=1, seconds=1))
        return party.userinfo(token), ""


def post_userinfo(party: Party, token: str) -> Any:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    return party.machine.post("/oidc/userinfo", secure=True, headers=headers)


def without_challenge(party: Party) -> tuple[Any, str]:
    return party.exchange(party.code(code_challenge=None, code_challenge_method=None)), ""


def authorize_causes(send: Callable[..., Cause], operation: str) -> dict[tuple[str, str], list[Cause]]:
    return {
        (operation, "missing_parameter"): [
            send("client_id", "redirect_uri", "response_type"),
            send("client_id", "redirect_uri", "response_type", "scope", "state"),
            *(send(name) for name in ("client_id", "redirect_uri", "response_type", "scope", "state")),
        ],
        (operation, "invalid_value"): [
            send(redirect_uri="https://evil.example/"),
            send(code_challenge="12345abcdefghijklmnopqrstuvwxyz"),
            send(code_challenge="12345abcdefghijk"),
            send(code_challenge_method="plain"),
            send(max_age="soon"),
            # A method without a challenge is unusable; the table of missing ones does not name it.
            lambda party: (send("code_challenge")(party)[0], ""),
        ],
        (operation, "response_type"): [send(response_type="token"), send(response_type="id_token")],
        (operation, "scope"): [send(scope="openid salary"), send(scope="profile email")],
        (operation, "client"): [send(client_id="abcde12345")],
    }


CAUSES: dict[tuple[str, str], list[Cause]] = {
    **authorize_causes(asked, "pacteraAuthorizeGet"),
    **authorize_causes(posted, "pacteraAuthorizePost"),
    ("pacteraToken", "missing_parameter"): [
        exchanged("grant_type"),
        exchanged("redirect_uri"),
        exchanged("redirect_uri", "code"),
        exchanged("client_id"),
        exchanged("client_id", "grant_type"),
        lambda party: (party.token(grant_type="refresh_token"), "refresh_token"),
    ],
    ("pacteraToken", "invalid_value"): [
        exchanged(code_verifier="x" * 42),
        exchanged(code_verifier="x" * 129),
        exchanged(client_secret="another-place-for-a-secret"),
    ],
    ("pacteraToken", "grant_type"): [exchanged(grant_type="password"), exchanged(grant_type="client_credentials")],
    ("pacteraToken", "code"): [exchanged(code="unknown"), exchanged(redirect_uri="https://evil.example/"), late, twice],
    ("pacteraToken", "code_verifier"): [
        exchanged("code_verifier"),
        exchanged(code_verifier="y" * 43),
        without_challenge,
    ],
    ("pacteraToken", "refresh_token"): [lambda party: (party.refresh("unknown"), ""), late_refresh, used_refresh],
    ("pacteraToken", "client_id"): [exchanged(client_id="abcde12345")],
    ("pacteraToken", "client_secret"): [
        exchanged(headers={"authorization": basic("wrong")}),
        exchanged(headers={"authorization": ""}),
    ],
    ("pacteraUserinfoGet", "missing_token"): [lambda party: (party.userinfo(""), "Authorization")],
    ("pacteraUserinfoPost", "missing_token"): [lambda party: (post_userinfo(party, ""), "Authorization")],
    ("pacteraUserinfoGet", "invalid_token"): [lambda party: (party.userinfo("unknown"), ""), late_userinfo],
    ("pacteraUserinfoPost", "invalid_token"): [lambda party: (post_userinfo(party, "unknown"), "")],
    ("pacteraPublicKey", "unknown_kid"): [
        lambda party: (party.machine.get("/keys/unknown", secure=True), ""),
        lambda party: (party.machine.get("/keys/yrklw2ggzl/677830802593", secure=True), ""),
    ],
}


@pytest.mark.parametrize("row", contract.rows(NAME))
def test_every_refusal_is_caused_and_said_as_printed(party: Party, row: Row) -> None:
    for cause in CAUSES[row.operation, row.id]:
        response, missing = cause(party)
        text = f"パラメータ-{{{missing}}}は必須です" if row.id in ("missing_parameter", "missing_token") else ""
        state = {} if "state" in missing or row.delivery != "error-page" else {"state": "state1"}
        contract.check_refusal(row, response, text=text, extra=state)
        if row.delivery == "json":
            contract.check_schema(NAME, "Error", response.json())
        else:
            contract.check_schema(NAME, "AuthorizeErrorCode", query_of(response)["error"])


def test_every_row_has_a_cause() -> None:
    rows = {(row.operation, row.id) for row in contract.all_rows(NAME)}
    assert rows == set(CAUSES)


@pytest.mark.parametrize(("operation", "example", "value"), contract.refusal_examples(NAME))
def test_every_printed_refusal_is_one_of_the_rows(operation: str, example: str, value: dict[str, str]) -> None:
    said = {(row.error, row.text) for row in contract.all_rows(NAME) if row.operation == operation}
    assert (value["error"], value["error_description"]) in said


# Good answers ----------------------------------------------------------------------------------------------


def everything(party: Party) -> str:
    token: str = party.tokens(scope="openid%20profile%20email%20address%20phone")["access_token"]
    return token


def public_key(party: Party) -> Any:
    kid = jwt.get_unverified_header(party.tokens()["id_token"])["kid"]
    return party.machine.get(f"/keys/{kid}", secure=True)


ANSWERS: dict[tuple[str, str], Callable[[Party], Any]] = {
    ("pacteraToken", "authorization_code"): lambda party: party.exchange(party.code(scope="openid email profile")),
    ("pacteraToken", "refresh_token"): lambda party: party.refresh(party.tokens()["refresh_token"]),
    ("pacteraUserinfoGet", "document"): lambda party: party.userinfo(everything(party)),
    ("pacteraUserinfoPost", "document"): lambda party: post_userinfo(party, everything(party)),
    ("pacteraPublicKey", "document"): public_key,
}
SCHEMAS = {
    "pacteraToken": "TokenResponse",
    "pacteraUserinfoGet": "Userinfo",
    "pacteraUserinfoPost": "Userinfo",
    "pacteraPublicKey": "PublicKey",
}


@pytest.mark.parametrize(("operation", "example", "value"), contract.success_examples(NAME))
def test_every_example_has_the_shape_of_an_answer(party: Party, operation: str, example: str, value: Any) -> None:
    response = ANSWERS[operation, example](party)
    assert response.status_code == 200, response.content
    assert response["Content-Type"] == "application/json"
    contract.check_schema(NAME, SCHEMAS[operation], response.json())
    answered = contract.shape(response.json())
    assert {name: answered.get(name) for name in value} == contract.shape(value)
    extra = {"email_verified"}  # of Pactera-4.1; the table of 3.3 forgot it
    assert set(answered) - set(value) <= extra


def test_every_operation_is_proved_here() -> None:
    proved = {operation for operation, _ in ANSWERS} | {operation for operation, _ in CAUSES} | {"pacteraErrorPage"}
    assert set(contract.operations(NAME)) == proved


@pytest.mark.spec("Pactera-3.1")
@pytest.mark.parametrize("send", [asked(), posted()], ids=["get", "post"])
def test_the_browser_is_sent_to_sign_in_and_then_to_the_client(party: Party, send: Cause) -> None:
    response, _ = send(party)
    assert response.status_code == 302
    assert response["path"] == f"{party.origin}{response['Location']}"
    party.sign_in()
    response, _ = send(party)
    while "code" not in query_of(response):
        assert response.status_code == 302
        assert urlsplit(response["Location"]).netloc == ""
        response = party.browser.get(response["Location"], secure=True)
    assert response["path"] == response["Location"]
    assert response["Location"].startswith(CALLBACK)
    assert query_of(response)["state"] == "state1"


@pytest.mark.spec("Pactera-3.1")
def test_the_printed_request_is_understood(party: Party) -> None:
    """The sample URL of 3.1, with this client's registration and a challenge in place of the placeholder."""
    party.sign_in()
    query = (
        f"client_id={party.client.client_id}&response_type=code&redirect_uri={quote(CALLBACK, safe='')}"
        "&scope=openid%2520email%2520profile%2520address&nonce=12345&state=abcde"
        f"&code_challenge={party.habits.challenge(VERIFIER)}&code_challenge_method=S256&max_age=12000"
    )
    response = party.browser.get(f"/oidc/authorize?{query}", secure=True)
    body = party.exchange(query_of(response)["code"]).json()
    assert body["scope"] == "openid email profile address"
    claims = party.verify(body["id_token"])
    contract.check_schema(NAME, "IdTokenClaims", claims)
    contract.check_schema(NAME, "IdTokenHeader", jwt.get_unverified_header(body["id_token"]))
    assert (claims["nonce"], claims["nbf"]) == ("12345", claims["iat"])
    assert claims["exp"] - claims["iat"] == 3600
    assert "auth_time" in claims


# The error page --------------------------------------------------------------------------------------------


@pytest.mark.spec("Pactera-3.1")
@pytest.mark.parametrize("row", [row for row in contract.rows(NAME) if "AuthorizeGet" in row.id])
def test_the_error_page_answers_400_and_shows_the_text(party: Party, row: Any) -> None:
    for cause in CAUSES[row.operation, row.id]:
        response, missing = cause(party)
        page = party.browser.get(response["Location"], secure=True)
        assert (page.status_code, page["Content-Type"]) == (400, "text/html; charset=utf-8")
        text = f"パラメータ-{{{missing}}}は必須です" if row.id == "missing_parameter" else row.text
        shown = html.unescape(page.content.decode())
        assert text in shown
        assert row.error in shown


@pytest.mark.spec("Pactera-3.1")
@pytest.mark.parametrize(
    ("error", "text"),
    [
        ("invalid_request", "Call 555-0100 to unlock your account"),
        ("Your account is locked", "参数的值无效"),
        ("invalid_request", "パラメータ-{password,pin}は必須です"),
        ("<script>alert(1)</script>", "<img src=x onerror=alert(1)>"),
    ],
)
def test_the_error_page_shows_nothing_but_our_own_words(party: Party, error: str, text: str) -> None:
    page = party.browser.get("/error", {"error": error, "error_description": text, "state": "shown?"}, secure=True)
    assert page.status_code == 400
    shown = html.unescape(page.content.decode())
    for ours, word in (("invalid_request", error), ("参数的值无效", text)):
        assert (word in shown) == (word == ours)
    assert "shown?" not in shown


def test_the_error_page_without_anything_is_a_page(party: Party) -> None:
    assert party.browser.get("/error", secure=True).status_code == 400


# Spellings -------------------------------------------------------------------------------------------------


@pytest.mark.spec("Pactera-3.2")
def test_the_secret_comes_alone_or_after_the_name(party: Party) -> None:
    for text in (party.secret, f"{party.client.client_id}:{party.secret}"):
        assert party.exchange(party.code(), headers={"authorization": basic(text)}).status_code == 200
    standard = party.exchange(
        party.code(), client_id=None, headers={"authorization": basic(f"{party.client.client_id}:{party.secret}")}
    )
    assert standard.status_code == 200
    for text in (f"{party.client.client_id}:", f":{party.secret}", f"other:{party.secret}", party.secret[:-1], ""):
        response = party.exchange(party.code(), headers={"authorization": basic(text)})
        assert (response.status_code, response.json()["error"]) == (401, "invalid_client")
        assert response["WWW-Authenticate"] == 'Basic realm="token"'


@pytest.mark.spec("Pactera-3.2")
def test_a_client_side_application_sends_no_secret(new_party: NewParty) -> None:
    party = new_party(NAME, token_endpoint_auth_method="none")
    assert party.exchange(party.code(), headers={"authorization": ""}).status_code == 200


@pytest.mark.spec("Pactera-3.4")
def test_the_id_token_is_verified_with_the_key_of_its_kid(party: Party) -> None:
    body = party.tokens()
    key = load_der_public_key(base64.b64decode(public_key(party).json()["publicKey"]))
    claims = jwt.decode(
        body["id_token"], key, algorithms=["RS256"], audience=party.client.client_id, issuer=f"{party.origin}/oidc"
    )
    assert claims["at_hash"] == binary_digits_hash(body["access_token"], "RS256")
    assert len(claims["at_hash"]) == 171


@pytest.mark.spec("OIDCC-3.1.3.6")
def test_a_client_flagged_standard_has_the_standard_at_hash(new_party: NewParty) -> None:
    body = (party := new_party(NAME, flags={"standard_at_hash": True})).tokens()
    assert len(party.verify(body["id_token"])["at_hash"]) == 22


@pytest.mark.spec("Pactera-3.3")
def test_a_claim_without_a_value_is_null_and_scopes_not_granted_are_left_out(party: Party) -> None:
    body = party.userinfo(party.tokens(scope="openid profile")["access_token"]).json()
    assert body == {
        "sub": party.user.public_id,
        "name": "太郎",
        "given_name": None,
        "family_name": None,
        "nickname": None,
        "picture": None,
        "birthdate": "1992-01-01",
        "gender": "1",
    }
    assert party.userinfo(party.tokens(scope="openid")["access_token"]).json() == {"sub": party.user.public_id}


@pytest.mark.spec("Pactera-3.3")
@pytest.mark.parametrize(("gender", "digit"), [("male", "1"), ("female", "2"), ("unknown", None), ("", None)])
def test_gender_is_a_digit(party: Party, gender: str, digit: str | None) -> None:
    party.user.gender = gender
    party.user.save()
    assert party.userinfo(party.tokens()["access_token"]).json()["gender"] == digit


@pytest.mark.spec("RFC6750-3")
def test_userinfo_without_a_token_is_challenged_barely(party: Party) -> None:
    assert party.userinfo("")["WWW-Authenticate"] == "Bearer"  # decision 47
    assert party.userinfo("x")["WWW-Authenticate"] == 'Bearer error="invalid_token"'


def test_a_standard_client_hears_of_refusals_where_it_is_flagged(new_party: NewParty) -> None:
    party = new_party(NAME, flags={"errors_by_redirect": True})
    response = party.ask(scope="profile")
    assert response["Location"].startswith(f"{CALLBACK}?error=invalid_scope&")
    assert query_of(response)["state"] == "state1"
    for changes in ({"redirect_uri": "https://evil.example/"}, {"client_id": "unknown"}):
        assert party.ask(**changes)["Location"].startswith("/error?")


@pytest.mark.parametrize(("length", "fits"), [(21, False), (22, True), (43, True)])
def test_short_verifiers_are_for_clients_flagged_for_them(new_party: NewParty, length: int, fits: bool) -> None:
    party, verifier = new_party(NAME, flags={"short_verifiers": True}), "v" * length
    response = party.exchange(party.code(code_challenge=party.habits.challenge(verifier)), code_verifier=verifier)
    assert response.status_code == (200 if fits else 400)


def test_a_standard_challenge_is_as_good(party: Party) -> None:
    code = party.code(code_challenge=s256(VERIFIER), code_challenge_method="S256")
    assert party.exchange(code).status_code == 200


def test_addresses_in_headers_are_ascii(party: Party) -> None:
    location = party.ask(scope=None)["Location"]
    assert location.isascii()
    assert dict(parse_qsl(urlsplit(location).query))["error_description"] == "パラメータ-{scope}は必須です"
