"""`manage.py rotate_keys`: next → active → retired, or revoke at once. No restart, no failed request."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from identity.keyring import keys, secret_check
from identity.models import KeyUse, Tenant


class Command(BaseCommand):
    """Change keys of one tenant or of all."""

    help = (
        "Make each next key active, publish a new next one, and keep the old one published until what it signed "
        "has expired. With --emergency, revoke the live keys at once instead and start with new ones."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which keys. Without options: every key of every active tenant, except those of SAML."""
        parser.add_argument("--tenant", help="Code of the tenant; all active ones by default.")
        parser.add_argument(
            "--use", choices=KeyUse.values, help="Signing, encryption or SAML; all but SAML by default."
        )
        parser.add_argument(
            "--alg",
            choices=[alg for algs in keys.ALGORITHMS.values() for alg in algs],
            help="One algorithm, made if the tenant has no key for it yet; those in use by default.",
        )
        parser.add_argument("--emergency", action="store_true", help="Revoke now; what the keys signed is refused.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print a line for each key changed."""
        secret_check.prove()
        use, alg = options["use"], options["alg"]
        if alg and use and alg not in keys.ALGORITHMS[use]:
            raise CommandError(f"{alg} is not for {use}.")
        change = keys.revoke if options["emergency"] else keys.rotate
        for tenant in self._tenants(options["tenant"]):
            pairs = keys.in_use(tenant=tenant, use=use, alg=alg)
            if use is None and not options["emergency"]:
                # Service providers have SAML's certificate in a file: it changes when somebody says so.
                pairs = [pair for pair in pairs if pair[0] != KeyUse.SAML]
            if alg and not pairs:
                pairs = [
                    (use_of, alg)
                    for use_of, algs in keys.ALGORITHMS.items()
                    if alg in algs and (use_of == use or (use is None and use_of != KeyUse.SAML))
                ]
            for pair_use, pair_alg in pairs:
                row = change(tenant=tenant, use=pair_use, alg=pair_alg)
                self.stdout.write(f"{tenant.code}: {pair_use} {pair_alg} is now {row.kid}")
            if not pairs:
                self.stdout.write(f"{tenant.code}: no keys yet; they are made on first need")

    def _tenants(self, code: str | None) -> list[Tenant]:
        if code is None:
            return list(Tenant.objects.filter(is_active=True).order_by("code"))
        tenant = Tenant.objects.filter(code=code).first()
        if tenant is None:
            raise CommandError(f'There is no tenant "{code}".')
        return [tenant]
