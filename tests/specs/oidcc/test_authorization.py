"""The authorization endpoint beyond the suite's modules (OIDCC-3.1.2)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlencode

import pytest
import time_machine
from django.core import mail
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from identity.assurance import MULTI_FACTOR, SINGLE_FACTOR
from identity.models import AuditEvent, PendingRequest, SSOSession, User
from tests.factories import PASSWORD, make_account, make_user
from tests.factories.factors import enrol
from tests.specs.conformance import CALLBACK, ISSUER, Browser, Callback, Page, RelyingParty
from tests.specs.trusted import trust_browser

pytestmark = pytest.mark.django_db


def error_of(place: Page | Callback) -> str:
    assert isinstance(place, Callback), place.text
    return place.params["error"]


def page_of(place: Page | Callback) -> Page:
    assert isinstance(place, Page), place
    return place


# prompt ------------------------------------------------------------------------------------------------------


@pytest.mark.spec("OIDCC-3.1.2.1")
@pytest.mark.parametrize("prompt", ["none login", "none consent", "create", "NONE", "login bogus"])
def test_unusable_prompts_are_refused(party: RelyingParty, signed_in: Browser, prompt: str) -> None:
    assert error_of(party.start(signed_in, prompt=prompt)) == "invalid_request"


@pytest.mark.spec("OIDCC-3.1.2.1")
@pytest.mark.security("S29")
def test_prompt_login_is_not_skipped_by_coming_back_without_signing_in(party: RelyingParty, signed_in: Browser) -> None:
    first = page_of(party.start(signed_in, prompt="login"))
    assert first.is_sign_in
    # The address of the request again, and the address of the way back, which nobody was told.
    again = page_of(party.start(signed_in, prompt="login"))
    assert again.is_sign_in
    assert page_of(signed_in.get("/oauth2/authorize/continue?request=guess")).status == 400


@pytest.mark.spec("OIDCC-3.1.2.1")
@pytest.mark.security("S29")
def test_prompt_login_is_not_satisfied_by_signing_in_for_another_request(
    party: RelyingParty, signed_in: Browser
) -> None:
    waiting = page_of(party.start(signed_in, prompt="login"))
    party.authorize(signed_in, prompt="login")
    # The other tab is still asked, for its own sign-in was never made; nothing loops.
    again = signed_in.get(waiting.path)
    place = signed_in.sign_in(again, party.user_name, party.password)
    assert isinstance(place, Callback)
    assert "code" in place.params


@pytest.mark.spec("OIDCC-3.1.2.1")
def test_prompt_login_asks_once_and_not_for_ever(party: RelyingParty, browser: Browser) -> None:
    assert party.authorize(browser, prompt="login").code
    assert browser.sign_in_pages == 1


@pytest.mark.spec("OIDCC-3.1.2.1")
def test_select_account_lets_the_user_go_on(party: RelyingParty, signed_in: Browser) -> None:
    params = party.request(prompt="select_account")
    page = page_of(signed_in.get(party.url(params)))
    form = page.form_with("choice")
    assert form is not None
    place = signed_in.submit(page, form, choice="continue")
    assert party.finish(signed_in, place, params).code
    assert signed_in.sign_in_pages == 0


@pytest.mark.spec("OIDCC-3.1.2.1")
def test_select_account_lets_somebody_else_sign_in(party: RelyingParty, signed_in: Browser, person: User) -> None:
    other = make_user(person.tenant)
    params = party.request(prompt="select_account")
    page = page_of(signed_in.get(party.url(params)))
    form = page.form_with("choice")
    assert form is not None
    place = signed_in.submit(page, form, choice="other")
    place = signed_in.sign_in(place, other.user_name, PASSWORD)
    answer = party.finish(signed_in, place, params)
    assert answer.tokens().claims["sub"] == other.public_id


@pytest.mark.spec("OIDCC-3.1.2.1")
def test_prompt_consent_asks_again(party: RelyingParty, signed_in: Browser) -> None:
    params = party.request(prompt="consent")
    page = page_of(signed_in.get(party.url(params)))
    assert page.is_consent
    assert party.finish(signed_in, signed_in.decide(page), params).code
    assert sum(shown.is_consent for shown in signed_in.shown) == 1


@pytest.mark.spec("OIDCC-3.1.2.1")
@pytest.mark.security("S43")
def test_prompt_consent_is_not_satisfied_by_a_consent_for_another_request(
    party: RelyingParty, signed_in: Browser
) -> None:
    page = page_of(party.start(signed_in, prompt="consent"))
    party.authorize(signed_in, prompt="consent")
    assert page_of(signed_in.get(page.path)).is_consent


# max_age -----------------------------------------------------------------------------------------------------


@pytest.mark.spec("OIDCC-3.1.2.1")
@pytest.mark.parametrize("max_age", ["-1", "1.5", "abc", "1e3", "+1", " 1", "١", "0x10", "1_000"])
def test_max_age_that_is_no_number_is_refused(party: RelyingParty, browser: Browser, max_age: str) -> None:
    assert error_of(party.start(browser, max_age=max_age)) == "invalid_request"


@pytest.mark.spec("OIDCC-3.1.2.1")
@pytest.mark.parametrize("max_age", ["9" * 10, "9" * 40, "9" * 5000, "0" * 50 + "1000"])
def test_absurd_max_age_is_no_limit(party: RelyingParty, signed_in: Browser, max_age: str) -> None:
    assert party.authorize(signed_in, max_age=max_age).tokens().claims["auth_time"]
    assert signed_in.shown == []


@pytest.mark.spec("OIDCC-3.1.2.1")
def test_max_age_0_always_asks_and_does_not_loop(party: RelyingParty, signed_in: Browser) -> None:
    assert party.authorize(signed_in, max_age="0").tokens().claims["auth_time"]
    assert signed_in.sign_in_pages == 1


@pytest.mark.spec("OIDCC-3.1.2.6")
def test_max_age_with_prompt_none_is_login_required(party: RelyingParty, signed_in: Browser) -> None:
    with time_machine.travel(timezone.now() + timedelta(seconds=10), tick=True):
        assert error_of(party.start(signed_in, max_age="5", prompt="none")) == "login_required"
        assert party.authorize(signed_in, max_age="500", prompt="none").code


@pytest.mark.spec("OIDCR-2")
def test_the_default_max_age_of_a_client_counts(new_client: Callable[..., RelyingParty], browser: Browser) -> None:
    party = new_client(default_max_age=60)
    party.authorize(browser)
    browser.shown.clear()
    with time_machine.travel(timezone.now() + timedelta(seconds=90), tick=True):
        assert party.authorize(browser, max_age="3600").code
        assert browser.sign_in_pages == 0
        assert party.authorize(browser).tokens().claims["auth_time"]
        assert browser.sign_in_pages == 1


# Hints and claims --------------------------------------------------------------------------------------------


@pytest.fixture
def stranger(person: User) -> User:
    return make_user(person.tenant)


@pytest.mark.spec("OIDCC-3.1.2.2")
@pytest.mark.parametrize("prompt", ["none", None])
def test_the_hint_of_another_user_is_login_required(
    party: RelyingParty, signed_in: Browser, stranger: User, prompt: str | None
) -> None:
    theirs = RelyingParty(**{**party.__dict__, "user_name": stranger.user_name})
    hint = theirs.authorize(Browser()).tokens().id_token
    assert error_of(party.start(signed_in, id_token_hint=hint, prompt=prompt)) == "login_required"


@pytest.mark.spec("OIDCC-3.1.2.1")
def test_an_expired_hint_is_accepted(party: RelyingParty, browser: Browser) -> None:
    hint = party.authorize(browser).tokens().id_token
    with time_machine.travel(timezone.now() + timedelta(hours=2), tick=True):
        assert party.authorize(browser, id_token_hint=hint, prompt="none").code


@pytest.mark.spec("OIDCC-3.1.2.2")
@pytest.mark.parametrize("hint", ["x", "a.b.c", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0."])
def test_a_hint_that_is_not_ours_is_refused(party: RelyingParty, signed_in: Browser, hint: str) -> None:
    assert error_of(party.start(signed_in, id_token_hint=hint)) == "invalid_request"


@pytest.mark.spec("OIDCC-5.5.1")
def test_a_requested_subject_must_be_the_one_who_is_signed_in(
    party: RelyingParty, signed_in: Browser, person: User, stranger: User
) -> None:
    def wish(user: User) -> str:
        return json.dumps({"id_token": {"sub": {"value": user.public_id}}})

    assert party.authorize(signed_in, claims=wish(person)).code
    assert error_of(party.start(signed_in, claims=wish(stranger))) == "login_required"


@pytest.mark.spec("OIDCC-5.5")
@pytest.mark.parametrize(
    "claims",
    [
        "{", "[]", "1", '"x"', "null", '{"userinfo": []}', '{"userinfo": {"name": 1}}', '{"id_token": "x"}',
        '{"userinfo": {"name": {"values": "x"}}}', '{"userinfo": {"a": null}, "userinfo": {"b": null}}',
        '{"userinfo": {"\\u0000": null}}', '{"userinfo": {"\\ud800": null}}', '{"userinfo": {"n": {"value": 1e999}}}',
        '{"userinfo":' * 3000, '{"userinfo": {' + ", ".join(f'"c{n}": null' for n in range(200)) + "}}",
    ],
)  # fmt: skip
def test_malformed_claims_are_refused(party: RelyingParty, signed_in: Browser, claims: str) -> None:
    assert error_of(party.start(signed_in, claims=claims)) == "invalid_request"


@pytest.mark.spec("OIDCC-5.5.1")
def test_single_claims_are_asked_for_and_remembered(party: RelyingParty, signed_in: Browser) -> None:
    wish = json.dumps({"userinfo": {"email": None}})
    params = party.request(claims=wish)
    page = page_of(signed_in.get(party.url(params)))
    assert page.is_consent
    assert "email" in page.text
    tokens = party.finish(signed_in, signed_in.decide(page), params).tokens()
    assert tokens.userinfo == {"sub": tokens.claims["sub"], "email": "alice@example.org"}
    signed_in.shown.clear()
    assert party.authorize(signed_in, claims=wish).code
    assert signed_in.shown == []


@pytest.mark.spec("OIDCC-5.5.1.1")
def test_an_essential_acr_out_of_reach_is_refused(party: RelyingParty, signed_in: Browser) -> None:
    wish = json.dumps({"id_token": {"acr": {"essential": True, "values": ["urn:unknown"]}}})
    assert error_of(party.start(signed_in, claims=wish)) == "access_denied"


@pytest.mark.security("S53")
@pytest.mark.spec("OIDCC-5.5.1.1")
@pytest.mark.security("S28")
def test_an_essential_acr_above_the_session_asks_for_another_factor(
    party: RelyingParty, signed_in: Browser, person: User
) -> None:
    User.objects.filter(pk=person.pk).update(phone_number_verified=False)  # the code goes to the mailbox
    wish = json.dumps({"id_token": {"acr": {"essential": True, "value": MULTI_FACTOR}}})
    assert error_of(party.start(signed_in, claims=wish, prompt="none")) == "interaction_required"
    params = party.request(claims=wish)
    page = page_of(signed_in.get(party.url(params)))
    form = page.form_with("verification_code")
    assert form is not None
    found = re.search(r"\b(\d{6})\b", str(mail.outbox[-1].body))
    assert found
    place = signed_in.submit(page, form, verification_code=found[1])
    claims = party.finish(signed_in, place, params).tokens().claims
    assert (claims["acr"], claims["amr"]) == (MULTI_FACTOR, ["pwd", "otp", "mfa"])
    assert signed_in.sign_in_pages == 0  # a step up asks for the other factor only


@pytest.mark.security("S28")
def test_a_user_without_another_factor_is_refused_and_not_asked_for_ever(
    party: RelyingParty, browser: Browser, person: User
) -> None:
    User.objects.filter(pk=person.pk).update(email_verified=False, phone_number_verified=False)
    wish = json.dumps({"id_token": {"acr": {"essential": True, "value": MULTI_FACTOR}}})
    place = party.start(browser, claims=wish)
    place = browser.sign_in(place, party.user_name, party.password)
    assert not isinstance(place, Callback) or place.params["error"] == "access_denied"
    assert browser.sign_in_pages == 1


@pytest.mark.spec("OIDCC-3.1.2.1")
def test_acr_values_are_a_wish(party: RelyingParty, signed_in: Browser) -> None:
    claims = party.authorize(signed_in, acr_values=f"{MULTI_FACTOR} urn:unknown").tokens().claims
    assert claims["acr"] == SINGLE_FACTOR


@pytest.mark.spec("OIDCC-3.1.2.1")
def test_acr_values_are_followed_where_the_person_has_enrolled_what_they_take(
    party: RelyingParty, signed_in: Browser, person: User
) -> None:
    _app, codes = enrol(person)
    # Not with prompt=none, which shows no page, and the wish is no demand.
    claims = party.authorize(signed_in, acr_values=MULTI_FACTOR, prompt="none").tokens().claims
    assert claims["acr"] == SINGLE_FACTOR
    # A passkey is preferred, but there is none.
    params = party.request(acr_values=f"phr {MULTI_FACTOR} {SINGLE_FACTOR}")
    page = page_of(signed_in.get(party.url(params)))
    form = page.form_with("verification_code")
    assert form is not None
    claims = (
        party.finish(signed_in, signed_in.submit(page, form, verification_code=codes.now()), params).tokens().claims
    )
    assert (claims["acr"], claims["amr"]) == (MULTI_FACTOR, ["pwd", "otp", "mfa"])
    assert signed_in.sign_in_pages == 0
    # The session has it now: nothing is asked, and the answer has the word that was asked for.
    signed_in.shown.clear()
    refeds = "https://refeds.org/profile/mfa"
    assert party.authorize(signed_in, acr_values=f"phr {refeds}").tokens().claims["acr"] == refeds
    assert signed_in.shown == []


@pytest.mark.spec("OIDCC-3.1.2.1")
@pytest.mark.security("S28")
@pytest.mark.parametrize("demand", [{"prompt": "login"}, {"max_age": "3600"}], ids=str)
def test_a_demand_for_a_proof_asks_for_the_second_factor_in_a_trusted_browser(
    party: RelyingParty, browser: Browser, person: User, demand: dict[str, str]
) -> None:
    codes = trust_browser(browser, person)
    params = party.request()
    place = browser.sign_in(browser.get(party.url(params)), person.user_name, PASSWORD)
    claims = party.finish(browser, place, params).tokens().claims
    assert (claims["acr"], claims["amr"]) == (SINGLE_FACTOR, ["pwd"])
    params = party.request(**demand)
    place = page_of(browser.get(party.url(params)))
    assert place.is_sign_in
    place = page_of(browser.sign_in(place, person.user_name, PASSWORD))
    form = place.form_with("verification_code")
    assert form is not None
    place = browser.submit(place, form, verification_code=codes.now())
    assert party.finish(browser, place, params).tokens().claims["acr"] == MULTI_FACTOR


@pytest.mark.spec("OIDCC-3.1.2.1")
@pytest.mark.security("S28")
def test_a_wish_and_an_essential_acr_are_not_met_by_a_trusted_browser(
    party: RelyingParty, browser: Browser, person: User
) -> None:
    trust_browser(browser, person)
    browser.sign_in(browser.get(party.url(party.request())), person.user_name, PASSWORD)
    essential = json.dumps({"id_token": {"acr": {"essential": True, "value": MULTI_FACTOR}}})
    for demand in ({"acr_values": MULTI_FACTOR}, {"claims": essential}):
        place = page_of(party.start(browser, **demand))
        assert place.form_with("verification_code") is not None


@pytest.mark.spec("OIDCC-5.5.1.1")
@pytest.mark.security("S53")
def test_an_essential_acr_may_name_a_passkey_in_any_of_its_words(party: RelyingParty, signed_in: Browser) -> None:
    wish = json.dumps({"id_token": {"acr": {"essential": True, "values": ["urn:unknown", "phr"]}}})
    assert error_of(party.start(signed_in, claims=wish, prompt="none")) == "interaction_required"
    SSOSession.objects.update(amr=["swk", "user"])
    claims = party.authorize(signed_in, claims=wish).tokens().claims
    assert (claims["acr"], claims["amr"]) == ("phr", ["swk", "user", "mfa"])


# Consent -----------------------------------------------------------------------------------------------------


@pytest.mark.spec("OIDCC-3.1.2.4")
def test_consent_is_remembered_for_the_same_scopes_and_asked_for_more(party: RelyingParty, signed_in: Browser) -> None:
    assert party.authorize(signed_in).code
    assert signed_in.shown == []
    params = party.request(scope="openid email")
    page = page_of(signed_in.get(party.url(params)))
    assert page.is_consent
    assert party.finish(signed_in, signed_in.decide(page), params).code
    signed_in.shown.clear()
    assert party.authorize(signed_in, scope="email openid").code
    assert signed_in.shown == []


@pytest.mark.spec("OIDCC-3.1.2.6")
def test_missing_consent_with_prompt_none_is_consent_required(party: RelyingParty, signed_in: Browser) -> None:
    assert error_of(party.start(signed_in, scope="openid email", prompt="none")) == "consent_required"


@pytest.mark.spec("RFC6749-4.1.2.1")
@pytest.mark.parametrize("mode", ["query", "fragment", "form_post"])
def test_whoever_refuses_is_told_to_the_client(party: RelyingParty, signed_in: Browser, mode: str) -> None:
    params = party.request(scope="openid phone", response_mode=mode)
    place = signed_in.decide(signed_in.get(party.url(params)), "deny")
    assert isinstance(place, Callback)
    assert place.mode == mode
    assert place.params == {
        "error": "access_denied",
        "error_description": "The user refused.",
        "state": params["state"],
        "iss": ISSUER,
    }


@pytest.mark.spec("OIDCC-3.1.2.1")
def test_prompt_consent_asks_where_consent_is_skipped(
    new_client: Callable[..., RelyingParty], browser: Browser
) -> None:
    party = new_client(application={"skip_consent": True})
    assert party.authorize(browser, prompt="consent").code
    assert [page.is_consent for page in browser.shown] == [False, True]


@pytest.mark.spec("RFC8252-8.6")
@pytest.mark.parametrize("address", ["http://127.0.0.1/cb", "org.example.app:/cb"])
def test_a_native_client_gets_nothing_without_the_user(
    new_client: Callable[..., RelyingParty], browser: Browser, address: str
) -> None:
    values = {"redirect_uris": [address], "is_native": True, "token_endpoint_auth_method": "none"}
    challenge = {"code_challenge": "A" * 43, "code_challenge_method": "S256"}
    party = new_client(**values)
    assert party.authorize(browser, **challenge).code
    assert error_of(party.start(browser, prompt="none", **challenge)) == "consent_required"
    browser.shown.clear()
    assert party.authorize(browser, **challenge).code
    assert [page.is_consent for page in browser.shown] == [True]
    # Whoever has just signed in for it has seen who asks.
    browser.shown.clear()
    assert party.authorize(browser, prompt="login", **challenge).code
    assert [page.is_sign_in for page in browser.shown] == [True]
    # The operator may vouch for a client.
    vouched = new_client(application={"skip_consent": True}, **values)
    assert vouched.authorize(browser, prompt="none", **challenge).code


def test_the_language_chosen_on_our_pages_wins(party: RelyingParty, signed_in: Browser) -> None:
    page = page_of(party.start(signed_in, scope="openid phone", ui_locales="ja"))
    assert '<html lang="ja">' in page.text
    form = page.form_with("language") or next(form for form in page.forms if form.action == "/language")
    again = page_of(signed_in.submit(page, form, language="zh-hans"))
    assert again.is_consent
    assert '<html lang="zh-Hans">' in again.text


def test_consent_is_the_users_own(party: RelyingParty, signed_in: Browser, stranger: User) -> None:
    theirs = RelyingParty(**{**party.__dict__, "user_name": stranger.user_name})
    browser = Browser()
    theirs.authorize(browser)
    assert sum(page.is_consent for page in browser.shown) == 1


def test_a_consent_without_our_token_is_refused(party: RelyingParty, signed_in: Browser) -> None:
    page = page_of(party.start(signed_in, scope="openid phone"))
    forged = signed_in.post(page.path, {"decision": "allow"}, referer=f"{ISSUER}/")
    assert page_of(forged).status == 403


def test_a_consent_page_is_bound_to_its_browser_and_answered_once(party: RelyingParty, signed_in: Browser) -> None:
    page = page_of(party.start(signed_in, scope="openid phone"))
    other = Browser()
    party.authorize(other)
    assert page_of(other.get(page.path)).status == 400
    assert isinstance(signed_in.decide(page, "deny"), Callback)
    assert page_of(signed_in.decide(page)).status == 400


def test_skip_consent_of_the_application_is_honoured(new_client: Callable[..., RelyingParty], browser: Browser) -> None:
    party = new_client(application={"skip_consent": True})
    assert party.authorize(browser, scope="openid profile email").code
    assert [page.is_sign_in for page in browser.shown] == [True]


@pytest.mark.spec("OIDCC-11")
def test_offline_access_without_consent_is_ignored(party: RelyingParty, signed_in: Browser) -> None:
    assert party.authorize(signed_in, scope="openid offline_access").tokens().body["scope"] == "openid"
    granted = party.authorize(signed_in, scope="openid offline_access", prompt="consent").tokens()
    assert set(granted.body["scope"].split()) == {"openid", "offline_access"}
    # What was allowed once needs no second prompt=consent.
    assert "offline_access" in party.authorize(signed_in, scope="openid offline_access").tokens().body["scope"]


@pytest.mark.spec("OIDCC-11")
def test_offline_access_needs_a_code(implicit_party: RelyingParty, browser: Browser) -> None:
    answer = implicit_party.authorize(
        browser, response_type="id_token token", scope="openid offline_access", prompt="consent"
    )
    assert "offline_access" not in answer.params.get("scope", "")


# Who may sign in ---------------------------------------------------------------------------------------------


@pytest.mark.spec("RFC6749-4.1.2.1")
def test_an_assigned_application_refuses_whoever_has_no_account(
    new_client: Callable[..., RelyingParty], browser: Browser, person: User
) -> None:
    from identity.models import Application

    party = new_client(application={"access": "assigned", "code": "assigned"})
    assert party.authorize(browser).error == "access_denied"
    make_account(person, Application.objects.get(code="assigned"))
    assert party.authorize(browser).code


@pytest.mark.security("S26")
def test_a_disabled_user_is_signed_out_at_once(party: RelyingParty, signed_in: Browser, person: User) -> None:
    User.objects.filter(pk=person.pk).update(is_active=False)
    assert error_of(party.start(signed_in, prompt="none")) == "login_required"


# Parked requests ---------------------------------------------------------------------------------------------


@pytest.mark.security("S44")
def test_a_parked_request_is_sealed_bound_to_its_browser_and_spent_once(party: RelyingParty, browser: Browser) -> None:
    response = browser.transport.post(
        "/oauth2/authorize",
        urlencode(party.request(nonce="n-visible")),
        content_type="application/x-www-form-urlencoded",
        secure=True,
    )
    assert (response.status_code, response["Cache-Control"]) == (303, "no-store")
    row = PendingRequest.objects.get()
    assert "n-visible" not in json.dumps(row.__dict__, default=str)
    way_back = response["Location"]
    assert way_back.startswith("/oauth2/authorize/continue?request=")
    assert page_of(Browser().get(way_back)).status == 400
    assert page_of(browser.get(way_back)).is_sign_in
    assert page_of(browser.get(way_back)).status == 400


def test_a_parked_request_is_forgotten_after_a_while(party: RelyingParty, browser: Browser) -> None:
    page = page_of(party.start(browser))
    with time_machine.travel(timezone.now() + timedelta(hours=2), tick=True):
        assert page_of(browser.sign_in(page, party.user_name, party.password)).status in (200, 400)
        assert not any(isinstance(shown, Callback) for shown in browser.shown)


def test_a_bad_posted_request_leaves_no_row(party: RelyingParty, browser: Browser) -> None:
    page = page_of(browser.post_from_another_site("/oauth2/authorize", party.request(client_id="nobody")))
    assert (page.status, PendingRequest.objects.count()) == (400, 0)
    place = browser.post_from_another_site("/oauth2/authorize", party.request(scope="openid unknown", prompt="x"))
    assert (error_of(place), PendingRequest.objects.count()) == ("invalid_request", 0)


# Form and delivery -------------------------------------------------------------------------------------------


@pytest.mark.spec("RFC6749-4.1.2")
@pytest.mark.parametrize("state", ["x", "a b+c", "ü/ñ", "%41%zz", "&=#?;,", '"<script>', "x" * 2000, "日本語", "\r\n"])
@pytest.mark.parametrize("mode", ["query", "fragment", "form_post"])
def test_state_comes_back_byte_for_byte(party: RelyingParty, signed_in: Browser, state: str, mode: str) -> None:
    for prompt in ("none", "none login"):
        place = party.start(signed_in, state=state, response_mode=mode, prompt=prompt)
        assert isinstance(place, Callback)
        assert place.params["state"] == state


@pytest.mark.spec("RFC6749-3.1.2")
def test_the_query_of_a_redirect_uri_is_kept(new_client: Callable[..., RelyingParty], browser: Browser) -> None:
    address = "https://rp.example.org/cb?a=1&b=%2F+x"
    party = new_client(redirect_uris=[address])
    place = party.start(browser, prompt="none")
    assert isinstance(place, Callback)
    assert place.response["Location"].startswith(f"{address}&error=login_required&")


@pytest.mark.spec("RFC9700-4.12")
def test_a_get_is_redirected_with_302_and_a_post_with_303(party: RelyingParty, signed_in: Browser) -> None:
    transport = signed_in.transport
    got = transport.get(party.url(party.request(prompt="none")), secure=True)
    assert (got.status_code, got["Cache-Control"], got["Referrer-Policy"]) == (302, "no-store", "no-referrer")
    page = page_of(party.start(signed_in, scope="openid phone"))
    form = page.form_with("decision")
    assert form is not None
    posted = transport.post(
        page.path, {**form.fields, "decision": "allow"}, secure=True, headers={"referer": f"{ISSUER}/"}
    )
    assert (posted.status_code, posted["Cache-Control"]) == (303, "no-store")
    assert posted["Location"].startswith(CALLBACK)


@pytest.mark.spec("RFC6749-3.1")
@pytest.mark.security("S45")
@pytest.mark.parametrize("name", ["scope", "nonce", "prompt", "max_age", "response_type", "code_challenge", "unknown"])
def test_a_repeated_parameter_is_told_to_the_client(party: RelyingParty, browser: Browser, name: str) -> None:
    params = [*party.request(**({} if name == "unknown" else {name: "1"})).items(), (name, "2")]
    params = params if name != "unknown" else [*params, (name, "3")]
    query = "&".join(f"{key}={quote(value, safe='')}" for key, value in params)
    assert error_of(browser.get(f"/oauth2/authorize?{query}")) == "invalid_request"


@pytest.mark.spec("RFC6749-3.1")
@pytest.mark.security("S45")
@pytest.mark.parametrize("name", ["client_id", "redirect_uri", "state", "response_mode"])
@pytest.mark.parametrize("second", ["", "x", "same"])
def test_a_repeated_target_parameter_is_shown_and_not_redirected(
    party: RelyingParty, browser: Browser, name: str, second: str
) -> None:
    params = party.request(response_mode="query")
    again = params[name] if second == "same" else second
    query = "&".join(f"{key}={quote(value, safe='')}" for key, value in [*params.items(), (name, again)])
    page = page_of(browser.get(f"/oauth2/authorize?{query}"))
    assert (page.status, "more than once" in page.text) == (400, True)


@pytest.mark.spec("RFC6749-A")
@pytest.mark.parametrize("value", ["%00", "a%00b", "%ff%fe", "%c0%80", "%ed%a0%80", "a" * 20000])
@pytest.mark.parametrize("name", ["scope", "nonce", "login_hint", "claims", "state", "client_id", "redirect_uri"])
def test_broken_bytes_are_refused(party: RelyingParty, browser: Browser, name: str, value: str) -> None:
    params = {key: quote(text, safe="") for key, text in party.request().items()} | {name: value}
    place = browser.get("/oauth2/authorize?" + "&".join(f"{key}={text}" for key, text in params.items()))
    if name in ("state", "client_id", "redirect_uri"):
        assert page_of(place).status == 400
    else:
        assert error_of(place) == "invalid_request"


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        ("{}", "application/json", 400),
        ("client_id=x", "text/plain", 400),
        ("client_id=x", "multipart/form-data; boundary=x", 400),
        ("client_id=x", "", 400),
        ("&".join(f"a{number}=1" for number in range(500)), "application/x-www-form-urlencoded", 400),
        ("client_id=" + "x" * 2_000_000, "application/x-www-form-urlencoded", 413),
        (b"client_id=\xff\xfe\x00", "application/x-www-form-urlencoded", 400),
        ("client_id=x", "application/x-www-form-urlencoded; charset=utf-7", 400),
        ("", "application/x-www-form-urlencoded", 400),
    ],
)
def test_bodies_that_are_no_form_are_refused(
    party: RelyingParty, browser: Browser, body: Any, content_type: str, status: int
) -> None:
    response = browser.transport.post("/oauth2/authorize", body, content_type=content_type, secure=True)
    assert (response.status_code, response["Cache-Control"]) == (status, "no-store")
    assert (PendingRequest.objects.count(), b"<title>" in response.content) == (0, True)


@pytest.mark.parametrize("method", ["put", "delete", "patch", "options"])
def test_other_methods_are_refused(party: RelyingParty, browser: Browser, method: str) -> None:
    response = getattr(browser.transport, method)("/oauth2/authorize", secure=True)
    assert response.status_code == 405


def test_a_refusal_is_audited_once_without_values(party: RelyingParty, browser: Browser) -> None:
    party.start(browser, prompt="none", state="do-not-keep")
    event = AuditEvent.objects.get(event_type="authorization:grant", outcome="refused")
    assert (event.reason, event.client_id, event.dialect) == ("login_required", party.client_id, "standard")
    assert "do-not-keep" not in json.dumps([event.details, event.changes, event.personal])


def test_a_signed_in_user_costs_few_statements(new_client: Callable[..., RelyingParty], browser: Browser) -> None:
    party = new_client(application={"skip_consent": True})
    party.authorize(browser)
    params = party.request()
    with CaptureQueriesContext(connection) as queries:
        place = browser.get(party.url(params))
    assert isinstance(place, Callback)
    own = [
        query["sql"] for query in queries
        if not query["sql"].startswith(("SAVEPOINT", "RELEASE", "BEGIN", "COMMIT"))
        and "identity_auditevent" not in query["sql"]
    ]  # fmt: skip
    assert len(own) <= 3, own
