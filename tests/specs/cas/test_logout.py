"""Logout and single logout (CAS-2.3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import pytest
from django.utils import timezone

from cas_saml.cas import logout, tickets
from cas_saml.models import ServiceTicket
from identity.context import RequestContext
from identity.directory import users
from identity.models import Delivery, SessionEndReason, SessionParticipant, SSOSession, User
from identity.sso import sessions
from tests.specs.cas.conftest import SERVICE, Service
from tests.specs.conformance import Browser, Callback, Page
from tests.support.deliveries import send_due

NewService = Callable[..., Service]
LOGOUT = "/api/v1/cas/logout"
SAMLP = "{urn:oasis:names:tc:SAML:2.0:protocol}"


def send() -> int:
    return send_due(now=timezone.now(), limit=100)


def index_of(fields: dict[str, str]) -> str | None:
    """The SessionIndex of a posted notice."""
    return ElementTree.fromstring(fields["logoutRequest"]).findtext(f"{SAMLP}SessionIndex")


@pytest.mark.spec("CAS-2.3.2")
def test_logout_ends_the_session_and_goes_to_a_registered_service(service: Service, browser: Browser) -> None:
    service.sign_in(browser)
    arrived = browser.get(f"{LOGOUT}?service={SERVICE.replace('%', '%25')}")
    assert isinstance(arrived, Callback)
    assert arrived.response["Location"] == SERVICE
    session = SSOSession.objects.get()
    assert (session.end_reason, session.ended_at is not None) == ("signed_out", True)
    place = service.start(browser)
    assert isinstance(place, Page)
    assert place.is_sign_in


@pytest.mark.spec("CAS-2.3.2")
@pytest.mark.security("S22")
@pytest.mark.parametrize("query", ["", "?service=https://elsewhere.example/", "?service=", "?url=//elsewhere.example"])
def test_logout_goes_nowhere_else_than_to_our_own_page(service: Service, browser: Browser, query: str) -> None:
    service.sign_in(browser)
    place = browser.get(LOGOUT + query)
    assert isinstance(place, Page)
    assert (place.path, place.is_sign_in) == ("/login", True)
    assert SSOSession.objects.get().ended_at is not None


@pytest.mark.spec("CAS-2.3.1")
def test_the_parameter_of_cas_2_is_ignored(service: Service, browser: Browser) -> None:
    service.sign_in(browser)
    place = browser.get(f"{LOGOUT}?url={SERVICE}")
    assert isinstance(place, Page)
    assert place.path == "/login"


@pytest.mark.spec("CAS-2.3.2")
def test_logout_without_a_session_is_no_error(service: Service, browser: Browser) -> None:
    place = browser.get(LOGOUT)
    assert isinstance(place, Page)
    assert place.is_sign_in


@pytest.mark.spec("CAS-2.3.3")
def test_every_service_that_took_a_ticket_is_told(
    service: Service, new_service: NewService, browser: Browser, posted: Any
) -> None:
    wiki = new_service(
        url="https://wiki.example.org/", match="prefix", logout_url="https://wiki.example.org/logout-notice"
    )
    silent = new_service(url="https://silent.example.org/", single_logout=False)
    unused = new_service(url="https://unused.example.org/")
    first, second = service.ticket(browser), service.ticket(browser)
    wiki.url = "https://wiki.example.org/page"
    third = wiki.ticket(browser)
    for app, ticket in ((service, first), (service, second), (wiki, third), (silent, silent.ticket(browser))):
        assert "authenticationSuccess" in app.validated(ticket)
    unused.ticket(browser)
    browser.get(LOGOUT)
    assert send() == 3
    assert [(url, index_of(fields), internal) for url, fields, internal in posted] == [
        (SERVICE, first, False),
        (SERVICE, second, False),
        ("https://wiki.example.org/logout-notice", third, False),
    ]
    assert set(SessionParticipant.objects.values_list("protocol", flat=True)) == {"cas"}
    assert SessionParticipant.objects.count() == 4


@pytest.mark.spec("CAS-2.3.3")
def test_a_notice_has_the_shape_that_clients_read_and_one_id_at_each_repeat(
    service: Service, browser: Browser, posted: Any
) -> None:
    ticket = service.ticket(browser)
    service.validated(ticket)
    browser.get(LOGOUT)
    posted.status = 503
    assert send() == 1
    row = Delivery.objects.get()
    assert (row.state, row.last_error, row.kind, row.attempts) == ("pending", "status 503", "cas_logout", 1)
    posted.status = 200
    Delivery.objects.update(next_attempt_at=timezone.now())
    assert send() == 1
    row.refresh_from_db()
    assert row.state == "delivered"
    texts = [fields["logoutRequest"] for _url, fields, _internal in posted]
    assert texts[0] == texts[1]
    root = ElementTree.fromstring(texts[0])
    assert (root.tag, root.attrib["ID"], root.attrib["Version"]) == (f"{SAMLP}LogoutRequest", f"LR-{row.jti}", "2.0")
    assert root.attrib["IssueInstant"].endswith("Z")
    assert [child.tag.partition("}")[2] for child in root] == ["NameID", "SessionIndex"]
    assert not texts[0].startswith("<?xml")  # lxml refuses a declared encoding in a text


@pytest.mark.parametrize(
    ("status", "state"), [(200, "delivered"), (204, "delivered"), (302, "delivered"), (404, "pending")]
)
def test_what_counts_as_taken(service: Service, browser: Browser, posted: Any, status: int, state: str) -> None:
    """A client's filter takes the notice, and the page behind it may redirect."""
    service.validated(service.ticket(browser))
    browser.get(LOGOUT)
    posted.status = status
    send()
    assert Delivery.objects.get().state == state


def test_a_ticket_that_failed_is_not_a_session_of_the_service(
    service: Service, new_service: NewService, browser: Browser, posted: Any
) -> None:
    other = new_service(url="https://other.example.org/")
    assert other.code(service.ticket(browser)) == "INVALID_SERVICE"
    browser.get(LOGOUT)
    assert send() == 0


@pytest.mark.spec("CAS-2.3.3")
@pytest.mark.parametrize("how", ["operator", "password", "disabled"])
def test_a_session_that_ends_elsewhere_is_told_of(
    service: Service, browser: Browser, person: User, posted: Any, how: str
) -> None:
    service.validated(service.ticket(browser))
    context = RequestContext(tenant=person.tenant)
    if how == "operator":
        sessions.end(SSOSession.objects.get(), reason=SessionEndReason.ENDED_BY_OPERATOR, context=context)
    elif how == "disabled":
        users.disable(user=person, context=context)
    else:
        from identity.passwords import credentials

        credentials.set_password(user=person, password="Another-Harbour-42", context=context, actor=person)
    assert send() == 1
    assert posted[0][0] == SERVICE


def test_an_open_ticket_ends_with_its_session(service: Service, browser: Browser) -> None:
    ticket = service.ticket(browser)
    browser.get(LOGOUT)
    assert service.code(ticket) == "INVALID_TICKET"
    assert ServiceTicket.objects.get().consumed_at is not None


def test_a_notice_needs_an_address_that_may_be_called(new_service: NewService, browser: Browser) -> None:
    """Decision 12: private addresses are for applications marked internal."""
    near = new_service(url="https://127.0.0.1/cas")
    near.validated(near.ticket(browser))
    browser.get(LOGOUT)
    send()
    assert Delivery.objects.get().last_error == "AddressRefused: 127.0.0.1 is not a public address"


def test_tickets_are_purged_when_nothing_needs_them(service: Service, browser: Browser) -> None:
    unused, used = service.ticket(browser), service.ticket(browser)
    service.validated(used)
    now = timezone.now()
    assert unused != used
    assert tickets.purge(now, 10) == 0
    assert tickets.purge(now + timezone.timedelta(hours=2), 10) == 1
    assert tickets.session_index(ServiceTicket.objects.get()) == used
    browser.get(LOGOUT)
    assert tickets.purge(now + timezone.timedelta(hours=2), 10) == 1


def test_the_sender_is_known_to_the_outbox() -> None:
    from identity import registry

    assert registry.delivery_sender(logout.KIND) is logout.send
