"""The issuer in every authorization response, against mix-up (RFC 9207)."""

from __future__ import annotations

import pytest

from tests.specs.conformance import ISSUER, Browser, Callback, RelyingParty

pytestmark = pytest.mark.django_db


@pytest.mark.spec("RFC9207-2")
@pytest.mark.security("S45")
@pytest.mark.parametrize("mode", ["query", "fragment", "form_post"])
def test_success_names_the_issuer(party: RelyingParty, signed_in: Browser, mode: str) -> None:
    answer = party.authorize(signed_in, response_mode=mode)
    assert (answer.callback.mode, answer.params["iss"]) == (mode, ISSUER)


@pytest.mark.spec("RFC9207-2")
@pytest.mark.security("S45")
@pytest.mark.parametrize("mode", ["query", "fragment", "form_post"])
@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"prompt": "none"}, "login_required"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"response_type": None}, "invalid_request"),
        ({"scope": 'openid "'}, "invalid_scope"),
    ],
)
def test_errors_name_the_issuer(
    party: RelyingParty, browser: Browser, mode: str, changes: dict[str, str | None], error: str
) -> None:
    place = party.start(browser, response_mode=mode, **changes)
    assert isinstance(place, Callback)
    assert (place.mode, place.params["iss"], place.params["error"]) == (mode, ISSUER, error)


@pytest.mark.spec("RFC9207-3")
def test_the_metadata_say_so(party: RelyingParty) -> None:
    assert party.metadata["authorization_response_iss_parameter_supported"] is True


@pytest.mark.spec("RFC9207-2")
def test_the_issuer_is_that_of_the_id_token(party: RelyingParty, signed_in: Browser) -> None:
    answer = party.authorize(signed_in)
    assert answer.params["iss"] == answer.tokens().claims["iss"] == party.metadata["issuer"]
