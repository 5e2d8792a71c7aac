"""Show a page in a language that the request prefers (OIDCC-3.1.2.1 ui_locales)."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext

from django.utils import translation


def preferring(ui_locales: Iterable[str]) -> AbstractContextManager[object]:
    """The first of these BCP 47 tags that we have a language for; without one, the language of the request."""
    for tag in ui_locales:
        try:
            return translation.override(translation.get_supported_language_variant(tag.lower()))
        except LookupError:
            continue
    return nullcontext()
