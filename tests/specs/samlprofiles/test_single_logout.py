"""The single logout profile (SAMLProf-4.4), both ways, through the browser and without one."""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import pytest
from django.utils import timezone
from lxml import etree

from cas_saml.saml import logout
from identity import registry
from identity.context import RequestContext
from identity.models import AuditEvent, Delivery, SessionParticipant, SSOSession, Tenant, User
from identity.outbound import Response
from identity.sso import sessions
from tests.factories.saml import make_service_provider
from tests.specs.conformance import ISSUER, Browser, Callback, Page
from tests.specs.saml_fixtures import NewProvider, RegisteredParty
from tests.specs.saml_party import IDP, NS, SLO, STATUS, Answer, instant, query_message, verify_query
from tests.support.deliveries import send_due

REDIRECT_ONLY = [
    {"binding": "redirect", "location": "https://sp.example/slo", "response_location": "https://sp.example/slo/done"}
]
POST_ONLY = [{"binding": "post", "location": "https://other.example/slo?x=1"}]
SOAP_TOO = [*REDIRECT_ONLY, {"binding": "soap", "location": "https://sp.example/soap"}]


@pytest.fixture
def first(new_provider: NewProvider) -> RegisteredParty:
    """A provider that takes logout messages by Redirect."""
    return new_provider(entity_id="https://first.example", single_logout_services=REDIRECT_ONLY)


@pytest.fixture
def second(new_provider: NewProvider) -> RegisteredParty:
    """A provider that takes them by POST, with a key of its own."""
    from tests.factories.saml import pem

    return new_provider(
        entity_id="https://second.example", single_logout_services=POST_ONLY, signing_certificates=[pem(1)], key=1
    )


def is_open() -> bool:
    return SSOSession.objects.filter(ended_at=None).exists()


def go_on(browser: Browser, place: Page | Callback) -> Page | Callback:
    """From the page that tells the applications to where it leads."""
    while isinstance(place, Page) and (found := re.search(r'href="(/logged-out/next[^"]*)"', place.text)):
        place = browser.get(unescape(found[1]))
    return place


def reason(place: Page | Callback) -> str:
    assert isinstance(place, Page)
    assert place.status == 400, place.text
    event = AuditEvent.objects.latest("pk")
    assert (event.event_type, event.outcome) == ("logout:request", "refused")
    return str(event.reason)


def leave(party: RegisteredParty, browser: Browser, answer: Answer, **changes: Any) -> Page | Callback:
    """Send a LogoutRequest by Redirect."""
    message = party.logout_request(answer.name_id_xml, answer.session_index, **changes)
    return go_on(browser, browser.get(party.redirect_url(message, path=SLO, relay_state="back", signed=True)))


def status_of(place: Page | Callback, party: RegisteredParty, request: str) -> tuple[str, ...]:
    """The status codes of the LogoutResponse that arrived by Redirect, its signature checked."""
    assert isinstance(place, Callback), place.text
    url = place.response["Location"]
    address, params, message = query_message(url)
    verify_query(url, party.idp_certificates()[0])
    assert address == "https://sp.example/slo/done"
    assert (message.get("Destination"), params["RelayState"]) == (address, "back")
    assert message.get("InResponseTo") == request
    assert message.findtext("saml:Issuer", namespaces=NS) == IDP
    return tuple(value.removeprefix(STATUS) for value in message.xpath("//samlp:StatusCode/@Value", namespaces=NS))


def sign_out_here(browser: Browser) -> Page | Callback:
    """On our own page."""
    page = browser.get("/logout")
    assert isinstance(page, Page)
    form = page.form_with("confirm")
    assert form is not None
    return browser.submit(page, form, confirm="yes")


# A provider asks -------------------------------------------------------------------------------------------


@pytest.mark.spec("SAMLProf-4.4.3.1")
def test_a_provider_ends_the_session_and_is_answered(first: RegisteredParty, browser: Browser) -> None:
    answer = first.sign_in(browser)
    place = leave(first, browser, answer, ID="_request")
    assert status_of(place, first, "_request") == ("Success",)
    session = SSOSession.objects.get()
    assert session.end_reason == "signed_out"
    assert isinstance(first.start(browser), Page)
    event = AuditEvent.objects.get(event_type="logout:request")
    assert (event.sid, event.outcome, event.dialect) == (session.sid, "success", "saml")
    # It has ended its own session, so it is not told.
    assert not Delivery.objects.exists()
    assert SessionParticipant.objects.get().front_channel_state == "confirmed"


@pytest.mark.spec("SAMLCore-3.7.1")
@pytest.mark.parametrize("expiry", ["9999-12-31T23:59:59.9999999Z", "9999-12-31T23:59:59Z"], ids=["dotnet", "never"])
def test_a_request_that_never_expires_is_taken(first: RegisteredParty, browser: Browser, expiry: str) -> None:
    answer = first.sign_in(browser)
    assert status_of(leave(first, browser, answer, ID="_request", NotOnOrAfter=expiry), first, "_request") == (
        "Success",
    )


@pytest.mark.spec("SAMLProf-4.4.3.1")
@pytest.mark.spec("SAMLBind-3.5.4")
def test_a_request_by_post_is_answered_by_post(second: RegisteredParty, browser: Browser) -> None:
    answer = second.sign_in(browser)
    message = second.logout_request(answer.name_id_xml, answer.session_index, ID="_request")
    fields = second.form(message, relay_state="back", signed=True)
    place = go_on(browser, browser.post_from_another_site(SLO, fields))
    assert isinstance(place, Callback)
    assert (place.address, place.params["RelayState"]) == ("https://other.example/slo?x=1", "back")
    response = etree.fromstring(base64.b64decode(place.params["SAMLResponse"]))
    assert response.get("InResponseTo") == "_request"
    assert (
        Answer(second, etree.tostring(response), None, place).verified(".").find(".//{*}StatusCode").get("Value")
        == f"{STATUS}Success"
    )
    assert not is_open()


@pytest.mark.spec("SAMLProf-4.4.3.1")
def test_without_an_address_for_the_answer_our_page_says_so(provider: RegisteredParty, browser: Browser) -> None:
    place = leave(provider, browser, provider.sign_in(browser))
    assert isinstance(place, Page)
    assert (place.status, is_open()) == (200, False)


@pytest.mark.spec("SAMLProf-4.4.4.1")
@pytest.mark.security("S20")
@pytest.mark.parametrize("by_post", [False, True])
def test_an_unsigned_command_is_refused(first: RegisteredParty, browser: Browser, by_post: bool) -> None:
    answer = first.sign_in(browser)
    message = first.logout_request(answer.name_id_xml, answer.session_index)
    if by_post:
        place = browser.post_from_another_site(SLO, first.form(message))
    else:
        place = browser.get(first.redirect_url(message, path=SLO))
    assert reason(place) == "unsigned"
    assert is_open()


@pytest.mark.security("S20")
@pytest.mark.security("S36")
def test_a_provider_ends_no_session_of_another_one(
    first: RegisteredParty, second: RegisteredParty, browser: Browser
) -> None:
    answer = first.sign_in(browser)
    second.sign_in(browser)
    message = second.logout_request(answer.name_id_xml, answer.session_index)
    place = browser.get(second.redirect_url(message, path=SLO, signed=True))
    assert isinstance(place, Callback)
    response = etree.fromstring(base64.b64decode(place.params["SAMLResponse"]))
    codes = response.xpath("//samlp:StatusCode/@Value", namespaces=NS)
    assert codes == [f"{STATUS}Requester", f"{STATUS}UnknownPrincipal"]
    assert is_open()


@pytest.mark.spec("SAMLCore-3.7.1")
def test_the_session_index_and_the_name_are_matched(first: RegisteredParty, browser: Browser) -> None:
    answer = first.sign_in(browser)
    unknown = ("Requester", "UnknownPrincipal")
    for number, (name, index) in enumerate(
        [
            (answer.name_id_xml, "_other"),
            (answer.name_id_xml.replace("minghui", "somebody"), answer.session_index),
            (answer.name_id_xml.replace("unspecified", "emailAddress"), answer.session_index),
            (answer.name_id_xml.replace("<saml:NameID", '<saml:NameID SPNameQualifier="x"'), answer.session_index),
            (answer.name_id_xml.replace("<saml:NameID", '<saml:NameID NameQualifier="x"'), answer.session_index),
        ]
    ):
        message = first.logout_request(name, index, ID=f"_{number}")
        place = browser.get(first.redirect_url(message, path=SLO, relay_state="back", signed=True))
        assert status_of(place, first, f"_{number}") == unknown
    message = first.logout_request("<saml:EncryptedID/>", ID="_6")
    place = browser.get(first.redirect_url(message, path=SLO, relay_state="back", signed=True))
    assert status_of(place, first, "_6") == ("Requester", "RequestUnsupported")
    assert is_open()


@pytest.mark.spec("SAMLCore-3.7.1")
def test_without_a_session_index_every_session_of_the_person_ends(first: RegisteredParty) -> None:
    browsers = [Browser(), Browser()]
    answers = [first.sign_in(browser) for browser in browsers]
    message = first.logout_request(answers[0].name_id_xml, ID="_all")
    place = browsers[0].get(first.redirect_url(message, path=SLO, relay_state="back", signed=True))
    assert status_of(go_on(browsers[0], place), first, "_all") == ("Success",)
    assert not is_open()


@pytest.mark.spec("SAMLProf-4.4.3.1")
def test_a_session_of_another_browser_ends_too(first: RegisteredParty, browser: Browser) -> None:
    answer = first.sign_in(browser)
    place = leave(first, Browser(), answer, ID="_request")
    assert status_of(place, first, "_request") == ("Success",)
    assert not is_open()


@pytest.mark.security("S19")
def test_a_command_is_taken_once_and_in_time(first: RegisteredParty, browser: Browser) -> None:
    answer = first.sign_in(browser)
    old = instant(datetime.now(UTC) - timedelta(minutes=4))
    message = first.logout_request(answer.name_id_xml, answer.session_index, NotOnOrAfter=old)
    assert reason(browser.get(first.redirect_url(message, path=SLO, signed=True))) == "issue_instant"
    message = first.logout_request(answer.name_id_xml, answer.session_index)
    url = first.redirect_url(message, path=SLO, signed=True)
    browser.get(url)
    assert reason(browser.get(url)) == "replayed"


@pytest.mark.spec("SAMLProf-4.4.3.1")
def test_a_repeated_sign_out_is_done(first: RegisteredParty, browser: Browser) -> None:
    answer = first.sign_in(browser)
    leave(first, browser, answer, ID="_one")
    assert status_of(leave(first, browser, answer, ID="_two"), first, "_two") == ("Success",)


def test_the_address_without_a_message_is_our_own_sign_out(tenant: Tenant, browser: Browser) -> None:
    response = browser.transport.get(SLO, secure=True)
    assert (response.status_code, response["Location"]) == (302, "/logout")


# Others are told through the browser -----------------------------------------------------------------------


def answer_of(party: RegisteredParty, request: Any, relay_state: str, *, status: str = "Success") -> str:
    message = party.logout_response(request.get("ID"), status=status)
    return party.redirect_url(message, path=SLO, parameter="SAMLResponse", relay_state=relay_state, signed=True)


@pytest.mark.spec("SAMLProf-4.4.3.2")
@pytest.mark.spec("SAMLCore-3.7.3.2")
def test_the_others_are_told_one_by_one_before_the_answer(
    first: RegisteredParty, second: RegisteredParty, browser: Browser
) -> None:
    told = second.sign_in(browser)
    answer = first.sign_in(browser)
    place = leave(first, browser, answer, ID="_request")
    assert isinstance(place, Callback)
    assert (place.address, place.mode) == ("https://other.example/slo?x=1", "form_post")
    request = etree.fromstring(base64.b64decode(place.params["SAMLRequest"]))
    signed = Answer(second, etree.tostring(request), None, place).verified(".")
    assert signed.findtext(".//saml:NameID", namespaces=NS) == told.name_id.text
    assert signed.findtext(".//samlp:SessionIndex", namespaces=NS) == told.session_index
    assert signed.get("Destination") == place.address
    assert len(place.params["RelayState"].encode()) <= 80
    assert not is_open()
    # The other provider answers by POST, from its own page.
    response = second.logout_response(request.get("ID"))
    fields = second.form(response, parameter="SAMLResponse", relay_state=place.params["RelayState"], signed=True)
    place = go_on(browser, browser.post_from_another_site(SLO, fields))
    assert status_of(place, first, "_request") == ("Success",)
    assert Delivery.objects.get().state == "delivered"
    states = dict(SessionParticipant.objects.values_list("registration", "front_channel_state"))
    assert set(states.values()) == {"confirmed"}


@pytest.mark.spec("SAMLCore-3.7.3.2")
def test_who_refuses_makes_it_partial(first: RegisteredParty, second: RegisteredParty, browser: Browser) -> None:
    second.sign_in(browser)
    place = leave(first, browser, first.sign_in(browser), ID="_request")
    assert isinstance(place, Callback)
    request = etree.fromstring(base64.b64decode(place.params["SAMLRequest"]))
    url = answer_of(second, request, place.params["RelayState"], status="Responder")
    assert status_of(go_on(browser, browser.get(url)), first, "_request") == ("Success", "PartialLogout")
    assert Delivery.objects.get().state == "pending"


@pytest.mark.spec("SAMLProf-4.4.3.2")
def test_a_sign_out_on_our_page_leads_through_the_providers(first: RegisteredParty, browser: Browser) -> None:
    told = first.sign_in(browser)
    place = go_on(browser, sign_out_here(browser))
    assert isinstance(place, Callback)
    url = place.response["Location"]
    address, params, request = query_message(url)
    verify_query(url, first.idp_certificates()[0])
    assert address == "https://sp.example/slo"
    assert request.get("Reason") == "urn:oasis:names:tc:SAML:2.0:logout:user"
    assert request.findtext("samlp:SessionIndex", namespaces=NS) == told.session_index
    place = go_on(browser, browser.get(answer_of(first, request, params["RelayState"])))
    assert isinstance(place, Page)
    assert "It has confirmed the sign-out." in place.text


@pytest.mark.security("S19")
def test_an_answer_counts_for_the_request_that_this_browser_carried(first: RegisteredParty, browser: Browser) -> None:
    first.sign_in(browser)
    place = go_on(browser, sign_out_here(browser))
    assert isinstance(place, Callback)
    _, params, request = query_message(place.response["Location"])
    url = answer_of(first, request, params["RelayState"])
    assert reason(Browser().get(url)) == "PARAM.0014"
    request.set("ID", "_another")
    assert reason(browser.get(answer_of(first, request, params["RelayState"]))) == "in_response_to"
    assert SessionParticipant.objects.get().front_channel_state == "asked"
    assert isinstance(browser.get(url), Page)
    assert SessionParticipant.objects.get().front_channel_state == "confirmed"
    assert reason(browser.get(url)) == "in_response_to"


@pytest.mark.spec("SAMLProf-4.4.3.4")
@pytest.mark.parametrize("what", ["application", "provider"])
def test_an_answer_counts_though_its_application_was_disabled_meanwhile(
    first: RegisteredParty, second: RegisteredParty, browser: Browser, what: str
) -> None:
    first.sign_in(browser)
    second.sign_in(browser)
    if what == "application":
        first.row.application.is_active = False
        first.row.application.save()
    place = go_on(browser, sign_out_here(browser))
    assert isinstance(place, Callback)
    _, params, request = query_message(place.response["Location"])
    if what == "provider":
        first.change(is_active=False)
    # The browser is not left standing: the next one is told.
    place = go_on(browser, browser.get(answer_of(first, request, params["RelayState"])))
    assert isinstance(place, Callback), place.text
    assert place.address == "https://other.example/slo?x=1"
    # It may command nothing, though.
    assert reason(browser.get(first.redirect_url(first.logout_request("<x/>"), path=SLO, signed=True))) == "APP.0003"


def test_who_takes_no_notice_is_not_told(new_provider: NewProvider, browser: Browser) -> None:
    for values in ({"single_logout": False, "single_logout_services": REDIRECT_ONLY}, {}):
        new_provider(**values).sign_in(browser)
    place = go_on(browser, sign_out_here(browser))
    assert isinstance(place, Page)
    assert not Delivery.objects.exists()


# Others are told without a browser -------------------------------------------------------------------------


def end(person: User) -> None:
    """As an operator ends every session of a person."""
    sessions.end_all(person, reason="ended_by_operator", context=RequestContext(tenant=person.tenant))


class Post:
    """What the guarded client would send, and what it gets."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, status: int = 200, body: bytes | None = None, location: str | None = None
    ) -> None:
        self.calls: list[dict[str, Any]] = []
        self.status, self.body, self.location = status, body, location
        monkeypatch.setattr("identity.outbound.request", self.request)
        monkeypatch.setattr("identity.outbound.post_form", self.post_form)

    def request(self, method: str, url: str, *, headers: Any, body: bytes, **options: Any) -> Response:
        self.calls.append({"url": url, "body": body, "headers": headers})
        return Response(status=self.status, headers={}, body=b"" if self.body is None else self.body)

    def post_form(self, url: str, fields: Any, **options: Any) -> Response:
        self.calls.append({"url": url, "fields": fields})
        headers = {} if self.location is None else {"location": self.location}
        return Response(status=self.status, headers=headers, body=self.body or b"")


def soap(status: str, in_response_to: str) -> bytes:
    return (
        '<S:Envelope xmlns:S="http://schemas.xmlsoap.org/soap/envelope/"><S:Body>'
        f'<samlp:LogoutResponse xmlns:samlp="{NS["samlp"]}" InResponseTo="{in_response_to}">'
        f'<samlp:Status><samlp:StatusCode Value="{STATUS}{status}"/></samlp:Status>'
        "</samlp:LogoutResponse></S:Body></S:Envelope>"
    ).encode()


def work() -> None:
    send_due(now=timezone.now(), limit=10)


@pytest.mark.spec("SAMLProf-4.4.3.3")
@pytest.mark.spec("SAMLBind-3.2.2")
def test_a_soap_endpoint_is_told_at_once_and_answers(
    new_provider: NewProvider, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    party = new_provider(single_logout_services=SOAP_TOO)
    told = party.sign_in(browser)
    place = go_on(browser, sign_out_here(browser))
    assert isinstance(place, Page)
    row = Delivery.objects.get()
    post = Post(monkeypatch, body=soap("Success", f"_{row.jti}"))
    work()
    row.refresh_from_db()
    assert (row.state, row.last_status) == ("delivered", 200)
    [call] = post.calls
    assert call["url"] == "https://sp.example/soap"
    request = etree.fromstring(call["body"])[0][0]
    signed = Answer(party, etree.tostring(request), None, None).verified(".")  # type: ignore[arg-type]
    assert signed.get("ID") == f"_{row.jti}"
    assert signed.findtext("samlp:SessionIndex", namespaces=NS) == told.session_index
    assert told.name_id.text not in str(row.payload)


@pytest.mark.spec("SAMLBind-3.2.2")
@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"<!DOCTYPE x><x/>", soap("Responder", "ID"), soap("Success", "_other")], ids=range(5)
)
def test_an_answer_by_soap_that_confirms_nothing_is_no_receipt(
    new_provider: NewProvider, browser: Browser, person: User, monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    new_provider(single_logout_services=SOAP_TOO).sign_in(browser)
    end(person)
    row = Delivery.objects.get()
    Post(monkeypatch, body=body.replace(b"ID", f"_{row.jti}".encode()))
    work()
    row.refresh_from_db()
    assert (row.state, row.attempts) == ("pending", 1)
    assert row.last_error.startswith("the answer ")


@pytest.mark.spec("SAMLProf-4.4.3.2")
def test_without_a_browser_the_request_is_posted_from_here(
    second: RegisteredParty, browser: Browser, person: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    second.sign_in(browser)
    end(person)
    post = Post(monkeypatch, status=302, location=answer_by_redirect(second))
    work()
    assert Delivery.objects.get().state == "delivered"
    [call] = post.calls
    request = etree.fromstring(base64.b64decode(call["fields"]["SAMLRequest"]))
    assert request.get("Reason") == "urn:oasis:names:tc:SAML:2.0:logout:admin"
    assert request.get("Destination") == call["url"] == "https://other.example/slo?x=1"


def answer_by_redirect(party: RegisteredParty, *, status: str = "Success", to: str = "") -> str:
    """The address to which a provider would send a browser with its answer to the one delivery."""
    message = party.logout_response(to or f"_{Delivery.objects.get().jti}", status=status)
    return f"{ISSUER}{party.redirect_url(message, path=SLO, parameter='SAMLResponse', signed=True)}"


@pytest.mark.spec("SAMLProf-4.4.3.4")
def test_an_answer_in_a_form_that_would_post_itself_counts(
    second: RegisteredParty, browser: Browser, person: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    second.sign_in(browser)
    end(person)
    fields = second.form(second.logout_response(f"_{Delivery.objects.get().jti}"), parameter="SAMLResponse")
    value = fields["SAMLResponse"].replace("+", "&#43;").replace("=", "&#x3d;")
    Post(monkeypatch, body=f"<form><INPUT value='{value}' type=hidden name=\"SAMLResponse\"/></form>".encode())
    work()
    assert Delivery.objects.get().state == "delivered"


@pytest.mark.spec("SAMLProf-4.4.3.4")
@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"status": 302, "location": "https://other.example/login"}, "the answer confirms nothing"),
        ({"status": 302, "location": "https://other.example/login?SAMLResponse=%FF"}, "the answer cannot be read"),
        ({"status": 302}, "the answer confirms nothing"),
        ({"body": b"<h1>Sign in</h1>"}, "the answer confirms nothing"),
        ({"body": b"\xff<input name=SAMLResponse value='AAAA'>"}, "the answer cannot be read"),
        ({"body": b"<input name=SAMLResponse>"}, "the answer confirms nothing"),
        ({"status": 400}, "status 400"),
    ],
    ids=["elsewhere", "junk", "nowhere", "page", "junk in a form", "nothing in a form", "refused"],
)
def test_who_says_nothing_of_the_request_has_not_confirmed(
    second: RegisteredParty,
    browser: Browser,
    person: User,
    monkeypatch: pytest.MonkeyPatch,
    answer: dict[str, Any],
    error: str,
) -> None:
    second.sign_in(browser)
    end(person)
    Post(monkeypatch, **answer)
    work()
    row = Delivery.objects.get()
    assert (row.state == "delivered", row.last_error.startswith(error)) == (False, True), row.last_error


@pytest.mark.spec("SAMLProf-4.4.3.4")
@pytest.mark.parametrize("changes", [{"status": "Responder"}, {"to": "_other"}], ids=["refused", "another"])
def test_who_answers_no_has_not_confirmed(
    second: RegisteredParty,
    browser: Browser,
    person: User,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, str],
) -> None:
    second.sign_in(browser)
    end(person)
    Post(monkeypatch, status=303, location=answer_by_redirect(second, **changes))
    work()
    assert Delivery.objects.get().last_error == "the answer is no success"


def test_an_address_for_browsers_only_is_given_up(first: RegisteredParty, browser: Browser, person: User) -> None:
    first.sign_in(browser)
    end(person)
    work()
    row = Delivery.objects.get()
    assert (row.state, row.last_error) == ("failed", "only a browser can go there")


def test_a_browser_that_is_closed_loses_nothing(
    second: RegisteredParty, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    second.sign_in(browser)
    sign_out_here(browser)
    post = Post(monkeypatch, status=302, location=answer_by_redirect(second))
    work()
    assert post.calls == []
    Delivery.objects.update(next_attempt_at=timezone.now())
    work()
    assert (len(post.calls), Delivery.objects.get().state) == (1, "delivered")


def test_a_disabled_provider_is_told_too(second: RegisteredParty, browser: Browser, person: User) -> None:
    second.sign_in(browser)
    second.change(is_active=False)
    end(person)
    assert Delivery.objects.get().application == second.row.application


def test_what_was_told_is_kept_for_late_requests_and_then_deleted(
    first: RegisteredParty, browser: Browser, person: User
) -> None:
    from cas_saml.models import SAMLSession

    first.sign_in(browser)
    end(person)
    purge = registry.purgers()["saml_sessions"]
    assert purge(timezone.now() + timedelta(days=29), 10) == 0
    assert purge(timezone.now() + timedelta(days=31), 10) == 1
    assert not SAMLSession.objects.exists()
    assert logout.KIND == "saml_logout"


def test_a_provider_of_another_tenant_cannot_sign_anybody_out(
    first: RegisteredParty, tenant: Tenant, browser: Browser
) -> None:
    from tests.factories import make_tenant

    answer = first.sign_in(browser)
    stranger = make_service_provider(tenant=make_tenant())
    first.entity_id = stranger.entity_id
    message = first.logout_request(answer.name_id_xml, answer.session_index)
    assert reason(browser.get(first.redirect_url(message, path=SLO, signed=True))) == "APP.0001"
    assert is_open()
