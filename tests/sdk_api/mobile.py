"""What a phone app does to get a code, and with it; and the gateway that keeps what it was given."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

from identity import crypto
from identity.messaging.senders.base import Message, NotSent, Receipt
from identity.models import Captcha
from tests.sdk_api.phone import Phone

MOBILE = "13812345678"
OTHER_MOBILE = "13912345678"
NEW_PASSWORD = "Amber-Meadow-77"


class Inbox:
    """A gateway for text messages that keeps them."""

    messages: ClassVar[list[Message]] = []
    is_away: ClassVar[bool] = False

    def send(self, message: Message) -> Receipt:
        if Inbox.is_away:
            raise NotSent("away")
        Inbox.messages.append(message)
        return Receipt()


@pytest.fixture
def inbox(settings: Any) -> Iterator[type[Inbox]]:
    settings.IDENTITY = {**settings.IDENTITY, "sms_senders": ("tests.sdk_api.mobile.Inbox",)}
    Inbox.messages.clear()
    Inbox.is_away = False
    yield Inbox
    Inbox.messages.clear()
    Inbox.is_away = False


def true_x(token: str) -> int:
    """Look the answer up, as no app can."""
    row = Captcha.objects.get(token_hash=crypto.hash_handle(token, purpose="captcha"))
    x: int = json.loads(crypto.unseal(row.solution_sealed, purpose="captcha.solution"))["x"]
    return x


def draw(phone: Phone) -> dict[str, Any]:
    response = phone.get("captcha")
    assert response.status_code == 200
    drawn: dict[str, Any] = response.json()
    return drawn


def verify(phone: Phone, token: str, sender: str = MOBILE, point: str | None = None, **headers: str | None) -> Any:
    point = point if point is not None else f'{{"x":{true_x(token)}.0,"y":5.0}}'
    return phone.post("captcha/verify", {"point_json": point, "token": token, "sender": sender}, **headers)


def solve(phone: Phone, sender: str = MOBILE) -> str:
    """The captcha_token of a solved puzzle."""
    response = verify(phone, draw(phone)["token"], sender)
    assert response.status_code == 200, response.content
    captcha_token: str = response.json()["captcha_token"]
    return captcha_token


def order(phone: Phone, kind: str = "LOGIN_SMS", mobile: str = MOBILE, **changes: Any) -> Any:
    """Order a code, with a solved puzzle unless another captcha_token is given."""
    headers = {name: changes.pop(name) for name in list(changes) if name.startswith("X_")}
    captcha_token = changes.pop("captcha_token") if "captcha_token" in changes else solve(phone, mobile)
    body = {"mobile": mobile, "type": kind, "captcha_token": captcha_token, **changes}
    return phone.post("sms/send", body, **headers)


def receive(phone: Phone, kind: str = "LOGIN_SMS", mobile: str = MOBILE) -> str:
    """The code that arrives."""
    response = order(phone, kind, mobile)
    assert (response.status_code, response.content) == (200, b"")
    return Inbox.messages[-1].verification_code


def register(phone: Phone, code: str, mobile: str = OTHER_MOBILE, **person: Any) -> Any:
    return phone.post("register/mobile-verify-code", {"mobile": mobile, "verify_code": code, **person})


def reset(phone: Phone, code: str, password: str = NEW_PASSWORD, mobile: str = MOBILE) -> Any:
    return phone.post("pwd/update-by-mobile", {"mobile": mobile, "verify_code": code, "password": password})


def told(response: Any) -> tuple[int, str]:
    return response.status_code, response.json()["error_code"]
