"""Both fronts of what programs ask: Django alone, and the lane before it. What they answer must be the same."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, transaction
from django.test import RequestFactory

from config.lane import Lane
from identity import budgets, copies
from identity.models import AuditEvent

# Made anew with each answer; everything else is the same twice.
_NEW = ("access_token", "refresh_token", "id_token", "iat", "exp")

Environ = dict[str, Any]
Fronts = tuple[WSGIHandler, Lane]


def both_fronts() -> Fronts:
    django = WSGIHandler()
    return django, Lane(django)


def environ_of(host: str, path: str, query: str = "") -> Environ:
    """The environ of a GET by https, as servers make it."""
    environ: Environ = RequestFactory().get(path, secure=True).environ
    del environ["HTTP_COOKIE"]
    return {**environ, "HTTP_HOST": host, "QUERY_STRING": query, "REMOTE_ADDR": "198.51.100.9"}


@contextmanager
def own_connection() -> Iterator[None]:
    """Keep the connection, which is the test's."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    try:
        yield
    finally:
        for signal in (request_started, request_finished):
            signal.connect(close_old_connections)


def answer(application: Any, environ: Environ) -> tuple[Any, ...]:
    """Status, headers, body and what was audited; what the request did is undone."""
    started: list[Any] = []
    environ = dict(environ)
    if "wsgi.input" in environ and isinstance(environ["wsgi.input"], BytesIO):
        environ["wsgi.input"].seek(0)
    budgets.clear()
    copies.begin()  # the transactions of fixtures are over
    with own_connection(), transaction.atomic():
        before = AuditEvent.objects.count()
        chunks = application(environ, lambda status, headers: started.append((status, headers)))
        body = b"".join(chunks)
        getattr(chunks, "close", lambda: None)()
        audited = list(
            AuditEvent.objects.order_by("pk").values_list("event_type", "outcome", "reason", "client_id", "dialect")
        )[before:]
        transaction.set_rollback(True)
    ((status, headers),) = started
    assert len({name for name, _ in headers}) == len(headers)
    found = {name: value for name, value in headers if name != "Content-Length"}
    assert dict(headers).get("Content-Length", str(len(body))) == str(len(body))
    request_id = found["X-Request-ID"]
    if not request_id.startswith("an-id"):
        found["X-Request-ID"], body = "new", body.replace(request_id.encode(), b"new")
    return status, found, without_new(body), audited


def without_new(body: bytes) -> bytes:
    try:
        members = json.loads(body)
    except ValueError:
        return body
    changed = {name: "new" if name in _NEW else value for name, value in members.items()}
    return json.dumps(changed).encode() if changed != members else body


def check(fronts: Fronts, environ: Environ) -> tuple[Any, ...]:
    django, before = fronts
    expected = answer(django, environ)
    assert answer(before, environ) == expected
    return expected
