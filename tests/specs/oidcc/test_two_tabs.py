"""Pages that stand open: in a second tab, or for longer than what waits behind them."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from django.core import mail
from django.utils import timezone

from identity import pending_requests
from identity.models import LoginTransaction, PendingRequest, SSOSession, User
from tests.factories import PASSWORD, make_user
from tests.specs.conformance import AFTER_LOGOUT, ISSUER, Browser, Callback, Page, RelyingParty

pytestmark = pytest.mark.django_db

FRESH = "Calm-Lantern-58"


@pytest.fixture
def other(new_client: Callable[..., RelyingParty]) -> RelyingParty:
    """A client of another tab, that needs no consent."""
    return new_client(
        application={"skip_consent": True},
        redirect_uris=["https://other.example.org/cb"],
        post_logout_redirect_uris=["https://other.example.org/bye"],
    )


def opened(place: Page | Callback) -> Page:
    assert isinstance(place, Page), place
    return place


def second_tab(browser: Browser, first: RelyingParty, second: RelyingParty, **changes: str) -> Page:
    """The page of a second tab, after the first one has signed in."""
    page = opened(second.start(browser, **changes))
    first.authorize(browser)
    return page


@pytest.mark.security("S27")
@pytest.mark.parametrize("password", [PASSWORD, "wrong"])
def test_a_second_tab_that_sends_its_form_goes_on_to_its_own_application(
    party: RelyingParty, other: RelyingParty, browser: Browser, password: str
) -> None:
    page = second_tab(browser, party, other)
    place = browser.sign_in(page, other.user_name, password)
    assert isinstance(place, Callback), place.text
    assert (place.address, "code" in place.params) == ("https://other.example.org/cb", True)
    assert SSOSession.objects.count() == 1


def test_a_second_tab_that_is_loaded_anew_goes_on_to_its_own_application(
    party: RelyingParty, other: RelyingParty, browser: Browser
) -> None:
    page = second_tab(browser, party, other)
    place = browser.get(page.path)
    assert isinstance(place, Callback)
    assert place.address == "https://other.example.org/cb"
    # Once: the browser's way back leads to no spent request.
    assert "/account" in opened(browser.get(page.path)).path


@pytest.mark.spec("OIDCC-3.1.2.1")
@pytest.mark.security("S29")
@pytest.mark.parametrize("wish", [{"prompt": "login"}, {"max_age": "0"}])
def test_a_second_tab_that_wants_a_sign_in_of_its_own_asks_for_it(
    party: RelyingParty, other: RelyingParty, browser: Browser, wish: dict[str, str]
) -> None:
    page = opened(browser.get(second_tab(browser, party, other, **wish).path))
    assert page.is_sign_in
    place = browser.sign_in(page, other.user_name, other.password)
    assert isinstance(place, Callback)
    assert place.address == "https://other.example.org/cb"


@pytest.mark.spec("OIDCC-3.1.2.1")
@pytest.mark.parametrize(("minutes", "is_asked"), [(5, False), (15, True)])
def test_max_age_counts_for_the_session_of_another_tab_too(
    party: RelyingParty, other: RelyingParty, browser: Browser, minutes: int, is_asked: bool
) -> None:
    page = second_tab(browser, party, other, max_age="600")
    with time_machine.travel(timezone.now() + timedelta(minutes=minutes), tick=True):
        place = browser.get(page.path)
    assert isinstance(place, Page) is is_asked


def test_a_second_tab_under_way_as_somebody_else_stays_where_it_is(
    party: RelyingParty, other: RelyingParty, browser: Browser, person: User
) -> None:
    page = second_tab(browser, party, other)
    LoginTransaction.objects.filter(finished_at=None).update(user=make_user(person.tenant))
    assert opened(browser.get(page.path)).is_sign_in


@pytest.mark.security("S27")
def test_a_form_of_another_site_signs_nobody_in_and_leads_nowhere(
    party: RelyingParty, other: RelyingParty, browser: Browser
) -> None:
    page = second_tab(browser, party, other)
    form = page.form_with("password")
    assert form is not None
    data = {**form.fields, "identifier": other.user_name, "password": other.password}
    for headers in ({"origin": "https://evil.example"}, {"origin": "null"}, {"referer": "https://evil.example/"}):
        assert opened(browser.post(page.path, data, **headers)).status == 403
    # Nor a form with a token of somebody else's, in a browser that has one of its own.
    sessions = SSOSession.objects.count()
    victim = Browser()
    own = opened(victim.get("/login"))
    token = {"csrfmiddlewaretoken": form.fields["csrfmiddlewaretoken"]}
    values = {**data, **token, "transaction": own.form_with("password").fields["transaction"]}  # type: ignore[union-attr]
    assert opened(victim.post("/login", values, origin=ISSUER)).is_sign_in
    assert SSOSession.objects.count() == sessions


def test_the_language_of_a_second_tab_is_changed_and_the_tab_goes_on(
    party: RelyingParty, other: RelyingParty, browser: Browser
) -> None:
    page = second_tab(browser, party, other)
    form = page.form_with("language") or page.form_with("next")
    assert form is not None
    place = browser.submit(page, form, language="ja")
    assert isinstance(place, Callback)
    assert place.address == "https://other.example.org/cb"
    assert browser.transport.cookies["monban_language"].value == "ja"


def test_the_reset_page_of_a_second_tab_goes_on_to_its_own_application(
    party: RelyingParty, other: RelyingParty, browser: Browser
) -> None:
    sign_in = opened(other.start(browser))
    link = re.search(r'href="(/forgot-password[^"]*)"', sign_in.text)
    assert link
    page = opened(browser.get(link[1]))
    party.authorize(browser)
    form = page.form_with("identifier")
    assert form is not None
    place = browser.submit(page, form, identifier="alice")
    assert isinstance(place, Callback)
    assert place.address == "https://other.example.org/cb"


def test_a_forgotten_password_leads_back_to_the_application(other: RelyingParty, browser: Browser) -> None:
    sign_in = opened(other.start(browser))
    link = re.search(r'href="(/forgot-password[^"]*)"', sign_in.text)
    assert link
    page = opened(browser.get(link[1]))
    form = page.form_with("identifier")
    assert form is not None
    page = opened(browser.submit(page, form, identifier="alice"))
    found = re.search(r"\b(\d{6})\b", mail.outbox[-1].body)
    assert found
    form = page.form_with("verification_code")
    assert form is not None
    values = {"verification_code": found[1], "new_password": FRESH, "repeat_password": FRESH}
    done = opened(browser.submit(page, form, **values))
    link = re.search(r'class="button" href="([^"]+)"', done.text)
    assert link
    place = browser.sign_in(browser.get(link[1]), other.user_name, FRESH)
    assert isinstance(place, Callback)
    assert place.address == "https://other.example.org/cb"


# Longer than what waits -----------------------------------------------------------------------------------------


def let_parked_requests_run_out() -> None:
    PendingRequest.objects.update(expires_at=timezone.now() - timedelta(minutes=1))


def test_a_sign_in_page_open_longer_than_its_request_leads_back_to_the_application(
    other: RelyingParty, browser: Browser
) -> None:
    page = opened(other.start(browser))
    let_parked_requests_run_out()
    place = browser.sign_in(page, other.user_name, other.password)
    assert isinstance(place, Callback)
    assert (place.address, "code" in place.params) == ("https://other.example.org/cb", True)


def test_a_sign_in_page_open_for_hours_leads_back_to_the_application(other: RelyingParty, browser: Browser) -> None:
    page = opened(other.start(browser, ui_locales="ja"))
    with time_machine.travel(timezone.now() + timedelta(hours=3), tick=True):
        again = opened(browser.sign_in(page, other.user_name, other.password))
        assert (again.status, again.is_sign_in) == (400, True)
        # It is the same sign-in: its application, its language, and where its forms may end.
        assert 'lang="ja"' in again.text
        assert "https://other.example.org" in again.headers["Content-Security-Policy"]
        place = browser.sign_in(again, other.user_name, other.password)
    assert isinstance(place, Callback)
    assert place.address == "https://other.example.org/cb"


@pytest.mark.security("S29")
def test_a_consent_page_open_longer_than_its_request_asks_again(party: RelyingParty, browser: Browser) -> None:
    page = opened(browser.sign_in(party.start(browser), party.user_name, party.password))
    assert page.is_consent
    let_parked_requests_run_out()
    again = opened(browser.decide(page))
    assert again.is_consent
    assert isinstance(browser.decide(again), Callback)


@pytest.mark.security("S44")
def test_a_request_that_ran_out_is_still_its_browsers_own_and_spent_once(other: RelyingParty, browser: Browser) -> None:
    page = opened(other.start(browser))
    let_parked_requests_run_out()
    address = LoginTransaction.objects.latest("pk").next_url
    assert opened(Browser().get(address)).status == 400
    browser.sign_in(page, other.user_name, other.password)
    assert opened(browser.get(address)).status == 400


def test_a_request_that_ran_out_a_day_ago_is_unknown(other: RelyingParty, browser: Browser) -> None:
    other.start(browser)
    over = timezone.now() - pending_requests.KEPT_FOR - timedelta(minutes=1)
    PendingRequest.objects.update(expires_at=over)
    assert opened(browser.get(LoginTransaction.objects.latest("pk").next_url)).status == 400


# Signing out ----------------------------------------------------------------------------------------------------


def press(browser: Browser, page: Page, choice: str) -> Page | Callback:
    form = page.form_with("confirm")
    assert form is not None, page.text
    return browser.submit(page, form, confirm=choice)


@pytest.mark.spec("OIDCRIL-2")
def test_an_old_question_still_signs_out_and_only_the_way_back_is_lost(party: RelyingParty, signed_in: Browser) -> None:
    page = opened(party.logout(signed_in, client_id=party.client_id, post_logout_redirect_uri=AFTER_LOGOUT))
    let_parked_requests_run_out()
    done = opened(press(signed_in, page, "yes"))
    assert (done.status, done.path.partition("?")[0]) == (200, "/logged-out")
    assert SSOSession.objects.get().ended_at is not None


@pytest.mark.spec("OIDCRIL-2")
def test_an_old_question_asks_anew_when_it_is_loaded_and_believes_a_no(party: RelyingParty, signed_in: Browser) -> None:
    page = opened(party.logout(signed_in))
    let_parked_requests_run_out()
    assert opened(signed_in.get(page.path)).form_with("confirm") is not None
    again = opened(party.logout(signed_in))
    let_parked_requests_run_out()
    assert opened(press(signed_in, again, "no")).status == 200
    assert SSOSession.objects.get().ended_at is None


def test_a_question_older_than_the_sign_in_of_another_tab_is_put_again(party: RelyingParty, signed_in: Browser) -> None:
    page = opened(party.logout(signed_in))
    party.authorize(signed_in, prompt="login")
    again = opened(press(signed_in, page, "yes"))
    assert opened(press(signed_in, again, "yes")).status == 200
    assert not SSOSession.objects.filter(ended_at=None).exists()


@pytest.mark.spec("OIDCRIL-2")
@pytest.mark.security("S22")
def test_a_registered_address_alone_is_asked_about_and_then_gone_to(party: RelyingParty, signed_in: Browser) -> None:
    page = opened(party.logout(signed_in, post_logout_redirect_uri=AFTER_LOGOUT, state="s"))
    assert page.status == 200
    place = press(signed_in, page, "yes")
    assert isinstance(place, Callback)
    assert (place.address, place.pairs) == (AFTER_LOGOUT, [("state", "s")])


@pytest.mark.spec("OIDCRIL-3")
@pytest.mark.security("S22")
def test_an_unregistered_address_alone_is_refused_as_a_sign_out(party: RelyingParty, signed_in: Browser) -> None:
    page = opened(party.logout(signed_in, post_logout_redirect_uri="https://evil.example/"))
    assert page.status == 400
    assert "<h1>Signing out cannot continue</h1>" in page.text
    assert "Sign-in cannot continue" not in page.text
