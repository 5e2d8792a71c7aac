"""Rate limits of clients, and the languages of refusals."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from identity.models import AttemptCounter
from tests.tenant_api.world import Call, World

pytestmark = pytest.mark.django_db


# Limits ----------------------------------------------------------------------------------------------------


def test_there_is_no_limit_unless_the_client_has_one(world: World) -> None:
    for _ in range(30):
        assert world.call("getUserById").status_code == 200
    assert not AttemptCounter.objects.filter(kind="api_client").exists()


def test_a_client_over_its_limit_is_told_when_to_come_back(world: World) -> None:
    world.client.api_requests_per_minute = 3
    world.client.save()
    assert world.token
    start = timezone.now()
    with time_machine.travel(start, tick=False) as clock:
        for _ in range(3):
            assert world.call("getUserById").status_code == 200
        clock.shift(timedelta(seconds=20))
        answer = world.call("getUserById")
        text = "Too many requests. Please try again later."
        assert (answer.status_code, answer.json()) == (429, {"error_code": "COM.0429", "error_msg": text})
        # The window is counted from its first request, not from the refusal.
        assert answer.headers["Retry-After"] == "40"
        clock.shift(timedelta(seconds=41))
        for _ in range(3):
            assert world.call("getUserById").status_code == 200
        assert world.call("getUserById").status_code == 429


def test_a_limit_of_one_lasts_a_minute(world: World) -> None:
    world.client.api_requests_per_minute = 1
    world.client.save()
    assert world.token
    with time_machine.travel(timezone.now(), tick=False) as clock:
        assert [world.call("getUserById").status_code for _ in range(2)] == [200, 429]
        clock.shift(timedelta(seconds=61))
        assert [world.call("getUserById").status_code for _ in range(2)] == [200, 429]


def test_each_client_has_a_limit_of_its_own(world: World) -> None:
    neighbour = World()
    for each in (world, neighbour):
        each.client.api_requests_per_minute = 1
        each.client.save()
    for each in (world, neighbour):
        assert [each.call("getUserById").status_code for _ in range(2)] == [200, 429]


def test_a_call_without_a_token_is_not_counted(world: World) -> None:
    world.client.api_requests_per_minute = 1
    world.client.save()
    for _ in range(3):
        assert world.call("getUserById", token="").status_code == 401
    assert world.call("getUserById").status_code == 200


# Languages -------------------------------------------------------------------------------------------------


def text(world: World, call: Call | None = None, **headers: Any) -> str:
    answer = world.call("createUser", call or Call(body={"user_name": "x"}), **headers)
    assert answer.status_code == 400
    message: str = answer.json()["error_msg"]
    return message


CHINESE = {"HTTP_ACCEPT_LANGUAGE": "zh-CN,zh;q=0.9,en;q=0.8"}


def test_texts_are_english_unless_the_tenant_localises_them(world: World) -> None:
    assert text(world, **CHINESE) == "Mobile number required."
    assert text(world, HTTP_X_L="zh") == "Mobile number required."


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (CHINESE, "请填写手机号。"),
        ({"HTTP_X_L": "zh"}, "请填写手机号。"),
        ({"HTTP_ACCEPT_LANGUAGE": "ja"}, "携帯電話番号を入力してください。"),
        ({"HTTP_X_L": "ja", **CHINESE}, "携帯電話番号を入力してください。"),
        ({"HTTP_ACCEPT_LANGUAGE": "fr, en"}, "Mobile number required."),
        ({"HTTP_ACCEPT_LANGUAGE": ";;,,\x7f" * 200}, "Mobile number required."),
        ({}, "Mobile number required."),
    ],
)
def test_a_tenant_may_localise_them(headers: dict[str, str], expected: str) -> None:
    world = World(localize_errors=True)
    assert text(world, **headers) == expected


def test_the_password_policys_numbers_stand_in_every_language() -> None:
    world = World(localize_errors=True)
    call = world.good("createUser")
    call.body["password"] = "Sh0rt"
    for language in ("zh", "ja", "en"):
        message = text(world, call, HTTP_X_L=language)
        assert "8" in message
        assert "64" in message
