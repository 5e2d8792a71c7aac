"""What every operation of this API has in common: its caller, its proof, its errors."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request as HttpCall
from rest_framework.response import Response
from rest_framework.views import APIView

from identity.context import RequestContext
from identity.directory import attributes
from identity.errors import ValueRequired
from identity.events import EventType
from identity.http import Request, typed
from identity.models import SessionKind, SSOSession
from identity.sign_in import login
from identity.sign_in.login import SignInStep
from identity.sso import access, sessions
from identity.views.product_api import read_document
from oidc_provider import public
from oidc_provider.public import Principal
from sdk_api import errors, signature
from sdk_api.authentication import Caller, identify, identify_back_end


class JSONAlways(BaseContentNegotiation):
    """JSON, whatever is accepted or sent (D17)."""

    def select_parser(self, request: HttpCall, parsers: Iterable[Any]) -> Any:
        """Bodies are read by `product_api.read_document`."""
        return None

    def select_renderer(
        self, request: HttpCall, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        """Return the only renderer and its media type."""
        renderer = next(iter(renderers))
        return renderer, str(renderer.media_type)


class JSONView(APIView):
    """Takes and gives JSON in the documented form, whoever calls."""

    authentication_classes = ()
    permission_classes = ()
    throttle_classes = ()
    renderer_classes: Sequence[type[BaseRenderer]] = (JSONRenderer,)
    content_negotiation_class = JSONAlways
    metadata_class = None
    schema = None
    # HEAD is wherever GET is (RFC9110-9.1), and does what GET does, also where that changes something.
    http_method_names = ["get", "head", "post"]
    event: EventType | None = None  # what it is audited as when a caller is refused; None for questions
    # Whether a refusal is recorded by `errors`: until a caller is admitted; after that the services do it.
    is_audited_at_the_edge = True

    def initial(self, request: HttpCall, *args: Any, **kwargs: Any) -> None:
        """Refuse other methods before anything else."""
        if request.method not in self.allowed_methods:
            self.http_method_not_allowed(request)
        super().initial(request, *args, **kwargs)

    @property
    def client_id(self) -> str:
        """The client by which the request says it comes, for the audit of a refusal."""
        return ""

    @property
    def allowed_methods(self) -> list[str]:
        """What this address has operations for."""
        return [name.upper() for name in self.http_method_names if hasattr(self, name)]

    def get_exception_handler(self) -> Callable[..., Any]:
        """Our renderer of refusals."""
        return errors.refuse

    def finalize_response(self, request: HttpCall, response: Response, *args: Any, **kwargs: Any) -> Any:
        """Personal data and changes by GET stay out of caches."""
        response.headers.setdefault("Cache-Control", "no-store")
        return super().finalize_response(request, response, *args, **kwargs)

    # What operations use

    @property
    def http(self) -> Request:
        """Django's request."""
        return typed(self.request._request)

    def required(self, **codes: str) -> dict[str, str]:
        """Read texts of the body, each with the code of its absence, in the contract's order. Raises ValueRequired."""
        document = read_document(self.http)
        found: dict[str, str] = {}
        for name, code in codes.items():
            value = document.get(name)
            if not isinstance(value, str) or not value:
                raise ValueRequired(code, log_detail=name)
            found[name] = value
        return found


class SDKView(JSONView):
    """Knows which application calls, on which device."""

    caller: Caller

    def step_of(self, handle: str) -> SignInStep:
        """Return this client's step, on this device, of the sign-in with this handle."""
        caller = self.caller
        return SignInStep(handle, caller.binding, context=caller.context, channel=SessionKind.SDK)

    def begin(self) -> SignInStep:
        """Begin a sign-in; return its first step."""
        caller = self.caller
        handle = login.begin(
            tenant=caller.tenant,
            application=caller.application,
            binding=caller.binding,
            channel=SessionKind.SDK,
            context=caller.context,
        )
        return SignInStep(handle, caller.binding, context=caller.context, channel=SessionKind.SDK)

    def required_with_mobile(self, **codes: str) -> dict[str, str]:
        """As `required`, with a mobile number first. Raises ValueInvalid (USER.0038) too."""
        body = self.required(mobile="USER.0010", **codes)
        return {**body, "mobile": attributes.clean_mobile(body["mobile"], tenant=self.caller.tenant)}

    def initial(self, request: HttpCall, *args: Any, **kwargs: Any) -> None:
        """Find the caller before anything else."""
        super().initial(request, *args, **kwargs)
        self.caller = identify(self.http)
        self.admit()
        self.is_audited_at_the_edge = False

    def admit(self) -> None:
        """Ask for the proof that this operation needs."""

    @property
    def client_id(self) -> str:
        """X-client-id, believed or not."""
        return self.http.headers.get("X-client-id", "")

    @property
    def context(self) -> RequestContext:
        """Where the call comes from."""
        return self.caller.context


class BackEndView(JSONView):
    """An operation of an application's back end, which proves itself by an access token (OneAccess-3.2.10)."""

    principal: Principal
    context: RequestContext

    def initial(self, request: HttpCall, *args: Any, **kwargs: Any) -> None:
        """Find the client that calls. Raises NotFound (APP.0001), OAuthError, TooManyRequests."""
        super().initial(request, *args, **kwargs)
        self.principal, self.context = identify_back_end(self.http)

    @property
    def client_id(self) -> str:
        """Whom the token proved, "" for nobody."""
        return self.principal.client_id if hasattr(self, "principal") else ""


class SignedView(SDKView):
    """An operation of a signed-in user, proved by X-signature."""

    event: EventType | None = EventType.SESSION_USE
    session: SSOSession
    # Whether it is for people whom the application still lets in (S49).
    is_gated = True

    def admit(self) -> None:
        """Prove the session. Raises CredentialsRefused (PARAM.0030), and as `access.check` does."""
        header = self.http.headers.get("X-signature", "")
        tenant, client_id = self.caller.tenant, self.caller.client_id
        call = self._call() if public.shares_nonces(client_id=client_id, tenant=tenant) else ""
        self.session = signature.prove(header, tenant=tenant, client_id=client_id, call=call)
        self.caller = replace(self.caller, context=replace(self.context, actor=self.session.user.public_id))
        if self.is_gated:
            access.check(session=self.session, application=self.caller.application)
        sessions.touch(self.session)

    def _call(self) -> str:
        """Return this call and no other: method, address with its query, and body."""
        body = hashlib.sha256(self.http.body).hexdigest()
        return f"{self.http.method} {self.http.get_full_path()} {body}"
