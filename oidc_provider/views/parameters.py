"""Read the parameters of a request, whatever was sent, without ever failing in another way than the protocol's."""

from __future__ import annotations

from urllib.parse import parse_qsl

from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.http import HttpRequest
from django.http.request import UnreadablePostError

from oidc_provider import request_checks
from oidc_provider.errors import Fault, OAuthError
from oidc_provider.request_checks import Parameters

FORM = "application/x-www-form-urlencoded"
MAX_FIELDS = 100


def query_parameters(request: HttpRequest) -> Parameters:
    """The parameters of the query."""
    return _collect(str(request.META.get("QUERY_STRING", "")))


def form_parameters(request: HttpRequest) -> Parameters:
    """The parameters of a form body (RFC6749-3.2, appendix B).

    Raises OAuthError for another content type, a body that is too large, cut off, or not a form.
    """
    if request.content_type != FORM:
        raise OAuthError(Fault.CONTENT_TYPE, log_detail=f"content_type={(request.content_type or '')[:60]!r}")
    try:
        body = request.body
    except RequestDataTooBig:
        raise OAuthError(Fault.BODY_TOO_LARGE) from None
    except (UnreadablePostError, SuspiciousOperation):
        raise OAuthError(Fault.MALFORMED_PARAMETER, log_detail="body cut off") from None
    # A form is ASCII once it is encoded; anything else becomes U+FFFD and is refused by name.
    return _collect(body.decode("utf-8", errors="replace"))


def _collect(encoded: str) -> Parameters:
    try:
        pairs = parse_qsl(encoded, keep_blank_values=True, errors="replace", max_num_fields=MAX_FIELDS)
    except ValueError:
        raise OAuthError(Fault.MALFORMED_PARAMETER, log_detail="too many fields") from None
    return request_checks.collect(pairs)
