from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from oauth2_provider.contrib.rest_framework import OAuth2Authentication, TokenHasScope
from oauth2_provider.decorators import protected_resource
from oauth2_provider.views.generic import ProtectedResourceView, ScopedProtectedResourceView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from oidc_provider.resource_server import ResourceValidator


def said(user: Any, client_id: str = "") -> dict[str, str]:
    return {"user": user.public_id if user else "", "client_id": client_id}


class Orders(APIView):
    """The REST framework: who calls, and with which scope."""

    authentication_classes = [OAuth2Authentication]
    permission_classes = [TokenHasScope]
    required_scopes = ["orders"]

    def get(self, request: Request) -> Response:
        return Response(said(request.user, request.auth.client.client_id))


@protected_resource(scopes=["orders"], validator_cls=ResourceValidator)
def decorated(request: HttpRequest) -> HttpResponse:
    return JsonResponse(said(request.resource_owner))  # type: ignore[attr-defined]  # set by the decorator


@protected_resource(scopes=["orders"])
def without_validator(request: HttpRequest) -> HttpResponse:
    return JsonResponse(said(request.resource_owner))  # type: ignore[attr-defined]  # set by the decorator


class Mixed(ScopedProtectedResourceView):
    """The toolkit's class of views."""

    required_scopes = ["orders"]

    def get(self, request: Any) -> HttpResponse:
        return JsonResponse(said(request.resource_owner))


class Unscoped(ProtectedResourceView):
    """Any token will do."""

    def get(self, request: Any) -> HttpResponse:
        return JsonResponse(said(request.resource_owner))


def known(request: HttpRequest) -> HttpResponse:
    """Behind OAuth2TokenMiddleware: a user, or nobody."""
    return JsonResponse({"user": getattr(request.user, "public_id", "")})
