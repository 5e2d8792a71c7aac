"""The page of the app's web view (decision 42): proof once, then nothing but a handle in the address."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from django.test import Client as HttpClient
from django.utils import timezone

from identity.context import RequestContext
from identity.directory import users
from identity.models import AuditEvent, SessionEndReason, Tenant
from identity.sso import sessions
from tests.factories import make_user
from tests.miniapp.conftest import App, make_mini_program

pytestmark = pytest.mark.django_db


class WebView:
    """A web view of the app: cookies of its own, and CSRF checked as in a browser."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.http = HttpClient(HTTP_HOST=app.name, enforce_csrf_checks=True)
        self.address = ""

    def open(self, scope: str = "openid email", *, language: str = "en", **changes: str) -> Any:
        """The first request, with the proof."""
        params = {
            "userId": self.app.user.public_id,
            "miniapp_id": self.app.mini_program.client_id,
            "scope": scope,
            **changes,
        }
        response = self.http.get(
            "/auth/consent", params, secure=True, HTTP_AUTHORIZATION=self.app.proof, HTTP_ACCEPT_LANGUAGE=language
        )
        return self.follow(response) if response.status_code == 302 else response

    def open_ticket(self, address: str) -> Any:
        parts = urlsplit(address)
        response = self.http.get(f"{parts.path}?{parts.query}", secure=True)
        return self.follow(response) if response.status_code == 302 else response

    def follow(self, response: Any) -> Any:
        self.address = response["Location"]
        return self.http.get(self.address, secure=True)

    def press(self, decision: str, page: Any, **headers: str) -> Any:
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.content.decode())
        assert token is not None
        data = {"csrfmiddlewaretoken": token[1], "decision": decision}
        headers = {"HTTP_ORIGIN": f"https://{self.app.name}", **headers}
        return self.http.post(self.address, data, secure=True, **headers)


@pytest.fixture
def view(app: App) -> WebView:
    return WebView(app)


@pytest.mark.parametrize("proof", ["session_token", "host application"])
def test_the_user_agrees(app: App, view: WebView, proof: str) -> None:
    if proof == "host application":
        app.vouch()
    page = view.open()
    assert page.status_code == 200
    text = html.unescape(page.content.decode())
    for words in ("Lunch orders", "Alice Example", "Know that it is you", "Your e-mail address", "Agree", "Refuse"):
        assert words in text
    done = view.press("agree", page)
    assert (done.status_code, done["Location"]) == (303, "/auth/consent/agreed")
    assert "You agreed" in view.follow(done).content.decode()
    assert app.check(scope="openid email").json() == {"isAuthorized": True}
    event = AuditEvent.objects.get(event_type="consent:grant")
    assert (event.actor_id, event.outcome) == (app.user.public_id, "success")


def test_the_user_refuses(app: App, view: WebView) -> None:
    done = view.press("refuse", view.open())
    assert (done.status_code, done["Location"]) == (303, "/auth/consent/refused")
    assert "You refused" in view.follow(done).content.decode()
    assert app.check().json() == {"isAuthorized": False}
    event = AuditEvent.objects.get(event_type="consent:grant")
    assert (event.outcome, event.reason, event.actor_id) == ("refused", "consent_refused", app.user.public_id)


@pytest.mark.parametrize(
    "language, words",
    [("en", ["Agree", "Refuse"]), ("zh-CN", ["同意", "拒绝"]), ("ja", ["同意する", "拒否する"])],
)
def test_the_page_speaks_the_apps_language(view: WebView, language: str, words: list[str]) -> None:
    page = view.open(language=language).content.decode()
    buttons = re.findall(r'name="decision" value="\w+">([^<]+)<', page)
    assert buttons == words


def test_the_page_is_strict_and_kept_by_nobody(view: WebView) -> None:
    page = view.open()
    policy = page["Content-Security-Policy"]
    for directive in ("default-src 'none'", "script-src 'self'", "form-action 'self'", "frame-ancestors 'none'"):
        assert directive in policy
    assert "unsafe" not in policy
    assert (page["Cache-Control"], page["X-Frame-Options"]) == ("no-store", "DENY")


def test_no_address_names_the_user(app: App, view: WebView) -> None:
    view.open()
    assert set(parse_qs(urlsplit(view.address).query)) == {"request", "ui_locales"}
    assert app.user.public_id not in view.address


def test_only_what_is_new_is_asked_for(app: App, view: WebView) -> None:
    app.agree("openid")
    page = view.open("openid phone").content.decode()
    asked, _, already = page.partition('class="already"')
    assert "Your phone number" in asked
    assert "Know that it is you" not in asked
    assert "Know that it is you" in already


def test_what_was_answered_before_is_not_asked_again(app: App, view: WebView) -> None:
    app.agree()
    page = view.open()
    assert (page.status_code, page["Location"]) == (302, "/auth/consent/agreed")


@pytest.mark.security("S27")
def test_a_form_whose_token_is_stale_is_not_carried_out_but_shown_again(app: App, view: WebView) -> None:
    page = view.open()
    cookie = next(morsel for name, morsel in view.http.cookies.items() if name.endswith("monban_csrf"))
    cookie.set(cookie.key, "x" * 32, "x" * 32)  # turned, as a sign-in in another view of the app turns it
    again = view.press("agree", page)
    assert again.status_code == 303
    asked = view.follow(again)
    assert (asked.status_code, "Lunch orders" in asked.content.decode()) == (200, True)
    assert app.check().json() == {"isAuthorized": False}
    assert view.press("agree", asked)["Location"] == "/auth/consent/agreed"


@pytest.mark.security("S27")
def test_a_form_of_another_site_stays_refused(app: App, view: WebView) -> None:
    page = view.open()
    assert view.press("agree", page, HTTP_ORIGIN="https://evil.example").status_code == 403
    assert app.check().json() == {"isAuthorized": False}


@pytest.mark.security("S44")
def test_an_answer_counts_once(app: App, view: WebView) -> None:
    page = view.open()
    view.press("refuse", page)
    again = view.press("agree", page)
    assert again.status_code == 400
    assert "This page is over" in again.content.decode()
    assert app.consent is None


@pytest.mark.security("S44")
def test_the_question_is_bound_to_the_web_view_that_opened_it(app: App, view: WebView) -> None:
    view.open()
    other = WebView(app)
    assert other.http.get(view.address, secure=True).status_code == 400


@pytest.mark.security("S29")
def test_another_site_cannot_press_the_button(app: App, view: WebView) -> None:
    page = view.open()
    assert view.press("agree", page, HTTP_ORIGIN="https://evil.example").status_code == 403
    assert view.http.post(view.address, {"decision": "agree"}, secure=True).status_code == 403
    assert app.consent is None
    assert view.press("agree", page).status_code == 303


def test_an_empty_post_shows_the_question_again(app: App, view: WebView) -> None:
    page = view.open()
    assert view.press("", page).status_code == 200
    assert view.press("maybe", page).status_code == 200
    assert app.consent is None


# Tickets ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("proof", ["session_token", "host application"])
def test_a_ticket_opens_the_page_without_the_proof_and_once(app: App, view: WebView, proof: str) -> None:
    if proof == "host application":
        app.vouch()
    address = app.ask().json()["consent_uri"]
    page = view.open_ticket(address)
    assert page.status_code == 200
    assert WebView(app).open_ticket(address).status_code == 400
    view.press("agree", page)
    assert app.code().status_code == 200


def test_a_ticket_is_for_minutes(app: App, view: WebView) -> None:
    address = app.ask().json()["consent_uri"]
    with time_machine.travel(timezone.now() + timedelta(minutes=6)):
        assert view.open_ticket(address).status_code == 400


@pytest.mark.security("S44")
def test_a_ticket_is_no_handle_and_a_handle_no_ticket(app: App, view: WebView) -> None:
    address = app.ask().json()["consent_uri"]
    assert view.http.get(address.replace("ticket=", "request="), secure=True).status_code == 400
    view.open()
    assert view.http.get(view.address.replace("request=", "ticket="), secure=True).status_code == 400


# What happens while the page stands open -------------------------------------------------------------------


def _disable_user(app: App) -> None:
    users.disable(user=app.user, context=RequestContext(tenant=app.tenant))


def _sign_out(app: App) -> None:
    assert app.session is not None
    sessions.end(app.session, reason=SessionEndReason.SIGNED_OUT, context=RequestContext(tenant=app.tenant))


def _disable_host(app: App) -> None:
    app.host.is_active = False
    app.host.save()


def _close_access(app: App) -> None:
    entry = app.mini_program.catalogue_entry
    entry.access = "assigned"
    entry.save()


@pytest.mark.security("S26")
@pytest.mark.parametrize(
    "event, status", [(_disable_user, 401), (_sign_out, 401), (_disable_host, 400), (_close_access, 401)]
)
def test_what_ends_meanwhile_ends_the_question(app: App, view: WebView, event: Any, status: int) -> None:
    page = view.open()
    event(app)
    assert view.http.get(view.address, secure=True).status_code == status
    assert view.press("agree", page).status_code == status
    assert app.consent is None


def test_who_may_not_use_the_mini_program_is_told_so(app: App, view: WebView, tenant: Tenant) -> None:
    app.mini_program = make_mini_program(tenant, application={"access": "assigned"})
    app.host.mini_programs.add(app.mini_program)
    page = view.open()
    assert page.status_code == 401
    assert "You may not use this mini program" in page.content.decode()


@pytest.mark.security("S33")
def test_the_page_of_an_unproved_user_is_one_for_known_and_unknown(app: App, view: WebView, tenant: Tenant) -> None:
    pages = []
    for user_id in (make_user(tenant).public_id, "00000"):
        page = view.open(userId=user_id)
        assert page.status_code == 401
        pages.append(re.sub(r"<code>.*?</code>|value=\"[^\"]*\"", "", page.content.decode()))
    assert pages[0] == pages[1]
    assert "Your app could not show that it is you" in pages[0]


def test_a_request_that_cannot_be_read_is_shown_as_a_page(view: WebView) -> None:
    page = view.http.get("/auth/consent", secure=True)
    assert page.status_code == 400
    assert page["Content-Type"].startswith("text/html")
    assert "パラメータ-{userId,miniapp_id,scope}は必須です" in html.unescape(page.content.decode())


def test_a_scope_that_may_not_be_asked_for_is_refused(view: WebView) -> None:
    assert view.open("openid bogus").status_code == 400
    assert view.open("email").status_code == 400
