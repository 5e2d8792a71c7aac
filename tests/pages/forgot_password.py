"""What somebody does who has forgotten a password, and the code that was mailed."""

from __future__ import annotations

import re

from django.core import mail
from django.http import HttpResponse

from tests.pages.conftest import Browser, alert_of, handle_in
from tests.pages.puzzles import post_solved

FRESH = "Calm-Lantern-58"


def ask(browser: Browser, identifier: str) -> str:
    response = post_solved(browser, "/forgot-password", {"identifier": identifier})
    assert response.status_code == 302, alert_of(response)
    return handle_in(response)


def reset(browser: Browser, handle: str, code: str, password: str = FRESH, **extra: str) -> HttpResponse:
    form = {
        "transaction": handle,
        "verification_code": code,
        "new_password": password,
        "repeat_password": password,
        **extra,
    }
    return browser.post("/forgot-password/code", form)


def mailed_code() -> str:
    found = re.search(r"\b(\d{6})\b", str(mail.outbox[-1].body))
    assert found
    return found[1]


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06d}"
