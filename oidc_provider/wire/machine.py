"""What programs ask of a dialect's endpoint and what they are answered, refusals included."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.utils.http import parse_header_parameters

from identity import machine
from identity.events import EventType
from identity.machine import Answer as Answer  # noqa: PLC0414 - beside what makes them
from identity.machine import NothingHere
from oidc_provider.dialects.base import Dialect, EndpointName
from oidc_provider.errors import Fault, OAuthError
from oidc_provider.wire import spelling
from oidc_provider.wire.facts import Facts
from oidc_provider.wire.parameters import Parameters, from_form, from_text, read

JSON = "application/json"
RETRY_AFTER_SECONDS = 10
# RFC6749-5.1, RFC9700-4.2.4: kept out of caches and Referer headers.
PRIVATE: Mapping[str, str] = {"Cache-Control": "no-store", "Pragma": "no-cache", "Referrer-Policy": "no-referrer"}
# RFC6750-3: these are answered with a challenge for a bearer token; invalid_client with one for Basic.
_BEARER = frozenset(
    {
        Fault.ACCESS_TOKEN_MISSING,
        Fault.ACCESS_TOKEN,
        Fault.ACCESS_TOKEN_TWICE,
        Fault.ACCESS_TOKEN_IN_QUERY,
        Fault.INSUFFICIENT_SCOPE,
    }
)


_JSON = DjangoJSONEncoder()


@dataclass(frozen=True, kw_only=True)
class Request(machine.Request):
    """What a program asked of one endpoint of a dialect."""

    endpoint: EndpointName
    dialect: Dialect
    app_code: str = ""  # of a dialect whose applications have an issuer each
    kid: str = ""  # of the address of one key

    @property
    def facts(self) -> Facts:
        """What rules may know of this request. Raises NothingHere on the host that all tenants share."""
        if self.context.tenant is None:
            raise NothingHere
        return Facts.of(self.context, self.dialect, app_code=self.app_code)

    @property
    def authorization(self) -> str:
        """The header's value, "" without one."""
        return self.headers.get("Authorization", "")

    @property
    def content_type(self) -> str:
        """The type of the body in lower case, without its parameters."""
        return parse_header_parameters(self.headers.get("Content-Type", ""))[0]

    def form(self) -> Parameters:
        """Return the parameters of a form; none may stand in the address (RFC6749-2.3.1). Raises OAuthError."""
        content_type = self.content_type
        if from_text(self.query):
            raise OAuthError(Fault.QUERY_PARAMETERS)
        return from_form(content_type, self.read_body)

    def check_method(self, *methods: str) -> None:
        """Refuse every other method (RFC9110-15.5.6)."""
        if self.method not in methods:
            raise OAuthError(Fault.METHOD)


Endpoint = Callable[[Request], Answer]


def endpoint(answer: Endpoint, name: EndpointName, *, sharing: machine.Sharing | None = None) -> machine.Endpoint:
    """Return the endpoint as the fronts call it: its route fixes the dialect."""

    def of_dialect(asked: machine.Request, *, dialect: Dialect, app_code: str = "", kid: str = "") -> Answer:
        return answer(
            Request(
                method=asked.method,
                query=asked.query,
                headers=asked.headers,
                read_body=partial(read, asked.read_body),
                context=asked.context,
                endpoint=name,
                dialect=dialect,
                app_code=app_code,
                kid=kid,
            )
        )

    return machine.Endpoint(of_dialect, sharing)


def json_answer(members: Mapping[str, Any], *, status: int = 200, headers: Mapping[str, str] = PRIVATE) -> Answer:
    """Answer with a JSON object that nobody may keep."""
    body = _JSON.encode(members).encode()
    return Answer(status, {"Content-Type": JSON, **headers}, body)


def refusing(event: EventType) -> Callable[[Endpoint], Endpoint]:
    """Let an endpoint raise OAuthError, which is answered and audited as this event."""

    def wrap(endpoint: Endpoint) -> Endpoint:
        def answer(asked: Request) -> Answer:
            try:
                return endpoint(asked)
            except OAuthError as error:
                return refuse(error, asked, event=event)

        answer.__doc__, answer.__name__ = endpoint.__doc__, endpoint.__name__
        return answer

    return wrap


def refuse(error: OAuthError, asked: Request, *, event: EventType) -> Answer:
    """Refuse a request that a program sent (RFC6749-5.2, RFC6750-3)."""
    dialect = asked.dialect
    spelling.record(error, context=asked.context, dialect=dialect, event=event)
    spelled = spelling.spell(error, dialect)
    status = spelled.status
    if spelled.error == "invalid_client" and asked.authorization:
        status = 401  # RFC6749-5.2: who used the header hears it in a header, whatever the dialect's status is.
    headers = dict(PRIVATE)
    if error.fault in _BEARER:
        # The challenge is for standard clients, so it has the RFC's code (RFC6750-3.1); the body has the dialect's.
        challenge = {"error": error.spec.error, "error_description": spelled.text} if error.spec.error else {}
        challenge |= {"scope": error.scope} if error.scope else {}
        headers["WWW-Authenticate"] = _challenge("Bearer", challenge)
    elif status == 401:
        # RFC9110-15.5.2: every 401 has a challenge; RFC6749-5.2: in the scheme that clients may use here.
        headers["WWW-Authenticate"] = _challenge("Basic", {"realm": "token"})
    elif status == 405:
        # RFC9110-15.5.6; RFC9110-9.1: HEAD is wherever GET is.
        methods = dialect.endpoints[asked.endpoint].methods
        headers["Allow"] = ", ".join("GET, HEAD" if method == "GET" else method for method in methods)
    elif status == 503:
        headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    if error.retry_after_seconds is not None:
        status, headers["Retry-After"] = 429, str(error.retry_after_seconds)
    members = {**spelled.body, **spelling.error_uri(dialect)} if spelled.error else {}
    return json_answer(members, status=status, headers=headers)


def _challenge(scheme: str, parameters: Mapping[str, str]) -> str:
    """RFC9110-11.6.1. The values are catalogue texts and scope tokens: ASCII without quotes."""
    pairs = ", ".join(f'{name}="{value}"' for name, value in parameters.items() if value.isascii())
    return f"{scheme} {pairs}".rstrip()
