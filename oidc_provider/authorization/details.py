"""Look at a request before rows are asked: shape, repetition, spelling. Pure functions over parameters.

Order at the authorization endpoint: `collect`, `check_target` (nothing may be redirected yet), then the engine
finds the client and its redirect_uri, then `read_details`, whose refusals the engine sends to that address.
Elsewhere: `collect`, `check_single`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from identity.texts import is_storable, single_spaced, unique_members
from oidc_provider.errors import Fault, OAuthError

# A parameter longer than this serves nobody; id_token_hint and claims are the long ones.
MAX_VALUE_LENGTH = 16 * 1024  # characters
# OIDCC-3.1.2.1 sets no limit. Ten years is more than any session lives, and fits every database column.
MAX_AGE_CEILING_SECONDS = 10 * 365 * 24 * 3600
# Depth and size of the claims parameter (OIDCC-5.5), far above what a client can ask for usefully.
MAX_CLAIMS_LENGTH = 8 * 1024
MAX_CLAIM_NAMES = 100

PROMPTS = frozenset({"none", "login", "consent", "select_account"})
RESPONSE_MODES = frozenset({"query", "fragment", "form_post"})
# What an authorization request may say: what is kept of it while the user signs in. RFC6749-3.1: others are ignored.
KNOWN = frozenset(
    {
        "client_id", "redirect_uri", "response_type", "response_mode", "scope", "state", "nonce",
        "code_challenge", "code_challenge_method", "prompt", "max_age", "login_hint", "id_token_hint",
        "ui_locales", "claims", "acr_values",
    }
)  # fmt: skip
# Parameters that say where an answer goes: a fault in one of them leaves no address to trust.
_TARGET = ("client_id", "redirect_uri", "response_mode", "state")
_LANGUAGE_TAG = re.compile(r"[A-Za-z0-9]{1,8}(-[A-Za-z0-9]{1,8})*")  # RFC5646-2.1, shape only


class Parameters(Mapping[str, str]):
    """Request parameters by name, first value each, and the names that came more than once.

    RFC6749-3.1: a parameter without a value is as good as omitted; unknown ones are ignored.
    """

    __slots__ = ("_values", "malformed", "repeated")

    def __init__(self, values: Mapping[str, str], repeated: frozenset[str], malformed: frozenset[str]) -> None:
        self._values = values
        self.repeated = repeated
        self.malformed = malformed

    def __getitem__(self, name: str) -> str:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def respelled(self, values: Mapping[str, str]) -> Parameters:
        """The same request after a dialect has turned its values into RFC form."""
        return Parameters(values, self.repeated, self.malformed)

    @classmethod
    def of(cls, values: Mapping[str, str]) -> Parameters:
        """Parameters that were collected and found sound before."""
        return cls(values, frozenset(), frozenset())

    @property
    def known(self) -> dict[str, str]:
        """The parameters that mean something to us."""
        return {name: value for name, value in self._values.items() if name in KNOWN}


@dataclass(frozen=True, kw_only=True)
class RequestDetails:
    """What an authorization request says beside client, address, scope and challenge."""

    response_type: frozenset[str]
    response_mode: str  # query, fragment or form_post
    prompt: frozenset[str]
    max_age: int | None  # seconds
    ui_locales: tuple[str, ...]  # in order of preference
    acr_values: tuple[str, ...]  # in order of preference
    claims: dict[str, Any]  # OIDCC-5.5: members userinfo and id_token
    login_hint: str
    nonce: str
    state: str


def collect(pairs: Iterable[tuple[str, str]]) -> Parameters:
    """Read name and value pairs of a query or a form."""
    values: dict[str, str] = {}
    seen: set[str] = set()
    repeated: set[str] = set()
    malformed: set[str] = set()
    for name, value in pairs:
        if name in seen:
            # S45, RFC6749-3.1: also when one of the two is empty, for others may read the other one.
            repeated.add(name)
            continue
        seen.add(name)
        if _is_malformed(value) or _is_malformed(name):
            malformed.add(name)
        if name == "scope":
            # RFC6749-3.3 has one space between words; many clients join lists that hold an empty one.
            value = single_spaced(value)
        if value:
            values[name] = value
    return Parameters(values, frozenset(repeated), frozenset(malformed))


def merge(first: Parameters, second: Parameters) -> Parameters:
    """The parameters of a query and of a form together; a name in both is repeated."""
    return Parameters(
        {**second, **first},
        first.repeated | second.repeated | (first.keys() & second.keys()),
        first.malformed | second.malformed,
    )


def check_single(params: Parameters) -> None:
    """Refuse repeated and malformed parameters, where no answer is redirected.

    RFC6749-3.2: parameters must not be included more than once.
    """
    if params.repeated:
        raise OAuthError(Fault.REPEATED_PARAMETER, log_detail=f"names={_names(params.repeated)}")
    if params.malformed:
        raise OAuthError(Fault.MALFORMED_PARAMETER, log_detail=f"names={_names(params.malformed)}")


def check_target(params: Parameters) -> None:
    """Refuse a request whose address for answers is unclear (RFC6749-4.1.2.1). Nothing is redirected (S6)."""
    for name in _TARGET:
        if name in params.repeated:
            raise OAuthError(Fault.REPEATED_PARAMETER, log_detail=f"name={name}")
        if name in params.malformed:
            raise OAuthError(Fault.MALFORMED_PARAMETER, log_detail=f"name={name}")
    if "client_id" not in params:
        raise OAuthError(Fault.MISSING_CLIENT_ID)


def response_mode(params: Mapping[str, str]) -> str:
    """The mode in which answers go back, also for refusals, before it is known to be allowed.

    OAuthMultiple-2.1: fragment where the authorization endpoint gives tokens, else query; an unknown or
    unsafe mode is answered in the default one.
    """
    is_fragment_flow = "token" in response_words(params) or "id_token" in response_words(params)
    wanted = params.get("response_mode", "")
    if wanted in RESPONSE_MODES and not (is_fragment_flow and wanted == "query"):
        return wanted
    return "fragment" if is_fragment_flow else "query"


def response_words(params: Mapping[str, str]) -> frozenset[str]:
    """The words of response_type; their order says nothing (OAuthMultiple-3)."""
    return frozenset(params.get("response_type", "").split(" ")) - {""}


def read_details(params: Parameters, *, required: Iterable[str] = ()) -> RequestDetails:
    """Read and check the rest of an authorization request, after its address was found good.

    required: further parameters that the dialect demands.
    Raises OAuthError without an address; the caller knows it.
    """
    check_single(params)
    _check_unsupported(params)
    for name in ("response_type", *required):
        if name not in params:
            fault = Fault.MISSING_RESPONSE_TYPE if name == "response_type" else Fault.MISSING_PARAMETER
            raise OAuthError(fault, log_detail=f"name={name}", names=(name,))
    if len(params["response_type"].split(" ")) != len(response_words(params)):
        raise OAuthError(Fault.RESPONSE_TYPE)  # a word twice, or none between two spaces
    return RequestDetails(
        response_type=response_words(params),
        response_mode=_checked_response_mode(params),
        prompt=_prompt(params.get("prompt", "")),
        max_age=_max_age(params.get("max_age")),
        ui_locales=_language_tags(params.get("ui_locales", "")),
        acr_values=tuple(params.get("acr_values", "").split()),
        claims=_claims(params.get("claims")),
        login_hint=params.get("login_hint", ""),
        nonce=params.get("nonce", ""),
        state=params.get("state", ""),
    )


def _check_unsupported(params: Parameters) -> None:
    """OIDCC-3.1.2.6: what changes the meaning of a request must be refused, never ignored (S43)."""
    for name, fault in (
        ("request", Fault.REQUEST_NOT_SUPPORTED),
        ("request_uri", Fault.REQUEST_URI_NOT_SUPPORTED),
        ("registration", Fault.REGISTRATION_NOT_SUPPORTED),
    ):
        if name in params:
            raise OAuthError(fault)


def _checked_response_mode(params: Mapping[str, str]) -> str:
    wanted = params.get("response_mode")
    effective = response_mode(params)
    if wanted is not None and wanted != effective:
        # OAuthMultiple-2.1, OAuthMultiple-5: tokens never travel in a query.
        raise OAuthError(Fault.RESPONSE_MODE)
    return effective


def _prompt(value: str) -> frozenset[str]:
    words = frozenset(value.split())
    # OIDCC-3.1.2.1: none with any other value is an error. An unknown word asks for something we would not do.
    if not words <= PROMPTS or ("none" in words and len(words) > 1):
        raise OAuthError(Fault.PROMPT)
    return words


def _max_age(value: str | None) -> int | None:
    if value is None:
        return None
    # int() would take a sign, blanks, underscores and other scripts' digits.
    if not re.fullmatch(r"[0-9]+", value):
        raise OAuthError(Fault.MAX_AGE)
    # More than the ceiling means the same as the ceiling, and int() need not read a thousand digits.
    return MAX_AGE_CEILING_SECONDS if len(value.lstrip("0")) > 10 else min(int(value), MAX_AGE_CEILING_SECONDS)


def _language_tags(value: str) -> tuple[str, ...]:
    """OIDCC-3.1.2.1: an unusable language is no error."""
    return tuple(tag for tag in value.split() if _LANGUAGE_TAG.fullmatch(tag))[:20]


def _claims(value: str | None) -> dict[str, Any]:
    """OIDCC-5.5: a JSON object; members other than userinfo and id_token are ignored."""
    if value is None:
        return {}
    if len(value) > MAX_CLAIMS_LENGTH:
        raise OAuthError(Fault.CLAIMS)
    try:
        document = json.loads(value, object_pairs_hook=unique_members)
        _check_storable(document)
    except (ValueError, RecursionError):
        raise OAuthError(Fault.CLAIMS) from None
    if not isinstance(document, dict):
        raise OAuthError(Fault.CLAIMS)
    members = (member for member in ("userinfo", "id_token") if document.get(member) is not None)
    return {member: _requested_claims(document[member]) for member in members}


def _requested_claims(member: object) -> dict[str, Any]:
    if not isinstance(member, dict) or len(member) > MAX_CLAIM_NAMES:
        raise OAuthError(Fault.CLAIMS)
    for request in member.values():
        # OIDCC-5.5.1: null, or an object with essential, value, values.
        if request is not None and not isinstance(request, dict):
            raise OAuthError(Fault.CLAIMS)
        if isinstance(request, dict) and not isinstance(request.get("values", []), list):
            raise OAuthError(Fault.CLAIMS)
    return member


def _check_storable(document: object) -> None:
    """Refuse what a JSON column cannot hold: NUL, half of a surrogate pair, a number without bounds."""
    text = json.dumps(document, allow_nan=False, ensure_ascii=False)
    if "\\u0000" in text:
        raise ValueError("NUL")
    text.encode()


def _is_malformed(value: str) -> bool:
    # Django decodes broken UTF-8 to U+FFFD; a NUL byte cannot be stored and ends a string for some readers.
    return "\ufffd" in value or len(value) > MAX_VALUE_LENGTH or not is_storable(value)


def _names(names: Iterable[str]) -> str:
    return ",".join(sorted(name[:40] for name in names)[:5])
