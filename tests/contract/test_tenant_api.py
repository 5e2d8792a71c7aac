"""The tenant API is what docs/contract/tenant_api.yaml says: every operation, answer, status and listed code.

The tests are generated from the document, so an operation or a code that is added there fails here until it works.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from identity.errors import catalogue
from tests.contract.tenant_cases import CASES, perform
from tests.contract.tenant_contract import ContractOperation, document, operation, operations, problems, table
from tests.tenant_api.world import World

pytestmark = pytest.mark.django_db

UNUSED_FILE = Path(__file__).with_name("tenant_api_unused.csv")
OPERATIONS = operations()
BY_NAME = [pytest.param(row, id=row.name) for row in OPERATIONS]
CALLED = [pytest.param(row, id=row.name) for row in OPERATIONS if row.name != "obtainAccessToken"]
# Families of the table that belong to these operations; the others are the SDK API's.
FAMILIES = {"APP", "APP_ACCOUNT", "APP_ORG", "APP_ROLE", "ORG", "PAGE", "USER", "PWD"}


def unused() -> dict[tuple[str, str], str]:
    with UNUSED_FILE.open(encoding="utf-8", newline="") as file:
        return {(row["operation"], row["code"]): row["reason"] for row in csv.DictReader(file)}


@pytest.fixture
def world() -> World:
    return World()


def test_the_document_has_38_operations() -> None:
    assert len(OPERATIONS) == 38


# Success ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", BY_NAME)
def test_a_good_request_is_answered_as_documented(world: World, row: ContractOperation) -> None:
    answer = world.call(row.name)
    assert answer.status_code == row.success, answer.content
    if row.has_body:
        assert answer.headers["Content-Type"] == "application/json"
        assert problems(row.name, row.success, answer.json()) == []
    else:
        assert answer.content == b""
    assert answer.headers["Cache-Control"] == "no-store"


def documented_example(row: ContractOperation) -> Any:
    content = row.row["responses"][str(row.success)].get("content", {})
    return content.get("application/json", {}).get("examples", {}).get("document", {}).get("value")


def shape(value: Any) -> Any:
    """Names and kinds of values; of a list the first entry, of custom attributes nothing."""
    if isinstance(value, dict):
        return {name: shape(entry) for name, entry in value.items() if name != "extension"}
    if isinstance(value, list):
        return [shape(value[0])] if value and isinstance(value[0], dict) else "list"
    return type(value).__name__


def agrees(shown: Any, answered: Any) -> bool:
    """Whether everything that the example shows is answered, in the same place and kind."""
    if isinstance(shown, dict):
        return isinstance(answered, dict) and all(
            name in answered and agrees(entry, answered[name]) for name, entry in shown.items()
        )
    if isinstance(shown, list):
        return isinstance(answered, list) and (not answered or agrees(shown[0], answered[0]))
    return "NoneType" in (shown, answered) or shown == answered or not isinstance(answered, dict)


@pytest.mark.parametrize("row", [p for p in BY_NAME if documented_example(p.values[0]) is not None])
def test_the_answer_has_the_members_of_the_documents_example(world: World, row: ContractOperation) -> None:
    shown, answered = shape(documented_example(row)), shape(world.call(row.name).json())
    if row.name == "getApplicationAccount":
        # Roles have no privileges here, so the list that the example fills is empty.
        shown["roles"][0]["privileges"] = "list"
    assert agrees(shown, answered), (shown, answered)


# Refusals --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "code"), [pytest.param(*key, id="-".join(key)) for key in CASES])
def test_each_code_has_a_situation_that_causes_it(world: World, name: str, code: str) -> None:
    case = CASES[name, code]
    answer = perform(world, name, case)
    text = catalogue()[code].message.format(*case.params)
    assert (answer.status_code, answer.json()) == (case.status, {"error_code": code, "error_msg": text})
    if case.status == 400:
        assert problems(name, 400, answer.json()) == []
    else:
        assert int(answer.headers["Retry-After"]) > 0


def test_every_listed_code_has_a_situation_or_a_reason() -> None:
    listed = {(row.name, code) for row in OPERATIONS for code in row.codes}
    explained = unused()
    assert listed - CASES.keys() - explained.keys() == set()
    assert explained.keys() & CASES.keys() == set()
    assert {key for key in explained if key[0] != "*"} <= listed
    assert all(explained.values())


def test_every_code_of_the_table_has_a_situation_or_a_reason() -> None:
    caused = {code for _name, code in CASES}
    explained = {code for _name, code in unused()}
    ours = {code for code in table() if code.partition(".")[0] in FAMILIES}
    assert ours - caused - explained == set()
    assert explained - table().keys() == set()


def test_our_catalogue_has_the_tables_texts() -> None:
    for code, row in table().items():
        assert catalogue()[code].message == row["message"]


@pytest.mark.parametrize("row", CALLED)
def test_a_call_without_a_token_is_refused_as_documented(world: World, row: ContractOperation) -> None:
    examples = document()["components"]["responses"]["Unauthorized"]["content"]["application/json"]["examples"]
    answer = world.call(row.name, token="")
    assert (answer.status_code, answer.json()) == (401, examples["missing"]["value"])
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    answer = world.call(row.name, token="nonsense")
    assert (answer.status_code, answer.json()) == (401, examples["invalid"]["value"])
    assert problems(row.name, 401, answer.json()) == []


def test_bad_client_credentials_are_refused_as_documented(world: World) -> None:
    shown = operation("obtainAccessToken").row["responses"]["400"]["content"]["application/json"]["examples"]
    answer = world.ask_for_token(client_secret="wrong-secret-with-enough-characters")
    assert (answer.status_code, answer.json()) == (400, shown["document"]["value"])
    assert problems("obtainAccessToken", 400, answer.json()) == []
