"""`manage.py reseal`: seal every stored value again under the newest key of KEY_ENCRYPTION_KEYS."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from identity.keyring import resealing, secret_check


class Command(BaseCommand):
    """Run it after a new key was put in front; then the old one can be dropped."""

    help = "Encrypt every sealed column with the newest key. Safe to stop, to repeat and to run beside requests."

    def handle(self, *args: Any, **options: Any) -> None:
        """Print a line for each column; fail when a value could not be read."""
        secret_check.prove()
        unreadable = 0
        for column in resealing.sealed_columns():
            result = resealing.reseal(column)
            unreadable += result.unreadable
            self.stdout.write(f"{column}: {result.resealed} resealed, {result.unreadable} unreadable")
        if unreadable:
            raise CommandError(f"{unreadable} values could not be read; keep the old keys.")
