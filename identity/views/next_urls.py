"""Where a browser may be sent next: paths of our own, never another site (S22)."""

from __future__ import annotations

from urllib.parse import urlencode, urlsplit

from django.urls import Resolver404, resolve, reverse

from identity.http import Request
from identity.origins import path_prefix

_MAX_LENGTH = 8000


def safe_path(candidate: str) -> str:
    """Return the path if it is one that we serve, else the empty string.

    The string itself is judged, before any parser: browsers drop control characters, take a backslash for a slash,
    and read two slashes as the beginning of a host.
    """
    if not candidate or len(candidate) > _MAX_LENGTH or not candidate.startswith("/"):
        return ""
    if candidate.startswith("//") or "\\" in candidate or not candidate.isprintable() or " " in candidate:
        return ""
    prefix = path_prefix()
    if not candidate.startswith(f"{prefix}/"):
        return ""
    try:
        resolve(urlsplit(candidate).path.removeprefix(prefix))
    except (Resolver404, ValueError):
        return ""
    return candidate


def requested(request: Request) -> str:
    """Return the checked `next` of a request's form or query."""
    return safe_path(request.POST.get("next", "") or request.GET.get("next", ""))


def login_url(next_path: str = "") -> str:
    """Return the address of the sign-in page."""
    return f"{reverse('identity:login')}?{urlencode({'next': next_path})}" if next_path else reverse("identity:login")
