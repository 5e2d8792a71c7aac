"""Policy is judged on the request that takes effect, and again when it is answered (S43)."""

from __future__ import annotations

from typing import Any

import pytest

from identity.models import Application
from oidc_provider.models import Client
from tests.specs.conformance import CALLBACK, ISSUER, Browser, Callback, Page, RelyingParty, unsigned_jwt

pytestmark = [pytest.mark.django_db, pytest.mark.security("S43")]


def change(party: RelyingParty, **values: Any) -> None:
    """What an operator does while the user is on our pages."""
    row = Client.objects.get(client_id=party.client_id)
    for name, value in values.items():
        setattr(row, name, value)
    row.save()


def waiting_at_sign_in(party: RelyingParty, browser: Browser, **request: str) -> Page:
    page = party.start(browser, **request)
    assert isinstance(page, Page)
    assert page.is_sign_in
    return page


def test_a_flow_switched_off_meanwhile_is_refused(implicit_party: RelyingParty, browser: Browser) -> None:
    page = waiting_at_sign_in(implicit_party, browser, response_type="id_token token")
    change(implicit_party, allow_implicit=False)
    place = browser.sign_in(page, implicit_party.user_name, implicit_party.password)
    assert isinstance(place, Callback)
    assert (place.mode, place.params["error"]) == ("fragment", "unauthorized_client")


def test_an_address_taken_away_meanwhile_gets_nothing(party: RelyingParty, browser: Browser) -> None:
    page = waiting_at_sign_in(party, browser)
    change(party, redirect_uris=["https://rp.example.org/new"])
    place = browser.sign_in(page, party.user_name, party.password)
    assert isinstance(place, Page)
    assert place.status == 400


def test_a_client_disabled_while_the_user_consents_gets_nothing(party: RelyingParty, browser: Browser) -> None:
    consent = browser.sign_in(waiting_at_sign_in(party, browser), party.user_name, party.password)
    change(party, is_active=False)
    place = browser.decide(consent)
    assert isinstance(place, Page)
    assert place.status == 400


def test_access_taken_away_while_the_user_consents_is_refused(party: RelyingParty, browser: Browser) -> None:
    consent = browser.sign_in(waiting_at_sign_in(party, browser), party.user_name, party.password)
    for entry in Application.objects.all():
        entry.access = "assigned"
        entry.save()
    place = browser.decide(consent)
    assert isinstance(place, Callback)
    assert place.params["error"] == "access_denied"


def test_a_scope_taken_away_meanwhile_is_not_granted(party: RelyingParty, browser: Browser) -> None:
    params = party.request(scope="openid email")
    page = browser.get(party.url(params))
    change(party, scopes=["openid"])
    place = browser.sign_in(page, party.user_name, party.password)
    assert party.finish(browser, place, params).tokens().body["scope"] == "openid"


def test_parameters_added_on_the_way_back_change_nothing(party: RelyingParty, browser: Browser) -> None:
    page = waiting_at_sign_in(party, browser)
    form = page.form_with("password")
    assert form is not None
    response = browser.transport.post(
        page.path,
        {**form.fields, "identifier": party.user_name, "password": party.password},
        secure=True,
        headers={"referer": f"{ISSUER}{page.path}"},
    )
    extra = "&scope=openid+email&redirect_uri=https://evil.example&response_type=id_token+token&prompt=none"
    consent = browser.get(response["Location"] + extra)
    assert isinstance(consent, Page)
    assert "Your e-mail address" not in consent.text
    place = browser.decide(consent)
    assert isinstance(place, Callback)
    assert (place.address, place.mode, set(place.params)) == (CALLBACK, "query", {"code", "state", "iss"})


@pytest.mark.spec("OIDCC-6.1")
@pytest.mark.parametrize("name", ["request", "request_uri", "registration"])
@pytest.mark.parametrize("mode", ["query", "fragment", "form_post"])
def test_what_would_change_the_request_is_refused_and_not_ignored(
    party: RelyingParty, signed_in: Browser, name: str, mode: str
) -> None:
    value = unsigned_jwt({"redirect_uri": "https://evil.example"}) if name == "request" else "https://evil.example/r"
    place = party.start(signed_in, response_mode=mode, **{name: value})
    assert isinstance(place, Callback)
    assert (place.address, place.mode, place.params["error"]) == (CALLBACK, mode, f"{name}_not_supported")
