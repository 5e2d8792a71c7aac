"""What a browser gets where a program gets JSON: pages to try an operation on, with our sign-in and our examples."""

from __future__ import annotations

import json
from typing import Any

from django.utils.html import format_html_join
from rest_framework.exceptions import APIException
from rest_framework.renderers import BrowsableAPIRenderer

from oidc_provider.errors import OAuthError


class PageRenderer(BrowsableAPIRenderer):
    """Shows the answer, the documentation, and a form with an example for each method the caller may use."""

    template = "tenant_api/browsable.html"

    def show_form_for_method(self, view: Any, method: str, request: Any, obj: Any) -> bool:
        """Tell whether the caller may call it. Nobody is signed in on the page of a refusal."""
        if method not in view.allowed_methods or method == "OPTIONS" or getattr(request, "_user", None) is None:
            return False
        try:
            view.check_permissions(request)
        except (APIException, OAuthError):
            return False
        return True

    def get_raw_data_form(self, data: Any, view: Any, method: str, request: Any) -> Any:
        """Return the form for a JSON body, filled with the operation's example."""
        form: Any = super().get_raw_data_form(data, view, method, request)
        handler = getattr(view, method.lower(), None)
        operation = getattr(handler, "operation", None)
        if operation is not None and getattr(form, "fields", None):
            form.fields["_content"].initial = json.dumps(operation.example, indent=2, ensure_ascii=False)
        return form

    def get_rendered_html_form(self, data: Any, view: Any, method: str, request: Any) -> Any:
        """No form of single fields; only whether the button of a DELETE is shown."""
        return method == "DELETE" and self.show_form_for_method(view, method, request, None)

    def get_filter_form(self, data: Any, view: Any, request: Any) -> None:
        """There are no filters."""
        return

    def get_description(self, view: Any, status_code: int | None) -> str:
        """Return what the operations of this address do."""
        handlers = (getattr(view, method.lower(), None) for method in view.allowed_methods if method != "HEAD")
        lines = [
            (handler.operation.name, (handler.__doc__ or "").strip())
            for handler in handlers
            if handler is not None and hasattr(handler, "operation")
        ]
        return format_html_join("", "<p><strong>{}</strong> {}</p>", lines)

    def get_context(self, data: Any, accepted_media_type: str | None, renderer_context: Any) -> Any:
        """Return the framework's context, and whether somebody is signed in."""
        context = super().get_context(data, accepted_media_type, renderer_context)
        context["principal"] = getattr(renderer_context["request"], "_user", None)
        # An inline stylesheet, which the policy blocks; it colours code in descriptions, and ours hold none.
        context["code_style"] = ""
        return context
