"""A dialect costs no statement: the budgets of performance.md hold in each of them."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.dialects.party import Party
from tests.support.statements import NOT_COUNTED, statements

pytestmark = pytest.mark.django_db


@pytest.fixture
def warm(party: Party) -> Party:
    """A client whose row, tenant and keys the process has read already."""
    party.userinfo(party.tokens()["access_token"])
    return party


def test_code_exchange_refresh_and_userinfo_stay_in_their_budgets(warm: Party) -> None:
    code = warm.code()
    assert len(statements(lambda: warm.exchange(code))) == 4
    tokens = warm.tokens()
    assert len(statements(lambda: warm.refresh(tokens["refresh_token"]))) <= 5
    token = warm.tokens()["access_token"]
    assert len(statements(lambda: warm.userinfo(token))) == 1


def test_an_authorization_request_of_a_signed_in_user_takes_three_statements(warm: Party) -> None:
    with CaptureQueriesContext(connection) as captured:
        assert warm.ask().status_code == 302
    assert len([query for query in captured if not query["sql"].startswith(NOT_COUNTED)]) == 3
