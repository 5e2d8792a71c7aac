"""response_mode=form_post (OAuth 2.0 Form Post Response Mode)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.core.exceptions import ValidationError

from tests.specs.conformance import CALLBACK, ISSUER, Browser, Callback, Page, RelyingParty

pytestmark = pytest.mark.django_db


@pytest.mark.spec("OAuthFormPost-2")
def test_the_answer_is_a_form_that_posts_itself(party: RelyingParty, signed_in: Browser) -> None:
    params = party.request(response_mode="form_post", state='"><script>alert(1)</script>')
    place = signed_in.get(party.url(params))
    assert isinstance(place, Callback)
    assert (place.address, place.mode, set(place.params)) == (CALLBACK, "form_post", {"code", "state", "iss"})
    assert place.params["state"] == params["state"]
    text = place.response.content.decode()  # type: ignore[attr-defined]
    assert "<script>alert" not in text
    assert (place.response.status_code, place.response["Cache-Control"]) == (200, "no-store")
    assert place.response["Referrer-Policy"] == "no-referrer"


@pytest.mark.security("S7")
def test_the_policy_of_the_form_names_the_client_and_allows_no_inline_script(
    party: RelyingParty, signed_in: Browser
) -> None:
    place = party.start(signed_in, response_mode="form_post")
    assert isinstance(place, Callback)
    directives = place.response["Content-Security-Policy"].split("; ")
    policy = {name: sources for name, _, sources in (directive.partition(" ") for directive in directives)}
    # Where the client then leads, to a page on another host, is held to it too.
    assert policy["form-action"] == "'self' https://rp.example.org https:"
    assert policy["script-src"] == "'self'"
    assert "unsafe-inline" not in place.response["Content-Security-Policy"]
    text = place.response.content.decode()  # type: ignore[attr-defined]
    assert "onload" not in text
    assert "csrfmiddlewaretoken" not in text


@pytest.mark.security("S7")
@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "java\tscript:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "file:///etc/passwd",
        "blob:https://rp.example.org/x",
    ],
)
def test_script_addresses_cannot_be_registered(new_client: Callable[..., RelyingParty], address: str) -> None:
    for is_native in (False, True):
        with pytest.raises(ValidationError) as refused:
            new_client(redirect_uris=[address], is_native=is_native)
        assert set(refused.value.message_dict) == {"redirect_uris"}


@pytest.mark.security("S7")
def test_script_addresses_are_refused_at_the_endpoint(party: RelyingParty, signed_in: Browser) -> None:
    place = party.start(signed_in, response_mode="form_post", redirect_uri="javascript:alert(1)")
    assert isinstance(place, Page)
    assert (place.status, "javascript:" in place.text) == (400, False)


@pytest.mark.spec("OAuthFormPost-2")
def test_errors_are_posted_too(party: RelyingParty, browser: Browser) -> None:
    place = party.start(browser, response_mode="form_post", prompt="none")
    assert isinstance(place, Callback)
    assert (place.mode, place.params["error"], place.params["iss"]) == ("form_post", "login_required", ISSUER)


@pytest.mark.spec("OAuthMultiple-2.1")
@pytest.mark.parametrize("mode", ["jwt", "web_message", "FORM_POST", "query.jwt", "form_post query"])
def test_unknown_modes_are_refused_in_the_default_mode(party: RelyingParty, browser: Browser, mode: str) -> None:
    place = party.start(browser, response_mode=mode)
    assert isinstance(place, Callback)
    assert (place.mode, place.params["error"]) == ("query", "invalid_request")


@pytest.mark.spec("OAuthMultiple-5")
def test_tokens_never_travel_in_a_query(implicit_party: RelyingParty, browser: Browser) -> None:
    place = implicit_party.start(browser, response_type="id_token token", response_mode="query")
    assert isinstance(place, Callback)
    assert (place.mode, place.params["error"]) == ("fragment", "invalid_request")


@pytest.mark.spec("OAuthMultiple-3")
@pytest.mark.parametrize("response_type", ["id_token token", "token id_token"])
def test_the_order_of_response_types_says_nothing(
    implicit_party: RelyingParty, browser: Browser, response_type: str
) -> None:
    answer = implicit_party.authorize(browser, response_type=response_type)
    assert answer.callback.mode == "fragment"
    assert set(answer.params) >= {"id_token", "access_token", "token_type", "expires_in", "state", "iss"}
    assert "code" not in answer.params
    assert "refresh_token" not in answer.params
    claims = implicit_party.verify(answer.params["id_token"], nonce=answer.request["nonce"])
    assert claims["at_hash"]


@pytest.mark.spec("OIDCC-3.2.2.1")
def test_the_implicit_flow_needs_a_nonce(implicit_party: RelyingParty, browser: Browser) -> None:
    answer = implicit_party.authorize(browser, response_type="id_token", nonce=None)
    assert (answer.error, answer.callback.mode) == ("invalid_request", "fragment")


@pytest.mark.spec("RFC6749-4.1.2.1")
@pytest.mark.security("S43")
@pytest.mark.parametrize("response_type", ["id_token", "id_token token"])
def test_the_implicit_flow_is_off_for_clients_without_the_flag(
    party: RelyingParty, signed_in: Browser, response_type: str
) -> None:
    answer = party.authorize(signed_in, response_type=response_type)
    assert (answer.error, answer.callback.mode) == ("unauthorized_client", "fragment")


@pytest.mark.spec("RFC6749-3.1.1")
@pytest.mark.parametrize(
    "response_type",
    ["token", "code id_token", "code token", "code id_token token", "none", "CODE", "code code", "bogus"],
)
def test_other_response_types_are_unsupported(
    implicit_party: RelyingParty, browser: Browser, response_type: str
) -> None:
    answer = implicit_party.authorize(browser, response_type=response_type)
    assert answer.error == "unsupported_response_type"
