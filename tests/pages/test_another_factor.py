"""A factor that somebody adds: one object in the table, and the pages of a sign-in ask for it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from django import forms

from identity import assurance
from identity.context import RequestContext
from identity.errors import VerificationRefused
from identity.models import LoginTransaction, SessionKind, SessionPolicy, SSOSession, User
from identity.sign_in.factors import table
from identity.sign_in.factors.base import Begun, Factor, remember
from identity.sign_in.forms import TransactionForm
from tests.pages.conftest import handle_in


class GridForm(TransactionForm):
    row = forms.CharField()
    column = forms.CharField()


class Grid(Factor):
    """A cell of a printed grid: two fields, nothing sent."""

    name = "grid"
    amr = assurance.ONE_TIME_CODE
    channels = frozenset({SessionKind.BROWSER})
    form = GridForm
    template = "identity/login_second_factor.html"

    def is_enrolled(self, user: User) -> bool:
        return user.user_name == "alice"

    def hint(self, user: User) -> str:
        return "your grid"

    def begin(self, row: LoginTransaction, *, user: User, context: RequestContext) -> Begun:
        remember(row, cell="7")
        return Begun()

    def find_begun(self, row: LoginTransaction, *, user: User) -> Begun | None:
        return Begun() if "cell" in row.data else None

    def check(
        self, row: LoginTransaction, response: Mapping[str, Any], *, user: User, context: RequestContext
    ) -> Sequence[str]:
        if f"{response['row']}{response['column']}" != f"C{row.data['cell']}":
            raise VerificationRefused
        return (self.amr,)


@pytest.fixture(autouse=True)
def grid(tenant, monkeypatch):
    SessionPolicy.objects.filter(tenant=tenant).update(mfa_mode="always")
    monkeypatch.setattr(table, "FACTORS", {**table.FACTORS, Grid.name: Grid()})


def test_a_factor_of_several_fields_is_chosen_and_proved(browser, alice):
    handle = handle_in(browser.sign_in(alice))
    page = browser.get(f"/login?transaction={handle}").content.decode()
    assert re.search(r'name="send_to" value="grid"', page)
    assert browser.post("/login", {"transaction": handle, "send_to": "grid"}).status_code == 302
    page = browser.get(f"/login?transaction={handle}").content.decode()
    assert 'name="row"' in page
    assert "verification_code" not in page
    assert browser.post("/login", {"transaction": handle, "row": "C", "column": "8"}).status_code == 400
    assert browser.post("/login", {"transaction": handle, "row": "C"}).status_code == 400
    assert SSOSession.objects.count() == 0
    assert browser.post("/login", {"transaction": handle, "row": "C", "column": "7"})["Location"] == "/account"
    assert SSOSession.objects.get().amr == ["pwd", "otp"]


@pytest.mark.security("S28")
def test_a_factor_that_is_not_enrolled_is_not_offered_and_not_taken(browser, tenant, alice):
    User.objects.filter(pk=alice.pk).update(user_name="alicia", user_key="alicia")
    handle = handle_in(browser.sign_in("alicia"))
    assert "grid" not in browser.get(f"/login?transaction={handle}").content.decode()
    assert browser.post("/login", {"transaction": handle, "send_to": "grid"}).status_code == 400
    assert browser.post("/login", {"transaction": handle, "row": "C", "column": "7"}).status_code == 400
    assert SSOSession.objects.count() == 0
