"""Make secrets: a development machine's own, kept in var/secrets.env, or a set for production, printed."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from config import local_secrets
from config.env import SECRETS_FILE


class Command(BaseCommand):
    """Make var/secrets.env unless it is there; an existing file is never touched."""

    help = "Write generated development secrets to var/secrets.env (mode 0600), once; or print a set for production."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Add --print."""
        parser.add_argument("--print", action="store_true", help="print a new set for production and write nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print, or write and say so."""
        if options["print"]:
            self.stdout.write(local_secrets.render(prefix=""), ending="")
            return
        local_secrets.ensure(SECRETS_FILE)  # the development settings did so before; this is for the others
        self.stdout.write(f"{SECRETS_FILE} holds this machine's secrets.")
