"""Attacks on the profiles (SAMLProf-4.1, 4.4): where answers go, whose session ends, messages sent twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cas_saml.models import SAMLSession
from tests.factories.saml import pem
from tests.specs.conformance import Browser, Page
from tests.specs.saml_attacks import check_refused, get, get_message, post
from tests.specs.saml_fixtures import NewProvider, RegisteredParty
from tests.specs.saml_party import SLO, instant

EVIL = "https://evil.example/acs"


def open_sessions() -> int:
    return SAMLSession.objects.filter(ended_at=None, session__ended_at=None).count()


@pytest.mark.security("S22")
@pytest.mark.spec("SAMLProf-4.1.4.1")
@pytest.mark.parametrize("is_signed", [False, True], ids=["unsigned", "signed"])
@pytest.mark.parametrize("suffix", [None, "/", "?a=b", "#x", "@evil.example", "%2e%2e/", "\\evil"])
def test_a_consumer_address_that_is_not_registered_is_refused(
    provider: RegisteredParty, suffix: str | None, is_signed: bool
) -> None:
    address = EVIL if suffix is None else provider.acs + suffix
    message = provider.authn_request(AssertionConsumerServiceURL=address)
    data = provider.sign(message) if is_signed else message
    check_refused(post(provider, data), "consumer_unknown")
    if not is_signed:
        check_refused(get_message(provider, message), "consumer_unknown")


@pytest.mark.security("S22")
def test_the_consumer_address_of_another_provider_is_refused(new_provider: NewProvider) -> None:
    one, other = new_provider(), new_provider()
    check_refused(get_message(one, one.authn_request(AssertionConsumerServiceURL=other.acs)), "consumer_unknown")


@pytest.mark.security("S22")
@pytest.mark.spec("SAMLCore-3.4.1")
@pytest.mark.parametrize("index", ["1", "65535", "99999", "-1", "x", " 0", ""])
def test_an_index_that_is_not_registered_is_refused(provider: RegisteredParty, index: str) -> None:
    message = provider.authn_request(
        AssertionConsumerServiceURL=None, ProtocolBinding=None, AssertionConsumerServiceIndex=index
    )
    check_refused(get_message(provider, message), "consumer_unknown", "value")


@pytest.mark.security("S19")
@pytest.mark.spec("SAMLProf-4.1.4.5")
def test_a_request_is_answered_once(provider: RegisteredParty, browser: Browser) -> None:
    url = provider.redirect_url(provider.authn_request())
    provider.sign_in(browser, browser.get(url))
    check_refused_page(browser.get(url))
    assert SAMLSession.objects.count() == 1


def check_refused_page(place: object) -> None:
    assert isinstance(place, Page)
    assert place.status == 400
    assert "SAML.0001" in place.text


@pytest.mark.security("S19")
def test_a_logout_request_is_taken_once(provider: RegisteredParty, browser: Browser) -> None:
    answer = provider.sign_in(browser)
    url = provider.redirect_url(
        provider.logout_request(answer.name_id_xml, answer.session_index), path=SLO, signed=True
    )
    browser.get(url)
    assert open_sessions() == 0
    provider.sign_in(browser)
    assert open_sessions() == 1
    response = get(provider, url)
    assert (response.status_code, response.json()["error_msg"]) == (400, "SAML message refused: replayed.")
    assert open_sessions() == 1


@pytest.mark.security("S19")
@pytest.mark.spec("SAMLCore-3.2.1")
@pytest.mark.parametrize("minutes", [-60 * 24 * 365, -60, 60], ids=["year", "hour", "ahead"])
@pytest.mark.parametrize("kind", ["authn", "logout"])
def test_a_message_of_another_time_is_refused(provider: RegisteredParty, kind: str, minutes: int) -> None:
    moment = instant(datetime.now(UTC) + timedelta(minutes=minutes))
    if kind == "authn":
        check_refused(get_message(provider, provider.authn_request(IssueInstant=moment)), "issue_instant")
    else:
        message = provider.logout_request("<saml:NameID>minghui</saml:NameID>", IssueInstant=moment)
        check_refused(post(provider, provider.sign(message), path=SLO), "issue_instant")


@pytest.mark.security("S20")
@pytest.mark.spec("SAMLProf-4.4.4.1")
@pytest.mark.parametrize("binding", ["redirect", "post"])
def test_an_unsigned_logout_request_ends_nothing(provider: RegisteredParty, browser: Browser, binding: str) -> None:
    answer = provider.sign_in(browser)
    message = provider.logout_request(answer.name_id_xml, answer.session_index)
    send = get_message if binding == "redirect" else post
    check_refused(send(provider, message, path=SLO), "unsigned")
    assert open_sessions() == 1


@pytest.mark.security("S20")
def test_a_provider_without_keys_cannot_end_sessions(new_provider: NewProvider, browser: Browser) -> None:
    provider = new_provider(signing_certificates=[])
    answer = provider.sign_in(browser)
    message = provider.sign(provider.logout_request(answer.name_id_xml))
    check_refused(post(provider, message, path=SLO), "no_certificate")
    assert open_sessions() == 1


@pytest.mark.security("S20")
@pytest.mark.spec("SAMLCore-3.7.3.2")
def test_a_provider_cannot_end_a_session_that_it_was_not_told_of(new_provider: NewProvider, browser: Browser) -> None:
    told, other = new_provider(), new_provider(key=1)
    other.change(signing_certificates=[pem(1)])
    answer = told.sign_in(browser)
    for index in ((), (answer.session_index,)):
        message = other.logout_request(answer.name_id_xml.replace(told.entity_id, other.entity_id), *index)
        browser.post_from_another_site(SLO, other.form(message, signed=True))
        assert open_sessions() == 1


@pytest.mark.security("S20")
@pytest.mark.parametrize("index", ["", "_0", "' OR 1=1"])
def test_a_logout_request_with_another_session_index_ends_nothing(
    provider: RegisteredParty, browser: Browser, index: str
) -> None:
    answer = provider.sign_in(browser)
    message = provider.logout_request(answer.name_id_xml, index)
    browser.post_from_another_site(SLO, provider.form(message, signed=True))
    assert open_sessions() == 1


@pytest.mark.security("S20")
def test_a_logout_request_of_one_provider_signed_by_another_ends_nothing(
    new_provider: NewProvider, browser: Browser
) -> None:
    told, mallory = new_provider(), new_provider(key=1)
    answer = told.sign_in(browser)
    data = mallory.sign(told.logout_request(answer.name_id_xml, answer.session_index))
    check_refused(post(told, data, path=SLO), "signature_wrong")
    assert open_sessions() == 1


@pytest.mark.security("S20")
def test_a_logout_answer_that_nobody_asked_for_is_refused(provider: RegisteredParty, browser: Browser) -> None:
    provider.sign_in(browser)
    data = provider.sign(provider.logout_response("_" + "0" * 40))
    response = post(provider, data, path=SLO, parameter="SAMLResponse")
    if response.status_code in (302, 303):
        response = provider.api.get(response["Location"], secure=True, headers={"accept": "application/json"})
    assert (response.status_code, response.json()["error_code"]) == (400, "PARAM.0014")
    assert open_sessions() == 1
