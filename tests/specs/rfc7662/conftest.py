"""The fixtures of the machine endpoints."""

from tests.support.oidc_fixtures import fresh_process, machine, new_machine, public_machine, tenant, user

__all__ = ["fresh_process", "machine", "new_machine", "public_machine", "tenant", "user"]
