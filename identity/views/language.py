"""Choosing the language of the pages."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode, urlsplit

from django.conf import settings
from django.http import HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from identity.http import Request
from identity.languages import supported_language
from identity.views import errors, next_urls, stale_forms

_MAX_AGE_SECONDS = 365 * 24 * 3600


def _set_language(request: Request) -> HttpResponse:
    language = supported_language(request.POST.get("language", ""))
    if language is None:
        return errors.bad_request(request)
    target = next_urls.requested(request) or reverse("identity:account")
    response = HttpResponseRedirect(with_language(target, language))
    response.set_cookie(
        settings.LANGUAGE_COOKIE_NAME,
        language,
        max_age=_MAX_AGE_SECONDS,
        path=settings.LANGUAGE_COOKIE_PATH,
        httponly=True,
        samesite="Lax",
        secure=request.is_secure(),
    )
    return response


# A choice of language is worth no token: that the page was ours is enough.
@stale_forms.leads_to(_set_language)
@require_POST
def set_language(request: Request) -> HttpResponse:
    """Remember the person's choice in a cookie, and show the same page again."""
    return _set_language(request)


def with_language(path: str, language: str) -> str:
    """Return the path with its ui_locales, if it has one, changed to what the person chose."""
    parts = urlsplit(path)
    if "ui_locales=" not in parts.query:
        return path
    pairs = [(key, value) for key, value in parse_qsl(parts.query, keep_blank_values=True) if key != "ui_locales"]
    return f"{parts.path}?{urlencode([*pairs, ('ui_locales', language)])}"
