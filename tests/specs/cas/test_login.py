"""The login endpoint (CAS-2.1, CAS-2.2)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from urllib.parse import quote

import pytest
import time_machine
from django.utils import timezone

from cas_saml.models import ServiceTicket
from identity.models import AuditEvent, LoginTransaction, SSOSession, User
from tests.factories import PASSWORD, make_account, make_tenant, make_user
from tests.factories.cas import make_cas_service
from tests.specs.cas.conftest import SERVICE, Service
from tests.specs.conformance import Browser, Callback, Page
from tests.specs.trusted import is_asked_for_a_code, trust_browser

NewService = Callable[..., Service]


@pytest.mark.spec("CAS-2.2.4")
@pytest.mark.spec("CAS-3.1.1")
@pytest.mark.spec("CAS-3.7")
def test_a_sign_in_leads_to_the_service_with_a_ticket(service: Service, browser: Browser) -> None:
    arrived = service.sign_in(browser)
    # What the service had in its address is there as it was, and the ticket behind it.
    assert arrived.response["Location"].startswith(f"{SERVICE}&ticket=ST-")
    assert arrived.response.status_code == 302
    ticket = arrived.params["ticket"]
    assert set(ticket) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-")
    assert len(ticket) >= len("ST-") + 256 // 4
    assert browser.sign_in_pages == 1
    assert "no-store" in arrived.response["Cache-Control"]
    assert arrived.response["Referrer-Policy"] == "no-referrer"


@pytest.mark.spec("CAS-2.1.1")
def test_a_second_service_is_answered_without_asking(
    service: Service, new_service: NewService, browser: Browser
) -> None:
    other = new_service(url="https://other.example.org/")
    service.sign_in(browser)
    assert other.sign_in(browser).address == "https://other.example.org/"
    assert browser.sign_in_pages == 1


@pytest.mark.spec("CAS-2.1.1")
def test_without_a_service_the_person_signs_in_and_is_told_so(service: Service, browser: Browser) -> None:
    place = service.start(browser, service=None)
    assert isinstance(place, Page)
    assert place.is_sign_in
    told = browser.sign_in(place, service.user_name, service.password)
    assert isinstance(told, Page)
    assert "You are signed in" in told.text
    again = service.start(browser, service=None)
    assert isinstance(again, Page)
    assert "You are signed in" in again.text


@pytest.mark.spec("CAS-2.1.1")
def test_renew_asks_somebody_who_is_signed_in_again(service: Service, browser: Browser) -> None:
    service.sign_in(browser)
    place = service.start(browser, renew="true")
    assert isinstance(place, Page)
    assert place.is_sign_in
    arrived = browser.sign_in(place, service.user_name, service.password)
    assert isinstance(arrived, Callback)
    assert SSOSession.objects.filter(ended_at=None).count() == 1
    assert service.validated(arrived.params["ticket"], renew="true")["authenticationSuccess"]["user"] == "minghui"


@pytest.mark.spec("CAS-2.1.1")
@pytest.mark.security("S29")
def test_renew_cannot_be_skipped_by_taking_the_way_back_early(service: Service, browser: Browser) -> None:
    service.sign_in(browser)
    service.start(browser, renew="true")
    place = browser.get(LoginTransaction.objects.latest("pk").next_url)
    assert isinstance(place, Page)
    assert place.is_sign_in
    assert ServiceTicket.objects.count() == 1


@pytest.mark.spec("CAS-2.1.1")
@pytest.mark.parametrize("value", ["true", "", "1"])
def test_gateway_without_a_session_comes_back_without_a_ticket(service: Service, browser: Browser, value: str) -> None:
    arrived = service.start(browser, gateway=value)
    assert isinstance(arrived, Callback)
    assert arrived.response["Location"] == SERVICE
    assert browser.sign_in_pages == 0
    assert not ServiceTicket.objects.exists()


@pytest.mark.spec("CAS-2.1.1")
def test_gateway_with_a_session_brings_a_ticket(service: Service, browser: Browser) -> None:
    service.sign_in(browser)
    arrived = service.start(browser, gateway="true")
    assert isinstance(arrived, Callback)
    assert service.validated(arrived.params["ticket"])["authenticationSuccess"]["user"] == "minghui"


@pytest.mark.spec("CAS-2.1.1")
def test_gateway_is_ignored_beside_renew(service: Service, browser: Browser) -> None:
    place = service.start(browser, gateway="true", renew="true")
    assert isinstance(place, Page)
    assert place.is_sign_in


@pytest.mark.spec("CAS-2.1.1")
def test_gateway_asks_for_no_second_factor(new_service: NewService, service: Service, browser: Browser) -> None:
    strict = new_service(url="https://strict.example.org/", application={"mfa_mode": "always"})
    service.sign_in(browser)
    arrived = strict.start(browser, gateway="true")
    assert isinstance(arrived, Callback)
    assert arrived.response["Location"] == strict.url


@pytest.mark.security("S53")
@pytest.mark.security("S28")
def test_an_application_that_wants_two_factors_is_not_entered_with_one(
    new_service: NewService, service: Service, browser: Browser
) -> None:
    strict = new_service(url="https://strict.example.org/", application={"mfa_mode": "always"})
    service.sign_in(browser)
    place = strict.start(browser)
    assert isinstance(place, Page)
    assert place.form_with("verification_code") is not None


@pytest.mark.spec("CAS-2.1.1")
def test_method_post_brings_the_ticket_in_a_form_that_sends_itself(service: Service, browser: Browser) -> None:
    arrived = service.sign_in(browser, method="POST")
    assert (arrived.mode, arrived.address) == ("form_post", SERVICE)
    assert "form-action 'self' https://app.example.org" in arrived.response["Content-Security-Policy"]
    assert service.validated(arrived.params["ticket"])["authenticationSuccess"]["user"] == "minghui"


@pytest.mark.spec("CAS-2.1.1")
@pytest.mark.security("S44")
@pytest.mark.parametrize(
    "address",
    [
        "https://elsewhere.example/",
        "https://app.example.org/sso/cas",
        f"{SERVICE}&more=1",
        f"{SERVICE}#fragment",
        "http://app.example.org/sso/cas?next=%2Fhome",
        "https://app.example.org:8443/sso/cas?next=%2Fhome",
        "https://app.example.org@elsewhere.example/sso/cas?next=%2Fhome",
        "https://app.example.org/sso/../sso/cas?next=%2Fhome",
        "javascript:alert(1)",
        "//app.example.org/sso/cas",
        "https://app.example.org/sso/cas?next=%2Fhome\x00",
        "https://app.example.org/sso/cas?next=%2Fhome\r\nX: y",
        "x" * 5000,
    ],
)
def test_an_address_that_is_not_registered_is_never_gone_to(service: Service, browser: Browser, address: str) -> None:
    for gateway in (None, "true"):
        place = service.start(browser, service=address, gateway=gateway)
        assert isinstance(place, Page)
        assert place.status == 400
        assert "Application does not exist." in place.text
    assert AuditEvent.objects.filter(event_type="ticket:grant", outcome="refused", reason="APP.0001").count() == 2


@pytest.mark.security("S45")
@pytest.mark.parametrize("twice", ["service", "renew", "gateway", "method"])
def test_a_parameter_that_comes_twice_is_refused(service: Service, browser: Browser, twice: str) -> None:
    extra = f"&{twice}={quote(SERVICE)}&{twice}=x"
    place = browser.get(service.login_url() + extra)
    assert isinstance(place, Page)
    assert place.status == 400


@pytest.mark.security("S36")
def test_the_service_of_another_tenant_does_not_exist_here(service: Service, browser: Browser) -> None:
    foreign = make_cas_service(tenant=make_tenant(), url="https://foreign.example.org/")
    place = service.start(browser, service=foreign.url)
    assert isinstance(place, Page)
    assert place.status == 400


def test_assigned_access_is_asked_for_and_names_the_account(
    new_service: NewService, browser: Browser, person: User
) -> None:
    closed = new_service(application={"access": "assigned"})
    page = closed.start(browser)
    refused = browser.sign_in(page, closed.user_name, PASSWORD)
    assert isinstance(refused, Page)
    assert refused.status == 400
    assert "Application account does not exist." in refused.text
    make_account(person, closed.row.application, account_name="m.hui")
    assert closed.validated(closed.ticket(browser))["authenticationSuccess"]["user"] == "m.hui"


@pytest.mark.security("S26")
@pytest.mark.parametrize("disabled", ["service", "application"])
def test_what_is_disabled_gives_no_ticket(service: Service, browser: Browser, disabled: str) -> None:
    row = service.row if disabled == "service" else service.row.application
    row.is_active = False
    row.save()
    place = service.start(browser)
    assert isinstance(place, Page)
    assert place.status == 400


@pytest.mark.security("S44")
def test_the_way_back_is_bound_to_the_browser_and_good_once(service: Service, browser: Browser) -> None:
    page = service.start(browser)
    way_back = LoginTransaction.objects.get().next_url
    other = Browser()
    service.sign_in(other)
    refused = other.get(way_back)
    assert isinstance(refused, Page)
    assert refused.status == 400
    assert isinstance(browser.sign_in(page, service.user_name, service.password), Callback)
    again = browser.get(way_back)
    assert isinstance(again, Page)
    assert again.status == 400
    assert ServiceTicket.objects.count() == 2


@pytest.mark.spec("CAS-2.2.1")
def test_the_page_lets_its_form_lead_to_the_service(service: Service, browser: Browser) -> None:
    page = service.start(browser)
    assert isinstance(page, Page)
    assert "https://app.example.org" in page.headers["Content-Security-Policy"]


@pytest.mark.parametrize("left", ["", ";jsessionid=0A1B2C.node1", "?ticket=ST-old", ";jsessionid=0A1B2C?ticket=ST-old"])
@pytest.mark.parametrize("asked", ["", ";jsessionid=0A1B2C.node1", "?ticket=ST-old"])
def test_what_an_earlier_visit_left_in_the_address_breaks_nothing(
    new_service: NewService, browser: Browser, left: str, asked: str
) -> None:
    java = new_service(url="https://java.example.org/app")
    place = java.sign_in(browser, service=java.url + left)
    assert (place.address, list(place.params)) == (java.url, ["ticket"])
    # The client validates with the address that it sees by now.
    answer = java.validated(place.params["ticket"], service=java.url + asked)
    assert answer["authenticationSuccess"]["user"] == "minghui"


def test_an_intranet_service_without_tls_is_answered_only_while_it_is_allowed(
    new_service: NewService, browser: Browser
) -> None:
    wiki = new_service(url="http://wiki.corp.example/cas", application={"is_internal": True}, allows_plain_http=True)
    assert wiki.validated(wiki.ticket(browser))["authenticationSuccess"]["user"] == "minghui"
    wiki.row.application.is_internal = False
    wiki.row.application.save()
    place = wiki.start(browser)
    assert isinstance(place, Page)
    assert place.status == 400


def test_a_path_owns_what_lies_below_it(new_service: NewService, browser: Browser) -> None:
    wiki = new_service(url="https://wiki.example.org/pages/", match="prefix")
    for url in (
        "https://wiki.example.org/pages",
        "https://wiki.example.org/pages/Home?action=edit",
        "https://WIKI.example.org:443/pages/a/b;v=1",
    ):
        wiki.url = url
        assert wiki.validated(wiki.ticket(browser))["authenticationSuccess"]["user"] == "minghui"
    for url in (
        "https://wiki.example.org/pagesque",
        "https://wiki.example.org/",
        "https://wiki.example.org//pages/x",
        "https://wiki.example.org/pages/%2e%2e/admin",
        "https://wiki.example.org/pages/..;/admin",
        "https://wiki.example.org/pages/..%2fadmin",
        "https://wiki.example.org/pages/%252e%252e/admin",
        "https://user@wiki.example.org/pages/",
        "https://wiki.example.org\\pages/",
        "https://wiki.example.org.elsewhere.example/pages/",
        "http://wiki.example.org/pages/",
    ):
        place = wiki.start(browser, service=url)
        assert isinstance(place, Page), url
        assert place.status == 400


@pytest.mark.spec("CAS-3.1.1")
def test_a_session_that_is_over_brings_no_ticket(service: Service, browser: Browser) -> None:
    service.sign_in(browser)
    with time_machine.travel(timezone.now() + timedelta(hours=25)):
        place = service.start(browser)
    assert isinstance(place, Page)
    assert place.is_sign_in


def test_a_refusal_is_json_for_a_program(service: Service) -> None:
    response = service.api.get("/api/v1/cas/login?service=x", secure=True, headers={"accept": "application/json"})
    assert (response.status_code, response.json()) == (
        400,
        {"error_code": "APP.0001", "error_msg": "Application does not exist."},
    )


@pytest.mark.security("S31")
def test_another_person_signing_in_with_renew_gets_the_ticket_of_their_own(
    service: Service, browser: Browser, person: User
) -> None:
    other = make_user(person.tenant, user_name="lihua")
    service.sign_in(browser)
    page = service.start(browser, renew="true")
    arrived = browser.sign_in(page, other.user_name, PASSWORD)
    assert isinstance(arrived, Callback)
    assert service.validated(arrived.params["ticket"])["authenticationSuccess"]["user"] == "lihua"


@pytest.mark.spec("CAS-2.1.1")
@pytest.mark.security("S28")
def test_with_renew_a_trusted_browser_is_asked_for_the_second_factor(service: Service, browser: Browser) -> None:
    trust_browser(browser, User.objects.get(user_name=service.user_name))
    assert isinstance(service.sign_in(browser), Callback)
    place = service.start(browser, renew="true")
    assert is_asked_for_a_code(browser, place, service.user_name, service.password)
