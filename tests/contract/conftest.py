"""Fixtures of the OpenID contracts. The other contracts bring their own."""

from __future__ import annotations

from tests.support.dialect_fixtures import new_party, tenant, user

__all__ = ["new_party", "tenant", "user"]
