"""Choosing between the signed-in account and another one."""

from __future__ import annotations

import pytest

from identity.context import RequestContext
from identity.models import SSOSession
from identity.sign_in import login
from tests.factories import make_application, make_user
from tests.pages.conftest import Browser


@pytest.fixture
def begin(signed_in, tenant):
    """Begin as a protocol does that wants the account chosen."""

    def begun(**values) -> str:
        return login.begin(
            tenant=tenant,
            binding=signed_in.client.cookies["monban_browser"].value,
            context=RequestContext(tenant=tenant),
            session=SSOSession.objects.select_related("user", "tenant").get(),
            select_account=True,
            next_url="/account/password",
            application=make_application(tenant, name="Wiki"),
            **values,
        )

    return begun


def choose(browser: Browser, handle: str, choice: str):
    return browser.post("/login", {"transaction": handle, "choice": choice})


def test_page_names_the_person_and_the_application(signed_in, begin):
    page = signed_in.get(f"/login?transaction={begin()}").content.decode()
    for text in ("Choose an account", "Alice", "Wiki", 'value="other"'):
        assert text in page


def test_going_on_keeps_the_session(signed_in, begin):
    cookie = signed_in.session_cookie
    response = choose(signed_in, begin(), "continue")
    assert (response.status_code, response["Location"]) == (302, "/account/password")
    assert signed_in.session_cookie == cookie
    assert signed_in.is_signed_in


def test_another_account_is_asked_for_its_password(signed_in, begin, tenant):
    bob = make_user(tenant, user_name="bob")
    handle = begin()
    response = choose(signed_in, handle, "other")
    page = signed_in.get(response["Location"]).content.decode()
    assert 'name="password"' in page
    assert 'value="alice"' not in page
    assert signed_in.sign_in(bob, transaction=handle)["Location"] == "/account/password"
    assert SSOSession.objects.get(ended_at=None).user == bob


@pytest.mark.security("S28")
def test_where_the_password_is_wanted_again_going_on_asks_for_it(signed_in, begin, alice):
    handle = begin(reauthenticate=True)
    response = choose(signed_in, handle, "continue")
    page = signed_in.get(response["Location"]).content.decode()
    assert 'name="password"' in page
    assert 'value="alice"' in page
    assert signed_in.sign_in(alice, "wrong", transaction=handle).status_code == 400
    assert signed_in.sign_in(alice, transaction=handle)["Location"] == "/account/password"


@pytest.mark.security("S29")
@pytest.mark.parametrize("choice", ["", "both"])
def test_no_choice_is_no_answer(signed_in, begin, choice):
    response = choose(signed_in, begin(), choice)
    assert response.status_code == 400
    assert "Choose an account" in response.content.decode()


def test_page_is_the_password_page_where_the_session_has_ended_meanwhile(signed_in, begin, alice):
    handle = begin()
    SSOSession.objects.update(ended_at=alice.created_at)
    assert 'name="password"' in signed_in.get(f"/login?transaction={handle}").content.decode()
    assert choose(signed_in, handle, "continue").status_code == 400
