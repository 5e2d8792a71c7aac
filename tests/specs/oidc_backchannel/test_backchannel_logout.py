"""OpenID Connect Back-Channel Logout 1.0: what a client hears of the end of a session, wherever it was ended."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import jwt
import pytest
from django.test import override_settings
from django.utils import timezone

from identity.context import SYSTEM
from identity.directory import users
from identity.keyring import keys
from identity.models import Delivery, KeyUse, SessionEndReason, SSOSession, Tenant, User
from identity.sign_in import account
from identity.sso import sessions
from oidc_provider.authorization import participation
from oidc_provider.models import Client
from tests.factories import PASSWORD
from tests.specs.conformance import ISSUER, Browser, Page, RelyingParty, new_transport
from tests.support.deliveries import send_due

pytestmark = pytest.mark.django_db

ADDRESS = "https://rp.example.org/backchannel?from=monban"
EVENT = "http://schemas.openid.net/event/backchannel-logout"
NewClient = Callable[..., RelyingParty]


@pytest.fixture
def party(new_client: NewClient) -> RelyingParty:
    """A client that wants to be told."""
    return new_client(backchannel_logout_uri=ADDRESS, application={"skip_consent": True})


@pytest.fixture
def session(party: RelyingParty, browser: Browser) -> SSOSession:
    """The session in which the person signed in to the party."""
    party.authorize(browser).tokens()
    return SSOSession.objects.select_related("user", "tenant").get()


def send() -> int:
    return send_due(now=timezone.now(), limit=100)


def read(token: str, party: RelyingParty, **options: Any) -> dict[str, Any]:
    """Validate a logout token as a client must (OIDCBCL-2.6), and return its claims."""
    header = jwt.get_unverified_header(token)
    assert header["typ"] == "logout+jwt"
    published = jwt.PyJWKSet.from_dict(party.api.get("/oauth2/jwks", secure=True).json())
    key = next(key for key in published.keys if key.key_id == header["kid"])
    required = ["iss", "aud", "iat", "exp", "jti", "events", "sub", "sid"]
    return dict(
        jwt.decode(
            token, key.key, algorithms=[header["alg"]], audience=party.client_id, issuer=ISSUER,
            options={"require": required, **options},
        )
    )  # fmt: skip


@pytest.mark.spec("OIDCBCL-2.5", "OIDCBCL-2.4")
def test_a_sign_out_is_posted_as_a_logout_token(
    party: RelyingParty, browser: Browser, session: SSOSession, posted: Any
) -> None:
    party.logout(browser)
    assert isinstance(browser.submit(browser.shown[-1], browser.shown[-1].forms[0], confirm="yes"), Page)
    assert send() == 1
    ((url, fields, internal),) = posted
    assert (url, set(fields), internal) == (ADDRESS, {"logout_token"}, False)
    claims = read(fields["logout_token"], party)
    assert (claims["sub"], claims["sid"]) == (session.user.public_id, session.sid)
    assert claims["events"] == {EVENT: {}}
    assert claims["exp"] - claims["iat"] == 120
    assert set(claims) == {"iss", "sub", "aud", "iat", "exp", "jti", "sid", "events"}


@pytest.mark.spec("OIDCBCL-2.4")
def test_iss_and_sid_are_those_of_the_id_token_and_there_is_no_nonce(
    party: RelyingParty, browser: Browser, posted: Any
) -> None:
    answer = party.authorize(browser)
    id_token = party.verify(answer.tokens().id_token, nonce=answer.request["nonce"])
    sessions.end(SSOSession.objects.get(), reason=SessionEndReason.SIGNED_OUT, context=SYSTEM)
    send()
    claims = read(posted[0][1]["logout_token"], party)
    assert [claims[name] for name in ("iss", "sub", "aud", "sid")] == [
        id_token[name] for name in ("iss", "sub", "aud", "sid")
    ]
    assert "nonce" not in claims


def _by_browser(session: SSOSession, browser: Browser) -> None:
    page = browser.get("/logout")
    assert isinstance(page, Page)
    form = page.form_with("confirm")
    assert form is not None
    browser.submit(page, form, confirm="yes")


def _by_account_page(session: SSOSession, browser: Browser) -> None:
    page = browser.get("/account")
    assert isinstance(page, Page)
    browser.submit(page, next(form for form in page.forms if form.action.endswith("/end")))


def _by_changed_password(session: SSOSession, browser: Browser) -> None:
    account.change_password(
        session=session, old_password=PASSWORD, new_password="another-Quiet-4711", context=_context(session)
    )


def _context(session: SSOSession) -> Any:
    return type(SYSTEM)(tenant=session.tenant, ip="192.0.2.1")


ENDS: dict[str, Callable[[SSOSession, Browser], object]] = {
    "our own page": _by_browser,
    "the account page": _by_account_page,
    "global logout": lambda session, browser: browser.get("/api/v1/logout"),
    "CAS": lambda session, browser: browser.get("/api/v1/cas/logout"),
    "an operator": lambda session, browser: sessions.end(
        session, reason=SessionEndReason.ENDED_BY_OPERATOR, context=SYSTEM
    ),
    "disabling the user": lambda session, browser: users.disable(user=session.user, context=_context(session)),
    "deleting the user": lambda session, browser: users.delete(user=session.user, context=_context(session)),
    "a changed password": _by_changed_password,
}


@pytest.mark.spec("OIDCBCL-2.3")
@pytest.mark.parametrize("way", ENDS)
def test_wherever_a_session_ends_its_client_is_told_once(
    party: RelyingParty, browser: Browser, session: SSOSession, posted: Any, way: str
) -> None:
    ENDS[way](session, browser)
    sessions.end(session, reason=SessionEndReason.SIGNED_OUT, context=SYSTEM)
    assert send() == 1
    assert read(posted[0][1]["logout_token"], party)["sid"] == session.sid


@pytest.mark.spec("OIDCBCL-2.3")
def test_only_clients_that_the_session_was_used_for_are_told(
    party: RelyingParty, new_client: NewClient, session: SSOSession, posted: Any, browser: Browser
) -> None:
    other = new_client(
        backchannel_logout_uri="https://other.example/", application={"code": "other", "skip_consent": True}
    )
    silent = new_client(application={"code": "silent", "skip_consent": True})
    for one in (silent, party):
        one.authorize(browser)
    other.authorize(Browser())
    sessions.end(session, reason=SessionEndReason.SIGNED_OUT, context=SYSTEM)
    send()
    assert [url for url, _fields, _internal in posted] == [ADDRESS]


@pytest.mark.spec("OIDCBCL-2.4")
def test_a_repeat_has_the_same_jti_and_the_key_and_time_of_its_own_attempt(
    party: RelyingParty, session: SSOSession, posted: Any, tenant: Tenant, time_machine: Any
) -> None:
    time_machine.move_to(timezone.now())
    sessions.end(session, reason=SessionEndReason.SIGNED_OUT, context=SYSTEM)
    posted.status = 503
    send()
    row = Delivery.objects.get()
    assert (row.state, row.attempts, row.last_status, row.last_error) == ("pending", 1, 503, "status 503")
    keys.rotate(tenant=tenant, use=KeyUse.SIG, alg="RS256")
    posted.status = 200
    time_machine.shift(timedelta(minutes=10))
    send()
    row.refresh_from_db()
    assert (row.state, row.last_status) == ("delivered", 200)
    first, second = (fields["logout_token"] for _url, fields, _internal in posted)
    assert jwt.get_unverified_header(first)["kid"] != jwt.get_unverified_header(second)["kid"]
    old, new = read(first, party, verify_exp=False), read(second, party)
    assert old["jti"] == new["jti"] == row.jti
    assert new["iat"] - old["iat"] >= 600


@pytest.mark.spec("OIDCBCL-2.8")
@pytest.mark.parametrize(
    ("status", "state"), [(200, "delivered"), (204, "delivered"), (400, "pending"), (302, "pending")]
)
def test_only_success_counts_as_an_answer(session: SSOSession, posted: Any, status: int, state: str) -> None:
    posted.status = status
    sessions.end(session, reason=SessionEndReason.SIGNED_OUT, context=SYSTEM)
    send()
    row = Delivery.objects.get()
    assert (row.state, row.last_status) == (state, status)


def test_five_attempts_with_growing_delays_then_no_more(session: SSOSession, posted: Any, time_machine: Any) -> None:
    posted.status = 500
    sessions.end(session, reason=SessionEndReason.SIGNED_OUT, context=SYSTEM)
    waits = []
    for _ in range(5):
        assert send() == 1
        assert send() == 0
        row = Delivery.objects.get()
        waits.append(row.next_attempt_at - timezone.now())
        time_machine.move_to(row.next_attempt_at + timedelta(seconds=1))
    assert (row.state, row.attempts, len(posted)) == ("failed", 5, 5)
    assert waits[:4] == sorted(waits[:4])
    assert send() == 0


def test_a_client_that_is_gone_is_not_called(session: SSOSession, posted: Any) -> None:
    sessions.end(session, reason=SessionEndReason.SIGNED_OUT, context=SYSTEM)
    Client.objects.update(client_id="renamed")
    send()
    row = Delivery.objects.get()
    assert (row.state, row.last_error, posted) == ("failed", "the client is gone", [])


def test_a_disabled_client_is_still_told(session: SSOSession, posted: Any) -> None:
    Client.objects.update(is_active=False)
    sessions.end(session, reason=SessionEndReason.SIGNED_OUT, context=SYSTEM)
    send()
    assert len(posted) == 1


def test_a_session_of_before_we_kept_the_issuer_is_told_with_the_present_one(
    party: RelyingParty, session: SSOSession, posted: Any
) -> None:
    session.participants.update(data={})
    sessions.end(session, reason=SessionEndReason.SIGNED_OUT, context=SYSTEM)
    send()
    assert read(posted[0][1]["logout_token"], party)["iss"] == ISSUER


@pytest.mark.spec("OIDCBCL-2.7")
def test_what_was_granted_in_the_session_ends_with_it_and_offline_grants_stay(
    party: RelyingParty, browser: Browser, person: User
) -> None:
    bound = party.authorize(browser).tokens()
    offline = party.authorize(browser, scope="openid offline_access", prompt="consent").tokens()
    unused = party.authorize(browser)
    session = SSOSession.objects.get()
    sessions.end(session, reason=SessionEndReason.SIGNED_OUT, context=SYSTEM)
    assert party.userinfo(bound.access_token).status_code == 401
    assert party.refresh(bound.body["refresh_token"]).json()["error"] == "invalid_grant"
    assert party.exchange(unused.code).json()["error"] == "invalid_grant"
    assert party.refresh(offline.body["refresh_token"]).status_code == 200


@pytest.mark.spec("OIDCBCL-2.6")
@pytest.mark.security("S42")
def test_a_logout_token_is_no_id_token_hint(
    party: RelyingParty, browser: Browser, session: SSOSession, posted: Any
) -> None:
    sessions.end(session, reason=SessionEndReason.SIGNED_OUT, context=SYSTEM)
    send()
    token = posted[0][1]["logout_token"]
    party.authorize(browser)
    page = party.logout(browser, id_token_hint=token, client_id=party.client_id)
    assert isinstance(page, Page)
    assert page.form_with("confirm") is not None
    # Nor does it open anything else.
    assert party.userinfo(token).status_code == 401


@pytest.mark.spec("OIDCBCL-2.1")
def test_discovery_claims_it(tenant: Tenant) -> None:
    document = new_transport().get("/.well-known/openid-configuration", secure=True).json()
    assert document["backchannel_logout_supported"] is True
    assert document["backchannel_logout_session_supported"] is True


def test_another_issuer_in_the_same_session_takes_the_place_of_the_first(
    party: RelyingParty, session: SSOSession
) -> None:
    client = Client.objects.select_related("catalogue_entry").get()
    participation.write(session=session, client=client, issuer="https://other.example")
    assert session.participants.get().data == {"iss": "https://other.example"}


@override_settings(DEBUG=False)
@pytest.mark.security("S34")
def test_a_private_address_is_called_for_internal_applications_only(session: SSOSession) -> None:
    Client.objects.update(backchannel_logout_uri="https://127.0.0.1:9/logout")
    sessions.end(session, reason=SessionEndReason.SIGNED_OUT, context=SYSTEM)
    send()
    row = Delivery.objects.get()
    assert (row.state, row.last_error) == ("pending", "AddressRefused: 127.0.0.1 is not a public address")
