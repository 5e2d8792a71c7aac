"""A dialect costs no statement: the budgets of performance.md hold in each of them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.dialects.party import Party
from tests.support.statements import round_trips

pytestmark = pytest.mark.django_db


@pytest.fixture
def warm(party: Party) -> Party:
    """A client whose row, tenant and keys the process has read already."""
    party.userinfo(party.tokens()["access_token"])
    return party


def test_code_exchange_refresh_and_userinfo_stay_in_their_budgets(warm: Party) -> None:
    code = warm.code()
    assert round_trips(lambda: warm.exchange(code), elsewhere=5) <= 2
    tokens = warm.tokens()
    assert round_trips(lambda: warm.refresh(tokens["refresh_token"]), elsewhere=5) <= 2
    token = warm.tokens()["access_token"]
    assert round_trips(lambda: warm.userinfo(token), elsewhere=1) <= 1


def test_an_authorization_request_of_a_signed_in_user_stays_in_its_budget(
    warm: Party, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        warm.ask()  # the application joins the session
    assert round_trips(warm.ask, elsewhere=3) <= 2
