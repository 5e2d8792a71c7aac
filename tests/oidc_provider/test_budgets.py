"""Round trips to the database per request (performance.md)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwcrypto.jwk
import pytest
from cryptography.hazmat.primitives import serialization
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.utils import timezone

from identity.context import RequestContext
from identity.sso import sessions
from oidc_provider.grants import pkce
from oidc_provider.models import Consent
from tests.factories import PASSWORD
from tests.factories.oidc import CALLBACK, make_session
from tests.support.machine import VERIFIER, Machine
from tests.support.statements import round_trips

pytestmark = pytest.mark.django_db


@pytest.fixture
def warm(new_machine: Callable[..., Machine]) -> Machine:
    """A client whose row, tenant and keys the process has read already."""
    machine = new_machine(may_introspect=True, api_scopes={"api:read": "https://api.example"})
    machine.userinfo(machine.tokens()["access_token"])
    return machine


def test_client_credentials_takes_one_round_trip(warm: Machine) -> None:
    assert round_trips(lambda: warm.token(grant_type="client_credentials"), elsewhere=2) <= 1


def test_code_exchange_takes_two_round_trips(warm: Machine) -> None:
    code = warm.code(scope="openid profile email")
    assert round_trips(lambda: warm.exchange(code), elsewhere=5) <= 2


def test_refresh_takes_two_round_trips(warm: Machine) -> None:
    token = warm.tokens()["refresh_token"]
    assert round_trips(lambda: warm.refresh(token), elsewhere=5) <= 2
    # A second tab: it is seen in the row that it comes within the grace.
    assert round_trips(lambda: warm.refresh(token), elsewhere=5) <= 2


def test_userinfo_takes_one_round_trip(warm: Machine) -> None:
    token = warm.tokens(scope="openid profile email address phone")["access_token"]
    assert round_trips(lambda: warm.userinfo(token), elsewhere=1) <= 1


def test_introspection_takes_one_round_trip(warm: Machine) -> None:
    token = warm.tokens()["access_token"]
    assert round_trips(lambda: warm.introspect(token), elsewhere=1) <= 1


def test_revocation_of_an_access_token_takes_two_round_trips(warm: Machine) -> None:
    token = warm.tokens()["access_token"]
    assert round_trips(lambda: warm.revoke(token, token_type_hint="access_token"), elsewhere=3) <= 2


def test_no_request_parses_keys_or_hashes_slowly(warm: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*args: object, **kwargs: object) -> None:
        raise AssertionError("slow work in a request")

    for owner, name in (
        (serialization, "load_pem_private_key"),
        (serialization, "load_der_private_key"),
        (PBKDF2PasswordHasher, "encode"),
        (PBKDF2PasswordHasher, "verify"),
        (jwcrypto.jwk.JWK, "__init__"),
    ):
        monkeypatch.setattr(owner, name, forbidden)
    monkeypatch.setattr("identity.keyring.keys.load_der_private_key", forbidden)
    body = warm.exchange(warm.code()).json()
    assert warm.refresh(body["refresh_token"]).status_code == 200
    assert warm.userinfo(body["access_token"]).status_code == 200
    assert warm.introspect(body["access_token"]).status_code == 200
    assert warm.token(grant_type="client_credentials", scope="api:read").status_code == 200


def authorization(machine: Machine) -> dict[str, str]:
    return {
        "client_id": machine.client.client_id,
        "redirect_uri": CALLBACK,
        "response_type": "code",
        "scope": "openid",
        "code_challenge": pkce.s256(VERIFIER),
        "code_challenge_method": "S256",
    }


def ask(machine: Machine) -> None:
    """A browser's authorization request that needs no page."""
    response = machine.http.get("/oauth2/authorize", authorization(machine), secure=True)
    assert response.status_code == 302
    assert response["Location"].startswith(f"{CALLBACK}?code=")


def test_authorize_takes_two_round_trips_for_who_is_signed_in(
    warm: Machine, django_capture_on_commit_callbacks: Any
) -> None:
    assert warm.user is not None
    warm.client.catalogue_entry.skip_consent = True
    warm.client.catalogue_entry.save()
    context = RequestContext(tenant=warm.context.tenant)
    _, warm.http.cookies["__Host-monban_session"] = sessions.start(user=warm.user, amr=["pwd"], context=context)
    with django_capture_on_commit_callbacks(execute=True):
        ask(warm)  # the first time the application joins the session
    assert round_trips(lambda: ask(warm), elsewhere=3) <= 2


def test_a_sign_in_by_password_takes_fourteen_round_trips_in_five_requests(warm: Machine) -> None:
    warm.client.catalogue_entry.skip_consent = True
    warm.client.catalogue_entry.save()
    assert warm.user is not None
    person = {"identifier": warm.user.user_name, "password": PASSWORD}
    sign_in(warm, person)  # the process reads tenant and client
    assert round_trips(lambda: sign_in(warm, person), elsewhere=27) <= 14


def test_the_sign_in_page_takes_one_round_trip(warm: Machine) -> None:
    page = asked_to_sign_in(warm)
    warm.http.get(page, secure=True)  # the process reads which other sources are offered
    assert round_trips(lambda: warm.http.get(page, secure=True), elsewhere=1) <= 1


def sign_in(machine: Machine, person: dict[str, str]) -> Any:
    """Authorization request, sign-in page, name and password, the way back, and the exchange of the code."""
    machine.http.cookies.clear()
    page = machine.http.get(asked_to_sign_in(machine), secure=True)
    found = re.search(r'name="transaction" value="([^"]+)"', page.content.decode())
    assert found is not None
    posted = machine.http.post("/login", {**person, "transaction": found[1]}, secure=True)
    assert posted.status_code == 302, posted.content
    back = machine.http.get(posted["Location"], secure=True)
    machine.http.cookies.clear()
    return machine.exchange(parse_qs(urlsplit(back["Location"]).query)["code"][0])


def asked_to_sign_in(machine: Machine) -> str:
    """Where a browser without a session is sent by an authorization request."""
    response = machine.http.get("/oauth2/authorize", authorization(machine), secure=True)
    address: str = response["Location"]
    assert address.startswith("/login?transaction=")
    return address


def test_authorize_takes_one_more_for_a_remembered_consent(
    warm: Machine, django_capture_on_commit_callbacks: Any
) -> None:
    assert warm.user is not None
    context = RequestContext(tenant=warm.context.tenant)
    _, warm.http.cookies["__Host-monban_session"] = sessions.start(user=warm.user, amr=["pwd"], context=context)
    Consent.objects.create(user=warm.user, client=warm.client, scopes=["openid"], granted_at=timezone.now())
    with django_capture_on_commit_callbacks(execute=True):
        ask(warm)
    assert round_trips(lambda: ask(warm), elsewhere=4) <= 3


def test_an_application_joins_a_session_once(warm: Machine, django_capture_on_commit_callbacks: Any) -> None:
    for _ in range(3):
        with django_capture_on_commit_callbacks(execute=True):
            warm.code()
    assert warm.session is not None
    assert [row.registration for row in warm.session.participants.all()] == [warm.client.client_id]


def test_what_was_rolled_back_is_joined_again(
    warm: Machine, django_capture_on_commit_callbacks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*args: object, **kwargs: object) -> None:
        raise RuntimeError("after the join")

    assert warm.user is not None
    warm.session = make_session(warm.user)
    with monkeypatch.context() as patch, django_capture_on_commit_callbacks(execute=True):
        patch.setattr("identity.sso.sessions.write", fails)
        with pytest.raises(RuntimeError):
            warm.code()
    assert not warm.session.participants.exists()
    warm.code()
    assert warm.session.participants.count() == 1
