"""What the lane does around an endpoint: connections and signals, as Django does around a view."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core import signals
from django.core.handlers.wsgi import WSGIHandler
from django.db import connection

from config.lane import Lane
from tests.factories import make_tenant
from tests.factories.keys import make_keys
from tests.support.fronts import Environ, environ_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def environ() -> Environ:
    tenant = make_tenant(host="id.acme.example")
    make_keys(tenant)
    return environ_of("id.acme.example", "/oauth2/jwks")


def answer(environ: Environ) -> None:
    started: list[str] = []
    body = Lane(WSGIHandler())(dict(environ), lambda status, headers: started.append(status))
    assert (started, type(body)) == (["200 OK"], list)  # servers send a plain list at once


@pytest.fixture
def heard() -> Iterator[list[str]]:
    heard: list[str] = []

    def began(environ: Environ, **kwargs: Any) -> None:
        heard.append(environ["PATH_INFO"])

    def ended(**kwargs: Any) -> None:
        heard.append("ended")

    signals.request_started.connect(began)
    signals.request_finished.connect(ended)
    yield heard
    signals.request_started.disconnect(began)
    signals.request_finished.disconnect(ended)


def test_whoever_listens_hears_when_a_request_begins_and_ends(environ: Environ, heard: list[str]) -> None:
    answer(environ)
    assert heard == ["/oauth2/jwks", "ended"]


def test_nobody_but_django_listens_in_a_server() -> None:
    # What the lane does in place of sending; a new Django may do more.
    listeners = [len(signal.receivers) for signal in (signals.request_started, signals.request_finished)]
    assert listeners == [2, 3]


@pytest.mark.parametrize("somebody_listens", [False, True])
def test_a_connection_that_is_too_old_is_closed(
    environ: Environ, somebody_listens: bool, request: pytest.FixtureRequest
) -> None:
    if somebody_listens:
        request.getfixturevalue("heard")
    connection.ensure_connection()
    old = connection.connection
    connection.close_at = 0.0
    answer(environ)
    assert connection.connection is not old
