"""The fixtures of the tenant API."""

from __future__ import annotations

import pytest

from tests.tenant_api.world import World


@pytest.fixture
def world(db: None) -> World:
    """A tenant with one of everything."""
    return World()
