"""Secrets of a development machine: made once, kept in var/secrets.env, readable by the owner only."""

import base64
import os
import secrets
from pathlib import Path

from config.env import KEY_BYTES

# Marks a key that nobody chose. The server refuses to leave the loopback interface with one (config.checks).
GENERATED_PREFIX = "generated-"


def ensure(path: Path) -> bool:
    """Write the secrets file unless it exists; say whether it was written.

    The file appears in one step: a second process that starts meanwhile either makes it or finds it whole.
    """
    if path.exists():
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write("# Made by `manage.py init_secrets` for this machine. Lists hold the newest value first.\n")
        file.write(render(prefix=GENERATED_PREFIX))
    try:
        os.link(draft, path)
    except FileExistsError:
        return False
    finally:
        draft.unlink()
    return True


def render(*, prefix: str) -> str:
    """Make a new set of secrets as NAME=value lines; prefix begins SECRET_KEY."""
    lines = [
        f"SECRET_KEY={prefix}{secrets.token_urlsafe(48)}",
        f"KEY_ENCRYPTION_KEYS={new_key()}",
        f"HASH_PEPPERS={new_key()}",
        f"BLIND_INDEX_KEY={new_key()}",
    ]
    return "\n".join(lines) + "\n"


def new_key() -> str:
    """Make one 32-byte key in urlsafe base64."""
    return base64.urlsafe_b64encode(secrets.token_bytes(KEY_BYTES)).decode()
