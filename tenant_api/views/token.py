"""Section 3.1.2: obtaining an access token."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from drf_spectacular.utils import OpenApiResponse, PolymorphicProxySerializer, extend_schema
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from identity.http import typed
from identity.views.product_api import with_tenant
from oidc_provider import public
from oidc_provider.errors import Fault, OAuthError
from tenant_api import errors
from tenant_api.conf import conf
from tenant_api.serializers import common
from tenant_api.serializers.common import TokenRequest, TokenResponse
from tenant_api.views.base import TenantAPIView

_MAX_FIELDS = 100
# Decision 46: on the shared host the tenant is looked for first, and its refusal has the product's form.
_REFUSAL = PolymorphicProxySerializer(
    component_name="TokenRefusal", serializers=[common.OAuthError, common.Error], resource_type_field_name=None
)


class TokenView(TenantAPIView):
    """OneAccess-3.1.2.1."""

    authentication_classes = ()
    permission_classes = ()
    renderer_classes = (JSONRenderer,)

    def check_throttles(self, request: Request) -> None:
        """Nothing: nobody is known yet, and a client's secret cannot be guessed."""

    @extend_schema(
        operation_id="obtainAccessToken",
        summary="Obtain an access token",
        tags=["access-credential"],
        auth=[],
        request={"application/x-www-form-urlencoded": TokenRequest},
        responses={
            200: OpenApiResponse(TokenResponse, "Token issued."),
            400: OpenApiResponse(
                _REFUSAL,
                "Invalid parameter or bad client credentials; on the shared host also APP.0001, when X-tenant-id "
                "names no tenant, or is missing and no client is named.",
            ),
            503: OpenApiResponse(common.Error, "System busy."),
        },
    )
    def post(self, request: Request) -> Response:
        """Give a token to a client that proves itself. Tokens that it got before stay valid."""
        http = typed(request._request)
        try:
            form, authorization = self._form(http.body), http.headers.get("Authorization", "")
            token = public.grant_client_token(
                form,
                authorization=authorization,
                audience=public.TENANT_API,
                lifetime=conf.token_lifetime,
                # Table 3-4 has no header for the tenant; a client is one tenant's.
                context=with_tenant(http, otherwise=lambda: public.tenant_of_caller(form, authorization=authorization)),
            )
        except OAuthError as error:
            return errors.refuse_token(error, http)
        return Response({str(name): token[str(name)] for name in TokenResponse().fields})

    @staticmethod
    def _form(body: bytes) -> list[tuple[str, Any]]:
        text = body.decode("utf-8", errors="replace")
        try:
            return parse_qsl(text, keep_blank_values=True, errors="replace", max_num_fields=_MAX_FIELDS)
        except ValueError:
            raise OAuthError(Fault.MALFORMED_PARAMETER, log_detail="too many fields") from None
