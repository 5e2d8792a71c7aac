"""Which of our languages a page speaks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from django.conf import settings
from django.http import HttpRequest
from django.utils import translation
from django.utils.translation.trans_real import parse_accept_lang_header


def choose_language(request: HttpRequest) -> str:
    """Return the best of our languages for this request, as a BCP 47 tag in lower case."""
    wishes = [
        *request.GET.get("ui_locales", "")[:100].split(),
        *_wishes_of_browser(request),
        getattr(request.user, "language", ""),
        getattr(request.context.tenant, "language", ""),  # type: ignore[attr-defined]
    ]
    return _first_supported(wishes)


def language_of_refusal(request: HttpRequest) -> str:
    """Return the request's language; where it was refused before one was chosen, the browser's."""
    return getattr(request, "LANGUAGE_CODE", "") or _first_supported(_wishes_of_browser(request))


def supported_language(tag: str) -> str | None:
    """Return our language for a BCP 47 tag such as zh-CN or ja-JP, or None."""
    if not tag or len(tag) > 35:
        return None
    try:
        return translation.get_supported_language_variant(tag.lower())
    except LookupError:
        return None


def use_language(request: HttpRequest, language: str) -> None:
    """Speak this language for the rest of the request."""
    translation.activate(language)
    request.LANGUAGE_CODE = language
    request.context = replace(request.context, language=language)  # type: ignore[attr-defined]


def _first_supported(wishes: Iterable[str]) -> str:
    return next((found for wish in wishes if (found := supported_language(wish))), settings.LANGUAGE_CODE)


def _wishes_of_browser(request: HttpRequest) -> list[str]:
    parsed = parse_accept_lang_header(request.headers.get("Accept-Language", "")[:500])
    accepted = [tag for tag, _quality in parsed if tag != "*"]
    return [request.COOKIES.get(settings.LANGUAGE_COOKIE_NAME, ""), *accepted]
