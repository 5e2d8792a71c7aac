"""Attacks on the bindings (SAMLBind-3.4, 3.5): inflation, query strings, RelayState, wrong addressee."""

from __future__ import annotations

import base64
import time
from urllib.parse import quote

import pytest

from cas_saml.models import SAMLSession
from cas_saml.saml import redirect
from tests.specs.conformance import ISSUER, Browser, Callback, Page
from tests.specs.saml_attacks import check_refused, get, get_message, post
from tests.specs.saml_fixtures import NewProvider, RegisteredParty
from tests.specs.saml_party import SLO, SSO

BOMB = redirect.deflate(b"<a>" + b" " * 30_000_000 + b"</a>")


@pytest.fixture
def strict(new_provider: NewProvider) -> RegisteredParty:
    """A provider whose requests must be signed."""
    return new_provider(requests_must_be_signed=True)


@pytest.mark.security("S21")
@pytest.mark.parametrize(
    ("path", "parameter"),
    [(SSO, "SAMLRequest"), (SLO, "SAMLRequest"), (SLO, "SAMLResponse")],
    ids=["sso", "slo_request", "slo_response"],
)
def test_a_deflate_bomb_is_refused(provider: RegisteredParty, path: str, parameter: str) -> None:
    value = quote(base64.b64encode(BOMB).decode(), safe="")
    started = time.process_time()
    check_refused(get(provider, f"{path}?{parameter}={value}"), "too_large")
    assert time.process_time() - started < 2


@pytest.mark.spec("SAMLBind-3.4.4.1")
def test_a_request_without_a_signature_is_refused_where_one_is_required(strict: RegisteredParty) -> None:
    check_refused(get_message(strict, strict.authn_request()), "unsigned")
    check_refused(post(strict, strict.authn_request()), "unsigned")


@pytest.mark.spec("SAMLBind-3.4.4.1")
def test_a_signed_query_is_taken_and_a_changed_one_is_not(strict: RegisteredParty, browser: Browser) -> None:
    url = strict.redirect_url(strict.authn_request(), relay_state="here", signed=True)
    assert isinstance(browser.get(url), Page)
    check_refused(get(strict, url.replace("RelayState=here", "RelayState=there")), "signature_wrong")
    check_refused(get(strict, url.replace("&RelayState=here", "")), "signature_wrong")
    check_refused(get(strict, url.partition("&SigAlg")[0]), "unsigned")
    check_refused(get(strict, url.partition("&Signature")[0]), "half_signature")
    other = strict.redirect_url(strict.authn_request(), signed=True)
    swapped = other.partition("&Signature")[0] + "&Signature" + url.partition("&Signature")[2]
    check_refused(get(strict, swapped), "signature_wrong")


@pytest.mark.security("S42")
def test_the_algorithm_is_not_the_senders_choice_alone(strict: RegisteredParty) -> None:
    url = strict.redirect_url(strict.authn_request(), signed=True)
    for name, reason in (("hmac-sha256", "algorithm"), ("ecdsa-sha256", "signature_wrong")):
        check_refused(get(strict, url.replace("rsa-sha256", name)), reason)


@pytest.mark.security("S45")
@pytest.mark.parametrize("name", ["SAMLRequest", "RelayState"])
def test_a_repeated_parameter_is_refused(provider: RegisteredParty, name: str) -> None:
    url = provider.redirect_url(provider.authn_request(), relay_state="a")
    check_refused(get(provider, f"{url}&{name}=b"), "repeated_parameter")
    form = provider.form(provider.authn_request(), relay_state="a")
    response = provider.api.post(
        SSO, {key: [value, "b"] if key == name else value for key, value in form.items()},
        secure=True, headers={"accept": "application/json"},
    )  # fmt: skip
    check_refused(response, "parameter_repeated")


@pytest.mark.security("S45")
def test_a_request_and_a_response_at_once_are_refused(provider: RegisteredParty) -> None:
    url = provider.redirect_url(provider.authn_request())
    check_refused(get(provider, f"{url}&SAMLResponse=AAAA"), "two_messages")
    check_refused(post(provider, provider.authn_request(), SAMLResponse="AAAA"), "message_kind")


@pytest.mark.spec("SAMLBind-3.4.5.2")
@pytest.mark.parametrize(
    "destination",
    ["https://other.example.org/sso", f"{ISSUER}{SLO}", f"{ISSUER}{SSO}/", f"{ISSUER.upper()}{SSO}"],
    ids=["other_host", "other_endpoint", "slash", "case"],
)
def test_a_message_for_somebody_else_is_refused(provider: RegisteredParty, destination: str) -> None:
    message = provider.authn_request(Destination=destination)
    check_refused(get_message(provider, message), "destination")
    check_refused(post(provider, provider.sign(message)), "destination")


@pytest.mark.spec("SAMLBind-3.5.5.2")
@pytest.mark.parametrize("path", [SSO, SLO], ids=["sso", "slo"])
def test_a_signed_message_without_destination_could_be_for_anybody(provider: RegisteredParty, path: str) -> None:
    if path == SSO:
        message = provider.authn_request(Destination=None)
    else:
        message = provider.logout_request("<saml:NameID>minghui</saml:NameID>", Destination=None)
    check_refused(post(provider, provider.sign(message), path=path), "destination")
    check_refused(get(provider, provider.redirect_url(message, path=path, signed=True)), "destination")


@pytest.mark.security("S22")
@pytest.mark.spec("SAMLBind-3.4.3")
@pytest.mark.parametrize(
    "relay_state", ["https://evil.example/", "//evil.example", "javascript:alert(1)", '"><script>alert(1)</script>']
)
def test_a_relay_state_goes_back_to_the_provider_and_nowhere_else(
    provider: RegisteredParty, browser: Browser, relay_state: str
) -> None:
    answer = provider.sign_in(browser, provider.start(browser, relay_state=relay_state))
    assert answer.relay_state == relay_state
    assert answer.callback.address == provider.acs
    assert "<script>alert" not in answer.callback.response.content.decode()  # type: ignore[attr-defined]


@pytest.mark.security("S22")
@pytest.mark.spec("SAMLBind-3.4.3")
@pytest.mark.parametrize("relay_state", ["x" * 1025, "a\nb", "a\x00b"], ids=["long", "line", "nul"])
def test_a_relay_state_that_no_provider_sends_is_refused(provider: RegisteredParty, relay_state: str) -> None:
    check_refused(get_message(provider, provider.authn_request(), RelayState=relay_state), "relay_state")
    check_refused(post(provider, provider.authn_request(), RelayState=relay_state), "relay_state")


@pytest.mark.security("S22")
def test_a_relay_state_leads_nowhere_after_a_logout(provider: RegisteredParty, browser: Browser) -> None:
    provider.sign_in(browser)
    url = f"{SLO}?RelayState={quote('https://evil.example/', safe='')}"
    place = browser.get(url)
    assert isinstance(place, Page)
    assert "evil.example" not in place.text
    assert SAMLSession.objects.filter(ended_at=None).count() == 1


@pytest.mark.security("S22")
def test_an_unsolicited_sign_in_takes_nothing_from_its_address(provider: RegisteredParty, browser: Browser) -> None:
    place = browser.get(
        f"{SSO}?sp={quote(provider.entity_id, safe='')}&RelayState=https://evil.example/"
        "&AssertionConsumerServiceURL=https://evil.example/&acs=https://evil.example/"
    )
    answer = provider.sign_in(browser, place)
    assert (answer.callback.address, answer.relay_state) == (provider.acs, None)
    assert isinstance(answer.callback, Callback)
