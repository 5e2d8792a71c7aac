"""Nothing secret reaches a log, whoever logs it and however."""

import io
import json
import logging
import runpy
from collections.abc import Iterator
from pathlib import Path

import pytest
from gunicorn.config import Config

from config.logging import REDACTED, JSONFormatter, RedactionFilter, TextFormatter

SECRET = "sEcReT-9f8e7d6c5b4a"
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"

SECRET_FIELDS = [
    "password",
    "new_password",
    "client_secret",
    "clientSecret",
    "access_token",
    "refresh_token",
    "id_token_hint",
    "X-State-Token",
    "session_token",
    "code",
    "authorization_code",
    "code_verifier",
    "verification_code",
    "client_assertion",
    "SAMLResponse",
    "Authorization",
    "Set-Cookie",
    "ticket",
    "private_key",
    "csrfmiddlewaretoken",
]
PLAIN_FIELDS = ["client_id", "error_code", "token_type", "status_code", "user_id", "reason", "grant_id", "key_id"]


@pytest.fixture(params=[JSONFormatter, TextFormatter])
def written(request: pytest.FixtureRequest) -> Iterator[tuple[logging.Logger, io.StringIO]]:
    """A logger set up as in config.logging, and what it wrote."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(request.param())
    handler.addFilter(RedactionFilter())
    logger = logging.getLogger("tests.redaction")
    logger.propagate = False
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
    yield logger, stream
    logger.removeHandler(handler)


@pytest.mark.security("S41")
@pytest.mark.parametrize("name", SECRET_FIELDS)
def test_a_field_with_a_secret_name_is_blanked(name: str, written: tuple[logging.Logger, io.StringIO]) -> None:
    logger, stream = written
    logger.info("event", extra={name: SECRET})
    assert SECRET not in stream.getvalue()
    assert REDACTED in stream.getvalue()


@pytest.mark.security("S41")
@pytest.mark.parametrize("name", SECRET_FIELDS)
def test_a_secret_deep_inside_a_field_is_blanked(name: str, written: tuple[logging.Logger, io.StringIO]) -> None:
    logger, stream = written
    logger.info("event", extra={"request": {"body": [{name: SECRET}]}})
    assert SECRET not in stream.getvalue()


@pytest.mark.parametrize("name", PLAIN_FIELDS)
def test_a_field_that_is_no_secret_stays(name: str, written: tuple[logging.Logger, io.StringIO]) -> None:
    logger, stream = written
    logger.info("event", extra={name: "plain-value"})
    assert "plain-value" in stream.getvalue()


@pytest.mark.security("S41")
@pytest.mark.parametrize(
    "text",
    [
        f"GET /callback?state=x&code={SECRET}&iss=y",
        f"client_secret={SECRET}",
        f"body: password={SECRET}&user=alice",
        f"Authorization: Bearer {SECRET}",
        f"Authorization: Basic {SECRET}",
        f"ticket ST-1-{SECRET}",
        f'{{"refresh_token": "{SECRET}"}}',
        f"-----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END PRIVATE KEY-----",
    ],
)
def test_a_secret_inside_a_text_is_blanked(text: str, written: tuple[logging.Logger, io.StringIO]) -> None:
    logger, stream = written
    logger.warning("refused: %s", text)
    assert SECRET not in stream.getvalue()


@pytest.mark.parametrize("event", ["token:grant", "code:reuse", "password:change", "ticket:refused"])
def test_the_name_of_an_event_stays(event: str, written: tuple[logging.Logger, io.StringIO]) -> None:
    logger, stream = written
    logger.info("audited", extra={"event": event})
    assert event in stream.getvalue()


@pytest.mark.security("S41")
def test_a_jwt_is_blanked_wherever_it_stands(written: tuple[logging.Logger, io.StringIO]) -> None:
    logger, stream = written
    logger.info("hint %s", JWT, extra={"note": f"before {JWT} after"})
    assert "eyJ" not in stream.getvalue()
    assert "before" in stream.getvalue()


@pytest.mark.security("S41")
def test_a_secret_in_a_traceback_is_blanked(written: tuple[logging.Logger, io.StringIO]) -> None:
    logger, stream = written
    try:
        raise ValueError(f"bad value: client_secret={SECRET}")
    except ValueError:
        logger.exception("failed")
    assert SECRET not in stream.getvalue()
    assert "ValueError" in stream.getvalue()


def test_a_json_line_carries_the_event_and_its_fields() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JSONFormatter())
    record = logging.makeLogRecord(
        {"name": "oidc", "levelname": "INFO", "msg": "token.refused", "client_id": "wiki", "reason": "code_used"}
    )
    handler.addFilter(RedactionFilter())
    handler.handle(record)
    line = json.loads(stream.getvalue())
    assert {k: line[k] for k in ("level", "logger", "message", "client_id", "reason")} == {
        "level": "INFO",
        "logger": "oidc",
        "message": "token.refused",
        "client_id": "wiki",
        "reason": "code_used",
    }


@pytest.mark.security("S41")
def test_no_logger_writes_past_the_redaction() -> None:
    loggers = [logging.getLogger(), *(logging.getLogger(name) for name in logging.root.manager.loggerDict)]
    # `django.server` is of runserver, which this project does not use.
    handlers = {
        handler
        for logger in loggers
        if logger.name.split(".")[0] in ("root", "django") and logger.name != "django.server"
        for handler in logger.handlers
        if handler.__class__.__module__.partition(".")[0] in ("logging", "django")
    }
    assert handlers
    assert all(any(isinstance(kept, RedactionFilter) for kept in handler.filters) for handler in handlers)


@pytest.mark.security("S41")
def test_a_secret_in_an_address_is_blanked_in_the_web_servers_log(capfd: pytest.CaptureFixture[str]) -> None:
    settings = runpy.run_path(str(Path(__file__).resolve().parents[2] / "gunicorn.conf.py"))
    log = settings["logger_class"](Config())
    try:
        log.error("Error handling request %s %s", "GET", f"/oauth2/logout?id_token_hint={JWT}&code={SECRET}")
    finally:
        for handler in [*log.error_log.handlers]:
            log.error_log.removeHandler(handler)
    written = capfd.readouterr().err
    assert "/oauth2/logout" in written
    assert JWT not in written
    assert SECRET not in written
