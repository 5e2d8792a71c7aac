"""What a dialect is: a frozen value with small pure functions, bound to the route.

A dialect adapts the standard form of a message on its way in and out. It holds no protocol decision: which fault
was found, whether a redirect address is good and whether a code may be used are the same for all of them.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum, StrEnum
from functools import cached_property
from types import MappingProxyType
from typing import Any, Protocol

from oidc_provider.errors import Fault, OAuthError

Parameters = Mapping[str, str]
Body = dict[str, Any]
Text = str | Callable[[OAuthError], str]


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
    PUBLIC_KEY = "public_key"  # one key by its kid
    ERROR_PAGE = "error_page"  # where refused authorization requests are shown
    GLOBAL_LOGOUT = "global_logout"  # ends the session without asking


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
    text: Text = ""  # may be other than ASCII; percent-encoded in addresses
    members: tuple[str, str] = ("error", "error_description")  # of a body shown as JSON


@dataclass(frozen=True)
class Finding:
    """What a look at the parameters alone found wrong."""

    fault: Fault
    names: tuple[str, ...] = ()  # of the parameters that are missing


class Person(Protocol):
    """What a dialect may read of a profile, whatever the scopes are."""

    @property
    def sub(self) -> str: ...
    @property
    def account_name(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def email(self) -> str: ...
    @property
    def bare_phone_number(self) -> str: ...


@dataclass(frozen=True)
class UserinfoFacts:
    """What a userinfo answer is made of."""

    claims: Body  # as the standard dialect answers
    scopes: tuple[str, ...]  # granted
    person: Person


def nothing(parameters: Parameters) -> Finding | None:
    """Find nothing wrong."""
    return None


def nothing_at_token(parameters: Parameters, authorization: str) -> Finding | None:
    """Find nothing wrong. authorization: the header's value, "" if there is none."""
    return None


def takes_any(words: Sequence[str], allowed: frozenset[str]) -> bool:
    """OIDCC-3.1.2.1: scopes that are not understood are ignored."""
    return False


def no_default(parameters: Parameters, allowed: frozenset[str]) -> str:
    """Ask for none where a request names no scope."""
    return ""


def claims_alone(facts: UserinfoFacts) -> Body:
    """Answer with the claims (OIDCC-5.3.2)."""
    return facts.claims


def none_of_ours(parameters: Parameters) -> tuple[str, str]:
    """Recognise nothing."""
    return "", ""


# The hash of the signing algorithm (OIDCC-3.1.3.6).
_HASHES = {"RS256": hashlib.sha256, "ES256": hashlib.sha256, "RS512": hashlib.sha512}
# What one client may have otherwise, whatever its dialect.
COMMON_FLAGS = frozenset({"plain_http", "shared_nonces", "bare_phone_number"})


def half_hash(value: str, alg: str) -> str:
    """Return the left half of a hash, base64url (OIDCC-3.1.3.6, OIDCC-3.3.2.11)."""
    digest = _HASHES[alg](value.encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()


@dataclass(frozen=True, eq=False)
class Dialect:
    """One way to spell OAuth 2.0 and OpenID Connect. There is one value of each, so identity is equality."""

    name: str
    issuer_path: str  # what follows `https://<tenant host>`; may hold `{app_code}`
    endpoints: Mapping[EndpointName, Endpoint]
    # In: wire parameters to RFC parameters, PKCE challenges included.
    to_rfc: Callable[[Parameters], dict[str, str]] = dict
    # Out: the bodies of good answers.
    answer_tokens: Callable[[Body], Body] = dict
    answer_userinfo: Callable[[UserinfoFacts], Body] = claims_alone
    answer_authorization: Callable[[Body], Body] = dict
    id_token_claims: Callable[[Body], Body] = dict
    # Out: refusals that are spelled or delivered otherwise than the catalogue says.
    errors: Mapping[Fault, Refusal] = field(default_factory=lambda: MappingProxyType({}))
    authorization_errors: Delivery = Delivery.REDIRECT
    error_address: str = ""  # path, for Delivery.ERROR_ADDRESS
    # Of the parameters of that address, the code and text that are ours; "" for each that is not.
    shown_error: Callable[[Parameters], tuple[str, str]] = none_of_ours
    error_uri: str = ""  # sent with every refusal, RFC6749-5.2
    # A first look at wire parameters, before the client is looked up: what is missing, in the dialect's own order.
    look_at_authorize: Callable[[Parameters], Finding | None] = nothing
    look_at_token: Callable[[Parameters, str], Finding | None] = nothing_at_token
    # Extra demands, in RFC names; what OAuth itself requires is always required.
    required_at_authorize: tuple[str, ...] = ()
    # RFC6749-4.1.3: a redirect_uri of the authorization request comes again with the code. False: it may be left out by
    # who proves a secret or a verifier; where it comes, it is compared all the same.
    repeats_redirect_uri: bool = True
    # Whether redirect_uri must be sent; None is the rule of OIDCC-3.1.2.1. Left out, it is the only registered one.
    is_redirect_uri_required: bool | None = None
    # Scopes: which words refuse a request outright, what a request without scope asks for, and words of the
    # document's own that every client of the dialect may have.
    refuses_scopes: Callable[[Sequence[str], frozenset[str]], bool] = takes_any
    default_scope: Callable[[Parameters, frozenset[str]], str] = no_default
    own_scopes: frozenset[str] = frozenset()
    userinfo_scopes: frozenset[str] = frozenset({"openid"})  # one of them opens userinfo
    # What a scope releases beside what its own line on the consent page says: shown there, for it is given.
    implied_scopes: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    # Claims that a scope gives here; scopes that are not named give the standard ones.
    scope_claims: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    # PKCE, as its challenges look after `to_rfc`.
    challenge_methods: frozenset[str] = frozenset({"S256"})
    is_pkce_required: bool = False  # of confidential clients too; public ones always need it
    max_verifier_length: int = 128
    short_verifier_length: int = 22  # the least, of clients with the flag short_verifiers (decision 41)
    # Client authentication. read_basic: decoded header and the client_id beside it to client and secret; None is
    # RFC6749-2.3.1.
    read_basic: Callable[[str, str], tuple[str, str] | None] | None = None
    is_basic_like_post: bool = False  # a client with a secret may send it in the header or beside the rest
    needs_plain_secrets: bool = False  # of RFC3986-2.3 characters, where a colon or a percent sign could be misread
    takes_text_as_json: bool = False  # bodies under application/json: an object, or form text
    grant_types: frozenset[str] = frozenset({"authorization_code", "refresh_token", "client_credentials", "implicit"})
    response_types: tuple[str, ...] = ("code", "id_token", "id_token token")
    signing_algorithms: tuple[str, ...] = ("RS256", "RS512", "ES256")
    # What one client may have otherwise. Each is off by default, true or false, and described in docs/dialects/ and,
    # with what it costs, in `models.FLAG_TEXTS`.
    flags: frozenset[str] = COMMON_FLAGS
    # Whether its clients may be mini programs that a mobile app shows.
    has_mini_programs: bool = False
    # Values of a new client where nobody says otherwise: what the document's own clients need.
    client_defaults: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    secret_places: frozenset[SecretPlace] = frozenset({SecretPlace.HEADER, SecretPlace.BODY, SecretPlace.ASSERTION})
    # Defaults that a client's row may override; None is the default of conf.py.
    authorization_code_lifetime: timedelta | None = None
    access_token_lifetime: timedelta | None = None
    refresh_token_lifetime: timedelta | None = None
    at_hash: Callable[[str, str], str] = half_hash  # of a token and the algorithm of the signature (decision 15)
    # Whether refresh tokens survive a plain sign-out without offline_access (decision 14).
    refresh_outlives_session: bool = False
    # Whether redirects carry their target in a header `path` too, and for scripts of the same site only there.
    sends_path_header: bool = False

    @cached_property
    def is_per_application(self) -> bool:
        """Whether every application has an issuer of its own, named by its code in the path (decision 11)."""
        return "{app_code}" in self.issuer_path

    def issuer(self, origin: str, *, app_code: str = "") -> str:
        """Return the issuer identifier below an origin such as `https://id.example.org` (decision 11)."""
        return origin + self.issuer_path.format(app_code=app_code)

    def address(self, endpoint: EndpointName, origin: str, *, app_code: str = "") -> str:
        """Return the full address of an endpoint below an origin."""
        return f"{origin}/{self.endpoints[endpoint].path.replace('<str:app_code>', app_code)}"

    def refusal(self, fault: Fault) -> Refusal | None:
        """Return this dialect's own spelling of a fault, if it has one."""
        return self.errors.get(fault)
