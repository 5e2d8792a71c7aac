"""What nobody would send: generated requests find no fault of ours and no answer that is not documented.

The generator reads the served schema and breaks it on purpose. A bounded number of requests runs with the tests;
`make fuzz` sends many more.
"""

from __future__ import annotations

import json
import os
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, settings
from jsonschema import Draft202012Validator

from tenant_api.documentation import openapi
from tests.tenant_api.world import World

pytestmark = pytest.mark.django_db

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "3"))
OPERATIONS = [f"{method.upper()} {path}" for path, item in openapi()["paths"].items() for method in item]


@pytest.fixture
def world(db: None) -> World:
    return World(localize_errors=True)


def real_ids(world: World) -> dict[str, str]:
    return {
        "user_id": world.user.public_id,
        "application_id": world.application.public_id,
        "account_id": world.account.public_id,
        "role_id": world.role.public_id,
        "org_id": world.root.public_id,
    }


def address(case: Any, world: World) -> str:
    """The path, with a real id in every other place, and the query."""
    path = case.operation.path
    for name, value in (case.path_parameters or {}).items():
        text = str(value)
        is_real = len(text) % 2 == 0
        in_app = "/applications/" in path and name == "org_id"
        real = world.app_root.public_id if in_app else real_ids(world)[name]
        path = path.replace("{" + name + "}", real if is_real else quote(text, safe=""))
    query = {name: value for name, value in (case.query or {}).items() if value is not None}
    return path + ("?" + urlencode(query, doseq=True, errors="replace") if query else "")


def encoded(case: Any) -> bytes:
    body = case.body
    if isinstance(body, bytes):
        return body
    if type(body).__name__ == "NotSet":
        return b""
    if case.media_type == "application/x-www-form-urlencoded" and isinstance(body, dict):
        return urlencode(body, doseq=True, errors="replace").encode()
    return json.dumps(body, default=str).encode()


@pytest.mark.parametrize("operation", OPERATIONS)
def test_nothing_is_answered_that_is_not_documented(operation: str, world: World) -> None:
    # Made here and not by the generator's own mark, which makes all cases of all operations, for a quarter of the
    # time that collecting takes, in every process and for every choice of tests.
    import schemathesis
    from schemathesis.generation.feedback import NO_FEEDBACK
    from schemathesis.pytest._test_builder import build_operation_test

    method, _, path = operation.partition(" ")
    schema = schemathesis.openapi.from_dict(openapi())
    test = build_operation_test(
        config=schema.config,
        operation=schema[path][method],
        test_func=is_answered_as_documented,
        given_kwargs={},
        feedback=NO_FEEDBACK,
    )
    test(world=world)


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=EXAMPLES < 100,
    suppress_health_check=list(HealthCheck),
    database=None,
)
def is_answered_as_documented(case: Any, world: World) -> None:
    is_token = case.operation.path.endswith("/token")
    answer = world.send(
        case.method.upper(),
        address(case, world),
        encoded(case),
        content_type=case.media_type or "application/json",
        token="" if is_token else None,
        HTTP_ACCEPT_LANGUAGE="zh",
    )
    documented = case.operation.definition.raw["responses"]
    if case.method.upper() not in {name.upper() for name in openapi()["paths"][case.operation.path]}:
        assert answer.status_code == 405  # the generator tries other methods, too
        return
    assert str(answer.status_code) in documented, (answer.status_code, answer.content[:300])
    described = documented[str(answer.status_code)].get("content")
    if described is None:
        assert answer.content == b""
        return
    body_schema = {**described["application/json"]["schema"], "components": openapi()["components"]}
    assert list(Draft202012Validator(body_schema).iter_errors(answer.json())) == []
