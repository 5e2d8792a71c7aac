"""Who asks, from where, in which tenant and session and language: known before any view runs.

RequestContextMiddleware stands first. Below it a request has a tenant, the client's true address, scheme and host,
and an id; and a database that is away is answered with 503 (S32, decision 10).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

from csp.constants import HEADER as CSP_HEADER
from csp.middleware import CSPMiddleware
from csp.utils import build_policy
from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import DisallowedHost, SuspiciousOperation
from django.db import Error as DatabaseError
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone, translation
from django.utils.cache import patch_vary_headers

from identity import cookies, forwarding, listening
from identity.budgets import BudgetSpent
from identity.conf import conf
from identity.context import META_KEY, RequestContext
from identity.database import event_of, is_unavailable
from identity.directory import tenants
from identity.http import Request
from identity.keyring import secret_check
from identity.languages import choose_language, use_language
from identity.models import SessionKind, Tenant
from identity.sso import sessions
from identity.views import errors

log = logging.getLogger(__name__)

GetResponse = Callable[[Request], HttpResponseBase]

_LOOPBACK_HOST = re.compile(r"(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?")
_CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f]")
_MAX_USER_AGENT_LENGTH = 300
_PROBES = ("/livez", "/readyz")  # asked by address, from inside, before any tenant exists


class RequestContextMiddleware:
    """Set `request.context`, or answer before anything else looks at the request."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: Request) -> HttpResponseBase:
        """Judge where the request comes from, find its tenant, and go on."""
        arrival = forwarding.apply(request)
        request.context = RequestContext(
            tenant=None,
            ip=arrival.ip,
            user_agent=user_agent(request.META),
            request_id=arrival.request_id,
            given_request_id=arrival.given_request_id,
        )
        response = self._refusal(request) or self._answer(request)
        response["X-Request-ID"] = arrival.request_id
        return response

    def process_exception(self, request: Request, exception: Exception) -> HttpResponseBase | None:
        """Answer 503 where a view could not reach the database, or met others there too often."""
        if not isinstance(exception, DatabaseError) or not is_unavailable(exception):
            return None
        return _unavailable(request, exception)

    def _answer(self, request: Request) -> HttpResponseBase:
        if request.path_info in _PROBES or request.path.startswith(settings.STATIC_URL or "/static/"):
            return self.get_response(request)
        try:
            secret_check.prove()
            tenant = find_tenant(request.get_host())
        except DatabaseError as error:
            if not is_unavailable(error):
                raise
            return _unavailable(request, error)
        except secret_check.WrongSecrets as error:
            log.critical("secrets.wrong", extra={"variables": error.variables})
            return errors.unavailable(request)
        except DisallowedHost:
            return errors.bad_request(request)
        if tenant is None and not _is_shared_host(request):
            return errors.not_found(request)
        origin = f"{request.scheme}://{request.get_host()}"
        request.context = request.META[META_KEY] = replace(request.context, tenant=tenant, origin=origin)
        return self.get_response(request)

    @staticmethod
    def _refusal(request: Request) -> HttpResponseBase | None:
        """Refuse what no view can read, before a view tries."""
        if "\x00" in request.path:
            return errors.bad_request(request)
        length = request.META.get("CONTENT_LENGTH") or "0"
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        if not length.isdecimal():
            return errors.bad_request(request)
        if limit is not None and int(length[:20]) > limit:
            return errors.too_large(request)
        try:
            request.GET  # noqa: B018 - parsed once, here: Django's own page of this error fails at it again
        except SuspiciousOperation:  # too many parameters
            return errors.bad_request(request)
        return None


class SSOSessionMiddleware:
    """Set `request.sso_session` and `request.user` from the session's handle.

    A request without the cookie costs no query. The session is touched when a page is asked for, not by machines,
    which have no cookie; views that answer both say `is_machine_endpoint`.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: Request) -> HttpResponseBase:
        """Load the session, go on, and keep the browser's cookies true."""
        handle = cookies.read(cookies.SESSION, request)
        request.sso_session = None
        request.user = AnonymousUser()
        tenant: Tenant | None = request.context.tenant
        if handle and tenant is not None:
            try:
                # An app's session_token is no cookie (decision 23).
                session = sessions.find_by_handle(handle=handle, tenant=tenant, kind=SessionKind.BROWSER)
            except DatabaseError as error:
                if not is_unavailable(error):
                    raise
                return _unavailable(request, error)
            if session is not None:
                request.sso_session = session
                request.user = session.user
                request.context = replace(
                    request.context,
                    actor=session.user.public_id,
                )
        response = self.get_response(request)
        cookies.send_browser_binding(request, response)
        ended = request.sso_session is None or request.sso_session.ended_at is not None
        if handle and tenant is not None and ended and not cookies.was_set(request):
            cookies.clear_session(response, request)
        return response

    def process_view(
        self, request: Request, view: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        """Touch the session."""
        session = request.sso_session
        if session is not None and not getattr(view, "is_machine_endpoint", False):
            sessions.touch(session)


class ContentSecurityPolicyMiddleware(CSPMiddleware):
    """Django-csp, which builds the header of each answer from the settings: here once for answers that ask the same."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Set the header, if nothing else has."""
        is_shown_by_django = settings.DEBUG and response.status_code in (404, 500)
        is_plain = response.__dict__.keys().isdisjoint(_OWN_POLICY) and not hasattr(request, "_csp_nonce")
        if is_shown_by_django or not is_plain:
            answered: HttpResponseBase = super().process_response(request, response)
            return answered
        update: dict[str, list[str]] = getattr(response, "_csp_update", {})
        response.headers.setdefault(CSP_HEADER, _policy(tuple((name, *places) for name, places in update.items())))
        return response


# What makes an answer's policy another one than that of the settings with what `browser.content_security` allows.
_OWN_POLICY = {"_csp_config", "_csp_replace", "_csp_exempt", "_csp_config_ro", "_csp_update_ro", "_csp_replace_ro"}


@lru_cache(maxsize=1000)
def _policy(update: tuple[tuple[str, ...], ...]) -> str:
    """Return the header for what a page allows beside the settings: directives, each with its places."""
    return build_policy(update={name: list(places) for name, *places in update})


class LanguageMiddleware:
    """Choose how pages speak: language of ui_locales, cookie, Accept-Language, user or tenant; the tenant's time."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: Request) -> HttpResponseBase:
        """Activate language and time zone for this request only."""
        use_language(request, choose_language(request))
        tenant: Tenant | None = request.context.tenant
        try:
            with timezone.override(tenant.time_zone if tenant else None):
                response = self.get_response(request)
        finally:
            translation.deactivate()
        if response.get("Content-Type", "").startswith("text/html"):
            patch_vary_headers(response, ["Accept-Language", "Cookie"])
            response.headers.setdefault("Content-Language", request.LANGUAGE_CODE)
        return response


class BudgetMiddleware:
    """Tell a source that used up its budget to wait (RFC6585-4): by page, or by JSON where no page was asked for."""

    def __init__(self, get_response: Callable[[Request], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: Request) -> HttpResponseBase:
        """Do nothing; it is the exception that counts."""
        return self.get_response(request)

    def process_exception(self, request: Request, exception: Exception) -> HttpResponseBase | None:
        """Answer for a view that raised BudgetSpent."""
        if not isinstance(exception, BudgetSpent):
            return None
        log.info("budget.spent", extra={"path": request.path})
        return errors.too_many_requests(request, retry_after_seconds=exception.retry_after_seconds)


def _unavailable(request: Request, error: DatabaseError) -> HttpResponseBase:
    log.error(event_of(error), extra={"path": request.path}, exc_info=error)
    return errors.unavailable(request)


def find_tenant(host: str) -> Tenant | None:
    """Return the tenant whom a host belongs to (decision 10)."""
    listening.ensure()
    if conf.debug and _LOOPBACK_HOST.fullmatch(host):
        return tenants.find_by_loopback(host)
    return tenants.find_by_host(host)


def _is_shared_host(request: Request) -> bool:
    """Tell whether this is a call of an API on the host that all tenants share; pages are not served there."""
    return bool(conf.shared_host) and request.get_host() == conf.shared_host and request.path_info.startswith("/api/")


def user_agent(meta: Mapping[str, Any]) -> str:
    """Return what the client calls itself, as far as it is kept."""
    return _CONTROL_CHARACTERS.sub(" ", meta.get("HTTP_USER_AGENT", ""))[:_MAX_USER_AGENT_LENGTH]
