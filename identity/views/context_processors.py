"""What every page knows."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from identity.http import Request


def tenant(request: Request) -> dict[str, Any]:
    """Return the tenant whose page this is, and the languages that may be chosen."""
    context = getattr(request, "context", None)
    return {"tenant": context.tenant if context else None, "languages": settings.LANGUAGES}
