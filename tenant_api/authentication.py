"""Who calls: a client with an access token for this API (decision 45). The tenant is the token's, and nothing else's.

The token stands in the Authorization header. A person who reads the browsable pages types it once, and it is kept
sealed in the session of these pages; then every write must prove that it came from them (CSRF).
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.csrf import CsrfViewMiddleware
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from identity import crypto
from identity.http import typed
from identity.views.product_api import with_tenant
from oidc_provider import public
from oidc_provider.errors import Fault, OAuthError
from oidc_provider.public import Principal

_SESSION_KEY = "tenant_api_token"
_PURPOSE = "tenant_api.token"


class BearerAuthentication(BaseAuthentication):
    """RFC6750-2.1, and the session of the browsable pages."""

    def authenticate(self, request: Request) -> tuple[Principal, None]:
        """Authenticate the caller. Raises OAuthError: every operation but the token's needs one."""
        http = typed(request._request)
        tenant = with_tenant(http).tenant
        if tenant is None:
            raise LookupError("with_tenant has found one.")
        token = public.read_bearer_header(http.headers.get("Authorization", "")) or _page_token(http)
        return public.authenticate_machine(token, tenant=tenant), None


# The browsable pages ---------------------------------------------------------------------------------------


def keep_for_pages(http: HttpRequest, token: str) -> None:
    """Remember the token in the session of the browsable pages, sealed; the session's key changes with it."""
    http.session.cycle_key()
    http.session[_SESSION_KEY] = crypto.seal(token, purpose=_PURPOSE)


def forget_for_pages(http: HttpRequest) -> None:
    """Sign the browsable pages out."""
    http.session.pop(_SESSION_KEY, None)


def page_token(http: HttpRequest) -> str:
    """Read the token that was typed into the browsable pages, "" without one."""
    sealed: Any = http.session.get(_SESSION_KEY, "")
    try:
        return crypto.unseal(sealed, purpose=_PURPOSE) if sealed else ""
    except crypto.UnsealError:
        return ""  # The key that sealed it is gone.


def _page_token(http: HttpRequest) -> str:
    """Read the same from a request that a page of ours sent."""
    if settings.SESSION_COOKIE_NAME not in http.COOKIES:
        return ""  # A machine's call costs no query for it.
    token = page_token(http)
    if token and _csrf_refusal(http):
        raise OAuthError(Fault.ACCESS_TOKEN_MISSING, log_detail="not sent by a page of ours")
    return token


class _CSRFCheck(CsrfViewMiddleware):
    """Tells what it finds in place of answering."""

    def _reject(self, request: HttpRequest, reason: str) -> str:
        return reason


def _a_view(request: HttpRequest) -> HttpResponseBase:
    """Stands for a view that is not exempt."""
    raise NotImplementedError


def _csrf_refusal(http: HttpRequest) -> Any:
    check = _CSRFCheck(lambda request: None)  # type: ignore[arg-type]
    check.process_request(http)
    return check.process_view(http, _a_view, (), {})
