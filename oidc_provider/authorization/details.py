"""Look at an authorization request before rows are asked: shape and spelling. Pure functions over parameters.

`checks` calls `check_target` first, while nothing may be redirected yet, then finds the client and its redirect_uri,
then calls `read_details`, whose refusals go to that address.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from identity.texts import unique_members
from oidc_provider.errors import Fault, OAuthError
from oidc_provider.wire.parameters import Parameters, check_single

# OIDCC-3.1.2.1 sets no limit. Ten years is more than any session lives, and fits every database column.
MAX_AGE_CEILING_SECONDS = 10 * 365 * 24 * 3600
# Depth and size of the claims parameter (OIDCC-5.5), far above what a client can ask for usefully.
MAX_CLAIMS_LENGTH = 8 * 1024
MAX_CLAIM_NAMES = 100

PROMPTS = frozenset({"none", "login", "consent", "select_account"})
RESPONSE_MODES = frozenset({"query", "fragment", "form_post"})
# Parameters that say where an answer goes: a fault in one of them leaves no address to trust.
_TARGET = ("client_id", "redirect_uri", "response_mode", "state")
_LANGUAGE_TAG = re.compile(r"[A-Za-z0-9]{1,8}(-[A-Za-z0-9]{1,8})*")  # RFC5646-2.1, shape only


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
    """Return the mode in which answers go back, also for refusals, before it is known to be allowed.

    OAuthMultiple-2.1: fragment where the authorization endpoint gives tokens, else query; an unknown or
    unsafe mode is answered in the default one.
    """
    is_fragment_flow = "token" in response_words(params) or "id_token" in response_words(params)
    wanted = params.get("response_mode", "")
    if wanted in RESPONSE_MODES and not (is_fragment_flow and wanted == "query"):
        return wanted
    return "fragment" if is_fragment_flow else "query"


def response_words(params: Mapping[str, str]) -> frozenset[str]:
    """Return the words of response_type; their order says nothing (OAuthMultiple-3)."""
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
