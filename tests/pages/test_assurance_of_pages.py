"""Our own pages ask for what the tenant asks for, whatever application a session was opened for."""

from __future__ import annotations

import re

import pytest
from django.core import mail

from identity.context import RequestContext
from identity.cookies import SESSION
from identity.models import SessionPolicy, SSOSession, User
from identity.sign_in import login
from tests.factories import PASSWORD, make_application, make_operator
from tests.pages.conftest import Browser

OWN_PAGES = ("/account", "/account/password", "/account/email", "/confirm-password", "/admin/")


@pytest.fixture
def operator(tenant) -> User:
    SessionPolicy.objects.filter(tenant=tenant).update(mfa_mode="always")
    return make_operator(tenant, user_name="olga", is_superuser=True, email="olga@example.org", email_verified=True)


@pytest.fixture
def single(tenant, operator) -> Browser:
    """A browser that signed in to an application which asks for one factor only."""
    browser = Browser()
    browser.get("/login")
    binding = browser.client.cookies["monban_browser"].value
    lax = make_application(tenant, mfa_mode="never")
    handle = login.begin(tenant=tenant, binding=binding, context=RequestContext(tenant=tenant), application=lax)
    form = {"identifier": "olga", "password": PASSWORD, "transaction": handle}
    assert browser.post("/login", form)["Location"] == "/account"
    assert SSOSession.objects.get().amr == ["pwd"]
    assert browser.client.cookies[SESSION].value
    return browser


@pytest.mark.security("S28")
@pytest.mark.parametrize("path", OWN_PAGES)
def test_one_factor_of_an_application_that_asks_for_one_opens_no_page_of_ours(single, path):
    response = single.get(path, follow=False)
    assert response.status_code == 302
    assert response["Location"].startswith(("/login", "/admin/login"))


@pytest.mark.security("S28")
@pytest.mark.parametrize("path", ["/account", "/admin/"])
def test_the_missing_factor_is_asked_for_and_leads_on(single, path):
    page = single.client.get(path, follow=True)
    assert page.status_code == 200
    handle = re.search(r'name="transaction" value="([^"]+)"', page.content.decode())
    code = re.search(r"\b(\d{6})\b", str(mail.outbox[-1].body))
    assert handle
    assert code
    answer = single.post("/login", {"transaction": handle[1], "verification_code": code[1]})
    assert answer["Location"] == path
    assert single.get(path).status_code == 200


@pytest.mark.security("S28")
def test_without_a_second_factor_there_is_no_way_in(single, operator):
    User.objects.filter(pk=operator.pk).update(email_verified=False)
    page = single.client.get("/admin/", follow=True)
    assert page.status_code == 200
    assert 'name="password"' in page.content.decode()
    handle = re.search(r'name="transaction" value="([^"]+)"', page.content.decode())
    assert handle
    form = {"identifier": "olga", "password": PASSWORD, "transaction": handle[1]}
    step = single.post("/login", form)
    assert "Set up a second step" in single.get(step["Location"]).content.decode()
    assert single.get("/admin/").status_code == 302
