"""What the served schema (drf-spectacular) must be told: how callers authenticate, and bodies where HTTP has none."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema


class BearerScheme(OpenApiAuthenticationExtension):
    """The access token of the token operation."""

    target_class = "tenant_api.authentication.BearerAuthentication"
    name = "bearerAuth"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        """Describe a bearer token (RFC6750)."""
        return {"type": "http", "scheme": "bearer", "description": "Access token from POST /api/v2/tenant/token."}


class OperationSchema(AutoSchema):
    """One operation. Two of them have a body although they are a GET and a DELETE (OneAccess-3.1.7.7, 3.1.7.8)."""

    def _get_request_body(self, direction: str = "request") -> Any:
        method = self.method
        if method in ("GET", "DELETE") and self.get_request_serializer() is not None:
            self.method = "POST"
        try:
            return super()._get_request_body(direction)
        finally:
            self.method = method
