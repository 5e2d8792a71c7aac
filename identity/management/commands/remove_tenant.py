"""`manage.py remove_tenant CODE`: take a tenant away, all but its trail."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from identity.directory import tenants
from identity.errors import IdentityError
from identity.upkeep import tenant_data


class Command(BaseCommand):
    """Count what a tenant has, ask, and remove it."""

    help = (
        "Remove every row of a tenant. The audit trail stays, without personal data, and the tenant's closed row, to "
        "which it refers. Export it first: there is no way back."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Read the tenant's code, --dry-run, and --confirm for scripts."""
        parser.add_argument("code")
        parser.add_argument("--dry-run", action="store_true", help="Print what would go and remove nothing.")
        parser.add_argument("--confirm", metavar="CODE", help="The code once more, in place of typing it.")

    def handle(self, *args: Any, code: str, dry_run: bool, confirm: str | None, **options: Any) -> None:
        """Remove nothing unless the code was typed once more."""
        tenant = tenants.find_by_code(code)
        if tenant is None:
            raise CommandError(f'There is no tenant "{code}".')
        for name, rows in tenant_data.count(tenant).items():
            self.stdout.write(f"{name}: {rows}")
        if dry_run:
            self.stdout.write("Dry run: nothing was removed.")
            return
        typed = confirm if confirm is not None else input(f"Type {code} to remove all this for ever: ")
        if typed != code:
            raise CommandError("That is not its code. Nothing was removed.")
        try:
            removed = tenant_data.remove(tenant, actor="system")
        except IdentityError as error:
            raise CommandError(f"{error.error_code} {error.message} Nothing was removed.") from error
        self.stdout.write(f"{sum(removed.values())} rows were removed.")
