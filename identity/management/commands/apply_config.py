"""`manage.py apply_config FILE.yaml`: configuration as code, described in docs/config.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from identity.configuration.files import apply_file
from identity.configuration.plan import Plan
from identity.configuration.shapes import ConfigError
from identity.keyring import secret_check


class Command(BaseCommand):
    """Bring tenants, users, organisations and applications to what a file says."""

    help = "Create or update tenants, users, organisations and applications from a YAML file (docs/config.md)."

    def add_arguments(self, parser: CommandParser) -> None:
        """Read FILE and --dry-run."""
        parser.add_argument("file", type=Path, metavar="FILE.yaml")
        parser.add_argument("--dry-run", action="store_true", help="Print the difference and write nothing.")

    def handle(self, *args: Any, file: Path, dry_run: bool, **options: Any) -> None:
        """Apply the file, all that it says of a tenant or nothing."""
        if not dry_run:
            secret_check.prove()
        told = 0

        def progress(done: int, total: int, plan: Plan) -> None:
            nonlocal told
            for warning in plan.warnings[told:]:
                self.stderr.write(f"Warning: {warning}")
            told = len(plan.warnings)
            if total > 1:
                self.stderr.write(f"{done} of {total} documents, {len(plan.changes)} changes.")

        try:
            changes = apply_file(file, dry_run=dry_run, progress=progress)
        except ConfigError as error:
            ending = f"The {error.applied} documents before were applied." if error.applied else "Nothing was changed."
            raise CommandError(f"{error}\n{ending}") from error
        for change in changes:
            for line in change.lines():
                self.stdout.write(line)
        if not changes:
            self.stdout.write("Nothing to change.")
            return
        created = sum(change.is_new for change in changes)
        summary = f"{created} created, {len(changes) - created} changed."
        self.stdout.write(f"{summary} Dry run: nothing was written." if dry_run else summary)
