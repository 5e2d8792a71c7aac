"""Read the parameters of a request, whatever was sent, without ever failing in another way than the protocol's."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from oidc_provider.dialects.base import SecretPlace
from oidc_provider.errors import Fault, OAuthError
from oidc_provider.wire.machine import JSON, Request
from oidc_provider.wire.parameters import Parameters, collect, merge

FORM = "application/x-www-form-urlencoded"
MAX_FIELDS = 100


def from_query(query: str) -> Parameters:
    """Return the parameters of a query."""
    return _collect(query)


def from_form(content_type: str, read_body: Callable[[], bytes]) -> Parameters:
    """Return the parameters of a form body (RFC6749-3.2, appendix B).

    Raises OAuthError for another content type, a body that is too large, cut off, or not a form.
    """
    if content_type != FORM:
        raise OAuthError(Fault.CONTENT_TYPE, log_detail=f"content_type={content_type[:60]!r}")
    # A form is ASCII once it is encoded; anything else becomes U+FFFD and is refused by name.
    return _collect(read_body().decode("utf-8", errors="replace"))


def form_of(asked: Request) -> Parameters:
    """Return the parameters of a form that may not stand in the address (RFC6749-2.3.1). Raises OAuthError."""
    if from_query(asked.query):
        raise OAuthError(Fault.QUERY_PARAMETERS)  # nothing secret in an address
    return from_form(asked.content_type, asked.read_body)


def token_parameters(asked: Request) -> Parameters:
    """Return the parameters of a token request, in RFC names, from where the dialect takes them. Raises OAuthError."""
    params = _token_parameters(asked)
    return params.respelled(asked.dialect.to_rfc(params))


def _token_parameters(asked: Request) -> Parameters:
    dialect = asked.dialect
    if SecretPlace.QUERY not in dialect.secret_places:
        if dialect.takes_text_as_json and asked.content_type == JSON and not from_query(asked.query):
            return _json_or_text(asked)
        return form_of(asked)
    query = from_query(asked.query)
    if asked.content_type != FORM and not asked.headers.get("Content-Length", "0").strip("0"):
        return query  # Everything was in the query, and there is no body to name a type for.
    return merge(query, from_form(asked.content_type, asked.read_body))


def _json_or_text(asked: Request) -> Parameters:
    """Read form text or JSON under the type of JSON: the first character tells which (OneAccess-3.3.1.1)."""
    text = asked.read_body().decode("utf-8", errors="replace").strip()
    if not text.startswith("{"):
        return _collect(text)
    try:
        members: list[tuple[str, Any]] = json.loads(text, object_pairs_hook=list)
    except (ValueError, RecursionError):
        raise OAuthError(Fault.MALFORMED_PARAMETER, log_detail="not JSON") from None
    if len(members) > MAX_FIELDS or not all(isinstance(value, str) for _, value in members):
        raise OAuthError(Fault.MALFORMED_PARAMETER, log_detail="members that are no text, or too many")
    return collect(members)


def _collect(encoded: str) -> Parameters:
    try:
        pairs = parse_qsl(encoded, keep_blank_values=True, errors="replace", max_num_fields=MAX_FIELDS)
    except ValueError:
        raise OAuthError(Fault.MALFORMED_PARAMETER, log_detail="too many fields") from None
    return collect(pairs)
