"""Pages of which only a few values change: a template draws each once, and from then on the values are filled in.

To draw the sign-in page takes a template 2 ms, nearly all of them for what is the same for everybody: labels, inputs,
the tenant's name. So the template is given marks in place of what changes, and what it draws is cut at them:

    _START = KeptPage("identity/login.html", _start_page)
    return _START.answer(request, (application_name,), (handle,))

What is kept belongs to one tenant's name and logo, one language, and the values that are said to be fixed. The form's
token and the page's own address change on every page. Where templates are being worked on (DEBUG) nothing is kept.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http import HttpResponse
from django.middleware.csrf import get_token
from django.template import loader
from django.utils.html import escape
from django.utils.translation import get_language

from identity.http import Request

MAX_KEPT = 500  # of one template, about 6 kB each; the oldest goes first, and drawing it again is all that costs
_TOKEN, _PATH = "token", "path"
_SECRET = secrets.token_hex(8)  # nobody's name contains it
_MARK = re.compile(f"{_SECRET}-([a-z0-9]+)-")


@dataclass(frozen=True)
class _Asked:
    """What the templates of these pages read of a request."""

    get_full_path: str


class KeptPage:
    """One template, whose pages are drawn once for what is fixed."""

    def __init__(self, template: str, build: Callable[..., dict[str, Any]]) -> None:
        """Say how the template's context is made.

        build: takes the fixed values and then the changing ones. A changing value is shown as it is: nothing is
        decided by it, and where it stands in an address, quoting has nothing to change in it.
        """
        self.template = template
        self._build = build
        self._drawn: dict[Hashable, list[str]] = {}

    def answer(self, request: Request, fixed: tuple[Hashable, ...], changing: tuple[str, ...] = ()) -> HttpResponse:
        """Return the page with these values."""
        tenant = request.context.tenant
        key = (get_language(), tenant and (tenant.name, tenant.logo_url), fixed)
        pieces = self._drawn.get(key)
        if pieces is None:
            pieces = self._draw(request, fixed, len(changing))
            if not settings.DEBUG:
                self._keep(key, pieces)
        values = {str(number): str(escape(value)) for number, value in enumerate(changing)}
        values[_PATH] = str(escape(request.get_full_path()))
        if _TOKEN in pieces:  # a page without a form of ours asks for none: that would set the cookie
            values[_TOKEN] = get_token(request)
        # Text and marks take turns.
        written = [values[piece] if index % 2 else piece for index, piece in enumerate(pieces)]
        return HttpResponse("".join(written))

    def _draw(self, request: Request, fixed: tuple[Hashable, ...], count: int) -> list[str]:
        context = {
            "request": _Asked(_mark(_PATH)),
            "csrf_token": _mark(_TOKEN),
            "tenant": request.context.tenant,
            "languages": settings.LANGUAGES,
            **self._build(*fixed, *(_mark(str(number)) for number in range(count))),
        }
        return _MARK.split(loader.get_template(self.template).render(context))

    def _keep(self, key: Hashable, pieces: list[str]) -> None:
        while len(self._drawn) >= MAX_KEPT:
            # Another thread may have taken the same one out.
            self._drawn.pop(next(iter(self._drawn), None), None)
        self._drawn[key] = pieces


def _mark(name: str) -> str:
    return f"{_SECRET}-{name}-"
