"""What every operation of this API has in common: its caller, its right, its rate, its errors, its schema."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar, cast

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.authentication import BaseAuthentication
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.permissions import BasePermission
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request as HttpCall
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from identity import throttle
from identity.context import RequestContext
from identity.decorators import machine_endpoint
from identity.directory import applications
from identity.errors import BodyUnreadable
from identity.events import EventType
from identity.http import Request, typed
from identity.models import Application, Tenant
from identity.views.product_api import read_document
from oidc_provider.errors import Fault, OAuthError
from oidc_provider.public import Principal
from tenant_api import errors, fields
from tenant_api.authentication import BearerAuthentication
from tenant_api.browsable import PageRenderer
from tenant_api.permissions import Right
from tenant_api.schema import OperationSchema
from tenant_api.serializers.common import Answer, Error
from tenant_api.serializers.common import OAuthError as OAuthErrorBody

Handler = TypeVar("Handler", bound=Callable[..., Response])

OFFSET = OpenApiParameter("offset", {"type": "integer", "minimum": 0}, required=True, description="Page index, from 0.")
LIMIT = OpenApiParameter(
    "limit", {"type": "integer", "minimum": 10, "maximum": 100}, required=True, description="Entries per page."
)
_COMMON = {
    400: OpenApiResponse(Error, "A rule refuses the request."),
    401: OpenApiResponse(OAuthErrorBody, "Access token missing, unknown, expired or revoked."),
    403: OpenApiResponse(OAuthErrorBody, "The client was not granted the right for this operation."),
    429: OpenApiResponse(Error, "The client's rate limit is reached; Retry-After says when to come back."),
    503: OpenApiResponse(Error, "System busy; Retry-After says when to come back."),
}


@dataclass(frozen=True)
class Operation:
    """One operation of the contract."""

    name: str
    right: Right
    event: EventType | None = None  # what a refusal is audited as; None for questions
    example: Mapping[str, Any] = field(default_factory=dict)  # of its body, for the browsable page


def operation(
    name: str,
    summary: str,
    *,
    tag: str,
    right: Right,
    source: str,
    event: EventType | None = None,
    request: type[Serializer] | None = None,
    answer: type[Serializer] | None = None,
    status: int = 200,
    query: Sequence[OpenApiParameter] = (),
    example: Mapping[str, Any] | None = None,
) -> Callable[[Handler], Handler]:
    """Declare an operation. source: its section of the vendor's document. status: of success."""
    success = OpenApiResponse(answer, "Done.") if answer else OpenApiResponse(description="Done; no body.")
    examples = [OpenApiExample("example", value=dict(example), request_only=True)] if example else []

    def declare(handler: Handler) -> Handler:
        handler.schema = OperationSchema()  # type: ignore[attr-defined]  # what extend_schema adds to
        described = extend_schema(
            operation_id=name,
            summary=summary,
            description=f"{(handler.__doc__ or '').strip()}\n\nOneAccess-{source}. Right: {' or '.join(right.value)}.",
            tags=[tag],
            request=request,
            parameters=list(query),
            responses={status: success, **_COMMON},
            examples=examples,
        )(handler)
        described.operation = Operation(name, right, event, example or {})  # type: ignore[attr-defined]
        return described

    return declare


class JSONUnlessBrowser(BaseContentNegotiation):
    """The first renderer, JSON, unless the caller names text/html. No Accept header is ever refused."""

    def select_parser(self, request: HttpCall, parsers: Iterable[Any]) -> Any:
        """Bodies are read by `product_api.read_document`, whatever their type says."""
        return None

    def select_renderer(
        self, request: HttpCall, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        """Return the renderer and its media type."""
        wants_html = "text/html" in request.META.get("HTTP_ACCEPT", "")
        offered = list(renderers)
        chosen = next((r for r in offered if wants_html and r.media_type == "text/html"), offered[0])
        return chosen, str(chosen.media_type)


class HasRight(BasePermission):
    """The operation's right was granted to the client."""

    def has_permission(self, request: HttpCall, view: Any) -> bool:
        """Let a client with the right in. Raises OAuthError with INSUFFICIENT_SCOPE."""
        principal: Any = request.user
        operation = view.operation
        if operation is None:
            return True  # No such method: the answer is 405, whoever asks.
        if not principal.scopes & set(operation.right.value):
            raise OAuthError(
                Fault.INSUFFICIENT_SCOPE, client_id=principal.client_id, scope=" ".join(operation.right.value)
            )
        return True


class TenantAPIView(APIView):
    """Knows who calls; answers in the documented form."""

    authentication_classes: Sequence[type[BaseAuthentication]] = (BearerAuthentication,)
    permission_classes: Sequence[type[BasePermission]] = (HasRight,)
    renderer_classes: Sequence[type[BaseRenderer]] = (JSONRenderer, PageRenderer)
    content_negotiation_class = JSONUnlessBrowser
    metadata_class = None
    schema = OperationSchema()

    @classmethod
    def as_view(cls, **options: Any) -> Any:
        """Make the view of a machine: it keeps no person's session alive."""
        return machine_endpoint(super().as_view(**options))

    @property
    def allowed_methods(self) -> list[str]:
        """What this address has operations for."""
        return [method for method in super().allowed_methods if method != "OPTIONS"]

    @property
    def operation(self) -> Operation | None:
        """The operation of this request, None for a method that is none."""
        method = (self.request.method or "").lower()
        handler = getattr(self, "get" if method == "head" else method, None)
        return getattr(handler, "operation", None)

    def get_exception_handler(self) -> Callable[..., Any]:
        """Our renderer of refusals."""
        return errors.refuse

    def get_authenticate_header(self, request: HttpCall) -> str:
        """Return the scheme of the challenge; `errors` writes the whole of it."""
        return "Bearer"

    def options(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        """No operation has it."""
        self.http_method_not_allowed(request)

    def perform_authentication(self, request: HttpCall) -> None:
        """Find the caller. Whoever is refused stays nobody, so that a page of the refusal does not ask again."""
        try:
            super().perform_authentication(request)
        except Exception:
            request._not_authenticated()  # type: ignore[attr-defined]
            raise

    def check_throttles(self, request: HttpCall) -> None:
        """Count the call where the client's registration limits them. Raises TooManyRequests."""
        throttle.limit_client(
            tenant=self.tenant,
            client_id=self.principal.client_id,
            per_minute=self.principal.requests_per_minute,
        )

    def finalize_response(self, request: HttpCall, response: Response, *args: Any, **kwargs: Any) -> Any:
        """Personal data stays out of caches."""
        response.headers.setdefault("Cache-Control", "no-store")
        return super().finalize_response(request, response, *args, **kwargs)

    # What operations use

    @property
    def principal(self) -> Principal:
        """The client that calls."""
        principal: Any = self.request.user
        return cast(Principal, principal)

    @property
    def tenant(self) -> Tenant:
        """The token's tenant."""
        return self.principal.tenant

    @property
    def http(self) -> Request:
        """Django's request."""
        return typed(self.request._request)

    @property
    def by(self) -> dict[str, Any]:
        """Who acts, and in which request: what every service wants to know."""
        context: RequestContext = self.http.context
        return {"context": replace(context, relay=self.principal.client_id), "actor": self.principal}

    def document(self) -> dict[str, Any]:
        """Read the JSON object of the body."""
        return read_document(self.http)

    def read(self, body: type[fields.Request]) -> dict[str, Any]:
        """Read the members of the body, by the services' names. Raises IdentityError."""
        if self.request.method == "PUT" and not self.http.body:
            # Nothing arrived of the change, which would be told as done. In a creation the first member is missed.
            raise BodyUnreadable(log_detail="no body")
        return body.read(self.document())

    def application(self, application_id: str) -> Application:
        """Return the application of the path. Raises NotFound (APP.0001, APP.0002)."""
        return applications.get(tenant=self.tenant, public_id=fields.wire_id(application_id))

    def answer(self, body: type[Answer] | None = None, instance: Any = None, *, status: int = 200) -> Response:
        """Make the response; without a body class, without a body."""
        if body is None:
            return Response(status=status)
        return Response(body(instance, tenant=self.tenant).data, status=status)
