"""Log format and redaction. Logs carry events with row ids; a secret that slips in is blanked here.

An event is logged as `log.info("token.refused", extra={"client_id": ..., "reason": ...})`. The two formatters write
the event, its extras and the request id on one line each, as JSON or as text.
"""

import json
import logging
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

REDACTED = "[redacted]"

# Names whose values never belong in a log, whatever they hold. Matched against the words of a name, so
# `client_secret`, `X-State-Token` and `passwordHash` are all caught, while `token_type` and `grant_id` pass.
SECRET_NAMES = re.compile(
    r"""(?ix) (^|[^a-z]) (
        passw(or)?d | passwd | pwd | passphrase | secret | pepper | private_?key | secret_?key | api_?key
      | authorization | cookie | set_cookie | assertion | client_assertion | saml_?(request|response)
      | code | authorization_?code | verification_?code | code_?(verifier|challenge)
      | token | access_?token | refresh_?token | id_?token | id_?token_?hint | logout_?token | state_?token
      | session_?(token|key|id) | csrf(_?middleware)?_?token | ticket | pgt | signature
    ) ($|_?hash$)"""
)

# Codes that name something instead of opening it.
PLAIN_NAMES = re.compile(r"(^|_)(error|status|app|application|tenant|language|country|exit|return|response)_code$")

# Shapes that are secret wherever they stand: JWTs, bearer and basic credentials, name=value pairs of a query,
# CAS tickets and PEM keys.
SECRET_SHAPES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|$)", re.S), REDACTED),
    (re.compile(r"\beyJ[\w-]+\.[\w-]+\.?[\w-]*(\.[\w-]+)*"), REDACTED),
    (re.compile(r"\b(Bearer|Basic|DPoP)\s+[\w.~+/=-]+", re.I), r"\1 " + REDACTED),
    (re.compile(r"\b(ST|PT|PGT|PGTIOU|TGC|TGT)-[\w.-]{8,}"), REDACTED),
    (
        re.compile(
            r"""(?ix)\b((?:client_|state_|access_|refresh_|id_|session_|logout_|csrfmiddleware)?
            (?:passw(?:or)?d|secret|token|code|code_verifier|assertion|id_token_hint|ticket|samlresponse|samlrequest)
            (?:["']?\s*=\s*["']?|["']\s*:\s*["']?|:\s+["']?))[^\s&"',;}]+"""
        ),
        r"\1" + REDACTED,
    ),
)

# What every record carries; everything beyond was given by the caller as `extra`.
STANDARD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def redact_text(text: str) -> str:
    """Blank every secret shape in a text."""
    for pattern, replacement in SECRET_SHAPES:
        text = pattern.sub(replacement, text)
    return text


def redact(name: str, value: Any) -> Any:
    """Blank a value by its name, and texts inside it by their shape."""
    spelled = words(name)
    if SECRET_NAMES.search(spelled) and not PLAIN_NAMES.search(spelled):
        return REDACTED
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, Mapping):
        return {key: redact(str(key), item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [redact("", item) for item in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return redact_text(str(value))


def words(name: str) -> str:
    """Spell a name in lower-case words joined by underscores."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).replace("-", "_").lower()


class RedactionFilter(logging.Filter):
    """Rewrite a record so that no handler after it can print a secret."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Redact the message, its arguments, the extras and the traceback; never drop a record."""
        record.msg = redact_text(record.getMessage())
        record.args = ()
        for name in record.__dict__.keys() - STANDARD_FIELDS:
            record.__dict__[name] = redact(name, record.__dict__[name])
        if record.exc_info:
            record.exc_text = redact_text(logging.Formatter().formatException(record.exc_info))
            record.exc_info = None
        return True


def extras(record: logging.LogRecord) -> dict[str, Any]:
    """Return what the caller gave beside the event."""
    return {name: value for name, value in record.__dict__.items() if name not in STANDARD_FIELDS}


class JSONFormatter(logging.Formatter):
    """One JSON object a line, for machines."""

    def format(self, record: logging.LogRecord) -> str:
        """Render the record; `time` is UTC with milliseconds."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **extras(record),
        }
        if record.exc_text:
            line["exception"] = record.exc_text
        return json.dumps(line, default=str, ensure_ascii=False)


class TextFormatter(logging.Formatter):
    """One readable line, for a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """Render the event and its extras as name=value."""
        time = datetime.fromtimestamp(record.created, UTC).astimezone().strftime("%H:%M:%S")
        pairs = " ".join(f"{name}={value}" for name, value in extras(record).items())
        line = f"{time} {record.levelname:<7} {record.name}: {record.getMessage()}"
        return "\n".join(part for part in (f"{line} {pairs}".rstrip(), record.exc_text) if part)


def logging_config(*, level: str, form: str) -> dict[str, Any]:
    """Return the logging configuration: everything to standard error, through the redaction filter."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"redaction": {"()": "config.logging.RedactionFilter"}},
        "formatters": {
            "json": {"()": "config.logging.JSONFormatter"},
            "text": {"()": "config.logging.TextFormatter"},
        },
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "formatter": form,
                "filters": ["redaction"],
            }
        },
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            # Without Django's own handlers, which would write a second time, and unredacted.
            "django": {"handlers": []},
            # Django adds the request itself to these records; its text shows query strings.
            "django.request": {"level": "ERROR"},
            "django.security.DisallowedHost": {"level": "ERROR"},
            # It warns of every answer to HEAD, whose body it then drops as it should.
            "gunicorn.http.wsgi": {"level": "ERROR"},
            # At DEBUG it writes whole assertions.
            "signxml": {"level": "INFO"},
        },
    }
