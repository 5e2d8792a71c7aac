"""The environment, read once and typed. No other module of the project reads it.

Every variable is documented in docs/operations.md. A variable NAME may also be given as NAME_FILE,
the path of a file that holds the value, which is how container platforms hand over secrets.
"""

import base64
import binascii
import hashlib
import hmac
import ipaddress
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured
from environ.fileaware_mapping import FileAwareMapping

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = Path(os.environ.get("VAR_DIR") or BASE_DIR / "var").resolve()  # everything that the server writes
SECRETS_FILE = VAR_DIR / "secrets.env"

KEY_BYTES = 32  # every secret below SECRET_KEY is one AES-256 or HMAC-SHA-256 key

IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, kw_only=True)
class Environment:
    """What the surroundings say. Settings modules turn it into Django settings."""

    debug: bool
    secret_key: str
    key_encryption_keys: tuple[bytes, ...]  # newest first: the first seals, all unseal
    hash_peppers: tuple[bytes, ...]  # newest first: the first hashes, all verify
    blind_index_key: bytes
    database_url: str | None
    redis_url: str | None
    email_url: str
    default_from_email: str
    trusted_proxies: tuple[IPNetwork, ...]
    forwarded_host_header: str  # "" where Host is the host
    request_id_header: str  # "" where every request gets an id of ours
    script_name: str  # the path that everything is below, as "/sso"; "" at the root of a host
    shared_host: str | None
    breached_passwords: str
    machine_lane: bool  # whether programs are answered before Django (config/lane.py)
    static_root: Path
    log_level: str
    log_format: str  # "json" or "text"


@dataclass(frozen=True, kw_only=True)
class Server:
    """Where and how wide the web server listens."""

    host: str
    port: int
    workers: int  # processes
    threads: int  # in each process
    name: str  # "gunicorn" or "granian"


def read(*, debug: bool, secrets_file: Path | None = None, overrides: Mapping[str, str] | None = None) -> Environment:
    """Read the environment of this process.

    debug: the default of DEBUG where the environment does not say.
    secrets_file: NAME=value lines that apply where the environment is silent (development only).
    overrides: values that win over everything (tests only).
    Raises ImproperlyConfigured, naming every secret that production misses.
    """
    env = environ.FileAwareEnv()
    env.ENVIRON = FileAwareMapping({**read_lines(secrets_file), **os.environ, **(overrides or {})}, cache=False)

    debug = env.bool("DEBUG", default=debug)
    secret_key = env.str("SECRET_KEY", default="").strip()
    given = {name: env.list(name, default=[]) for name in ("KEY_ENCRYPTION_KEYS", "HASH_PEPPERS", "BLIND_INDEX_KEY")}
    missing = [name for name, value in {"SECRET_KEY": secret_key, **given}.items() if not value]
    if "SECRET_KEY" in missing or (missing and not debug):
        raise ImproperlyConfigured(f"Set {', '.join(missing)} in the environment; see docs/operations.md.")
    keys = {name: decode_keys(name, values) or (derive_key(secret_key, name),) for name, values in given.items()}
    if len(keys["BLIND_INDEX_KEY"]) != 1:
        # A stored index can only be compared, so a second key could never be tried.
        raise ImproperlyConfigured("BLIND_INDEX_KEY takes exactly one key.")
    return Environment(
        debug=debug,
        secret_key=secret_key,
        key_encryption_keys=keys["KEY_ENCRYPTION_KEYS"],
        hash_peppers=keys["HASH_PEPPERS"],
        blind_index_key=keys["BLIND_INDEX_KEY"][0],
        database_url=env.str("DATABASE_URL", default="") or None,
        redis_url=env.str("REDIS_URL", default="") or None,
        email_url=env.str("EMAIL_URL", default="consolemail://"),
        default_from_email=env.str("DEFAULT_FROM_EMAIL", default="Monban <no-reply@localhost>"),
        trusted_proxies=parse_networks("TRUSTED_PROXIES", env.list("TRUSTED_PROXIES", default=[])),
        forwarded_host_header=parse_header_name("FORWARDED_HOST_HEADER", env.str("FORWARDED_HOST_HEADER", default="")),
        request_id_header=parse_header_name("REQUEST_ID_HEADER", env.str("REQUEST_ID_HEADER", default="")),
        script_name=parse_path("SCRIPT_NAME", env.str("SCRIPT_NAME", default="")),
        shared_host=env.str("SHARED_HOST", default="").lower() or None,
        breached_passwords=env.str("BREACHED_PASSWORDS", default=""),
        machine_lane=env.bool("MACHINE_LANE", default=True),
        static_root=Path(env.str("STATIC_ROOT", default=str(VAR_DIR / "static"))),
        log_level=env.str("LOG_LEVEL", default="INFO").upper(),
        log_format=env.str("LOG_FORMAT", default="text" if debug else "json"),
    )


def read_server() -> Server:
    """Read what the web server needs before any settings are loaded."""
    env = environ.Env()
    return Server(
        host=env.str("HOST", default="127.0.0.1"),
        port=env.int("PORT", default=8000),
        workers=env.int("WEB_CONCURRENCY", default=cores()),
        threads=env.int("WEB_THREADS", default=4),
        name=parse_server_name(env.str("WEB_SERVER", default="gunicorn")),
    )


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def read_lines(path: Path | None) -> dict[str, str]:
    """Read NAME=value lines; no file means no values."""
    if path is None or not path.is_file():
        return {}
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def database_config(url: str) -> dict[str, Any]:
    """Turn DATABASE_URL into the connection part of a DATABASES entry."""
    return dict(environ.Env.db_url_config(url))


def email_config(url: str) -> dict[str, Any]:
    """Turn EMAIL_URL into Django's EMAIL_* settings."""
    return {name: value for name, value in environ.Env.email_url_config(url).items() if name.startswith("EMAIL_")}


def derive_key(secret_key: str, name: str) -> bytes:
    """Derive a secret that DEBUG does without from SECRET_KEY (docs/operations.md)."""
    return hmac.digest(secret_key.encode(), f"monban:{name}".encode(), hashlib.sha256)


def decode_keys(name: str, values: Sequence[str]) -> tuple[bytes, ...]:
    """Decode urlsafe base64 keys of 32 bytes each. An error names the variable, never the value."""
    keys = []
    for position, value in enumerate(values, start=1):
        try:
            key = base64.b64decode(value.strip() + "=" * (-len(value.strip()) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if len(key) != KEY_BYTES:
            raise ImproperlyConfigured(f"Entry {position} of {name} is not {KEY_BYTES} bytes in urlsafe base64.")
        keys.append(key)
    return tuple(keys)


def parse_networks(name: str, values: Sequence[str]) -> tuple[IPNetwork, ...]:
    """Parse addresses and CIDR ranges."""
    try:
        return tuple(ipaddress.ip_network(value.strip()) for value in values if value.strip())
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} is not a list of addresses or CIDR ranges: {error}") from error


def parse_server_name(value: str) -> str:
    """Take the name of a web server that we have settings for."""
    if value not in ("gunicorn", "granian"):
        raise ImproperlyConfigured("WEB_SERVER is gunicorn or granian.")
    return value


def parse_header_name(name: str, value: str) -> str:
    """Take the name of one request header; "" is none."""
    value = value.strip()
    if value and not re.fullmatch(r"[A-Za-z0-9-]+", value):
        raise ImproperlyConfigured(f"{name} is not the name of a header.")
    return value


def parse_path(name: str, value: str) -> str:
    """Take a path below which everything stands, without a slash at its end; "" is the root."""
    value = value.strip().rstrip("/")
    if value and not re.fullmatch(r"(/[A-Za-z0-9_-][A-Za-z0-9._-]*)+", value):
        raise ImproperlyConfigured(f"{name} is not a path such as /sso.")
    return value
