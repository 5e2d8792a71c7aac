"""Every refusal row, example and schema of the mini program operations of oidc_pactera.yaml, by the file itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from identity.models import Tenant, User
from oidc_provider.models import Consent
from tests.miniapp.conftest import App, app, fresh_process, tenant, user
from tests.support.contracts import read_contract

__all__ = ["app", "fresh_process", "tenant", "user"]

pytestmark = pytest.mark.django_db

PATHS = ("/auth/isAuthorized", "/oidc/authcode")
METHODS = ("get", "post")

Cause = Callable[[App, str], Any]


def contract() -> dict[str, Any]:
    return read_contract("oidc_pactera")


def rows() -> Iterator[Any]:
    for path in PATHS:
        for method in METHODS:
            for row in contract()["paths"][path][method]["x-errors"]:
                yield pytest.param(path, method, row, id=f"{method} {path} {row['id']}")


def call(app: App, path: str, method: str, **changes: str | None) -> Any:
    return app.check(method, **changes) if path == "/auth/isAuthorized" else app.code(method, **changes)


def unproved(app: App, path: str, method: str) -> Any:
    app.proof = ""
    return call(app, path, method)


# One request that differs from a good one in what the row is about.
CAUSES: dict[tuple[str, str], Callable[[App, str, str], Any]] = {
    ("/auth/isAuthorized", "client"): lambda a, p, m: call(a, p, m, miniapp_id="unknown"),
    ("/auth/isAuthorized", "missing_parameter"): lambda a, p, m: call(a, p, m, userId=None, miniapp_id=None),
    ("/auth/isAuthorized", "invalid_value"): lambda a, p, m: call(a, p, m, miniapp_id="a\x00"),
    ("/auth/isAuthorized", "no_app_session"): unproved,
    ("/oidc/authcode", "response_type"): lambda a, p, m: call(a, p, m, response_type="token"),
    ("/oidc/authcode", "missing_parameter"): lambda a, p, m: call(a, p, m, userId=None),
    ("/oidc/authcode", "invalid_value"): lambda a, p, m: call(a, p, m, redirect_uri="https://other.example/"),
    ("/oidc/authcode", "scope"): lambda a, p, m: call(a, p, m, scope="email"),
    ("/oidc/authcode", "client"): lambda a, p, m: call(a, p, m, client_id="unknown"),
    ("/oidc/authcode", "no_app_session"): unproved,
}


def test_every_row_has_a_cause_and_every_cause_a_row() -> None:
    in_file = {
        (path, row["id"])
        for path in PATHS
        for method in METHODS
        for row in contract()["paths"][path][method]["x-errors"]
    }
    assert in_file == set(CAUSES)


@pytest.mark.spec("Pactera-3.5")
@pytest.mark.spec("Pactera-3.6")
@pytest.mark.parametrize("path, method, row", list(rows()))
def test_the_row_is_answered_as_the_contract_says(app: App, path: str, method: str, row: dict[str, Any]) -> None:
    app.agree()
    response = CAUSES[path, row["id"]](app, path, method)
    body = {"error": row["error"], "error_description": row["error_description"]}
    if row.get("with_state"):
        body["state"] = "abcde"
    assert (response.status_code, response.json()) == (row["status"], body)
    assert response["Content-Type"] == "application/json"
    assert (response.status_code == 401) == ("WWW-Authenticate" in response)


@pytest.mark.spec("Pactera-3.6")
@pytest.mark.parametrize("method", METHODS)
def test_missing_names_come_in_the_order_of_the_guide(app: App, method: str) -> None:
    response = getattr(app, method)("/oidc/authcode", {"x": "y"})
    assert response.json() == {
        "error": "invalid_request",
        "error_description": "パラメータ-{userId,client_id,redirect_uri,response_type,scope,state}は必須です",
    }


@pytest.mark.spec("Pactera-3.6")
@pytest.mark.parametrize("scope", ["openid bogus", "email", "openid email%20bogus"])
def test_an_unknown_scope_and_one_without_openid_are_refused(app: App, scope: str) -> None:
    app.agree()
    response = app.code(scope=scope)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_scope")


@pytest.mark.spec("Pactera-3.6")
def test_a_code_without_consent_has_the_words_of_no_app_session(app: App) -> None:
    row = next(row for row in contract()["paths"]["/oidc/authcode"]["get"]["x-errors"] if row["id"] == "no_app_session")
    response = app.code()
    body = {"error": row["error"], "error_description": row["error_description"], "state": "abcde"}
    assert (response.status_code, response.json()) == (row["status"], body)


@pytest.mark.spec("Pactera-3.5")
def test_the_printed_answers_have_the_members_of_ours(app: App, user: User, tenant: Tenant) -> None:
    responses = contract()["components"]["responses"]
    for name, answer in (("IsAuthorized", app.check()), ("Authcode", agreed(app).code())):
        media = responses[name]["content"]["application/json"]
        printed = media["examples"]["document"]["value"]
        assert set(answer.json()) == set(printed) == set(media["schema"]["required"])
        assert {member: type(value) for member, value in answer.json().items()} == {
            member: type(value) for member, value in printed.items()
        }
    assert Consent.objects.count() == 1


def agreed(app: App) -> App:
    app.agree()
    return app
