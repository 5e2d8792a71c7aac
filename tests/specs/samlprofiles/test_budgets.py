"""Round trips to the database per request (performance.md)."""

from __future__ import annotations

from typing import Any

import pytest

from identity.conf import conf
from tests.specs.conformance import Browser
from tests.specs.saml_fixtures import RegisteredParty
from tests.support.statements import round_trips

pytestmark = pytest.mark.django_db(transaction=True)


def test_an_answer_to_who_is_signed_in_takes_three_round_trips(
    provider: RegisteredParty, browser: Browser, settings: Any
) -> None:
    # While peppers are rotated it takes one more: used messages are looked for under the older ones.
    settings.IDENTITY = {**settings.IDENTITY, "hash_peppers": conf.hash_peppers[:1]}
    provider.sign_in(browser)
    provider.sign_in(browser)  # the process knows the provider
    assert round_trips(lambda: provider.start(browser) and None, elsewhere=5) <= 3
