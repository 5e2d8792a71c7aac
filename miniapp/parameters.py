"""Read what the app sent: a query, a form, or a JSON object of texts. Faults are the protocol's, never Django's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.http.request import UnreadablePostError

from identity.http import Request
from oidc_provider import public
from oidc_provider.errors import Fault, OAuthError

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
MAX_FIELDS = 100
_PROOFS = frozenset({"client_assertion", "client_assertion_type", "client_secret", "access_token"})


class _Members(list[tuple[str, Any]]):
    """The members of a JSON object in order, so that one that comes twice is seen."""


def read(request: Request, *, required: tuple[str, ...]) -> Mapping[str, str]:
    """Read the parameters of a query or a form. Raises OAuthError; `required` in the order they are named."""
    query = str(request.META.get("QUERY_STRING", ""))
    if request.method != "POST":
        params = public.parameters(_pairs(query), required=required)
        if _PROOFS & params.keys():
            raise OAuthError(Fault.QUERY_PARAMETERS, log_detail="a proof in the address")  # RFC6749-2.3.1
        return params
    if query:
        raise OAuthError(Fault.QUERY_PARAMETERS)  # One place for each value, and nothing of a POST in an address.
    body = _body(request)
    if body and request.content_type != FORM:
        raise OAuthError(Fault.CONTENT_TYPE)
    return public.parameters(_pairs(body), required=required)


def read_json(request: Request, *, required: tuple[str, ...]) -> Mapping[str, str]:
    """Read the members of a JSON object, all of them texts. Raises OAuthError."""
    try:
        members: Any = json.loads(_body(request), object_pairs_hook=_Members)
    except (ValueError, RecursionError):
        raise OAuthError(Fault.MALFORMED_PARAMETER, log_detail="not JSON") from None
    is_object = isinstance(members, _Members) and len(members) <= MAX_FIELDS
    if not is_object or not all(isinstance(value, str) for _, value in members):
        raise OAuthError(Fault.MALFORMED_PARAMETER, log_detail="not an object of texts, or too large")
    return public.parameters(members, required=required)


def _pairs(encoded: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(encoded, keep_blank_values=True, errors="replace", max_num_fields=MAX_FIELDS)
    except ValueError:
        raise OAuthError(Fault.MALFORMED_PARAMETER, log_detail="too many fields") from None


def _body(request: Request) -> str:
    try:
        return request.body.decode("utf-8", errors="replace")
    except RequestDataTooBig:
        raise OAuthError(Fault.BODY_TOO_LARGE) from None
    except (UnreadablePostError, SuspiciousOperation):
        raise OAuthError(Fault.MALFORMED_PARAMETER, log_detail="body cut off") from None
