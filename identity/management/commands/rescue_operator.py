"""`manage.py rescue_operator`: a way back into the console, for whoever has the machine (docs/operations.md)."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from identity.context import SYSTEM
from identity.directory import lists, tenants
from identity.errors import IdentityError
from identity.keyring import secret_check
from identity.upkeep import rescue


class Command(BaseCommand):
    """Make a person a superuser again who can sign in."""

    help = (
        "Make a person a superuser who can sign in: enabled, unlocked, with a new password that is shown once and must "
        "be changed. It is audited."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Read who it is."""
        parser.add_argument("user_name", help="User name of the person.")
        parser.add_argument("--tenant", default="default", help='Code of the person\'s tenant; "default" by default.')
        parser.add_argument(
            "--email", default="", help="Address to set and to mark as proved, where a second factor is asked for."
        )

    def handle(self, *args: Any, user_name: str, tenant: str, email: str, **options: Any) -> None:
        """Print the new password."""
        secret_check.prove()
        row = tenants.find_by_code(tenant)
        if row is None:
            raise CommandError(f'There is no tenant "{tenant}".')
        user = lists.find_user(tenant=row, user_name=user_name)
        if user is None:
            raise CommandError(
                f'There is no user "{user_name}" in the tenant "{tenant}". `manage.py apply_config` makes one.'
            )
        try:
            password = rescue.rescue(user=user, context=SYSTEM, email=email)
        except IdentityError as error:
            raise CommandError(f"{error.error_code} {error.message}") from error
        self.stdout.write(f"{user.user_name} of {row.code} is a superuser and may sign in. New password, shown once:")
        self.stdout.write(password)
