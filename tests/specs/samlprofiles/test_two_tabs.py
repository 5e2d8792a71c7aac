"""Sign-in pages of providers that stand open: in a second tab, or for longer than the request behind them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from identity.models import PendingRequest
from tests.specs.conformance import Browser, Callback, Page
from tests.specs.saml_fixtures import NewProvider, RegisteredParty


@pytest.mark.spec("SAMLProf-4.1")
@pytest.mark.parametrize("is_sent", [True, False])
def test_a_second_tab_goes_on_to_its_own_provider(
    provider: RegisteredParty, new_provider: NewProvider, browser: Browser, is_sent: bool
) -> None:
    other = new_provider()
    page = browser.get(other.redirect_url(other.authn_request()))
    assert isinstance(page, Page)
    first = browser.get(provider.redirect_url(provider.authn_request()))
    browser.sign_in(first, provider.user_name, provider.password)
    place = browser.sign_in(page, provider.user_name, "wrong") if is_sent else browser.get(page.path)
    assert isinstance(place, Callback)
    assert (place.address, place.mode) == (other.acs, "form_post")


@pytest.mark.spec("SAMLCore-3.4.1")
@pytest.mark.security("S29")
def test_a_second_tab_with_force_authn_still_asks(
    provider: RegisteredParty, new_provider: NewProvider, browser: Browser
) -> None:
    other = new_provider()
    page = browser.get(other.redirect_url(other.authn_request(ForceAuthn="true")))
    assert isinstance(page, Page)
    first = browser.get(provider.redirect_url(provider.authn_request()))
    browser.sign_in(first, provider.user_name, provider.password)
    place = browser.get(page.path)
    assert isinstance(place, Page)
    assert place.is_sign_in


def test_a_page_open_longer_than_its_request_leads_back_to_the_provider(
    provider: RegisteredParty, browser: Browser
) -> None:
    page = browser.get(provider.redirect_url(provider.authn_request(), relay_state="kept"))
    PendingRequest.objects.update(expires_at=timezone.now() - timedelta(minutes=1))
    place = browser.sign_in(page, provider.user_name, provider.password)
    assert isinstance(place, Callback)
    assert (place.address, place.params["RelayState"]) == (provider.acs, "kept")
