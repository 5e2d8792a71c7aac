"""The vendor's login form, POST /api/v1/login/form (OneAccess-3.3.2.1)."""

from __future__ import annotations

from typing import Any

import pytest

from identity.models import SSOSession
from tests.specs.cas.conftest import SERVICE, Service
from tests.specs.conformance import ISSUER, Browser, Callback, Page

FORM = "/api/v1/login/form"


def post(browser: Browser, data: dict[str, str], **headers: str) -> Any:
    """What the endpoint itself answers."""
    return browser.transport.post(FORM, data, secure=True, headers={"origin": ISSUER, **headers})


@pytest.mark.spec("OneAccess-3.3.2.1")
def test_the_form_goes_on_with_the_login_request_that_waits(service: Service, browser: Browser) -> None:
    service.start(browser)
    response = post(browser, {"username": service.user_name, "password": service.password})
    assert response.status_code == 302
    arrived = browser.get(response["Location"])
    assert isinstance(arrived, Callback)
    assert arrived.response["Location"].startswith(f"{SERVICE}&ticket=ST-")
    assert service.validated(arrived.params["ticket"])["authenticationSuccess"]["attributes"]["isFromNewLogin"] is True


@pytest.mark.spec("OneAccess-3.3.2.1")
def test_without_a_waiting_request_it_opens_the_session(service: Service, browser: Browser) -> None:
    response = post(browser, {"username": service.user_name, "password": service.password})
    assert (response.status_code, response["Location"]) == (302, "/api/v1/cas/login")
    assert SSOSession.objects.filter(ended_at=None).count() == 1
    assert isinstance(service.start(browser), Callback)


@pytest.mark.spec("OneAccess-3.3.2.1")
def test_a_wrong_password_is_the_same_as_an_unknown_name_and_locks(service: Service, browser: Browser) -> None:
    service.start(browser)
    wrong = post(browser, {"username": service.user_name, "password": "wrong"})
    other = Browser()
    service.start(other)
    unknown = post(other, {"username": "nobody", "password": "wrong"})
    assert wrong.status_code == unknown.status_code == 400
    expected = {
        "error_code": "LOGIN.0002",
        "error_msg": "Invalid account name or password. Remaining attempts: 4",
    }
    assert wrong.json() == unknown.json() == expected
    for _ in range(4):
        post(browser, {"username": service.user_name, "password": "wrong"})
    locked = post(browser, {"username": service.user_name, "password": service.password})
    assert (locked.status_code, locked.json()["error_code"]) == (400, "LOGIN.0001")
    assert not SSOSession.objects.exists()


@pytest.mark.security("S27")
@pytest.mark.parametrize("origin", ["https://elsewhere.example", "null", "", "http://id.monban.example"])
def test_a_page_of_another_origin_signs_nobody_in(service: Service, browser: Browser, origin: str) -> None:
    service.start(browser)
    response = post(browser, {"username": service.user_name, "password": service.password}, origin=origin)
    assert response.status_code == 403
    assert not SSOSession.objects.exists()


@pytest.mark.security("S27")
def test_the_sign_in_of_another_browser_is_not_gone_on_with(service: Service, browser: Browser) -> None:
    page = service.start(browser)
    assert isinstance(page, Page)
    form = page.form_with("transaction")
    assert form is not None
    data = {"username": service.user_name, "password": service.password, "transaction": form.fields["transaction"]}
    response = post(Browser(), data)
    assert (response.status_code, response["Location"]) == (302, "/api/v1/cas/login")


@pytest.mark.security("S28")
def test_further_steps_are_taken_on_our_pages(service: Service, browser: Browser) -> None:
    service.row.application.mfa_mode = "always"
    service.row.application.save()
    service.start(browser)
    response = post(browser, {"username": service.user_name, "password": service.password})
    assert response.status_code == 302
    place = browser.get(response["Location"])
    assert isinstance(place, Page)
    assert place.form_with("verification_code") is not None
    assert not SSOSession.objects.exists()


@pytest.mark.parametrize("data", [{}, {"username": "minghui"}, {"password": "x"}])
def test_an_incomplete_form_is_refused(service: Service, browser: Browser, data: dict[str, str]) -> None:
    response = post(browser, data)
    assert (response.status_code, response.json()["error_code"]) == (400, "LOGIN.0002")
