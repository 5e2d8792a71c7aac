"""What is answered: JSON to every program, the browsable page to a browser."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request


class JSONUnlessBrowser(BaseContentNegotiation):
    """The first renderer, JSON, unless the caller names text/html. No Accept header is ever refused."""

    def select_parser(self, request: Request, parsers: Iterable[Any]) -> Any:
        """Bodies are read by `product_api.read_document`, whatever their type says."""
        return None

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        """The renderer and its media type."""
        wants_html = "text/html" in request.META.get("HTTP_ACCEPT", "")
        offered = list(renderers)
        chosen = next((r for r in offered if wants_html and r.media_type == "text/html"), offered[0])
        return chosen, str(chosen.media_type)
