"""`manage.py verify_audit`: prove that nobody changed, removed or slipped in audit rows."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from identity import audit
from identity.keyring import secret_check
from identity.models import Tenant

NO_TENANT = "-"


class Command(BaseCommand):
    """Recompute every hash of every tenant's chain."""

    help = "Prove the audit trail's chain of hashes. Exits with 1 if anything was changed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Hashes that were kept elsewhere prove that nothing was cut off the end."""
        parser.add_argument(
            "--expect",
            action="append",
            default=[],
            metavar="TENANT:NUMBER:HASH",
            help='What this command printed before, for instance "default:12:9f…"; "-" is the chain without a tenant.',
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Print one line for each tenant, and every problem."""
        secret_check.prove()
        codes: dict[int | None, str] = {None: NO_TENANT, **dict(Tenant.objects.values_list("pk", "code"))}
        ids = {code: tenant_id for tenant_id, code in codes.items()}
        reports = audit.verify(expected=dict(_parse(text, ids=ids) for text in options["expect"]))
        problems = 0
        for report in reports:
            name = codes.get(report.tenant_id, str(report.tenant_id))
            self.stdout.write(
                f"{name}:{report.batches}:{report.head or '-'} ({report.rows} rows, {report.pending} not linked yet)"
            )
            for problem in report.problems:
                problems += 1
                self.stderr.write(f"{name}: {problem}")
        if problems:
            raise CommandError(f"The audit trail was tampered with: {problems} problems.")
        self.stdout.write("The audit trail is intact.")


def _parse(text: str, *, ids: dict[str, int | None]) -> tuple[tuple[int | None, int], str]:
    code, _, rest = text.partition(":")
    number, _, head = rest.partition(":")
    if code not in ids or not number.isdecimal() or not head:
        raise CommandError(f'"{text}" is not TENANT:NUMBER:HASH of a tenant here.')
    return (ids[code], int(number)), head
