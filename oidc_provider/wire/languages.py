"""Show a page in a language that the request prefers (OIDCC-3.1.2.1 ui_locales)."""

from __future__ import annotations

from collections.abc import Iterable

from django.conf import settings

from identity.http import Request
from identity.languages import best_language, use_language


def prefer(request: Request, ui_locales: Iterable[str]) -> None:
    """Use the first of these BCP 47 tags that we have a language for, unless the person chose one on our pages."""
    if settings.LANGUAGE_COOKIE_NAME in request.COOKIES:
        return
    language = best_language(ui_locales)
    if language is not None:
        use_language(request, language)
