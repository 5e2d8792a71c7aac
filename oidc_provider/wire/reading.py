"""Read the parameters of a request, whatever was sent, without ever failing in another way than the protocol's."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl

from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.http import Http404
from django.http.request import UnreadablePostError

from identity.http import Request
from oidc_provider.dialects.base import Dialect, SecretPlace
from oidc_provider.errors import Fault, OAuthError
from oidc_provider.wire.facts import Facts
from oidc_provider.wire.parameters import Parameters, collect, merge

FORM = "application/x-www-form-urlencoded"
MAX_FIELDS = 100


def facts_of(request: Request, dialect: Dialect, *, app_code: str = "") -> Facts:
    """Return what rules may know of this request."""
    if request.context.tenant is None:
        raise Http404  # The host that all tenants share has no issuer (decision 10).
    return Facts.of(request.context, dialect, app_code=app_code)


def query_parameters(request: Request) -> Parameters:
    """Return the parameters of the query."""
    return _collect(str(request.META.get("QUERY_STRING", "")))


def form_parameters(request: Request) -> Parameters:
    """Return the parameters of a form body (RFC6749-3.2, appendix B).

    Raises OAuthError for another content type, a body that is too large, cut off, or not a form.
    """
    if request.content_type != FORM:
        raise OAuthError(Fault.CONTENT_TYPE, log_detail=f"content_type={(request.content_type or '')[:60]!r}")
    # A form is ASCII once it is encoded; anything else becomes U+FFFD and is refused by name.
    return _collect(_body(request).decode("utf-8", errors="replace"))


def _body(request: Request) -> bytes:
    try:
        return request.body
    except RequestDataTooBig:
        raise OAuthError(Fault.BODY_TOO_LARGE) from None
    except (UnreadablePostError, SuspiciousOperation):
        raise OAuthError(Fault.MALFORMED_PARAMETER, log_detail="body cut off") from None


def token_parameters(request: Request, dialect: Dialect) -> Parameters:
    """Return the parameters of a token request, from where the dialect takes them. Raises OAuthError."""
    query = query_parameters(request)
    if SecretPlace.QUERY not in dialect.secret_places:
        if query:
            raise OAuthError(Fault.QUERY_PARAMETERS)  # RFC6749-2.3.1: nothing secret in an address
        return _json_or_form(request) if dialect.takes_text_as_json else form_parameters(request)
    if request.content_type != FORM and not request.headers.get("Content-Length", "0").strip("0"):
        return query  # Everything was in the query, and there is no body to name a type for.
    return merge(query, form_parameters(request))


def _json_or_form(request: Request) -> Parameters:
    """Read form text or JSON under the type of JSON: the first character tells which (OneAccess-3.3.1.1)."""
    if request.content_type != "application/json":
        return form_parameters(request)
    text = _body(request).decode("utf-8", errors="replace").strip()
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
