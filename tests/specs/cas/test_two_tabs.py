"""Sign-in pages of services that stand open: in a second tab, or for longer than the login request behind them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from identity.models import PendingRequest
from tests.specs.cas.conftest import SERVICE, Service
from tests.specs.conformance import Browser, Callback, Page

NewService = Callable[..., Service]


@pytest.mark.spec("CAS-2.1.1")
@pytest.mark.parametrize("is_sent", [True, False])
def test_a_second_tab_goes_on_to_its_own_service(
    service: Service, new_service: NewService, browser: Browser, is_sent: bool
) -> None:
    other = new_service(url="https://other.example.org/")
    page = other.start(browser)
    assert isinstance(page, Page)
    service.sign_in(browser)
    place = browser.sign_in(page, service.user_name, "wrong") if is_sent else browser.get(page.path)
    assert isinstance(place, Callback)
    assert (place.address, list(place.params)) == ("https://other.example.org/", ["ticket"])


@pytest.mark.spec("CAS-2.1.1")
@pytest.mark.security("S29")
def test_a_second_tab_with_renew_still_asks(service: Service, new_service: NewService, browser: Browser) -> None:
    other = new_service(url="https://other.example.org/")
    page = other.start(browser, renew="true")
    assert isinstance(page, Page)
    service.sign_in(browser)
    place = browser.get(page.path)
    assert isinstance(place, Page)
    assert place.is_sign_in


def test_a_page_open_longer_than_its_request_leads_back_to_the_service(service: Service, browser: Browser) -> None:
    page = service.start(browser)
    PendingRequest.objects.update(expires_at=timezone.now() - timedelta(minutes=1))
    place = browser.sign_in(page, service.user_name, service.password)
    assert isinstance(place, Callback)
    assert place.response["Location"].startswith(f"{SERVICE}&ticket=ST-")
