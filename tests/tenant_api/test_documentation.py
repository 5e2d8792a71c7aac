"""The served schema agrees with the contract, and the pages made from it work in a browser's hands."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client as HttpClient
from django.urls import resolve
from jsonschema import Draft202012Validator

from identity.models import User
from tenant_api.documentation import openapi
from tests.contract import tenant_contract
from tests.contract.tenant_contract import ContractOperation, operations
from tests.tenant_api.world import World

pytestmark = pytest.mark.django_db

BY_NAME = [pytest.param(row, id=row.name) for row in operations()]
OURS = {"403", "429", "503"}  # decisions 28 and 45: the document does not have them
SCALARS = {"string", "integer", "boolean", "number", "array", "object", "null"}


def served(row: ContractOperation) -> dict[str, Any]:
    found: dict[str, Any] = openapi()["paths"][row.path][row.method.lower()]
    return found


def resolved(schema: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        return resolved(root["components"]["schemas"][schema["$ref"].rpartition("/")[2]], root)
    for part in schema.get("allOf", ()):
        schema = {**resolved(part, root), **{name: value for name, value in schema.items() if name != "allOf"}}
    return schema


def types(schema: dict[str, Any], root: dict[str, Any]) -> set[str]:
    """The JSON types that a member may have."""
    schema = resolved(schema, root)
    found = schema.get("type", [])
    kinds = {found} if isinstance(found, str) else set(found)
    for part in (*schema.get("oneOf", ()), *schema.get("anyOf", ())):
        kinds |= types(part, root)
    return kinds & SCALARS


def compare(theirs: dict[str, Any], ours: dict[str, Any], where: str) -> list[str]:
    """What differs between two objects: members, which of them are required, their types, and what is inside."""
    root, own = tenant_contract.document(), openapi()
    theirs, ours = resolved(theirs, root), resolved(ours, own)
    if types(theirs, root) != types(ours, own):
        return [f"{where}: {types(theirs, root)} is served as {types(ours, own)}"]
    if "items" in theirs:
        return compare(theirs["items"], ours["items"], f"{where}[]")
    found = []
    shown, serves = theirs.get("properties", {}), ours.get("properties", {})
    if shown.keys() != serves.keys():
        found.append(f"{where}: members {shown.keys() ^ serves.keys()}")
    if set(theirs.get("required", ())) != set(ours.get("required", ())):
        found.append(f"{where}: required {set(theirs.get('required', ())) ^ set(ours.get('required', ()))}")
    if set(theirs.get("enum", ())) != set(ours.get("enum", ())):
        found.append(f"{where}: values {theirs.get('enum')} and {ours.get('enum')}")
    for name in shown.keys() & serves.keys():
        found += compare(shown[name], serves[name], f"{where}.{name}")
    return found


def content(message: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    (media_type, described), *_ = message["content"].items()
    return media_type, described["schema"]


def test_the_schema_has_the_contracts_operations_and_no_other() -> None:
    ours = {
        (path, method.upper(), row["operationId"])
        for path, item in openapi()["paths"].items()
        for method, row in item.items()
    }
    beside = {  # the document lists these kinds of account, and has no way to make them
        (
            f"/api/v2/tenant/applications/{{application_id}}/accounts/{kind}-account",
            "POST",
            f"create{kind.title()}Account",
        )
        for kind in ("orphan", "public")
    }
    assert ours == {(row.path, row.method, row.name) for row in operations()} | beside


@pytest.mark.parametrize("row", BY_NAME)
def test_statuses_agree(row: ContractOperation) -> None:
    extra = OURS if row.name != "obtainAccessToken" else {"503"}
    assert set(served(row)["responses"]) == set(row.row["responses"]) | extra


@pytest.mark.parametrize("row", BY_NAME)
def test_parameters_agree(row: ContractOperation) -> None:
    def described(parameters: list[dict[str, Any]]) -> set[tuple[str, str, bool, str]]:
        found = set()
        for parameter in parameters:
            if "$ref" in parameter:
                name = parameter["$ref"].rpartition("/")[2]
                parameter = tenant_contract.document()["components"]["parameters"][name]
            kind = parameter["schema"]["type"]
            found.add((parameter["name"], parameter["in"], parameter.get("required", False), kind))
        return found

    assert described(served(row).get("parameters", [])) == described(row.row.get("parameters", []))


@pytest.mark.parametrize("row", BY_NAME)
def test_request_bodies_agree(row: ContractOperation) -> None:
    theirs, ours = row.row.get("requestBody"), served(row).get("requestBody")
    assert (theirs is None) == (ours is None)
    if theirs is None or ours is None:
        return
    assert content(theirs)[0] == content(ours)[0]
    beyond = [f"{row.name}: members {{'mobile_verified'}}"] if row.name in ("createUser", "updateUser") else []
    assert compare(content(theirs)[1], content(ours)[1], row.name) == beyond


@pytest.mark.parametrize("row", BY_NAME)
def test_answers_agree(row: ContractOperation) -> None:
    theirs, ours = row.row["responses"][str(row.success)], served(row)["responses"][str(row.success)]
    assert row.has_body == ("content" in ours)
    if row.has_body:
        assert compare(content(theirs)[1], content(ours)[1], row.name) == []


def test_every_operation_but_the_tokens_is_called_with_a_bearer_token() -> None:
    for row in operations():
        expected = [] if row.name == "obtainAccessToken" else [{"bearerAuth": []}]
        assert [entry for entry in served(row).get("security", []) if entry] == expected


@pytest.mark.parametrize(
    ("headers", "form", "member"),
    [
        ({"HTTP_HOST": "api.monban.example", "HTTP_X_TENANT_ID": "nobody"}, {}, "error_code"),
        ({"HTTP_HOST": "api.monban.example"}, {"client_id": "", "client_secret": ""}, "error_code"),
        ({}, {"client_id": "nobody"}, "error"),
    ],
)
def test_every_refusal_of_a_token_is_described(
    world: World, headers: dict[str, str], form: dict[str, str], member: str
) -> None:
    answer = world.ask_for_token(headers, **form)
    described = openapi()["paths"]["/api/v2/tenant/token"]["post"]["responses"]["400"]
    (_media_type, schema) = content(described)
    assert (answer.status_code, member in answer.json()) == (400, True)
    assert list(Draft202012Validator({**openapi(), **schema}).iter_errors(answer.json())) == []
    assert "APP.0001" in described["description"]
    assert list(Draft202012Validator({**openapi(), **schema}).iter_errors({"neither": "nor"})) != []


# Pages -----------------------------------------------------------------------------------------------------

HTML = {"HTTP_ACCEPT": "text/html,application/xhtml+xml"}


@pytest.fixture
def browser(world: World) -> HttpClient:
    """A browser that enforces CSRF."""
    return HttpClient(HTTP_HOST=world.host, enforce_csrf_checks=True)


def csrf_token(page: Any) -> str:
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.content.decode())
    assert found
    return found.group(1)


@pytest.fixture
def signed_in(browser: HttpClient, world: World) -> HttpClient:
    page = browser.get("/api/docs/sign-in", secure=True)
    form = {"access_token": world.token, "csrfmiddlewaretoken": csrf_token(page)}
    answer = browser.post("/api/docs/sign-in", form, secure=True, HTTP_REFERER=f"https://{world.host}/")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/api/docs")
    return browser


def test_the_documentation_names_every_operation(browser: HttpClient) -> None:
    page = browser.get("/api/docs", secure=True)
    assert page.status_code == 200
    for row in operations():
        assert f'id="{row.name}"' in page.content.decode()
    assert "Content-Security-Policy" in page.headers


def test_the_schema_is_served(browser: HttpClient) -> None:
    answer = browser.get("/api/docs/openapi.json", secure=True)
    assert answer.json()["openapi"].startswith("3.1")


def test_a_browser_is_shown_where_to_sign_in(browser: HttpClient) -> None:
    page = browser.get("/api/v2/tenant/organizations?offset=0&limit=10", secure=True, **HTML)
    assert page.status_code == 401
    assert "/api/docs/sign-in?next=" in page.content.decode()


def test_a_token_that_is_none_is_refused(browser: HttpClient, world: World) -> None:
    page = browser.get("/api/docs/sign-in", secure=True)
    form = {"access_token": "nonsense", "csrfmiddlewaretoken": csrf_token(page)}
    answer = browser.post("/api/docs/sign-in", form, secure=True, HTTP_REFERER=f"https://{world.host}/")
    assert answer.status_code == 400
    assert "This access token is not valid here." in answer.content.decode()


@pytest.mark.parametrize("goal", ["https://evil.example/", "//evil.example", "javascript:alert(1)"])
def test_signing_in_leads_to_pages_of_ours_only(browser: HttpClient, world: World, goal: str) -> None:
    page = browser.get("/api/docs/sign-in", secure=True)
    form = {"access_token": world.token, "csrfmiddlewaretoken": csrf_token(page), "next": goal}
    answer = browser.post("/api/docs/sign-in", form, secure=True, HTTP_REFERER=f"https://{world.host}/")
    assert answer.headers["Location"] == "/api/docs"


def test_whoever_is_signed_in_sees_answers_and_examples(signed_in: HttpClient, world: World) -> None:
    page = signed_in.get("/api/v2/tenant/users?org_id=&offset=0&limit=10", secure=True, **HTML)
    text = page.content.decode()
    assert page.status_code == 200
    assert world.client.client_id in text
    assert "zhangsan@example.com" in text
    assert "Quiet-Harbour-41" in text  # the example of createUser
    page = signed_in.get("/api/docs", secure=True)
    assert "/api/docs/sign-out" in page.content.decode()


def test_a_page_of_ours_may_write_and_no_other(signed_in: HttpClient, world: World) -> None:
    page = signed_in.get("/api/v2/tenant/users?org_id=&offset=0&limit=10", secure=True, **HTML)
    found = re.search(r'"csrfToken": "([^"]+)"', page.content.decode())
    assert found
    path = f"/api/v2/tenant/users/{world.user.public_id}"
    body, kind = b'{"name": "Changed"}', {"content_type": "application/json", "secure": True}
    foreign = signed_in.generic("PUT", path, body, **kind, HTTP_REFERER="https://evil.example/")
    assert foreign.status_code == 401
    assert User.objects.get(pk=world.user.pk).name == "Zhang"
    own = {"HTTP_REFERER": f"https://{world.host}/api", "HTTP_X_CSRFTOKEN": found.group(1)}
    assert signed_in.generic("PUT", path, body, **kind, **own).status_code == 200
    assert User.objects.get(pk=world.user.pk).name == "Changed"


def test_the_token_is_sealed_and_forgotten(signed_in: HttpClient, world: World) -> None:
    kept = str(dict(signed_in.session))
    assert "tenant_api_token" in kept
    assert world.token not in kept
    page = signed_in.get("/api/docs", secure=True)
    form = {"csrfmiddlewaretoken": csrf_token(page)}
    answer = signed_in.post("/api/docs/sign-out", form, secure=True, HTTP_REFERER=f"https://{world.host}/")
    assert answer.status_code == 303
    path = "/api/v2/tenant/organizations?offset=0&limit=10"
    assert signed_in.get(path, secure=True, **HTML).status_code == 401


def test_a_token_of_the_header_wins_over_the_pages(signed_in: HttpClient, world: World) -> None:
    answer = signed_in.get(
        "/api/v2/tenant/organizations?offset=0&limit=10", secure=True, HTTP_AUTHORIZATION="Bearer nonsense"
    )
    assert answer.status_code == 401


def test_no_call_keeps_a_persons_session_alive() -> None:
    for row in operations():
        view = resolve(re.sub(r"\{[^}]+\}", "x", row.path)).func
        assert view.is_machine_endpoint


def test_the_documentation_needs_no_tenant(db: None) -> None:
    shared = HttpClient(HTTP_HOST="api.monban.example")
    assert shared.get("/api/docs", secure=True).status_code == 200
    assert shared.get("/api/docs/sign-in", secure=True).status_code == 200
