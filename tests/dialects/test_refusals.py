"""Every dialect's refusals, as its document prints them: place, status, code and text are written out here.

Compared with nothing that the product knows, so a slip in a dialect's table cannot prove itself.
"""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import Any

import pytest

from identity.models import User
from oidc_provider import dialects
from tests.dialects.party import CALLBACK, Party, fragment_of, query_of

pytestmark = pytest.mark.django_db

Refusal = tuple[str, int, str, str]  # where it is told, status, code and text
REDIRECT, ERROR_PAGE, PAGE, JSON = "redirect", "error page", "page", "json"


def redeemed_twice(party: Party) -> Any:
    code = party.code()
    assert party.exchange(code).status_code == 200
    return party.exchange(code)


def with_a_wrong_secret(party: Party) -> Any:
    party.secret = "a secret that is nobody's secret at all"
    return party.exchange("x")


def signed_out(party: Party) -> Party:
    party.browser.cookies.clear()
    return party


def disabled(party: Party, code: str) -> Any:
    User.objects.filter(pk=party.user.pk).update(is_active=False)
    return party.exchange(code)


CAUSES: dict[str, Callable[[Party], Any]] = {
    "client_id": lambda party: party.ask(client_id="nobody"),
    "redirect_uri": lambda party: party.ask(redirect_uri="https://evil.example/"),
    "response_type": lambda party: party.ask(response_type="nonsense"),
    "scope": lambda party: party.ask(scope="nonsense"),
    "code_challenge_method": lambda party: party.ask(code_challenge_method="plain"),
    "max_age": lambda party: party.ask(max_age="-1"),
    "grant_type": lambda party: party.token(grant_type="password"),
    "code": lambda party: party.exchange("x"),
    "code again": redeemed_twice,
    "code for another address": lambda party: party.exchange(party.code(), redirect_uri="https://x.example/"),
    "code_verifier": lambda party: party.exchange(party.code(), code_verifier="x" * 47),
    "refresh_token": lambda party: party.refresh("x"),
    "client_secret": with_a_wrong_secret,
    "access_token": lambda party: party.userinfo("x"),
    "no client_id": lambda party: party.ask(client_id=None),
    "no redirect_uri": lambda party: party.ask(redirect_uri=None),
    "no response_type": lambda party: party.ask(response_type=None),
    "no code_challenge": lambda party: party.ask(code_challenge=None, code_challenge_method=None),
    "response_mode": lambda party: party.ask(response_mode="nonsense"),
    "prompt": lambda party: party.ask(prompt="nonsense"),
    "nobody signed in": lambda party: signed_out(party).ask(prompt="none"),
    "request": lambda party: party.ask(request="x.y.z"),
    "request_uri": lambda party: party.ask(request_uri="https://x.example/r"),
    "claims": lambda party: party.ask(claims="{"),
    "id_token_hint": lambda party: party.ask(id_token_hint="x"),
    "no grant_type": lambda party: party.token(code="x"),
    "grant_type not allowed": lambda party: party.token(grant_type="client_credentials"),
    "no code": lambda party: party.token(grant_type="authorization_code"),
    "no code_verifier": lambda party: party.exchange(party.code(), code_verifier=None),
    "no refresh_token": lambda party: party.token(grant_type="refresh_token"),
    "user disabled": lambda party: disabled(party, party.code()),
    "no access_token": lambda party: party.userinfo(""),
}

CODE = (JSON, 400, "invalid_grant")
STANDARD: dict[str, Refusal] = {
    "client_id": (PAGE, 400, "invalid_request", "client_id is not registered."),
    "redirect_uri": (PAGE, 400, "invalid_request", "redirect_uri is not registered for this client."),
    "response_type": (REDIRECT, 302, "unsupported_response_type", "response_type is not supported."),
    "scope": (REDIRECT, 302, "invalid_scope", "scope names something this client may not ask for."),
    "code_challenge_method": (REDIRECT, 302, "invalid_request", "code_challenge_method must be S256."),
    "max_age": (REDIRECT, 302, "invalid_request", "max_age must be a number of seconds."),
    "grant_type": (JSON, 400, "unsupported_grant_type", "grant_type is not supported."),
    "code": (*CODE, "code is not valid."),
    "code again": (*CODE, "code is not valid."),
    "code for another address": (*CODE, "redirect_uri is not that of the authorization request."),
    "code_verifier": (*CODE, "code_verifier is not valid."),
    "refresh_token": (*CODE, "refresh_token is not valid."),
    "client_secret": (JSON, 401, "invalid_client", "Client authentication failed."),
    "access_token": (JSON, 401, "invalid_token", "The access token is not valid."),
    "no client_id": (PAGE, 400, "invalid_request", "client_id is missing."),
    "no redirect_uri": (PAGE, 400, "invalid_request", "redirect_uri is missing."),
    "no response_type": (REDIRECT, 302, "invalid_request", "response_type is missing."),
    "no code_challenge": (REDIRECT, 302, "invalid_request", "code_challenge is required."),
    "response_mode": (REDIRECT, 302, "invalid_request", "response_mode is not supported for this response_type."),
    "prompt": (REDIRECT, 302, "invalid_request", "prompt is not supported."),
    "nobody signed in": (REDIRECT, 302, "login_required", "The user must sign in."),
    "request": (REDIRECT, 302, "request_not_supported", "The request parameter is not supported."),
    "request_uri": (REDIRECT, 302, "request_uri_not_supported", "The request_uri parameter is not supported."),
    "claims": (REDIRECT, 302, "invalid_request", "claims is not a usable JSON object."),
    "id_token_hint": (REDIRECT, 302, "invalid_request", "id_token_hint is not an ID token of this server."),
    "no grant_type": (JSON, 400, "invalid_request", "grant_type is missing."),
    "grant_type not allowed": (JSON, 400, "unauthorized_client", "This client may not use this grant_type."),
    "no code": (JSON, 400, "invalid_request", "code is missing."),
    "no code_verifier": (*CODE, "code_verifier is missing."),
    "no refresh_token": (JSON, 400, "invalid_request", "A required parameter is missing."),
    "user disabled": (*CODE, "The grant is no longer valid."),
    "no access_token": (JSON, 401, "None", "None"),  # RFC6750-3.1: no code where nothing was sent
}
PACTERA: dict[str, Refusal] = {
    "client_id": (ERROR_PAGE, 302, "unauthorized_client", "指定されたclient_idはサポートされていません"),
    "redirect_uri": (ERROR_PAGE, 302, "invalid_request", "参数的值无效"),
    "response_type": (ERROR_PAGE, 302, "unsupported_response_type", "response_typeの値が無効です"),
    "scope": (ERROR_PAGE, 302, "invalid_scope", "scopeの値が無効です"),
    "code_challenge_method": (ERROR_PAGE, 302, "invalid_request", "参数的值无效"),
    "max_age": (ERROR_PAGE, 302, "invalid_request", "参数的值无效"),
    "grant_type": (JSON, 400, "unsupported_grant_type", "grant_typeの値が無効です"),
    "code": (*CODE, "code無効またはタイムアウト"),
    "code again": (*CODE, "code無効またはタイムアウト"),
    "code for another address": (*CODE, "code無効またはタイムアウト"),
    "code_verifier": (*CODE, "code無効またはタイムアウト"),
    "refresh_token": (*CODE, "refresh_tokenが無効または期限切れ"),
    "client_secret": (JSON, 401, "invalid_client", "client_secretの値が無効です"),
    "access_token": (JSON, 401, "invalid_token", "accessToken無効またはタイムアウト"),
    "no client_id": (ERROR_PAGE, 302, "invalid_request", "パラメータ-{client_id}は必須です"),
    "no redirect_uri": (ERROR_PAGE, 302, "invalid_request", "パラメータ-{redirect_uri}は必須です"),
    "no response_type": (ERROR_PAGE, 302, "invalid_request", "パラメータ-{response_type}は必須です"),
    "response_mode": (ERROR_PAGE, 302, "invalid_request", "参数的值无效"),
    "prompt": (ERROR_PAGE, 302, "invalid_request", "参数的值无效"),
    "nobody signed in": (ERROR_PAGE, 302, "login_required", "ログインまたは同意が必要です"),
    "request": (ERROR_PAGE, 302, "invalid_request", "参数的值无效"),
    "request_uri": (ERROR_PAGE, 302, "invalid_request", "参数的值无效"),
    "claims": (ERROR_PAGE, 302, "invalid_request", "参数的值无效"),
    "id_token_hint": (ERROR_PAGE, 302, "invalid_request", "参数的值无效"),
    "no grant_type": (JSON, 400, "invalid_request", "パラメータ-{grant_type}は必須です"),
    "grant_type not allowed": (JSON, 400, "unsupported_grant_type", "grant_typeの値が無効です"),
    "no code": (JSON, 400, "invalid_request", "パラメータ-{redirect_uri,code}は必須です"),
    "no code_verifier": (*CODE, "code無効またはタイムアウト"),
    "no refresh_token": (JSON, 400, "invalid_request", "パラメータ-{refresh_token}は必須です"),
    "user disabled": (*CODE, "code無効またはタイムアウト"),
    "no access_token": (JSON, 401, "invalid_request", "パラメータ-{Authorization}は必須です"),
}
TENCENT: dict[str, Refusal] = {
    "client_id": (JSON, 403, "unauthorized_client", "invalid client"),
    "redirect_uri": (JSON, 400, "invalid_request", "invalid redirect_uri"),
    "response_type": (JSON, 400, "invalid_request", "invalid response_type"),
    "scope": (JSON, 400, "invalid_request", "invalid scope"),
    "code_challenge_method": (JSON, 400, "invalid_request", "invalid code_challenge_method"),
    "max_age": (JSON, 400, "invalid_request", "invalid max_age"),
    "grant_type": (JSON, 400, "unsupported_grant_type", "invalid grant_type"),
    "code": (*CODE, "invalid code"),
    "code again": (*CODE, "invalid code"),
    "code for another address": (*CODE, "invalid code"),
    "code_verifier": (*CODE, "invalid code"),
    "refresh_token": (*CODE, "invalid refresh_token"),
    "client_secret": (JSON, 403, "unauthorized_client", "invalid client"),
    "access_token": (JSON, 401, "invalid_token", "invalid access_token"),
    "no client_id": (JSON, 400, "invalid_request", "missing client_id parameter"),
    "no response_type": (JSON, 400, "invalid_request", "missing response_type parameter"),
    "response_mode": (JSON, 400, "invalid_request", "invalid response_mode"),
    "prompt": (JSON, 400, "invalid_request", "invalid prompt"),
    "nobody signed in": (JSON, 400, "login_required", "login or consent required"),
    "request": (JSON, 400, "invalid_request", "invalid request"),
    "request_uri": (JSON, 400, "invalid_request", "invalid request"),
    "claims": (JSON, 400, "invalid_request", "invalid claims"),
    "id_token_hint": (JSON, 400, "invalid_request", "invalid id_token_hint"),
    "no grant_type": (JSON, 400, "invalid_request", "missing grant_type parameter"),
    "grant_type not allowed": (JSON, 400, "unsupported_grant_type", "invalid grant_type"),
    "no code": (JSON, 400, "invalid_request", "missing code parameter"),
    "no code_verifier": (*CODE, "invalid code"),
    "no refresh_token": (JSON, 400, "invalid_request", "missing refresh_token parameter"),
    "user disabled": (*CODE, "invalid code"),
    "no access_token": (JSON, 401, "invalid_request", "missing access_token"),
}
TOPIAM_CLIENT = "Client authentication failed. Either the client or the client credentials are invalid."
TOPIAM: dict[str, Refusal] = {
    "client_id": (PAGE, 400, "invalid_request", "OAuth 2.0 Parameter: client_id"),
    "redirect_uri": (PAGE, 400, "invalid_request", "OAuth 2.0 Parameter: redirect_uri"),
    "response_type": (PAGE, 400, "unsupported_response_type", "OAuth 2.0 Parameter: response_type"),
    "scope": (REDIRECT, 302, "invalid_scope", "OAuth 2.0 Parameter: scope"),
    "code_challenge_method": (REDIRECT, 302, "invalid_request", "OAuth 2.0 Parameter: code_challenge_method"),
    "max_age": (REDIRECT, 302, "invalid_request", "OAuth 2.0 Parameter: max_age"),
    "grant_type": (JSON, 400, "unsupported_grant_type", "OAuth 2.0 Parameter: grant_type"),
    "code": (*CODE, "Client authentication failed: code"),
    "code again": (*CODE, "The authorization code is invalid or has expired."),
    "code for another address": (
        *CODE,
        "The redirect_uri does not match the redirection URI used in the authorization request.",
    ),
    "code_verifier": (*CODE, "Client authentication failed: code_verifier"),
    "refresh_token": (*CODE, "Client authentication failed: refresh_token"),
    "access_token": (JSON, 401, "invalid_token", "The access token is invalid."),
    "no client_id": (PAGE, 400, "invalid_request", "OAuth 2.0 Parameter: client_id"),
    "no redirect_uri": (PAGE, 400, "invalid_request", "OAuth 2.0 Parameter: redirect_uri"),
    "no response_type": (PAGE, 400, "unsupported_response_type", "OAuth 2.0 Parameter: response_type"),
    "no code_challenge": (REDIRECT, 302, "invalid_request", "OAuth 2.0 Parameter: code_challenge"),
    "response_mode": (REDIRECT, 302, "invalid_request", "OAuth 2.0 Parameter: response_mode"),
    "prompt": (REDIRECT, 302, "invalid_request", "OAuth 2.0 Parameter: prompt"),
    "nobody signed in": (REDIRECT, 302, "login_required", "Full authentication is required to access this resource"),
    "request": (REDIRECT, 302, "invalid_request", "OAuth 2.0 Parameter: request"),
    "request_uri": (REDIRECT, 302, "invalid_request", "OAuth 2.0 Parameter: request_uri"),
    "claims": (REDIRECT, 302, "invalid_request", "OAuth 2.0 Parameter: claims"),
    "id_token_hint": (REDIRECT, 302, "invalid_request", "OAuth 2.0 Parameter: id_token_hint"),
    "no grant_type": (JSON, 400, "unsupported_grant_type", "OAuth 2.0 Parameter: grant_type"),
    "grant_type not allowed": (JSON, 400, "unsupported_grant_type", "OAuth 2.0 Parameter: grant_type"),
    "no code": (*CODE, "Client authentication failed: code"),
    "no code_verifier": (*CODE, "Client authentication failed: code_verifier"),
    "no refresh_token": (JSON, 400, "invalid_request", "OAuth 2.0 Parameter: refresh_token"),
    "user disabled": (*CODE, "The authorization code is invalid or has expired."),
    "no access_token": (JSON, 401, "access_denied", "Full authentication is required to access this resource"),
}
ONEACCESS: dict[str, Refusal] = {
    "client_id": (PAGE, 400, "APP.0001", "Application does not exist."),
    "redirect_uri": (PAGE, 400, "invalid_request", "Invalid redirect_uri"),
    "response_type": (REDIRECT, 302, "unsupported_response_type", "Invalid response_type"),
    "scope": (REDIRECT, 302, "invalid_scope", "Invalid scope"),
    "code_challenge_method": (REDIRECT, 302, "invalid_request", "Invalid code_challenge_method"),
    "max_age": (REDIRECT, 302, "invalid_request", "Invalid max_age"),
    "grant_type": (JSON, 400, "unsupported_grant_type", "Unsupported grant type"),
    "code": (*CODE, "Invalid authorization code"),
    "code again": (*CODE, "Invalid authorization code"),
    "code for another address": (*CODE, "Invalid authorization code"),
    "code_verifier": (*CODE, "Invalid authorization code"),
    "refresh_token": (*CODE, "Invalid authorization code"),  # so printed for OpenID Connect, OneAccess-3.3.5.3
    "client_secret": (JSON, 400, "invalid_client", "Bad client credentials"),
    "access_token": (JSON, 401, "unauthorized", "Full authentication is required to access this resource"),
    "no client_id": (PAGE, 400, "APP.0001", "Application does not exist."),
    "no response_type": (REDIRECT, 302, "unsupported_response_type", "Invalid response_type"),
    "response_mode": (REDIRECT, 302, "invalid_request", "Invalid response_mode"),
    "prompt": (REDIRECT, 302, "invalid_request", "Invalid prompt"),
    "nobody signed in": (REDIRECT, 302, "login_required", "Full authentication is required to access this resource"),
    "request": (REDIRECT, 302, "invalid_request", "Invalid request"),
    "request_uri": (REDIRECT, 302, "invalid_request", "Invalid request"),
    "claims": (REDIRECT, 302, "invalid_request", "Invalid claims"),
    "id_token_hint": (REDIRECT, 302, "invalid_request", "Invalid id_token_hint"),
    "no grant_type": (JSON, 400, "invalid_request", "Missing parameter: grant_type"),
    "grant_type not allowed": (JSON, 400, "unsupported_grant_type", "Unsupported grant type"),
    "no code": (JSON, 400, "invalid_request", "Missing parameter: code"),
    "no code_verifier": (*CODE, "Invalid authorization code"),
    "no refresh_token": (JSON, 400, "invalid_request", "Missing parameter: refresh_token"),
    "user disabled": (*CODE, "Invalid authorization code"),
    "no access_token": (JSON, 401, "unauthorized", "Full authentication is required to access this resource"),
}
# What is no cause there: TOPIAM's clients have no secret, and three documents ask for no challenge, two for no address.
GOOD_WITHOUT = {
    "pactera": {"no code_challenge"},
    "tencent": {"no code_challenge", "no redirect_uri"},
    "topiam": {"client_secret"},
    "oneaccess": {"no code_challenge", "no redirect_uri"},
}
DOCUMENTS = {"standard": STANDARD, "pactera": PACTERA, "tencent": TENCENT, "topiam": TOPIAM, "oneaccess": ONEACCESS}


def test_every_cause_is_written_out_for_every_dialect() -> None:
    assert set(DOCUMENTS) == {dialect.name for dialect in dialects.ALL}
    for name, document in DOCUMENTS.items():
        assert set(document) == set(CAUSES) - GOOD_WITHOUT.get(name, set())


def read(response: Any) -> Refusal:
    """Where the refusal is told, and what it says. A page shows the text to people; its code is in the page too."""
    if response.status_code in (302, 303):
        location = response["Location"]
        members = query_of(response) or fragment_of(response)
        place = (
            REDIRECT if location.startswith(CALLBACK) else ERROR_PAGE if location.startswith("/error?") else location
        )
    else:
        members, place = response.json(), JSON
    error = members.get("error") or members.get("error_code")
    return place, response.status_code, str(error), str(members.get("error_description") or members.get("error_msg"))


@pytest.mark.parametrize(
    ("name", "cause"), [(name, cause) for name, document in DOCUMENTS.items() for cause in document]
)
def test_the_refusal_is_that_of_the_document(new_party: Callable[..., Party], name: str, cause: str) -> None:
    party = new_party(name)
    party.sign_in()
    response = CAUSES[cause](party)
    place, status, error, text = DOCUMENTS[name][cause]
    if place == PAGE and response["Content-Type"].startswith("text/html"):
        shown = html.unescape(response.content.decode())
        assert (response.status_code, error in shown, text in shown) == (status, True, True), shown
        return
    assert read(response) == (JSON if place == PAGE else place, status, error, text)
