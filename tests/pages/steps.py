"""Steps of a sign-in with an authenticator app."""

from __future__ import annotations

import re
from typing import Any

from django.http import HttpResponse

from tests.pages.conftest import Browser


def give(browser: Browser, handle: str, code: str, **extra: Any) -> HttpResponse:
    return browser.post("/login", {"transaction": handle, "verification_code": code, **extra})


def secret_on(response: HttpResponse) -> str:
    found = re.search(r'class="secret">([A-Z2-7 ]+)<', response.content.decode())
    assert found, response.content.decode()
    return found[1].replace(" ", "")
