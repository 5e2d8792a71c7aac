"""The HTTP-Redirect and HTTP-POST bindings (SAMLBind-3.4, SAMLBind-3.5)."""

from __future__ import annotations

import base64

import pytest

from identity.models import AuditEvent
from tests.specs.conformance import Browser, Callback, Page
from tests.specs.saml_fixtures import NewProvider, RegisteredParty
from tests.specs.saml_party import SSO


def reason(place: Page | Callback) -> str:
    assert isinstance(place, Page)
    assert place.status == 400, place.text
    return str(AuditEvent.objects.latest("pk").reason)


# Redirect --------------------------------------------------------------------------------------------------


@pytest.mark.spec("SAMLBind-3.4.3")
@pytest.mark.security("S22")
@pytest.mark.parametrize(
    "relay_state",
    [
        "ss:mem:42",
        "https://sp.example/deep/link?a=b&c=d%20e",
        '"><script>alert(1)</script>',
        "javascript:alert(1)",
        "門",
    ],
)
def test_a_relay_state_comes_back_as_it_was_sent(provider: RegisteredParty, browser: Browser, relay_state: str) -> None:
    answer = provider.sign_in(browser, provider.start(browser, relay_state=relay_state))
    assert answer.relay_state == relay_state
    assert b"<script>alert" not in answer.callback.response.content


@pytest.mark.spec("SAMLBind-3.4.3")
def test_without_a_relay_state_none_comes_back(provider: RegisteredParty, browser: Browser) -> None:
    assert provider.sign_in(browser).relay_state is None
    assert provider.sign_in(browser, provider.start(browser, relay_state="")).relay_state is None


@pytest.mark.spec("SAMLBind-3.4.3")
@pytest.mark.parametrize("relay_state", ["x" * 1025, "a\x00b", "a\nb"], ids=["long", "nul", "line"])
def test_a_relay_state_that_nobody_sends_is_refused(
    provider: RegisteredParty, browser: Browser, relay_state: str
) -> None:
    assert reason(provider.start(browser, relay_state=relay_state)) == "relay_state"


@pytest.mark.spec("SAMLBind-3.4.4.1")
@pytest.mark.security("S20")
def test_a_provider_that_must_sign_is_refused_without_a_signature(new_provider: NewProvider, browser: Browser) -> None:
    provider = new_provider(requests_must_be_signed=True)
    assert reason(provider.start(browser)) == "unsigned"
    place = browser.post_from_another_site(SSO, provider.form(provider.authn_request()))
    assert reason(place) == "unsigned"
    place = provider.start(browser, relay_state="state", signed=True)
    assert provider.sign_in(browser, place).status == ("Success",)


@pytest.mark.spec("SAMLBind-3.4.4.1")
def test_a_signature_that_is_there_is_checked(new_provider: NewProvider, browser: Browser) -> None:
    provider = new_provider(key=1)
    assert reason(provider.start(browser, signed=True)) == "signature_wrong"
    place = browser.post_from_another_site(SSO, provider.form(provider.authn_request(), signed=True))
    assert reason(place) == "signature_wrong"
    provider.change(signing_certificates=[])
    assert reason(provider.start(browser, signed=True)) == "no_certificate"


@pytest.mark.spec("SAMLBind-3.4.5.2")
@pytest.mark.security("S19")
def test_a_signed_request_says_where_it_was_sent(provider: RegisteredParty, browser: Browser) -> None:
    message = provider.authn_request(Destination=None)
    assert reason(provider.start(browser, message, signed=True)) == "destination"
    place = browser.post_from_another_site(SSO, provider.form(message, signed=True))
    assert reason(place) == "destination"


@pytest.mark.security("S45")
def test_a_parameter_that_comes_twice_is_refused(provider: RegisteredParty, browser: Browser) -> None:
    url = provider.redirect_url(provider.authn_request(), relay_state="a")
    assert reason(browser.get(f"{url}&RelayState=b")) == "repeated_parameter"
    assert reason(browser.get(f"{SSO}?sp=a&sp=b")) == "parameter_repeated"
    fields = provider.form(provider.authn_request())
    response = browser.transport.post(SSO, {"SAMLRequest": [fields["SAMLRequest"]] * 2}, secure=True)
    assert response.status_code == 400


@pytest.mark.parametrize("value", ["", "x", "%00", "%FF", "PHg%2B", "A" * 70_000], ids=range(6))
def test_nonsense_is_refused(browser: Browser, provider: RegisteredParty, value: str) -> None:
    assert reason(browser.get(f"{SSO}?SAMLRequest={value}"))
    response = browser.transport.post(SSO, {"SAMLRequest": value}, secure=True)
    assert response.status_code == 400


@pytest.mark.spec("SAMLBind-3.4.5.1")
@pytest.mark.spec("SAMLBind-3.5.5.1")
def test_nothing_is_kept_on_the_way(provider: RegisteredParty, browser: Browser) -> None:
    response = browser.transport.get(provider.redirect_url(provider.authn_request()), secure=True)
    answer = provider.sign_in(browser)
    for each in (response, answer.callback.response):
        assert {"no-cache", "no-store"} <= set(each["Cache-Control"].split(", "))
        assert each["Pragma"] == "no-cache"
        assert each["Referrer-Policy"] == "no-referrer"


# POST ------------------------------------------------------------------------------------------------------


@pytest.mark.spec("SAMLBind-3.5.4")
@pytest.mark.parametrize("signed", [False, True])
def test_a_request_by_post_from_another_site(provider: RegisteredParty, browser: Browser, signed: bool) -> None:
    """It carries no cookie; the session is found nevertheless, by the GET that follows."""
    provider.sign_in(browser)
    browser.shown.clear()
    fields = provider.form(provider.authn_request(), relay_state="state", signed=signed)
    answer = provider.read(browser.post_from_another_site(SSO, fields))
    assert (answer.status, answer.relay_state) == (("Success",), "state")
    assert browser.shown == []


@pytest.mark.spec("SAMLBind-3.5.4")
@pytest.mark.security("S27")
def test_a_posted_request_belongs_to_the_browser_that_posted_it(provider: RegisteredParty, browser: Browser) -> None:
    response = browser.transport.post(SSO, provider.form(provider.authn_request()), secure=True)
    assert response.status_code == 303
    other = Browser()
    provider.sign_in(other)
    assert reason(other.get(response["Location"])) == "PARAM.0014"
    # Spent once.
    assert isinstance(browser.get(response["Location"]), Page)
    assert reason(browser.get(response["Location"])) == "PARAM.0014"


@pytest.mark.spec("SAMLBind-3.5.4")
@pytest.mark.security("S7")
def test_the_answer_is_a_form_that_may_go_there_and_on_from_there(new_provider: NewProvider, browser: Browser) -> None:
    provider = new_provider(assertion_consumer_services=[{"location": "https://sp.example:8443/acs?x=1&y=2"}])
    answer = provider.sign_in(browser)
    response = answer.callback.response
    policy = dict(part.strip().partition(" ")[::2] for part in response["Content-Security-Policy"].split(";"))
    # Where the provider then leads, to an application on another host, is held to it too.
    assert policy["form-action"] == "'self' https://sp.example:8443 https:"
    assert "unsafe" not in policy["script-src"]
    text = response.content.decode()
    assert 'action="https://sp.example:8443/acs?x=1&amp;y=2"' in text
    assert "csrfmiddlewaretoken" not in text


@pytest.mark.spec("SAMLBind-3.5.4")
def test_the_message_is_standard_base64(provider: RegisteredParty, browser: Browser) -> None:
    answer = provider.sign_in(browser)
    text = answer.callback.params["SAMLResponse"]
    assert base64.b64encode(base64.b64decode(text, validate=True)).decode() == text
    assert answer.data.startswith(b"<samlp:Response")
