"""What a person does with the sliding puzzle of a page."""

from __future__ import annotations

import re
from typing import Any

from django.http import HttpResponse

from tests.pages.conftest import Browser
from tests.sdk_api.mobile import true_x


def token_in(response: HttpResponse) -> str:
    """The puzzle in a page; "" where there is none."""
    found = re.search(r'name="captcha" value="([^"]+)"', response.content.decode())
    return found[1] if found else ""


def answer_to(response: HttpResponse, *, off_by: int = 0) -> dict[str, str]:
    """The fields that a page's puzzle is answered with, as many pixels beside its hole."""
    token = token_in(response)
    assert token, response.content.decode()
    return {"captcha": token, "captcha_position": str(true_x(token) + off_by)}


def post_solved(browser: Browser, path: str, data: dict[str, Any], **headers: Any) -> HttpResponse:
    """Send a form; where it comes back with a puzzle, solve that and send it again."""
    response = browser.post(path, data, **headers)
    if not token_in(response):
        return response
    return browser.post(path, {**data, **answer_to(response)}, **headers)
