"""`manage.py export_tenant CODE FILE`: everything that is kept of a tenant, without its secrets."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from identity.directory import tenants
from identity.upkeep import tenant_data


class Command(BaseCommand):
    """Write a tenant's rows to a file that only its owner reads."""

    help = "Write every row of a tenant as a line of JSON. Passwords, secrets, keys and their hashes are left out."

    def add_arguments(self, parser: CommandParser) -> None:
        """Read the tenant's code and the file's name."""
        parser.add_argument("code")
        parser.add_argument("file", type=Path, metavar="FILE.jsonl")

    def handle(self, *args: Any, code: str, file: Path, **options: Any) -> None:
        """Write a new file, and print the number of rows by table."""
        tenant = tenants.find_by_code(code)
        if tenant is None:
            raise CommandError(f'There is no tenant "{code}".')
        try:
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise CommandError(f"{file} cannot be made: {error.strerror}.") from error
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            counts = tenant_data.export(tenant, to=stream)
        for name, rows in counts.items():
            self.stdout.write(f"{name}: {rows}")
