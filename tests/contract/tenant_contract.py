"""docs/contract/tenant_api.yaml as tests see it: operations, their statuses, their codes, their schemas."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

from tests.support.contracts import FOLDER, read_contract

METHODS = ("get", "post", "put", "delete")


@dataclass(frozen=True)
class ContractOperation:
    """One operation of the contract."""

    name: str
    method: str
    path: str
    tag: str
    success: int
    codes: tuple[str, ...]
    row: Any

    @property
    def has_body(self) -> bool:
        """Whether success is answered with a body."""
        return "content" in self.row["responses"][str(self.success)]


def document() -> dict[str, Any]:
    """The whole contract."""
    return read_contract("tenant_api")


@cache
def operations() -> tuple[ContractOperation, ...]:
    """Every operation, in the contract's order."""
    return tuple(
        ContractOperation(
            name=row["operationId"],
            method=method.upper(),
            path=path,
            tag=row["tags"][0],
            success=row["x-success-status"],
            codes=tuple(row.get("x-likely-error-codes", ())),
            row=row,
        )
        for path, item in document()["paths"].items()
        for method in METHODS
        if (row := item.get(method)) is not None
    )


@cache
def operation(name: str) -> ContractOperation:
    """The operation of that name."""
    return next(row for row in operations() if row.name == name)


@cache
def table() -> dict[str, dict[str, str]]:
    """The contract's table of error codes."""
    with (FOLDER / "error_codes.csv").open(encoding="utf-8", newline="") as file:
        return {row["code"]: row for row in csv.DictReader(file)}


@cache
def _validator(name: str, status: str) -> Draft202012Validator:
    responses = operation(name).row["responses"]
    response = responses[status]
    if "$ref" in response:
        response = document()["components"]["responses"][response["$ref"].rpartition("/")[2]]
    schema = response["content"]["application/json"]["schema"]
    return Draft202012Validator({**schema, "components": document()["components"]})


def problems(name: str, status: int, body: Any) -> list[str]:
    """What of a body is not as the contract's schema of this answer says."""
    return [error.message for error in _validator(name, str(status)).iter_errors(body)]


def members(schema: Any, *, root: Any = None) -> dict[str, Any]:
    """The properties of a schema, references followed."""
    root = root or document()
    if "$ref" in schema:
        return members(root["components"]["schemas"][schema["$ref"].rpartition("/")[2]], root=root)
    found: dict[str, Any] = schema.get("properties", {})
    return found
