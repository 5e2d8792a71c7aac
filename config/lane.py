"""The front of the machine endpoints: from the server's environ to an endpoint and back, without Django's request.

Programs ask most of all requests, and need little of what pages need. An endpoint is one function
(`identity.machine`) with two fronts: a view of Django's, and this one, which WSGI calls first. Addresses are those of
the routes, rules those of the middleware, headers those that Django's own middleware adds. Whatever is unusual goes on
to Django untouched: a cookie, a host of nobody, a body too large. So does what an endpoint could not answer, with what
came of it, and Django says it as it says it of its views.

MACHINE_LANE turns it off; and it stays off where MIDDLEWARE holds a middleware that this file does not know.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from http import HTTPStatus
from io import BytesIO
from typing import Any

from csp.middleware import CSPMiddleware
from django.conf import settings
from django.core import signals
from django.core.handlers.wsgi import WSGIRequest
from django.db import Error as DatabaseError
from django.db import connections
from django.dispatch import Signal
from django.http import HttpResponse
from django.http.request import HttpHeaders
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.security import SecurityMiddleware
from django.urls import URLPattern, URLResolver, get_resolver, set_script_prefix
from django.urls.resolvers import RoutePattern

from identity import forwarding, machine
from identity.context import RequestContext
from identity.keyring import secret_check
from identity.languages import language_of_program
from identity.machine import Answer, Endpoint
from identity.middleware import find_tenant, user_agent
from identity.views.machines import endpoint_of, send

log = logging.getLogger(__name__)

# How many receivers Django itself has: one forgets the queries of DEBUG, one closes connections, one closes caches
# (none of ours stays open), one forgets a urlconf that only a request of Django's can have set.
_DJANGOS = {signals.request_started: 2, signals.request_finished: 3}
_STATUS_LINES = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}

Environ = dict[str, Any]
Headers = list[tuple[str, str]]
Route = tuple[Endpoint, Mapping[str, Any]]
Varying = tuple[RoutePattern, Endpoint, Mapping[str, Any]]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

# What a machine request passes on Django's way. Here it is done by this file, or does nothing for such a request.
_KNOWN_MIDDLEWARE = frozenset(
    {
        "identity.middleware.RequestContextMiddleware",
        "django.middleware.security.SecurityMiddleware",
        "whitenoise.middleware.WhiteNoiseMiddleware",
        "identity.middleware.ContentSecurityPolicyMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "oidc_provider.middleware.CORSMiddleware",
        "oidc_provider.middleware.ScriptedSignInMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "identity.middleware.SSOSessionMiddleware",
        "identity.middleware.LanguageMiddleware",
        "identity.middleware.BudgetMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
        "django.middleware.clickjacking.XFrameOptionsMiddleware",
    }
)


def before(django: Application) -> Application:
    """Put the lane before Django, unless it is turned off."""
    unknown = [name for name in settings.MIDDLEWARE if name not in _KNOWN_MIDDLEWARE]
    is_wanted = getattr(settings, "MACHINE_LANE", True)
    if is_wanted and unknown:
        log.warning("lane.off", extra={"middleware": unknown})
    return Lane(django) if is_wanted and not unknown else django


class Lane:
    """A WSGI application that answers programs, and asks another one where it cannot."""

    def __init__(self, django: Application) -> None:
        self.django = django
        self._fixed, self._varying = _routes()
        self._prefix = settings.FORCE_SCRIPT_NAME or ""
        self._added: dict[tuple[bool, tuple[str, ...]], Headers] = {}
        self._aliases = list(settings.DATABASES)

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request."""
        route = self.find(environ)
        if route is None:
            return self.django(environ, start_response)
        self._tell(signals.request_started, environ=environ)
        answered = self.answer(environ, *route)
        if answered is None:
            return self.django(environ, start_response)
        status, headers, body = answered
        start_response(_STATUS_LINES[status], headers)
        # Now, as not every server closes a plain list, and every server sends one at once.
        self._tell(signals.request_finished)
        return [body]

    def _tell(self, signal: Signal, **facts: Any) -> None:
        """Send a signal. Where only Django itself listens, do what it does, which sending makes ten times as dear."""
        if len(signal.receivers) != _DJANGOS[signal]:
            signal.send(sender=type(self), **facts)
            return
        for alias in self._aliases:
            connections[alias].close_if_unusable_or_obsolete()

    def find(self, environ: Environ) -> Route | None:
        """Return the endpoint that this lane may ask, and what its route says."""
        route = self._route(environ.get("PATH_INFO", ""))
        length = environ.get("CONTENT_LENGTH") or "0"
        is_usual = (
            route is not None
            and "HTTP_COOKIE" not in environ
            and "HTTP_HOST" in environ
            and environ.get("SCRIPT_NAME", "") in ("", self._prefix)
            and length.isdecimal()
            and int(length[:20]) <= (settings.DATA_UPLOAD_MAX_MEMORY_SIZE or 0)
            and environ.get("QUERY_STRING", "").count("&") < (settings.DATA_UPLOAD_MAX_NUMBER_FIELDS or 0)
        )
        return route if is_usual else None

    def answer(
        self, environ: Environ, endpoint: Endpoint, route: Mapping[str, Any]
    ) -> tuple[int, Headers, bytes] | None:
        """Return status, headers and body; None where Django shall answer."""
        arrival = forwarding.read(environ, scheme=environ["wsgi.url_scheme"])
        environ[forwarding.ARRIVAL_KEY] = arrival
        context = self._context(environ, arrival)
        if context is None:
            return None
        set_script_prefix(f"{self._prefix}/")
        asked = machine.Request(
            method=environ["REQUEST_METHOD"].upper(),
            query=environ.get("QUERY_STRING", ""),
            headers=_Headers(environ),
            read_body=lambda: _body(environ),
            context=context,
        )
        try:
            answer = endpoint(asked, **route)
            marks = endpoint.sharing.marks(environ.get("HTTP_ORIGIN"), context.tenant) if endpoint.sharing else {}
        except Exception as error:  # noqa: BLE001 - raised again below Django, which answers and logs it
            environ[machine.OUTCOME_KEY] = error
            return None
        if answer.status >= 500 or answer.headers.get("Content-Type", "").startswith("text/html"):
            environ[machine.OUTCOME_KEY] = answer  # Django logs the ones, and says in which language the others are.
            return None
        headers = [
            *answer.headers.items(),
            *self._additions(answer, is_secure=arrival.scheme == "https"),
            *marks.items(),
            ("X-Request-ID", arrival.request_id),
            ("Content-Length", str(len(answer.body))),
        ]
        return answer.status, headers, answer.body

    def _route(self, path: str) -> Route | None:
        route = self._fixed.get(path)
        if route is None and path.isascii() and path.isprintable():
            for pattern, endpoint, default in self._varying:
                match = pattern.match(path[1:])
                if match is not None:
                    return endpoint, {**default, **match[2]}
        return route

    @staticmethod
    def _context(environ: Environ, arrival: forwarding.Arrival) -> RequestContext | None:
        """Return what rules may know of the request; None where a middleware would have refused it."""
        if settings.SECURE_SSL_REDIRECT and arrival.scheme != "https":
            return None
        try:
            secret_check.prove()
            tenant = find_tenant(arrival.host or "")
        except (DatabaseError, secret_check.WrongSecrets):
            return None  # The middleware meets it as well, and says what it is.
        if tenant is None:
            return None
        return RequestContext(
            tenant=tenant,
            ip=arrival.ip,
            user_agent=user_agent(environ),
            request_id=arrival.request_id,
            given_request_id=arrival.given_request_id,
            language=language_of_program(environ.get("HTTP_ACCEPT_LANGUAGE", ""), tenant=tenant),
            origin=f"{arrival.scheme}://{arrival.host}",
        )

    def _additions(self, answer: Answer, *, is_secure: bool) -> Headers:
        """Return the headers that Django's middleware adds: the same ones for answers that have the same."""
        key = is_secure, tuple(answer.headers)
        additions = self._added.get(key)
        if additions is None:
            additions = self._added[key] = _ask_middleware(answer, is_secure=is_secure)
        return additions


class _Headers(Mapping[str, str]):
    """The headers of a request by their names in any case, read where somebody asks."""

    def __init__(self, environ: Environ) -> None:
        self._environ = environ

    def __getitem__(self, name: str) -> str:
        key = name.upper().replace("-", "_")
        if key not in HttpHeaders.UNPREFIXED_HEADERS:
            key = f"HTTP_{key}"
            if key in forwarding.hearsay():
                raise KeyError(name)
        value: str = self._environ[key]
        return value

    def __iter__(self) -> Iterator[str]:
        names = (HttpHeaders.parse_header_name(key) for key in self._environ)
        return (name for name in names if name and name in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _body(environ: Environ) -> bytes:
    """Read the body, whose length was found good."""
    length = int(environ.get("CONTENT_LENGTH") or "0")
    try:
        body: bytes = environ["wsgi.input"].read(length) if length else b""
    except OSError:
        raise machine.BodyCutOff from None
    return body


def _routes() -> tuple[dict[str, Route], list[Varying]]:
    """Return the endpoints of the routes: by address, and those of which the address says more."""
    fixed: dict[str, Route] = {}
    varying: list[Varying] = []
    for prefix, pattern in _patterns(get_resolver()):
        endpoint = endpoint_of(pattern.callback)
        if endpoint is None:
            continue
        route = RoutePattern(prefix + str(pattern.pattern), is_endpoint=True)
        if route.converters:
            varying.append((route, endpoint, pattern.default_args))
        else:
            fixed.setdefault(f"/{route}", (endpoint, pattern.default_args))
    return fixed, varying


def _patterns(resolver: URLResolver, prefix: str = "") -> Iterator[tuple[str, URLPattern]]:
    for pattern in resolver.url_patterns:
        if isinstance(pattern, URLPattern):
            yield prefix, pattern
        elif isinstance(pattern.pattern, RoutePattern):
            yield from _patterns(pattern, prefix + str(pattern.pattern))


def _ask_middleware(answer: Answer, *, is_secure: bool) -> Headers:
    scheme = "https" if is_secure else "http"
    request = WSGIRequest({"REQUEST_METHOD": "GET", "wsgi.url_scheme": scheme, "wsgi.input": BytesIO()})
    response: Any = send(answer)
    for kind in (XFrameOptionsMiddleware, CSPMiddleware, SecurityMiddleware):
        response = kind(lambda request: HttpResponse()).process_response(request, response)
    return [(name, value) for name, value in response.items() if name not in answer.headers]
