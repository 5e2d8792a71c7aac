"""The web browser SSO profile (SAMLProf-4.1): started by a provider, and here."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from identity.models import AuditEvent, SessionParticipant, SSOSession
from tests.factories import make_account
from tests.specs.conformance import Browser, Page
from tests.specs.saml_fixtures import NewProvider, RegisteredParty
from tests.specs.saml_party import SSO


def start_here(provider: RegisteredParty, **more: str) -> str:
    parameters = "".join(f"&{name}={quote(value, safe='')}" for name, value in more.items())
    return f"{SSO}?sp={quote(provider.entity_id, safe='')}{parameters}"


@pytest.mark.spec("SAMLProf-4.1.4.2")
def test_a_redirect_brings_a_signed_assertion_by_post(provider: RegisteredParty, browser: Browser) -> None:
    answer = provider.sign_in(browser)
    assert answer.status == ("Success",)
    assert answer.name_id.text == "minghui"
    assert answer.assertion.tag.endswith("}Assertion")
    assert answer.verified(".").tag.endswith("}Response")


def test_a_sign_in_is_audited_and_joins_the_session(provider: RegisteredParty, browser: Browser) -> None:
    provider.sign_in(browser)
    provider.sign_in(browser)
    assert provider.row is not None
    session = SSOSession.objects.get()
    participant = SessionParticipant.objects.get()
    assert (participant.session, participant.protocol) == (session, "saml")
    assert (participant.registration, participant.application) == (provider.row.public_id, provider.row.application)
    events = AuditEvent.objects.filter(event_type="assertion:grant", outcome="success")
    assert events.count() == 2
    event = events[0]
    assert (event.sid, event.actor_id, event.dialect) == (session.sid, session.user.public_id, "saml")
    assert (event.application_id, event.client_id) == (provider.row.application.public_id, provider.row.public_id)
    assert "minghui" not in json.dumps(event.details)


def test_the_session_index_is_the_same_for_one_provider_and_session(
    provider: RegisteredParty, new_provider: NewProvider, browser: Browser
) -> None:
    first, second = provider.sign_in(browser), provider.sign_in(browser)
    assert first.session_index == second.session_index
    other = new_provider().sign_in(browser)
    assert other.session_index != first.session_index
    assert len(first.session_index) > 30


# Started here ----------------------------------------------------------------------------------------------


@pytest.mark.spec("SAMLProf-4.1.5")
@pytest.mark.spec("OneAccess-3.3.3.1")
def test_an_unsolicited_assertion_answers_no_request(provider: RegisteredParty, browser: Browser) -> None:
    answer = provider.sign_in(browser, browser.get(start_here(provider)))
    assert answer.status == ("Success",)
    assert answer.root.get("InResponseTo") is None
    data = answer.assertion.find(".//{*}SubjectConfirmationData")
    assert data.get("InResponseTo") is None
    assert data.get("Recipient") == provider.acs
    # A link is good as often as it is followed.
    assert provider.read(browser.get(start_here(provider))).status == ("Success",)


@pytest.mark.spec("SAMLProf-4.1.5")
@pytest.mark.security("S22")
def test_the_relay_state_of_an_unsolicited_assertion_is_the_registrations(
    new_provider: NewProvider, browser: Browser
) -> None:
    provider = new_provider(default_relay_state="/home")
    url = start_here(provider, RelayState="https://evil.example/", AssertionConsumerServiceURL="https://evil.example/")
    assert provider.sign_in(browser, browser.get(url)).relay_state == "/home"
    provider = new_provider()
    assert provider.read(browser.get(start_here(provider, RelayState="https://evil.example/"))).relay_state is None


def test_a_provider_may_take_no_unsolicited_assertions(new_provider: NewProvider, browser: Browser) -> None:
    provider = new_provider(allow_unsolicited=False)
    response = browser.transport.get(start_here(provider), secure=True, headers={"accept": "application/json"})
    assert (response.status_code, response.json()["error_code"]) == (400, "APP.0003")
    assert provider.sign_in(browser).status == ("Success",)


def test_a_refusal_where_nobody_asked_is_shown_here(new_provider: NewProvider, browser: Browser) -> None:
    provider = new_provider(name_id_formats=["unspecified"], name_id_source="employee_id")
    place = browser.sign_in(browser.get(start_here(provider)), provider.user_name, provider.password)
    assert isinstance(place, Page)
    assert (place.status, "name_id_policy" in place.text) == (400, True)


def test_an_assigned_application_needs_an_account(new_provider: NewProvider, browser: Browser) -> None:
    provider = new_provider(application={"access": "assigned"})
    place = browser.sign_in(browser.get(start_here(provider)), provider.user_name, provider.password)
    assert isinstance(place, Page)
    assert (place.status, "APP_ACCOUNT.0001" in place.text) == (400, True)
    assert provider.row is not None
    make_account(SSOSession.objects.get().user, provider.row.application, account_name="ming")
    assert provider.read(browser.get(start_here(provider))).name_id.text == "ming"
