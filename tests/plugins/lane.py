"""Which front answers what the test client asks of machine endpoints.

`config.lane` stands before Django, as in a server, so the tests that speak to those endpoints over HTTP run through it.
With `--no-lane` the client asks Django. Of the two runs of the suite one goes each way (.ci/run).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIRequest
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.http import HttpResponse
from django.test import client
from django.test.client import ClientHandler, conditional_content_removal
from django.test.signals import setting_changed


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --no-lane."""
    parser.addoption("--no-lane", action="store_true", help="let the test client ask Django alone")


@pytest.fixture(autouse=True, scope="session")
def front(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let every test client ask the front that the run is for."""
    if request.config.getoption("no_lane"):
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client, "ClientHandler", LaneHandler)
        yield


class LaneHandler(ClientHandler):
    """Asks the lane, and Django where that does not answer, as `config.wsgi` does."""

    _lanes: dict[None, Any] = {}

    def __call__(self, environ: dict[str, Any]) -> HttpResponse:
        response = self._by_lane(environ)
        if response is None:
            response = super().__call__(environ)
        return response

    def _by_lane(self, environ: dict[str, Any]) -> HttpResponse | None:
        lane = self._lane()
        route = lane.find(environ)
        if route is None:
            return None
        # The database connections stay: they are the test's.
        request_started.disconnect(close_old_connections)
        request_started.send(sender=type(self), environ=environ)
        request_started.connect(close_old_connections)
        answered = lane.answer(environ, *route)
        if answered is None:
            return None
        status, headers, body = answered
        response = HttpResponse(body, status=status)
        del response["Content-Type"]
        for name, value in headers:
            response[name] = value
        request = response.wsgi_request = WSGIRequest(environ)  # type: ignore[attr-defined]
        request_finished.disconnect(close_old_connections)
        response.close()
        request_finished.connect(close_old_connections)
        return conditional_content_removal(request, response)

    @classmethod
    def _lane(cls) -> Any:
        from config.lane import Lane

        if None not in cls._lanes:
            cls._lanes[None] = Lane(lambda environ, start_response: ())
        return cls._lanes[None]


@setting_changed.connect
def _forget(**kwargs: Any) -> None:
    LaneHandler._lanes.clear()
