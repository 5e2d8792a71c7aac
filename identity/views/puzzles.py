"""The sliding puzzle of the pages that send a text message to somebody who has proved nothing yet.

A form is sent without an answer first, and comes back with a puzzle in it. So whoever only looks at a page draws none,
and what else is wrong with a form is told before the puzzle is asked for.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

from django import forms
from django.utils.translation import gettext as _

from identity import cookies
from identity.errors import CaptchaRefused, IdentityError, TooManyRequests
from identity.http import Request, tenant_of
from identity.sign_in import captcha
from identity.sign_in.puzzles import PIECE, WIDTH
from identity.views.messages import status_of

_MAX_TOKEN, _MAX_DIGITS = 64, 3


@dataclass(frozen=True)
class Asked:
    """What a page shows for a puzzle that has to be answered: the template's values, or why there is none."""

    puzzle: dict[str, Any] | None
    error: IdentityError | None
    status: int


def answer_in(request: Request) -> captcha.Answer | None:
    """Return the answer that came with a form; None where the form had no puzzle in it."""
    token, position = request.POST.get("captcha", ""), request.POST.get("captcha_position", "")
    if not token:
        return None
    is_number = position.isascii() and position.isdecimal() and len(position) <= _MAX_DIGITS
    return captcha.Answer(token[:_MAX_TOKEN], int(position) if is_number else None)


def ask(request: Request, form: forms.Form, refusal: CaptchaRefused) -> Asked:
    """Draw a puzzle for this browser to answer with the form; a wrong answer is told in both."""
    error = None
    if answer_in(request) is not None:
        error = _("The piece did not fit, or it took too long. Here is a new puzzle.")
        form.add_error(None, error)
    for field in form.fields.values():
        field.widget.attrs.pop("autofocus", None)
    try:
        drawn = captcha.draw(
            tenant=tenant_of(request),
            binding=cookies.browser_binding(request),
            context=request.context,
        )
    except TooManyRequests as too_many:
        return Asked(None, too_many, status_of(too_many))
    puzzle = {
        "token": drawn.token,
        "picture": _data_address(drawn.original_png),
        "piece": _data_address(drawn.piece_png),
        "width": WIDTH,
        "last": WIDTH - PIECE,
        "error": error,
    }
    return Asked(puzzle, None, status_of(refusal) if error else 200)


def _data_address(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
