"""What a dialect is: a frozen value with small pure functions, bound to the route (house.md 5).

A dialect adapts the standard form of a message on its way in and out. It holds no protocol decision: which fault
was found, whether a redirect address is good and whether a code may be used are the same for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum, StrEnum
from types import MappingProxyType
from typing import Any

from oidc_provider.errors import Fault

Parameters = Mapping[str, str]
Body = dict[str, Any]


class EndpointName(StrEnum):
    """Our name of an endpoint; also the name of its route."""

    AUTHORIZE = "authorize"
    TOKEN = "token"
    USERINFO = "userinfo"
    INTROSPECT = "introspect"
    REVOKE = "revoke"
    LOGOUT = "logout"
    JWKS = "jwks"
    DISCOVERY = "discovery"
    OAUTH_METADATA = "oauth_metadata"


class SecretPlace(Enum):
    """Where a client may put its id and secret. One place in a request (RFC6749-2.3)."""

    HEADER = "header"
    BODY = "body"
    QUERY = "query"
    ASSERTION = "assertion"


class Delivery(Enum):
    """How a refused authorization request reaches somebody."""

    PAGE = "page"  # our page, shown to the user
    REDIRECT = "redirect"  # to the client; a fault found before its address was proved good falls back to PAGE
    JSON = "json"  # shown as JSON
    ERROR_ADDRESS = "error_address"  # 302 to the dialect's own error address


class AtHashRule(StrEnum):
    """How at_hash is made (decision 15)."""

    STANDARD = "standard"  # OIDCC-3.1.3.6
    PACTERA = "pactera"  # Pactera-4.4


@dataclass(frozen=True)
class Endpoint:
    """One address of a dialect, below the tenant's root. `path` may hold `<str:app_code>`."""

    path: str
    methods: tuple[str, ...]
    source: str = ""  # the section of the document that prints it


@dataclass(frozen=True)
class Refusal:
    """How a dialect spells one fault. What is empty comes from the catalogue of the standards."""

    source: str
    delivery: Delivery | None = None
    status: int | None = None
    error: str = ""
    text: str = ""  # may be other than ASCII; percent-encoded in addresses


def same(parameters: Parameters) -> dict[str, str]:
    """Leave parameters as they are: the wire speaks RFC already."""
    return dict(parameters)


def unchanged(body: Body) -> Body:
    """Leave a body as it is."""
    return body


@dataclass(frozen=True, eq=False)
class Dialect:
    """One way to spell OAuth 2.0 and OpenID Connect. There is one value of each, so identity is equality."""

    name: str
    issuer_path: str  # what follows `https://<tenant host>`; may hold `{app_code}`
    endpoints: Mapping[EndpointName, Endpoint]
    # In: wire parameters to RFC parameters, PKCE challenges included.
    to_rfc: Callable[[Parameters], dict[str, str]] = same
    # Out: the bodies of good answers.
    answer_tokens: Callable[[Body], Body] = unchanged
    answer_userinfo: Callable[[Body], Body] = unchanged
    # Out: refusals that are spelled or delivered otherwise than the catalogue says.
    errors: Mapping[Fault, Refusal] = field(default_factory=lambda: MappingProxyType({}))
    authorization_errors: Delivery = Delivery.REDIRECT
    error_address: str = ""  # path, for Delivery.ERROR_ADDRESS
    # Extra demands, in RFC names; what OAuth itself requires is always required.
    required_at_authorize: tuple[str, ...] = ()
    required_at_token: tuple[str, ...] = ()
    secret_places: frozenset[SecretPlace] = frozenset({SecretPlace.HEADER, SecretPlace.BODY, SecretPlace.ASSERTION})
    # Defaults that a client's row may override; None is the default of conf.py.
    authorization_code_lifetime: timedelta | None = None
    access_token_lifetime: timedelta | None = None
    refresh_token_lifetime: timedelta | None = None
    at_hash_rule: AtHashRule = AtHashRule.STANDARD
    # Whether refresh tokens survive a plain sign-out without offline_access (decision 14).
    refresh_outlives_session: bool = False
    # Whether discovery and JWKS name this dialect as an OpenID provider.
    is_openid: bool = True

    def issuer(self, origin: str, *, app_code: str = "") -> str:
        """The issuer identifier below an origin such as `https://id.example.org` (decision 11)."""
        return origin + self.issuer_path.format(app_code=app_code)

    def address(self, endpoint: EndpointName, origin: str, *, app_code: str = "") -> str:
        """The full address of an endpoint below an origin."""
        return f"{origin}/{self.endpoints[endpoint].path.replace('<str:app_code>', app_code)}"

    def refusal(self, fault: Fault) -> Refusal | None:
        """This dialect's own spelling of a fault, if it has one."""
        return self.errors.get(fault)
