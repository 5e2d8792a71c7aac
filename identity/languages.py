"""Which of our languages a page speaks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache

from django.conf import settings
from django.utils import translation
from django.utils.translation.trans_real import parse_accept_lang_header

from identity.http import Request
from identity.models import Tenant

_MAX_TAG_LENGTH, _MAX_HEADER_LENGTH = 35, 500
_SIMPLIFIED = "zh-hans"
_TRADITIONAL = frozenset({"hant", "tw", "hk", "mo"})


def choose_language(request: Request) -> str:
    """Return the best of our languages for this request, as a BCP 47 tag in lower case."""
    return _chosen(
        request.GET.get("ui_locales", "")[:100],
        request.COOKIES.get(settings.LANGUAGE_COOKIE_NAME, "")[: _MAX_TAG_LENGTH + 1],
        request.headers.get("Accept-Language", "")[:_MAX_HEADER_LENGTH],
        getattr(request.user, "language", ""),
        getattr(request.context.tenant, "language", ""),
    )


@lru_cache(maxsize=1000)  # browsers say the same in every request
def _chosen(ui_locales: str, cookie: str, accept_language: str, *others: str) -> str:
    return _first_supported([*ui_locales.split(), cookie, *_accepted(accept_language)], others)


def language_of_program(accept_language: str, *, tenant: Tenant) -> str:
    """Return the same for a caller without cookie and account. accept_language: the header's value."""
    return _chosen("", "", accept_language[:_MAX_HEADER_LENGTH], tenant.language)


def language_of_refusal(request: Request) -> str:
    """Return the request's language; where it was refused before one was chosen, the browser's."""
    return getattr(request, "LANGUAGE_CODE", "") or _first_supported(_wishes_of_browser(request))


def supported_language(tag: str) -> str | None:
    """Return our language for a BCP 47 tag such as zh-CN or ja-JP, or None. Java's zh_CN is understood too.

    Whoever reads Traditional Chinese has not asked for Simplified: their next wish comes first.
    """
    language = _nearest(tag)
    return None if language == _SIMPLIFIED and _is_traditional(tag) else language


def best_language(wishes: Iterable[str]) -> str | None:
    """Return the first of these tags that we have a language for, else what is near the first of them."""
    wished = list(wishes)
    found = (*map(supported_language, wished), *map(_nearest, wished))
    return next((language for language in found if language), None)


def use_language(request: Request, language: str) -> None:
    """Speak this language for the rest of the request."""
    translation.activate(language)
    request.LANGUAGE_CODE = language
    request.context = replace(request.context, language=language)


def prefer(request: Request, wishes: Iterable[str]) -> None:
    """Use the language that an application asked for (OIDCC-3.1.2.1 ui_locales), unless the person chose one."""
    if settings.LANGUAGE_COOKIE_NAME in request.COOKIES:
        return
    language = best_language(wishes)
    if language:
        use_language(request, language)


def _first_supported(wishes: Iterable[str], others: Iterable[str] = ()) -> str:
    return best_language(wishes) or best_language(others) or settings.LANGUAGE_CODE


def _nearest(tag: str) -> str | None:
    if not tag or len(tag) > _MAX_TAG_LENGTH:
        return None
    try:
        return translation.get_supported_language_variant(_hyphenated(tag))
    except LookupError:
        return None


def _is_traditional(tag: str) -> bool:
    """Tell whether a Chinese tag names the script, or a place where it is written (RFC 5646 2.2.3)."""
    parts = _hyphenated(tag).split("-")
    is_simplified = "hans" in parts
    return parts[0] == "zh" and not is_simplified and not _TRADITIONAL.isdisjoint(parts[1:])


def _hyphenated(tag: str) -> str:
    return tag.replace("_", "-").lower()


def _wishes_of_browser(request: Request) -> list[str]:
    cookie = request.COOKIES.get(settings.LANGUAGE_COOKIE_NAME, "")
    return [cookie, *_accepted(request.headers.get("Accept-Language", ""))]


def _accepted(accept_language: str) -> list[str]:
    parsed = parse_accept_lang_header(accept_language[:_MAX_HEADER_LENGTH].replace("_", "-"))
    return [tag for tag, _quality in parsed if tag != "*"]
