"""Which web server serves."""

from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured

from config.env import read_server
from config.management.commands.serve import SERVERS


def test_gunicorn_serves_unless_somebody_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WEB_SERVER", raising=False)
    assert SERVERS[read_server().name] == ("gunicorn", "config.wsgi")
    monkeypatch.setenv("WEB_SERVER", "granian")
    assert SERVERS[read_server().name] == ("config.granian_server",)


def test_a_server_that_we_do_not_know_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEB_SERVER", "waitress")
    with pytest.raises(ImproperlyConfigured, match="WEB_SERVER"):
        read_server()
