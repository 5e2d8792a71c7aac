"""docs/contract/oidc_oneaccess.yaml: every operation, refusal and example but the device's logout."""

from __future__ import annotations

import html
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import jwt
import pytest
import time_machine
from django.utils import timezone

from identity.models import ApplicationAccess, SSOSession
from oidc_provider.clients import registration
from tests.contract import oidc_contract as contract
from tests.contract.oidc_contract import NewParty, Row
from tests.dialects.party import CALLBACK, FORM, Party, basic, fragment_of, query_of
from tests.factories.keys import make_keys
from tests.support.machine import end_the_grace

pytestmark = pytest.mark.django_db

NAME = "oneaccess"
JSON = {"accept": "application/json"}
IMPLICIT = {
    "grant_types": ["authorization_code", "implicit"],
    "response_types": ["code", "id_token", "id_token token"],
    "allow_implicit": True,
}
NO_PKCE: dict[str, str | None] = {"code_challenge": None, "code_challenge_method": None, "nonce": None}
Cause = Callable[[Party, NewParty], Any]


@pytest.fixture
def party(new_party: NewParty) -> Party:
    return new_party(NAME)


def oauth2(new: NewParty, **values: Any) -> Party:
    """An application that is registered for OAuth 2.0: openid is not among its scopes."""
    return new(NAME, scopes=[], **values)


def asked(*missing: str, **changes: str | None) -> Cause:
    return lambda party, new: party.ask(headers=JSON, **changes, **dict.fromkeys(missing))


def exchanged(*missing: str, **changes: Any) -> Cause:
    return lambda party, new: party.exchange(party.code(), **changes, **dict.fromkeys(missing))


def disabled(party: Party, new: NewParty) -> Any:
    registration.update_client(party.client, is_active=False)
    return party.ask(headers=JSON)


def not_assigned(party: Party, new: NewParty) -> Any:
    other = new(NAME, application={"access": ApplicationAccess.ASSIGNED})
    other.sign_in()
    return other.ask()


def late(party: Party, new: NewParty) -> Any:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        code = party.code()
        clock.shift(timedelta(minutes=5, seconds=1))
        return party.exchange(code)


def twice(party: Party, new: NewParty) -> Any:
    code = party.code()
    party.exchange(code)
    return party.exchange(code)


def used(party: Party) -> Any:
    token = party.tokens(scope=None)["refresh_token"]
    party.refresh(token)
    end_the_grace()
    return party.refresh(token)


CAUSES: dict[tuple[str, str], list[Cause]] = {
    ("oneaccessAuthorize", "client"): [asked("client_id"), asked(client_id="unknown")],
    ("oneaccessAuthorize", "client_disabled"): [disabled],
    ("oneaccessAuthorize", "redirect_uri"): [
        asked(redirect_uri="https://evil.example/"),
        asked(redirect_uri="https://client.example"),
    ],
    ("oneaccessAuthorize", "response_type"): [
        asked(response_type="token"),
        asked(response_type="code id_token"),
        asked("response_type"),
    ],
    ("oneaccessAuthorize", "scope"): [asked(scope="profile"), asked(scope="openid salary")],
    ("oneaccessAuthorize", "not_granted"): [not_assigned],
    ("oneaccessToken", "code"): [
        exchanged(code="unknown"),
        exchanged(redirect_uri="https://evil.example/"),
        late,
        twice,
        lambda party, new: new(NAME).exchange(party.code()),
    ],
    ("oneaccessToken", "refresh_token_oauth2"): [
        lambda party, new: oauth2(new).refresh("unknown"),
        lambda party, new: used(oauth2(new)),
    ],
    ("oneaccessToken", "refresh_token_oidc"): [
        lambda party, new: party.refresh("unknown"),
        lambda party, new: used(party),
    ],
    ("oneaccessToken", "client"): [exchanged(client_id="unknown"), exchanged(client_secret="wrong")],
    ("oneaccessToken", "grant_type"): [exchanged(grant_type="password"), exchanged(grant_type="client_credentials")],
    ("oneaccessToken", "missing_parameter"): [
        exchanged("grant_type"),
        exchanged("code"),
        exchanged("client_id"),
        exchanged("client_secret"),
        lambda party, new: party.token(grant_type="refresh_token"),
    ],
    ("oneaccessUserinfo", "token"): [
        lambda party, new: party.userinfo(""),
        lambda party, new: party.userinfo("unknown"),
    ],
}
MISSING = ["grant_type", "code", "client_id", "client_secret", "refresh_token"]


@pytest.mark.parametrize("row", contract.rows(NAME))
def test_every_refusal_is_caused_and_said_as_printed(party: Party, new_party: NewParty, row: Row) -> None:
    causes = CAUSES[row.operation, row.id]
    names = MISSING if row.id == "missing_parameter" else [""] * len(causes)
    for cause, name in zip(causes, names, strict=True):
        response = cause(party, new_party)
        text = f"Missing parameter: {name}" if name else ""
        extra = {"state": "state1"} if row.delivery == "redirect" else {}
        contract.check_refusal(row, response, text=text, extra=extra)
        if row.delivery != "redirect":
            is_product = row.members == ("error_code", "error_msg")
            contract.check_schema(NAME, "ErrorCode" if is_product else "OAuthError", response.json())


def test_every_row_has_a_cause() -> None:
    assert {(row.operation, row.id) for row in contract.all_rows(NAME)} == set(CAUSES)


def test_a_browser_is_shown_a_page(party: Party) -> None:
    page = party.ask(client_id="unknown")
    shown = html.unescape(page.content.decode())
    assert (page.status_code, page["Content-Type"]) == (400, "text/html; charset=utf-8")
    assert "APP.0001" in shown
    assert "Application does not exist." in shown


@pytest.mark.parametrize(("operation", "example", "value"), contract.refusal_examples(NAME))
def test_every_printed_refusal_is_one_of_the_rows(operation: str, example: str, value: dict[str, str]) -> None:
    said = {(row.error, row.text) for row in contract.all_rows(NAME)}
    is_said = (value["error"], value["error_description"]) in said
    assert is_said or (operation, f"example {example}") in contract.unreachable()


@pytest.mark.spec("RFC6749-5.2")
def test_who_uses_the_header_hears_401(party: Party) -> None:
    proof = {"authorization": basic(f"{party.client.client_id}:wrong")}
    response = party.exchange(party.code(), client_id=None, client_secret=None, headers=proof)
    assert (response.status_code, response["WWW-Authenticate"]) == (401, 'Basic realm="token"')
    assert response.json() == {"error": "invalid_client", "error_description": "Bad client credentials"}


def test_a_bad_token_is_challenged_in_the_standards_words(party: Party) -> None:
    assert party.userinfo("")["WWW-Authenticate"] == "Bearer"
    assert party.userinfo("x")["WWW-Authenticate"].startswith('Bearer error="invalid_token"')


# Good answers ----------------------------------------------------------------------------------------------

ANSWERS: dict[tuple[str, str], Callable[[Party, NewParty], Any]] = {
    ("oneaccessToken", "general"): lambda party, new: _code(oauth2(new)),
    ("oneaccessToken", "oauth2_code"): lambda party, new: _code(oauth2(new)),
    ("oneaccessToken", "oauth2_refresh"): lambda party, new: _refresh(oauth2(new)),
    ("oneaccessToken", "oidc_code_without_refresh"): lambda party, new: _code(
        new(NAME, grant_types=["authorization_code"])
    ),
    ("oneaccessToken", "oidc_code_with_refresh"): lambda party, new: _code(party),
    ("oneaccessToken", "oidc_refresh"): lambda party, new: _refresh(party),
    ("oneaccessUserinfo", "document"): lambda party, new: _userinfo(oauth2(new)),
    ("oneaccessDiscovery", "derived"): lambda party, new: party.machine.get(
        "/api/v1/oauth2/.well-known/openid-configuration", secure=True
    ),
}
SCHEMAS = {"oneaccessToken": "TokenResponse", "oneaccessUserinfo": "Userinfo", "oneaccessDiscovery": "Discovery"}


def _code(party: Party) -> Any:
    """As the vendor's client does it: no scope, no PKCE."""
    return party.exchange(party.code(scope=None, **NO_PKCE), code_verifier=None)


def _refresh(party: Party) -> Any:
    return party.refresh(_code(party).json()["refresh_token"])


def _userinfo(party: Party) -> Any:
    return party.userinfo(_code(party).json()["access_token"])


@pytest.mark.parametrize(("operation", "example", "value"), contract.success_examples(NAME))
def test_every_example_has_the_shape_of_an_answer(
    party: Party, new_party: NewParty, operation: str, example: str, value: Any
) -> None:
    response = ANSWERS[operation, example](party, new_party)
    assert response.status_code == 200, response.content
    contract.check_schema(NAME, SCHEMAS[operation], response.json())
    answered, printed = contract.shape(response.json()), contract.shape(value)
    if operation == "oneaccessToken":
        printed["expires_in"] = "int"  # One example is a string; "a server sends a number" (TokenResponse).
        assert response.json()["scope"] == value["scope"]
        assert answered == printed
    elif operation == "oneaccessDiscovery":
        assert {name: answered[name] for name in printed} == printed
        for name in ("issuer", "authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri"):
            assert response.json()[name] == value[name].replace("sso.example.com", party.host)
        assert response.json()["end_session_endpoint"] == f"{party.origin}/api/v1/logout"
        for name in ("response_types_supported", "grant_types_supported", "scopes_supported"):
            assert set(value[name]) <= set(response.json()[name])
    else:
        assert answered == printed


def test_every_operation_is_proved_here() -> None:
    proved = {operation for operation, _ in [*ANSWERS, *CAUSES]} | {"oneaccessJwks", "oneaccessGlobalLogout"}
    assert set(contract.operations(NAME)) == proved


@pytest.mark.spec("OneAccess-4.2")
def test_the_keys_are_those_of_the_algorithms_in_use(new_party: NewParty) -> None:
    party = new_party(NAME, id_token_signed_response_alg="RS512")
    document = party.machine.get("/api/v1/oauth2/jwks", secure=True).json()
    contract.check_schema(NAME, "Jwks", document)
    body = _code(party).json()
    header = jwt.get_unverified_header(body["id_token"])
    assert header["alg"] == "RS512"
    assert {"kid": header["kid"], "alg": "RS512"}.items() <= next(
        key for key in document["keys"] if key["kid"] == header["kid"]
    ).items()
    assert len(party.verify(body["id_token"])["at_hash"]) == 43


def test_a_key_of_another_algorithm_is_not_published_here(party: Party) -> None:
    make_keys(party.client.catalogue_entry.tenant, alg="ES256")
    keys = party.machine.get("/api/v1/oauth2/jwks", secure=True).json()["keys"]
    assert {key["kty"] for key in keys} == {"RSA"}


@pytest.mark.spec("OneAccess-3.3.4.3")
def test_userinfo_of_oauth_is_the_vendors(new_party: NewParty) -> None:
    party = oauth2(new_party)
    assert _userinfo(party).json() == {
        "id": party.user.public_id,
        "userName": "taro",
        "name": "太郎",
        "email": "taro@example.jp",
        "mobile": "08066651234",
    }


@pytest.mark.spec("OIDCC-5.3.2")
def test_userinfo_of_openid_has_the_subject_and_the_scopes_claims_beside_it(party: Party) -> None:
    body = party.userinfo(party.tokens(scope="openid profile")["access_token"]).json()
    assert (body["sub"], body["id"], body["userName"]) == (party.user.public_id, party.user.public_id, "taro")
    assert (body["birthdate"], body["preferred_username"]) == ("1992-01-01", "taro")
    assert "birthdate" not in _userinfo(party).json()


def test_the_consent_page_says_what_openid_gives_here(new_party: NewParty) -> None:
    party = new_party(NAME, application={"skip_consent": False})
    party.sign_in()
    page = party.browser.get(party.ask()["Location"], secure=True)
    assert page.status_code == 200
    assert "Account name, name, e-mail address and mobile number." in page.content.decode()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (json.dumps, 200),
        (urlencode, 200),
        (lambda form: " " + json.dumps(form), 200),
        (lambda form: "{", 400),
        (lambda form: json.dumps({**form, "code": "\ud800"}), 400),
        (lambda form: json.dumps({**form, "\ud800": "x"}), 400),
        (lambda form: json.dumps([form]), 400),
        (lambda form: json.dumps({**form, "code": 7}), 400),
        (lambda form: json.dumps(form)[:-1] + ', "code": "x"}', 400),
    ],
    ids=["object", "form text", "blank and object", "cut off", "half", "half name", "list", "number", "repeated"],
)
@pytest.mark.spec("OneAccess-3.3.1.1")
def test_json_bodies_hold_an_object_or_form_text(
    party: Party, body: Callable[[dict[str, str]], str], status: int
) -> None:
    form = {
        "grant_type": "authorization_code",
        "code": party.code(**NO_PKCE),
        "redirect_uri": CALLBACK,
        "client_id": party.client.client_id,
        "client_secret": party.secret,
    }
    response = party.machine.post("/api/v1/oauth2/token", body(form), content_type="application/json", secure=True)
    assert response.status_code == status, response.content


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_the_secret_may_stand_in_header_or_form(new_party: NewParty, method: str) -> None:
    party = new_party(NAME, token_endpoint_auth_method=method)
    proof = {"authorization": basic(f"{party.client.client_id}:{party.secret}")}
    assert party.exchange(party.code()).status_code == 200
    response = party.exchange(party.code(), client_id=None, client_secret=None, headers=proof)
    assert response.status_code == 200
    response = party.exchange(party.code(), headers=proof)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_request")


# Implicit --------------------------------------------------------------------------------------------------


@pytest.mark.spec("OneAccess-3.3.5.4")
@pytest.mark.parametrize("response_type", ["id_token", "id_token token"])
def test_the_implicit_flow_answers_in_the_fragment(new_party: NewParty, response_type: str) -> None:
    party = new_party(NAME, **IMPLICIT)
    party.sign_in()
    response = party.ask(response_type=response_type, code_challenge=None, code_challenge_method=None)
    answer = fragment_of(response)
    expected = {"id_token", "state", "iss"}
    if response_type != "id_token":
        expected |= {"access_token", "token_type", "expires_in", "scope"}
        assert (answer["token_type"], answer["expires_in"]) == ("Bearer", "7199")
        assert party.userinfo(answer["access_token"]).status_code == 200
    assert set(answer) == expected
    assert answer["state"] == "state1"
    assert party.verify(answer["id_token"])["nonce"] == "nonce1"


@pytest.mark.spec("OIDCC-3.2.2.1")
def test_without_a_nonce_only_where_the_client_is_flagged(new_party: NewParty) -> None:
    strict = new_party(NAME, **IMPLICIT)
    strict.sign_in()
    assert fragment_of(strict.ask(response_type="id_token", **NO_PKCE))["error"] == "invalid_request"
    legacy = new_party(NAME, **IMPLICIT, flags={"implicit_without_nonce": True})
    legacy.sign_in()
    answer = fragment_of(legacy.ask(response_type="id_token", **NO_PKCE))
    assert "nonce" not in legacy.verify(answer["id_token"])


@pytest.mark.spec("RFC9700-2.1.2")
def test_a_client_that_is_not_flagged_has_no_implicit_flow(party: Party) -> None:
    party.sign_in()
    answer = fragment_of(party.ask(response_type="id_token"))
    assert (answer["error"], answer["error_description"]) == ("unsupported_response_type", "Invalid response_type")


def test_the_implicit_flow_names_address_and_scope(new_party: NewParty) -> None:
    party = new_party(NAME, **IMPLICIT)
    party.sign_in()
    response = party.ask(response_type="id_token", redirect_uri=None, headers=JSON)
    assert (response.status_code, response.json()["error_description"]) == (400, "Invalid redirect_uri")
    assert fragment_of(party.ask(response_type="id_token", scope=None))["error"] == "invalid_scope"


# Logout ----------------------------------------------------------------------------------------------------


@pytest.mark.spec("OneAccess-3.3.6.1")
@pytest.mark.security("S22")
@pytest.mark.parametrize(
    ("wanted", "target"),
    [
        (None, "/login"),
        ("https://client.example/bye", "https://client.example/bye"),
        (" https://client.example/bye", "https://client.example/bye"),
        (CALLBACK, CALLBACK),
        ("https://client.example/bye/x", "/login"),
        ("https://evil.example/", "/login"),
        ("//evil.example", "/login"),
    ],
)
def test_logout_ends_the_session_and_goes_to_a_registered_address(
    new_party: NewParty, wanted: str | None, target: str
) -> None:
    party = new_party(NAME, post_logout_redirect_uris=["https://client.example/bye"])
    party.code()
    response = party.browser.get("/api/v1/logout", {"redirect_url": wanted} if wanted else {}, secure=True)
    assert (response.status_code, response["Location"]) == (302, target)
    assert SSOSession.objects.get(user=party.user).ended_at is not None
    assert response.cookies["__Host-monban_session"].value == ""


@pytest.mark.spec("OIDCRIL-2")
def test_logout_of_a_standard_client(new_party: NewParty) -> None:
    party = new_party(NAME, post_logout_redirect_uris=["https://client.example/bye"])
    id_token = party.tokens()["id_token"]
    query = {"id_token_hint": id_token, "post_logout_redirect_uri": "https://client.example/bye", "state": "s"}
    response = party.browser.get("/api/v1/logout", query, secure=True)
    assert (response.status_code, response["Location"]) == (302, "https://client.example/bye?state=s")
    assert SSOSession.objects.get(user=party.user).ended_at is not None


def test_a_body_of_another_type_is_refused(party: Party) -> None:
    response = party.machine.post("/api/v1/oauth2/token", "x=y", content_type="text/plain", secure=True)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_request")


def test_query_parameters_are_not_taken(party: Party) -> None:
    response = party.machine.post("/api/v1/oauth2/token?code=x", "a=b", content_type=FORM, secure=True)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_request")


def test_a_request_without_parameters_is_refused_and_not_redirected(party: Party) -> None:
    response = party.browser.get("/api/v1/oauth2/authorize", secure=True)
    assert response.status_code == 400
    assert query_of(response) == {}
