"""Which of our languages a page speaks."""

from __future__ import annotations

from dataclasses import replace

from django.conf import settings
from django.http import HttpRequest
from django.utils import translation
from django.utils.translation.trans_real import parse_accept_lang_header


def choose_language(request: HttpRequest) -> str:
    """Return the best of our languages for this request, as a BCP 47 tag in lower case."""
    wishes = [
        *request.GET.get("ui_locales", "")[:100].split(),
        request.COOKIES.get(settings.LANGUAGE_COOKIE_NAME, ""),
        *_accepted_languages(request),
        getattr(request.user, "language", ""),
        getattr(request.context.tenant, "language", ""),  # type: ignore[attr-defined]
    ]
    return next((found for wish in wishes if (found := supported_language(wish))), settings.LANGUAGE_CODE)


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


def _accepted_languages(request: HttpRequest) -> list[str]:
    parsed = parse_accept_lang_header(request.headers.get("Accept-Language", "")[:500])
    return [tag for tag, _quality in parsed if tag != "*"]
