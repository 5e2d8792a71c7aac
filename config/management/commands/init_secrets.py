"""Write the secrets of a development machine, once."""

from typing import Any

from django.core.management.base import BaseCommand

from config import local_secrets
from config.env import SECRETS_FILE


class Command(BaseCommand):
    """Make var/secrets.env unless it is there; an existing file is never touched."""

    help = "Write generated development secrets to var/secrets.env (mode 0600), once."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        """Write the file and say so."""
        written = local_secrets.ensure(SECRETS_FILE)
        self.stdout.write(f"{SECRETS_FILE}: {'written' if written else 'kept'}")
