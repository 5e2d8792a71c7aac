"""A tenant, its user, and the clients of every dialect."""

from __future__ import annotations

from tests.support.dialect_fixtures import fresh_process, new_party, party, tenant, user
from tests.support.outgoing import posted

__all__ = ["fresh_process", "new_party", "party", "posted", "tenant", "user"]
