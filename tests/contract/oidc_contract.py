"""docs/contract/oidc_*.yaml as tests see them: operations, refusals, schemas, examples; and what cannot be caused."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from jsonschema import Draft202012Validator

from tests.dialects.party import Party
from tests.support.contracts import read_contract

METHODS = ("get", "post")
NewParty = Callable[..., Party]
# Proved with the rest of their subject.
ELSEWHERE = {
    "pacteraIsAuthorizedGet": "tests/contract/test_miniapp.py",
    "pacteraIsAuthorizedPost": "tests/contract/test_miniapp.py",
    "pacteraAuthcodeGet": "tests/contract/test_miniapp.py",
    "pacteraAuthcodePost": "tests/contract/test_miniapp.py",
    "oneaccessSdkLogout": "tests/contract/test_sdk_api.py",
}


@dataclass(frozen=True)
class Row:
    """One line of x-errors."""

    operation: str
    id: str
    delivery: str
    status: int
    error: str
    text: str
    members: tuple[str, str]

    def __str__(self) -> str:
        return f"{self.operation}-{self.id}"


def document(name: str) -> dict[str, Any]:
    """One contract: pactera, tencent, topiam or oneaccess."""
    return read_contract(f"oidc_{name}")


def operations(name: str) -> dict[str, tuple[str, str, dict[str, Any]]]:
    """Operation to method, path and description; those proved elsewhere left out."""
    return {
        item[method]["operationId"]: (method, path, item[method])
        for path, item in document(name)["paths"].items()
        for method in METHODS
        if method in item and item[method]["operationId"] not in ELSEWHERE
    }


def _rows(name: str) -> Iterator[Row]:
    for operation, (_, _, description) in operations(name).items():
        for row in description.get("x-errors", ()):
            members = ("error_code", "error_msg") if "error_code" in row else ("error", "error_description")
            yield Row(operation, row["id"], row["delivery"], row["status"], row[members[0]], row[members[1]], members)


@cache
def unreachable() -> Mapping[tuple[str, str], str]:
    """Rows that no request can cause, and printed examples that contradict their rows, with the reason."""
    with (Path(__file__).parent / "unreachable.csv").open(encoding="utf-8", newline="") as file:
        return {(line["operation"], line["row"]): line["reason"] for line in csv.DictReader(file)}


def rows(name: str) -> list[Any]:
    """Every row that can be caused, as parameters of a test."""
    return [pytest.param(row, id=str(row)) for row in _rows(name) if (row.operation, row.id) not in unreachable()]


def all_rows(name: str) -> list[Row]:
    """Every row."""
    return list(_rows(name))


def check_schema(name: str, schema: str, value: Any) -> None:
    """Compare a body with a schema of the contract."""
    contract = document(name)
    Draft202012Validator({"components": contract["components"], "$ref": f"#/components/schemas/{schema}"}).validate(
        value
    )


def success_examples(name: str) -> list[Any]:
    """Every example of a good answer: operation, name and value."""
    return [
        pytest.param(operation, example, value, id=f"{operation}-{example}")
        for operation, status, example, value in _examples(name)
        if status == "200"
    ]


def refusal_examples(name: str) -> list[Any]:
    """Every example of a refusal."""
    return [
        pytest.param(operation, example, value, id=f"{operation}-{status}-{example}")
        for operation, status, example, value in _examples(name)
        if status != "200"
    ]


def _examples(name: str) -> Iterator[tuple[str, str, str, Any]]:
    for operation, (_, _, description) in operations(name).items():
        for status, response in description["responses"].items():
            content = _resolved(name, response).get("content", {}).get("application/json", {})
            for example, row in content.get("examples", {}).items():
                yield operation, status, example, row["value"]


def _resolved(name: str, node: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in node:
        return node
    found: Any = document(name)
    for step in node["$ref"].removeprefix("#/").split("/"):
        found = found[step]
    resolved: dict[str, Any] = found
    return resolved


def shape(value: Any) -> Any:
    """Names and kinds of values, nothing else."""
    if isinstance(value, dict):
        return {name: shape(member) for name, member in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return "text or null" if value is None or isinstance(value, str) else type(value).__name__


def check_refusal(row: Row, response: Any, *, text: str = "", extra: Mapping[str, str] | None = None) -> None:
    """Compare an answer with its row. text: where the row has a pattern. extra: further members, state or error_uri."""
    expected = {row.members[0]: row.error, row.members[1]: text or row.text, **(extra or {})}
    if row.delivery == "redirect":
        assert response.status_code == 302
        assert "Location" in response
        parts = urlsplit(response["Location"])
        query = parts.query or parts.fragment  # RFC6749-4.2.2.1: in the fragment where tokens were asked for
        assert query.isascii()
        got = dict(parse_qsl(query, strict_parsing=True))
        got.pop("iss")  # RFC9207-2, beside what the document prints
        assert got == expected
    elif row.delivery == "error-page":
        assert (response.status_code, response["Location"].isascii()) == (302, True)
        parts = urlsplit(response["Location"])
        assert (parts.netloc, parts.path) == ("", "/error")
        assert dict(parse_qsl(parts.query, strict_parsing=True)) == expected
    else:
        assert response.status_code == row.status, response.content
        assert response["Cache-Control"] == "no-store"
        assert response.json() == expected
