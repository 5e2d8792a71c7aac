"""Check the production settings as an operator would have them, and that no migration is missing."""

import os
import secrets
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from config.local_secrets import render  # noqa: E402 - the path comes first

COMMANDS = (
    ["check", "--deploy", "--fail-level", "WARNING"],
    ["makemigrations", "--check", "--dry-run"],
)


def main() -> int:
    """Run each command with throw-away secrets, whatever this machine's environment says."""
    production = dict(line.split("=", 1) for line in render(prefix="").splitlines())
    environment = {
        name: value for name, value in os.environ.items() if name not in ("DEBUG", "DATABASE_URL", "REDIS_URL")
    }
    environment |= production | {
        "DJANGO_SETTINGS_MODULE": "config.settings.prod",
        "EMAIL_URL": "smtp+tls://monban:password@mail.example:587",
        "DEFAULT_FROM_EMAIL": "no-reply@monban.example",
        "TRUSTED_PROXIES": "10.0.0.0/8",
    }
    # The same checks with the other database, where nobody answers: secrets are compared with those of a database.
    worst = 0
    for database in ("", f"postgres://monban:{secrets.token_hex(4)}@127.0.0.1:1/monban"):
        chosen = environment | ({"DATABASE_URL": database} if database else {})
        for command in COMMANDS if not database else COMMANDS[:1]:
            finished = subprocess.run([sys.executable, "manage.py", *command], cwd=ROOT, env=chosen, check=False)
            worst = max(worst, finished.returncode)
    return worst


if __name__ == "__main__":
    sys.exit(main())
