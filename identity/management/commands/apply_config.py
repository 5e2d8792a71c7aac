"""`manage.py apply_config FILE.yaml`: configuration as code, described in docs/config.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from identity.configuration import ConfigError, apply_file
from identity.services import secret_check


class Command(BaseCommand):
    """Bring tenants, users, organisations and applications to what a file says."""

    help = "Create or update tenants, users, organisations and applications from a YAML file (docs/config.md)."

    def add_arguments(self, parser: CommandParser) -> None:
        """Read FILE and --dry-run."""
        parser.add_argument("file", type=Path, metavar="FILE.yaml")
        parser.add_argument("--dry-run", action="store_true", help="Print the difference and write nothing.")

    def handle(self, *args: Any, file: Path, dry_run: bool, **options: Any) -> None:
        """Apply the file, all of it or nothing."""
        if not dry_run:
            secret_check.prove()
        try:
            changes = apply_file(file, dry_run=dry_run)
        except ConfigError as error:
            raise CommandError(f"{error}\nNothing was changed.") from error
        for change in changes:
            for line in change.lines():
                self.stdout.write(line)
        if not changes:
            self.stdout.write("Nothing to change.")
            return
        created = sum(change.is_new for change in changes)
        summary = f"{created} created, {len(changes) - created} changed."
        self.stdout.write(f"{summary} Dry run: nothing was written." if dry_run else summary)
