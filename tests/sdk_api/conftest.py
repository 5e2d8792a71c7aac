"""The fixtures of the SDK API."""

from __future__ import annotations

import pytest

from tests.sdk_api.phone import Phone, make_phone
from tests.support.oidc_fixtures import fresh_process

__all__ = ["fresh_process"]


@pytest.fixture
def phone(db: None) -> Phone:
    return make_phone()
