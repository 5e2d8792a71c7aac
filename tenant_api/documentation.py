"""The documentation: the served schema, a page made from it, and the sign-in of the browsable pages."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.settings import patched_settings
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from identity.errors import IdentityError
from identity.http import typed
from identity.origins import path_prefix
from identity.views.product_api import with_tenant
from oidc_provider import public
from oidc_provider.errors import OAuthError
from tenant_api import authentication
from tenant_api.operations import OPERATIONS
from tenant_api.views.base import JSONUnlessBrowser

# In the order of the vendor's document.
_CHAPTERS = (
    "access-credential",
    "users",
    "organizations",
    "application-organizations",
    "application-accounts",
    "application-roles",
)
_METHODS = ("get", "post", "put", "delete")
_SETTINGS: Mapping[str, Any] = {
    "TITLE": "Tenant management API",
    "DESCRIPTION": "People, organizations, application accounts and roles of a tenant, for its own systems.",
    "VERSION": "2023-06-30",
    "OAS_VERSION": "3.1.0",
    # One name for each body, as in the contract.
    "COMPONENT_SPLIT_REQUEST": False,
    "COMPONENT_NO_READ_ONLY_REQUIRED": True,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "ENUM_ADD_EXPLICIT_BLANK_NULL_CHOICE": False,
    "POSTPROCESSING_HOOKS": [],
}


@cache
def openapi() -> dict[str, Any]:
    """Return the schema of the served operations. It does not change while the process runs."""
    with patched_settings(dict(_SETTINGS)):
        schema: dict[str, Any] = SchemaGenerator(patterns=OPERATIONS).get_schema(request=None, public=True)
    cleaned: dict[str, Any] = _without_marks(schema)
    if path_prefix():
        cleaned["servers"] = [{"url": path_prefix()}]  # else the root of the host that shows it
    return cleaned


def _without_marks(node: Any) -> Any:
    """Take out what the generator notes for a hook that is not used."""
    if isinstance(node, dict):
        return {name: _without_marks(value) for name, value in node.items() if name != "x-spec-enum-id"}
    return [_without_marks(value) for value in node] if isinstance(node, list) else node


class SchemaView(APIView):
    """The schema as JSON. It tells nothing that the documentation of the API does not."""

    authentication_classes = ()
    permission_classes = ()
    renderer_classes = (JSONRenderer,)
    content_negotiation_class = JSONUnlessBrowser
    schema = None

    def get(self, request: Request) -> Response:
        """OpenAPI 3.1."""
        return Response(openapi())


@require_safe
def documentation(request: HttpRequest) -> HttpResponse:
    """Return every operation with its members, its answers and an example."""
    context = {"chapters": _chapters(), "is_signed_in": bool(authentication.page_token(request))}
    return render(request, "tenant_api/docs.html", context)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def sign_in(request: HttpRequest) -> HttpResponse:
    """Keep an access token for the browsable pages, if it is one."""
    goal = request.POST.get("next", request.GET.get("next", ""))
    if not url_has_allowed_host_and_scheme(goal, allowed_hosts=None):
        goal = reverse("tenant_api:docs")
    refused = False
    if request.method == "POST":
        token = request.POST.get("access_token", "").strip()
        try:
            context = with_tenant(typed(request))
            if context.tenant is not None:
                public.authenticate_machine(token, tenant=context.tenant)
                authentication.keep_for_pages(request, token)
                return HttpResponseRedirect(goal, status=303)
        except (IdentityError, OAuthError):
            refused = True
    return render(
        request, "tenant_api/sign_in.html", {"next": goal, "refused": refused}, status=400 if refused else 200
    )


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    """Forget the token of the browsable pages."""
    authentication.forget_for_pages(request)
    return HttpResponseRedirect(reverse("tenant_api:docs"), status=303)


# The page --------------------------------------------------------------------------------------------------


@cache
def _chapters() -> list[dict[str, Any]]:
    chapters: dict[str, list[dict[str, Any]]] = {}
    for path, item in openapi()["paths"].items():
        for method in _METHODS:
            if method in item:
                chapters.setdefault(item[method]["tags"][0], []).append(_described(path, method, item[method]))
    return [{"tag": tag, "operations": chapters[tag]} for tag in _CHAPTERS]


def _described(path: str, method: str, operation: Mapping[str, Any]) -> dict[str, Any]:
    bodies = (operation.get("requestBody") or {}).get("content", {})
    body: dict[str, Any] = next(iter(bodies.values()), {})
    examples = body.get("examples") or {}
    example = next((entry["value"] for entry in examples.values()), None)
    return {
        "name": operation["operationId"],
        "method": method.upper(),
        "path": path,
        "address": f"{path_prefix()}{path}" if "{" not in path and method == "get" else "",
        "summary": operation.get("summary", ""),
        "description": operation.get("description", ""),
        "parameters": operation.get("parameters", []),
        "members": list(_members(body.get("schema", {}))),
        "example": json.dumps(example, indent=2, ensure_ascii=False) if example else "",
        "answers": [(status, answer.get("description", "")) for status, answer in operation["responses"].items()],
    }


def _members(schema: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    name = schema.get("$ref", "").rpartition("/")[2]
    found = openapi()["components"]["schemas"].get(name, {})
    for member, shape in found.get("properties", {}).items():
        kind = shape.get("type", "")
        yield {
            "name": member,
            "type": "/".join(kind) if isinstance(kind, list) else kind,
            "required": member in found.get("required", []),
            "description": shape.get("description", ""),
        }
