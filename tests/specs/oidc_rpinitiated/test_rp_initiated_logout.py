"""The modules of the RP-Initiated Logout OP plan, and the rules around them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import jwt
import pytest
import time_machine
from cryptography.hazmat.primitives.asymmetric import rsa
from django.utils import timezone

from identity.keyring import keys
from identity.models import Tenant, User
from tests.factories import PASSWORD, make_user
from tests.specs.conformance import (
    AFTER_LOGOUT,
    ISSUER,
    Browser,
    Callback,
    Page,
    RelyingParty,
    Tokens,
    unsigned_jwt,
)

pytestmark = pytest.mark.django_db

STATE = "a b/ü+%26"


@pytest.fixture
def tokens(party: RelyingParty, browser: Browser) -> Tokens:
    """What the party got when the person signed in with this browser."""
    found = party.authorize(browser).tokens()
    browser.shown.clear()
    return found


def is_signed_in(party: RelyingParty, browser: Browser) -> bool:
    """What the suite asks afterwards: prompt=none."""
    answer = party.authorize(browser, prompt="none")
    assert answer.error in (None, "login_required")
    return answer.error is None


def confirm(browser: Browser, page: Page | Callback, choice: str = "yes") -> Page | Callback:
    assert isinstance(page, Page), page
    form = page.form_with("confirm")
    assert form is not None, page.text
    return browser.submit(page, form, confirm=choice)


def assert_not_redirected(place: Page | Callback) -> Page:
    assert isinstance(place, Page), place
    return place


def resigned(id_token: str) -> str:
    """The same claims, signed by somebody else."""
    claims = jwt.decode(id_token, options={"verify_signature": False})
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return jwt.encode(claims, key, algorithm="RS256", headers={"kid": jwt.get_unverified_header(id_token)["kid"]})


@pytest.mark.oidf("oidcc-rp-initiated-logout-discovery-endpoint-verification")
@pytest.mark.spec("OIDCRIL-2.1")
def test_oidcc_rp_initiated_logout_discovery_endpoint_verification(party: RelyingParty) -> None:
    assert party.metadata["end_session_endpoint"] == f"{ISSUER}/oauth2/logout"


@pytest.mark.oidf("oidcc-rp-initiated-logout")
@pytest.mark.spec("OIDCRIL-2")
@pytest.mark.spec("OIDCRIL-3")
def test_oidcc_rp_initiated_logout(party: RelyingParty, browser: Browser, tokens: Tokens) -> None:
    place = party.logout(browser, id_token_hint=tokens.id_token, post_logout_redirect_uri=AFTER_LOGOUT, state=STATE)
    assert isinstance(place, Callback)
    assert (place.address, place.pairs) == (AFTER_LOGOUT, [("state", STATE)])
    assert browser.shown == []
    assert not is_signed_in(party, browser)


@pytest.mark.oidf("oidcc-rp-initiated-logout-bad-post-logout-redirect-uri")
@pytest.mark.spec("OIDCRIL-3")
@pytest.mark.security("S22")
@pytest.mark.parametrize(
    "address",
    [
        "https://rp.example.org/unregistered",
        "https://evil.example/",
        f"{AFTER_LOGOUT}/",
        f"{AFTER_LOGOUT}/../x",
        f"{AFTER_LOGOUT}#x",
        AFTER_LOGOUT.replace("https://", "https://rp.example.org@"),
        AFTER_LOGOUT.upper(),
        "javascript:alert(1)",
        "//evil.example",
    ],
)
def test_oidcc_rp_initiated_logout_bad_post_logout_redirect_uri(
    party: RelyingParty, browser: Browser, tokens: Tokens, address: str
) -> None:
    place = party.logout(browser, id_token_hint=tokens.id_token, post_logout_redirect_uri=address)
    page = assert_not_redirected(place)
    assert (page.status, "post_logout_redirect_uri" in page.text) == (400, True)
    assert is_signed_in(party, browser)


@pytest.mark.oidf("oidcc-rp-initiated-logout-modified-id-token-hint")
@pytest.mark.spec("OIDCRIL-2")
@pytest.mark.security("S42")
def test_oidcc_rp_initiated_logout_modified_id_token_hint(
    party: RelyingParty, browser: Browser, tokens: Tokens
) -> None:
    modified = unsigned_jwt(jwt.decode(tokens.id_token, options={"verify_signature": False}))
    place = party.logout(browser, id_token_hint=modified, post_logout_redirect_uri=AFTER_LOGOUT)
    page = assert_not_redirected(place)
    assert page.form_with("confirm") is not None
    assert is_signed_in(party, browser)
    # A user who confirms is signed out, and still not sent away.
    assert_not_redirected(confirm(browser, page))
    assert not is_signed_in(party, browser)


@pytest.mark.oidf("oidcc-rp-initiated-logout-no-id-token-hint")
@pytest.mark.spec("OIDCRIL-2")
def test_oidcc_rp_initiated_logout_no_id_token_hint(party: RelyingParty, browser: Browser, tokens: Tokens) -> None:
    page = assert_not_redirected(party.logout(browser, post_logout_redirect_uri=AFTER_LOGOUT, state=STATE))
    assert (page.status, page.form_with("confirm") is None) == (200, False)
    assert is_signed_in(party, browser)


@pytest.mark.oidf("oidcc-rp-initiated-logout-no-params")
@pytest.mark.spec("OIDCRIL-2")
def test_oidcc_rp_initiated_logout_no_params(party: RelyingParty, browser: Browser, tokens: Tokens) -> None:
    page = assert_not_redirected(confirm(browser, party.logout(browser)))
    assert (page.status, page.form_with("confirm")) == (200, None)
    assert not is_signed_in(party, browser)


@pytest.mark.oidf("oidcc-rp-initiated-logout-no-post-logout-redirect-uri")
@pytest.mark.spec("OIDCRIL-2")
def test_oidcc_rp_initiated_logout_no_post_logout_redirect_uri(
    party: RelyingParty, browser: Browser, tokens: Tokens
) -> None:
    page = assert_not_redirected(party.logout(browser, id_token_hint=tokens.id_token, state=STATE))
    assert page.status == 200
    assert not is_signed_in(party, browser)


@pytest.mark.oidf("oidcc-rp-initiated-logout-no-state")
@pytest.mark.spec("OIDCRIL-3")
def test_oidcc_rp_initiated_logout_no_state(party: RelyingParty, browser: Browser, tokens: Tokens) -> None:
    place = party.logout(browser, id_token_hint=tokens.id_token, post_logout_redirect_uri=AFTER_LOGOUT)
    assert isinstance(place, Callback)
    assert (place.address, place.pairs) == (AFTER_LOGOUT, [])
    assert not is_signed_in(party, browser)


@pytest.mark.oidf("oidcc-rp-initiated-logout-only-state")
@pytest.mark.spec("OIDCRIL-2")
def test_oidcc_rp_initiated_logout_only_state(party: RelyingParty, browser: Browser, tokens: Tokens) -> None:
    assert_not_redirected(confirm(browser, party.logout(browser, state=STATE)))
    assert not is_signed_in(party, browser)


@pytest.mark.oidf("oidcc-rp-initiated-logout-query-added-to-post-logout-redirect-uri")
@pytest.mark.spec("OIDCRIL-3")
@pytest.mark.security("S22")
def test_oidcc_rp_initiated_logout_query_added_to_post_logout_redirect_uri(
    party: RelyingParty, browser: Browser, tokens: Tokens
) -> None:
    place = party.logout(browser, id_token_hint=tokens.id_token, post_logout_redirect_uri=f"{AFTER_LOGOUT}?foo=bar")
    assert assert_not_redirected(place).status == 400
    assert is_signed_in(party, browser)


@pytest.mark.oidf("oidcc-rp-initiated-logout-bad-id-token-hint")
@pytest.mark.spec("OIDCRIL-2")
def test_oidcc_rp_initiated_logout_bad_id_token_hint(party: RelyingParty, browser: Browser, tokens: Tokens) -> None:
    place = party.logout(
        browser, id_token_hint=resigned(tokens.id_token), post_logout_redirect_uri=AFTER_LOGOUT, state=STATE
    )
    page = assert_not_redirected(place)
    assert page.form_with("confirm") is not None
    assert is_signed_in(party, browser)


# Beyond the plan ---------------------------------------------------------------------------------------------


@pytest.mark.spec("OIDCRIL-2")
def test_an_expired_hint_is_accepted(party: RelyingParty, browser: Browser, tokens: Tokens) -> None:
    with time_machine.travel(timezone.now() + timedelta(hours=2), tick=True):
        with pytest.raises(jwt.ExpiredSignatureError):
            assert tokens.claims
        place = party.logout(browser, id_token_hint=tokens.id_token, post_logout_redirect_uri=AFTER_LOGOUT)
        assert isinstance(place, Callback)
        assert not is_signed_in(party, browser)


@pytest.mark.spec("OIDCRIL-2")
def test_a_logout_request_may_be_posted_from_another_site(
    party: RelyingParty, browser: Browser, tokens: Tokens
) -> None:
    request = {"id_token_hint": tokens.id_token, "post_logout_redirect_uri": AFTER_LOGOUT, "state": STATE}
    place = browser.post_from_another_site("/oauth2/logout", request)
    assert isinstance(place, Callback)
    assert (place.address, place.pairs) == (AFTER_LOGOUT, [("state", STATE)])
    assert not is_signed_in(party, browser)


@pytest.mark.spec("OIDCRIL-2")
def test_client_id_and_confirmation_do_without_a_hint(party: RelyingParty, browser: Browser, tokens: Tokens) -> None:
    page = party.logout(browser, client_id=party.client_id, post_logout_redirect_uri=AFTER_LOGOUT, state=STATE)
    assert is_signed_in(party, browser)
    place = confirm(browser, page)
    assert isinstance(place, Callback)
    assert (place.address, place.pairs) == (AFTER_LOGOUT, [("state", STATE)])
    assert not is_signed_in(party, browser)


def test_whoever_says_no_stays_signed_in(party: RelyingParty, browser: Browser, tokens: Tokens) -> None:
    confirm(browser, party.logout(browser), "no")
    assert is_signed_in(party, browser)


def test_a_confirmation_is_taken_once(party: RelyingParty, browser: Browser, tokens: Tokens) -> None:
    page = party.logout(browser)
    confirm(browser, page, "no")
    again = confirm(browser, page)
    assert (assert_not_redirected(again).status, is_signed_in(party, browser)) == (400, True)


def test_a_confirmation_of_another_browser_is_refused(party: RelyingParty, browser: Browser, tokens: Tokens) -> None:
    other = Browser()
    party.authorize(other)
    page = assert_not_redirected(party.logout(browser))
    assert assert_not_redirected(other.get(page.path)).status == 400
    assert is_signed_in(party, other)


def test_a_confirmation_without_our_token_is_refused(party: RelyingParty, browser: Browser, tokens: Tokens) -> None:
    page = assert_not_redirected(party.logout(browser))
    forged = browser.post(page.path, {"confirm": "yes"}, referer=f"{ISSUER}/")
    assert (assert_not_redirected(forged).status, is_signed_in(party, browser)) == (403, True)


@pytest.mark.spec("OIDCRIL-2")
def test_the_hint_of_another_user_must_be_confirmed(
    party: RelyingParty, browser: Browser, tokens: Tokens, person: User
) -> None:
    other = make_user(person.tenant)
    second = Browser()
    theirs = RelyingParty(**{**party.__dict__, "user_name": other.user_name, "password": PASSWORD})
    theirs.authorize(second)
    page = assert_not_redirected(theirs.logout(second, id_token_hint=tokens.id_token))
    assert page.form_with("confirm") is not None
    assert is_signed_in(theirs, second)


@pytest.mark.spec("OIDCRIL-2")
def test_the_hint_of_an_earlier_session_must_be_confirmed(
    party: RelyingParty, browser: Browser, tokens: Tokens
) -> None:
    party.logout(browser, id_token_hint=tokens.id_token)
    party.authorize(browser)
    page = assert_not_redirected(party.logout(browser, id_token_hint=tokens.id_token))
    assert page.form_with("confirm") is not None
    assert is_signed_in(party, browser)


@pytest.mark.spec("OIDCRIL-2")
def test_a_client_id_beside_a_hint_for_another_client_is_refused(
    party: RelyingParty, new_client: Callable[..., RelyingParty], browser: Browser, tokens: Tokens
) -> None:
    other = new_client()
    place = party.logout(browser, id_token_hint=tokens.id_token, client_id=other.client_id)
    assert (assert_not_redirected(place).status, is_signed_in(party, browser)) == (400, True)


@pytest.mark.spec("OIDCRIL-3")
@pytest.mark.security("S22")
def test_an_address_of_another_client_is_refused(
    party: RelyingParty, new_client: Callable[..., RelyingParty], browser: Browser, tokens: Tokens
) -> None:
    other = new_client(post_logout_redirect_uris=["https://other.example.org/bye"])
    assert other.client_id != party.client_id
    place = party.logout(
        browser, id_token_hint=tokens.id_token, post_logout_redirect_uri="https://other.example.org/bye"
    )
    assert assert_not_redirected(place).status == 400


@pytest.mark.security("S45")
def test_repeated_logout_parameters_are_refused(party: RelyingParty, browser: Browser, tokens: Tokens) -> None:
    place = browser.get(f"/oauth2/logout?id_token_hint={tokens.id_token}&state=a&state=b")
    assert (assert_not_redirected(place).status, is_signed_in(party, browser)) == (400, True)


def test_signing_out_without_a_session_goes_back_at_once(party: RelyingParty, browser: Browser) -> None:
    place = party.logout(browser, client_id=party.client_id, post_logout_redirect_uri=AFTER_LOGOUT, state=STATE)
    assert isinstance(place, Callback)
    assert (place.address, place.pairs) == (AFTER_LOGOUT, [("state", STATE)])


@pytest.mark.parametrize("params", [{"id_token_hint": "x" * 20000}, {"client_id": "nobody"}, {"state": "\x00"}])
def test_nonsense_is_refused_on_our_page(party: RelyingParty, browser: Browser, params: dict[str, Any]) -> None:
    page = assert_not_redirected(party.logout(browser, **params))
    assert page.status == 400
    assert page.headers["Cache-Control"] == "no-store"


def test_tokens_of_the_session_end_with_it(party: RelyingParty, browser: Browser, tokens: Tokens) -> None:
    party.logout(browser, id_token_hint=tokens.id_token)
    assert party.userinfo(tokens.access_token).status_code == 401
    refused = party.refresh(tokens.body["refresh_token"])
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")


@pytest.mark.spec("OIDCBCL-2.4")
@pytest.mark.spec("OIDCRIL-2")
def test_a_logout_token_is_no_hint(party: RelyingParty, browser: Browser, tokens: Tokens, tenant: Tenant) -> None:
    claims = jwt.decode(tokens.id_token, options={"verify_signature": False})
    [logout_token, id_token] = [
        keys.sign(tenant=tenant, alg="RS256", claims=claims, typ=kind) for kind in ("logout+jwt", "JWT")
    ]
    place = party.logout(browser, id_token_hint=logout_token, post_logout_redirect_uri=AFTER_LOGOUT)
    assert assert_not_redirected(place).form_with("confirm") is not None
    assert is_signed_in(party, browser)
    assert party.authorize(browser, id_token_hint=logout_token, prompt="none").error == "invalid_request"
    # The same claims in a token of the right type are a hint.
    assert party.authorize(browser, id_token_hint=id_token, prompt="none").error is None
