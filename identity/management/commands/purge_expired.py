"""`manage.py purge_expired`: delete what nothing needs any more. The worker does the same by itself."""

from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from identity import purging
from identity.keyring import secret_check


class Command(BaseCommand):
    """Run every purger once."""

    help = "Delete expired rows in short batches. Not needed where the worker runs."

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the number of rows by purger."""
        secret_check.prove()
        for name, rows in purging.purge_expired(now=timezone.now()).items():
            self.stdout.write(f"{name}: {rows}")
