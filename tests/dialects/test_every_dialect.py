"""What is the same in every dialect, whatever it is spelled like: flows, single use, boundaries, refusals."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
import time_machine
from django.utils import timezone

from identity.context import RequestContext
from identity.models import AuditEvent, SessionEndReason, SSOSession
from identity.sso import sessions
from oidc_provider import dialects
from oidc_provider.dialects.base import Delivery, Dialect, EndpointName
from oidc_provider.dialects.faults import VERIFIER_FORM
from oidc_provider.errors import Fault
from oidc_provider.models import CLIENT_FLAGS, AccessToken
from tests.dialects.party import CALLBACK, VERIFIER, Party, pactera, query_of, s256, sm3
from tests.factories import make_tenant
from tests.support.machine import end_the_grace

pytestmark = pytest.mark.django_db

NewParty = Callable[..., Party]
OTHERS = [
    pytest.param(mine, other, id=f"{mine.name} at {other.name}")
    for mine in dialects.ALL
    for other in dialects.ALL
    if mine is not other
]
UNKNOWN_AT_TOKEN = {
    "standard": (401, "invalid_client"),
    "pactera": (401, "invalid_client"),
    "tencent": (403, "unauthorized_client"),
    "topiam": (401, "invalid_client"),
    "oneaccess": (400, "invalid_client"),
}
BAD_TOKEN = {
    "standard": "invalid_token",
    "pactera": "invalid_token",
    "tencent": "invalid_token",
    "topiam": "invalid_token",
    "oneaccess": "unauthorized",
}


def last_refusal() -> tuple[str, str]:
    """Reason and dialect, as they were audited."""
    event = AuditEvent.objects.filter(outcome="refused").latest("id")
    return event.reason, event.dialect


def error_of(response: Any) -> str:
    """The code of a refusal, wherever it was delivered."""
    return str(query_of(response).get("error") or response.json().get("error"))


# Flows -----------------------------------------------------------------------------------------------------


def test_the_whole_flow(party: Party) -> None:
    party.sign_in()
    answer = party.ask()
    assert answer.status_code == 302
    assert answer["Location"].startswith(f"{CALLBACK}?")
    parameters = query_of(answer)
    assert set(parameters) == {"code", "state", "iss"}
    assert (parameters["state"], parameters["iss"]) == ("state1", party.issuer)
    response = party.exchange(parameters["code"])
    assert (response.status_code, response["Cache-Control"]) == (200, "no-store")
    body = response.json()
    assert set(body) == {"access_token", "refresh_token", "id_token", "token_type", "expires_in", "scope"}
    assert (body["token_type"], body["expires_in"]) == ("Bearer", party.habits.expires_in)
    assert body["scope"] == party.habits.scopes
    claims = party.verify(body["id_token"])
    assert (claims["sub"], claims["nonce"]) == (party.user.public_id, "nonce1")
    userinfo = party.userinfo(body["access_token"])
    assert userinfo.status_code == 200
    assert userinfo.json()["sub"] == party.user.public_id
    assert set(party.habits.userinfo) <= set(userinfo.json())


def test_somebody_who_is_not_signed_in_is_sent_to_the_sign_in_page(party: Party) -> None:
    response = party.ask()
    assert response.status_code == 302
    assert urlsplit(response["Location"]).path == "/login"


@pytest.mark.spec("OIDCD-4.3")
def test_discovery_names_only_what_answers(party: Party) -> None:
    metadata = party.metadata
    assert metadata["issuer"] == party.issuer
    assert metadata["code_challenge_methods_supported"] == sorted(party.dialect.challenge_methods)
    for name, address in metadata.items():
        if name.endswith("_endpoint") or name == "jwks_uri":
            assert address.startswith(party.origin)
            response = party.machine.get(urlsplit(address).path, secure=True)
            assert response.status_code in (200, 302, 400, 401, 405), (name, response.status_code)


@pytest.mark.spec("OIDCD-3")
def test_published_keys_are_those_of_the_dialects_algorithms(party: Party) -> None:
    keys = party.machine.get(urlsplit(party.metadata["jwks_uri"]).path, secure=True).json()["keys"]
    assert keys
    assert {key["alg"] for key in keys} <= set(party.dialect.signing_algorithms)


@pytest.mark.spec("RFC6749-6")
def test_a_refresh_gives_new_tokens_and_a_new_id_token(party: Party) -> None:
    first = party.tokens()
    response = party.refresh(first["refresh_token"])
    assert response.status_code == 200
    second = response.json()
    assert set(second) == set(first)
    assert second["refresh_token"] != first["refresh_token"]
    assert party.verify(second["id_token"])["sub"] == party.user.public_id


@pytest.mark.spec("RFC9700-4.14.2")
@pytest.mark.security("S14")
def test_a_refresh_token_that_comes_back_ends_the_family(party: Party) -> None:
    first = party.tokens()
    second = party.refresh(first["refresh_token"]).json()
    end_the_grace()
    for token in (first["refresh_token"], second["refresh_token"]):
        response = party.refresh(token)
        assert (response.status_code, response.json()["error"]) == (400, "invalid_grant")
    assert party.userinfo(second["access_token"]).status_code == 401


@pytest.mark.spec("RFC9700-4.14.2")
def test_two_refreshes_at_once_both_keep_working_tokens(party: Party) -> None:
    token = party.tokens()["refresh_token"]
    for tokens in [party.refresh(token).json() for _ in range(2)]:
        assert party.userinfo(tokens["access_token"]).status_code == 200
        assert party.refresh(tokens["refresh_token"]).status_code == 200


@pytest.mark.spec("RFC6749-4.1.2")
@pytest.mark.security("S10")
def test_a_code_is_used_once_and_its_second_use_revokes(party: Party) -> None:
    code = party.code()
    tokens = party.exchange(code).json()
    response = party.exchange(code)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_grant")
    assert last_refusal() == (Fault.AUTHORIZATION_CODE_REPLAYED.value, party.dialect.name)
    assert party.userinfo(tokens["access_token"]).status_code == 401


@pytest.mark.spec("RFC6749-4.1.2")
def test_a_code_lives_as_long_as_the_document_says(party: Party) -> None:
    lifetime = party.dialect.authorization_code_lifetime or timedelta(seconds=60)
    with time_machine.travel(timezone.now(), tick=False) as clock:
        kept, lost = party.code(), party.code()
        clock.shift(lifetime - timedelta(seconds=1))
        assert party.exchange(kept).status_code == 200
        clock.shift(timedelta(seconds=2))
        response = party.exchange(lost)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_grant")


@pytest.mark.spec("RFC7009-2.1")
def test_a_client_revokes_its_own_token(party: Party) -> None:
    tokens = party.tokens()
    path = party.path(EndpointName.REVOKE)
    response = party.send(path, {"token": tokens["access_token"], "client_id": party.client.client_id})
    assert response.status_code == 200, response.content
    assert party.userinfo(tokens["access_token"]).status_code == 401


def test_a_plain_sign_out_ends_grants_in_the_standard_dialect_only(party: Party) -> None:
    tokens = party.tokens()
    session = SSOSession.objects.get(user=party.user)
    tenant = party.client.catalogue_entry.tenant
    sessions.end(session, reason=SessionEndReason.SIGNED_OUT, context=RequestContext(tenant=tenant), actor=party.user)
    survives = party.dialect.refresh_outlives_session  # decision 14
    assert survives == (party.dialect.name != "standard")
    assert party.refresh(tokens["refresh_token"]).status_code == (200 if survives else 400)


@pytest.mark.security("S26")
def test_disabling_the_user_ends_everything_at_once(party: Party) -> None:
    code, tokens = party.code(), party.tokens()
    party.user.is_active = False
    party.user.save()
    assert party.userinfo(tokens["access_token"]).status_code == 401
    for response in (party.refresh(tokens["refresh_token"]), party.exchange(code)):
        assert (response.status_code, response.json()["error"]) == (400, "invalid_grant")
        assert last_refusal() == (Fault.USER_NOT_USABLE.value, party.dialect.name)


@pytest.mark.security("S36")
def test_another_tenants_host_knows_nothing_of_the_client(party: Party) -> None:
    other = make_tenant()
    tokens = party.tokens()
    for client in (party.browser, party.machine):
        client.defaults["HTTP_HOST"] = other.domains.get().host
    party.ask()
    assert last_refusal() == (Fault.UNKNOWN_CLIENT.value, party.dialect.name)
    assert party.refresh(tokens["refresh_token"], client_id=party.client.client_id).status_code >= 400
    assert party.userinfo(tokens["access_token"]).status_code == 401


def test_the_host_that_all_tenants_share_has_no_issuer(party: Party) -> None:
    for client in (party.browser, party.machine):
        client.defaults["HTTP_HOST"] = "api.monban.example"
    for endpoint in party.dialect.endpoints:
        if endpoint not in (EndpointName.PUBLIC_KEY, EndpointName.ERROR_PAGE):
            send = party.machine.get if "GET" in party.dialect.endpoints[endpoint].methods else party.machine.post
            assert send(party.path(endpoint), secure=True).status_code in (404, 400, 401), endpoint


@pytest.mark.spec("RFC6749-4.1.2.1")
@pytest.mark.security("S6")
def test_an_unregistered_address_is_never_redirected_to(party: Party) -> None:
    party.sign_in()
    response = party.ask(redirect_uri="https://evil.example/cb")
    assert "evil.example" not in response.get("Location", "")
    assert last_refusal() == (Fault.REDIRECT_URI.value, party.dialect.name)


@pytest.mark.security("S1")
@pytest.mark.parametrize("address", ["https://client.example", f"{CALLBACK}/", f"{CALLBACK}?x=1", f"{CALLBACK}x"])
def test_an_address_is_compared_as_a_whole(party: Party, address: str) -> None:
    party.sign_in()
    assert "code" not in query_of(party.ask(redirect_uri=address))
    assert last_refusal() == (Fault.REDIRECT_URI.value, party.dialect.name)


@pytest.mark.security("S45")
def test_a_parameter_sent_twice_is_refused(party: Party) -> None:
    party.sign_in()
    path = party.path(EndpointName.AUTHORIZE)
    query = "&".join([*(f"{name}={value}" for name, value in party.request(scope="openid").items()), "state=other"])
    response = party.browser.get(f"{path}?{query}", secure=True)
    assert "code" not in query_of(response)
    assert last_refusal() == (Fault.REPEATED_PARAMETER.value, party.dialect.name)


# PKCE, without a way down ----------------------------------------------------------------------------------


@pytest.mark.spec("RFC7636-4.6")
@pytest.mark.security("S8")
@pytest.mark.parametrize(
    ("verifier", "fault"),
    [
        (None, Fault.CODE_VERIFIER_MISSING),
        ("x" * 43, Fault.CODE_VERIFIER),
        (VERIFIER.upper(), Fault.CODE_VERIFIER),
        ("x" * 19, Fault.CODE_VERIFIER_MALFORMED),
        ("x" * 42, Fault.CODE_VERIFIER_SHORT),
        ("x" * 513, Fault.CODE_VERIFIER_MALFORMED),
        ("=" * 43, Fault.CODE_VERIFIER_MALFORMED),
    ],
)
def test_a_challenge_needs_its_verifier(party: Party, verifier: str | None, fault: Fault) -> None:
    if fault is Fault.CODE_VERIFIER_SHORT and "short_verifiers" not in CLIENT_FLAGS[party.dialect.name]:
        fault = Fault.CODE_VERIFIER_MALFORMED  # There is no flag to name.
    response = party.exchange(party.code(), code_verifier=verifier)
    malformed_is_a_request = party.dialect.name == "pactera" and fault in VERIFIER_FORM
    assert response.status_code == 400
    assert response.json()["error"] == ("invalid_request" if malformed_is_a_request else "invalid_grant")
    assert last_refusal() == (fault.value, party.dialect.name)


@pytest.mark.spec("RFC7636-4.1")
def test_a_verifier_is_as_long_as_the_document_has_it(party: Party) -> None:
    longest = {"topiam": 512}.get(party.dialect.name, 128)
    for length, fits in ((longest, True), (longest + 1, False)):
        verifier = "v" * length
        code = party.code(code_challenge=party.habits.challenge(verifier))
        assert (party.exchange(code, code_verifier=verifier).status_code == 200) is fits, length


@pytest.mark.parametrize("name", ["pactera", "topiam"])
def test_the_audit_of_a_short_verifier_names_the_flag_that_would_take_it(new_party: NewParty, name: str) -> None:
    verifier = "v" * 30
    for flags, status in (({}, 400), ({"short_verifiers": True}, 200)):
        party = new_party(name, flags=flags)
        code = party.code(code_challenge=party.habits.challenge(verifier))
        assert party.exchange(code, code_verifier=verifier).status_code == status
    assert last_refusal() == ("code_verifier_needs_flag_short_verifiers", name)


@pytest.mark.security("S9")
@pytest.mark.spec("RFC6749-4.1.3")
def test_the_address_comes_again_with_the_code_where_the_document_wants_it(party: Party) -> None:
    response = party.exchange(party.code(), redirect_uri=None)
    assert response.status_code == (200 if party.dialect.name == "oneaccess" else 400)
    other = party.exchange(party.code(), redirect_uri="https://client.example/other")
    assert other.status_code == 400


# Plain http inside a company (decision 55) -----------------------------------------------------------------

INTRANET = "http://wiki.corp.example/callback"


@pytest.mark.security("S5")
def test_a_flagged_client_of_an_internal_application_is_called_back_without_tls(new_party: NewParty) -> None:
    party = new_party(
        "standard", application={"is_internal": True}, redirect_uris=[INTRANET], flags={"plain_http": True}
    )
    party.sign_in()
    assert party.ask(redirect_uri=INTRANET)["Location"].startswith(f"{INTRANET}?code=")
    party.client.flags = {}
    party.client.save()
    assert party.ask(redirect_uri=INTRANET).status_code == 400
    party.client.flags = {"plain_http": True}
    party.client.save()
    party.client.catalogue_entry.is_internal = False
    party.client.catalogue_entry.save()
    assert party.ask(redirect_uri=INTRANET).status_code == 400


@pytest.mark.security("S8")
def test_what_was_sent_as_challenge_is_no_verifier(party: Party) -> None:
    challenge = party.habits.challenge(VERIFIER)
    response = party.exchange(party.code(), code_verifier=challenge)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_grant")


@pytest.mark.spec("RFC9700-2.1.1")
@pytest.mark.security("S8")
@pytest.mark.parametrize("dialect", [each for each in dialects.ALL if not each.is_pkce_required], ids=lambda d: d.name)
def test_a_verifier_without_a_challenge_is_refused(new_party: NewParty, dialect: Dialect) -> None:
    party = new_party(dialect, require_pkce=False)
    code = party.code(code_challenge=None, code_challenge_method=None)
    response = party.exchange(code)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_grant")
    assert last_refusal() == (Fault.CODE_VERIFIER_UNEXPECTED.value, dialect.name)
    assert party.exchange(code, code_verifier=None).status_code == 200


@pytest.mark.spec("RFC9700-2.1.1")
@pytest.mark.security("S8")
@pytest.mark.parametrize("dialect", dialects.ALL, ids=lambda d: d.name)
def test_a_public_client_cannot_go_without(new_party: NewParty, dialect: Dialect) -> None:
    party = new_party(dialect, token_endpoint_auth_method="none", require_pkce=False)
    party.sign_in()
    response = party.ask(code_challenge=None, code_challenge_method=None)
    assert error_of(response) == "invalid_request"
    assert last_refusal() == (Fault.CODE_CHALLENGE_MISSING.value, dialect.name)


@pytest.mark.security("S8")
@pytest.mark.parametrize("method", ["plain", "PLAIN", "S512", "sm3"])
def test_no_other_method_is_taken(party: Party, method: str) -> None:
    party.sign_in()
    response = party.ask(code_challenge=s256(VERIFIER), code_challenge_method=method)
    assert error_of(response) == "invalid_request"
    assert last_refusal() == (Fault.CODE_CHALLENGE_METHOD.value, party.dialect.name)


@pytest.mark.security("S8")
def test_plain_is_not_what_a_missing_method_means(party: Party) -> None:
    party.sign_in()
    response = party.ask(code_challenge=VERIFIER[:43], code_challenge_method=None)
    if party.dialect.name != "pactera":
        assert error_of(response) == "invalid_request"
        return
    # 43 letters may be an S256 challenge, and nothing else.
    response = party.ask(code_challenge="x" * 42 + "A", code_challenge_method=None)
    exchanged = party.exchange(query_of(response)["code"], code_verifier="x" * 42 + "A")
    assert (exchanged.status_code, exchanged.json()["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize("name", ["standard", "tencent", "topiam", "oneaccess"])
def test_86_characters_are_for_pactera_alone(new_party: NewParty, name: str) -> None:
    party = new_party(name)
    party.sign_in()
    response = party.ask(code_challenge=pactera(VERIFIER), code_challenge_method="S256")
    assert error_of(response) == "invalid_request"
    assert last_refusal() == (Fault.CODE_CHALLENGE.value, name)


@pytest.mark.parametrize("name", ["standard", "pactera", "topiam", "oneaccess"])
def test_sm3_is_for_tencent_alone(new_party: NewParty, name: str) -> None:
    party = new_party(name)
    party.sign_in()
    response = party.ask(code_challenge=sm3(VERIFIER), code_challenge_method="SM3")
    assert error_of(response) == "invalid_request"
    assert last_refusal() == (Fault.CODE_CHALLENGE_METHOD.value, name)


@pytest.mark.parametrize("name", ["standard", "topiam", "oneaccess"])
def test_the_method_is_spelled_exactly(new_party: NewParty, name: str) -> None:
    party = new_party(name)
    party.sign_in()
    party.ask(code_challenge_method="s256")
    assert last_refusal() == (Fault.CODE_CHALLENGE_METHOD.value, name)


# Boundaries ------------------------------------------------------------------------------------------------


@pytest.mark.security("S9")
@pytest.mark.parametrize(("mine", "other"), OTHERS)
def test_a_client_is_unknown_to_the_other_dialects(new_party: NewParty, mine: Dialect, other: Dialect) -> None:
    party, host = new_party(mine), new_party(other)
    party.sign_in()
    party.browser.get(
        host.path(EndpointName.AUTHORIZE), {**host.request(), "client_id": party.client.client_id}, secure=True
    )
    assert last_refusal() == (Fault.UNKNOWN_CLIENT.value, other.name)
    host.client = party.client  # It speaks as the other dialect's clients do, and is nobody there.
    host.secret = party.secret or "no-secret-at-all-of-a-public-client"
    path = f"/{other.endpoints[EndpointName.TOKEN].path.replace('<str:app_code>', host.app_code)}"
    params = {"grant_type": "authorization_code", "code": party.code(), "client_id": party.client.client_id}
    response = host.token(path=path, redirect_uri=CALLBACK, code_verifier=VERIFIER, **params)
    assert (response.status_code, response.json()["error"]) == UNKNOWN_AT_TOKEN[other.name]
    assert last_refusal() == (Fault.CLIENT_NOT_FOUND.value, other.name)


@pytest.mark.security("S9")
@pytest.mark.parametrize(("mine", "other"), OTHERS)
def test_codes_and_refresh_tokens_of_one_dialect_are_nothing_at_another(
    new_party: NewParty, mine: Dialect, other: Dialect
) -> None:
    party, host = new_party(mine), new_party(other)
    code = party.code()
    response = host.exchange(code)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_grant")
    assert last_refusal() == (Fault.AUTHORIZATION_CODE_CLIENT.value, other.name)
    tokens = party.exchange(code).json()  # The attempt has not spent it.
    response = host.refresh(tokens["refresh_token"])
    assert (response.status_code, response.json()["error"]) == (400, "invalid_grant")
    assert last_refusal() == (Fault.REFRESH_TOKEN_CLIENT.value, other.name)
    assert party.refresh(tokens["refresh_token"]).status_code == 200


@pytest.mark.security("S13")
@pytest.mark.parametrize(("mine", "other"), OTHERS)
def test_an_access_token_opens_userinfo_of_its_own_dialect_only(
    new_party: NewParty, mine: Dialect, other: Dialect
) -> None:
    party, host = new_party(mine), new_party(other)
    token = party.tokens()["access_token"]
    response = host.userinfo(token)
    assert (response.status_code, response.json()["error"]) == (401, BAD_TOKEN[other.name])
    assert response["WWW-Authenticate"].startswith('Bearer error="invalid_token"')
    assert last_refusal() == (Fault.ACCESS_TOKEN.value, other.name)
    assert party.userinfo(token).status_code == 200


def test_what_a_client_had_is_left_behind_when_it_moves(new_party: NewParty) -> None:
    from oidc_provider.clients import registration

    party = new_party("pactera")
    code, tokens = party.code(), party.tokens()
    registration.update_client(party.client, dialect="standard", id_token_signed_response_alg="RS256")
    moved = Party(dialects.get("standard"), party.client, party.secret, party.user)
    assert moved.exchange(code).json()["error"] == "invalid_grant"
    assert moved.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert moved.userinfo(tokens["access_token"]).status_code == 401
    assert party.userinfo(tokens["access_token"]).status_code == 401
    assert AccessToken.objects.filter(dialect="pactera").exists()
    assert moved.tokens(scope="openid")["token_type"] == "Bearer"


# The catalogues --------------------------------------------------------------------------------------------

MINI_PROGRAMS = {Fault.APP_SESSION, Fault.HOST_APPLICATION, Fault.HOST_NETWORK}  # of the Pactera dialect only


@pytest.mark.parametrize("dialect", [each for each in dialects.ALL if each.name != "standard"], ids=lambda d: d.name)
def test_every_refusal_is_in_the_dialects_own_words(dialect: Dialect) -> None:
    assert set(Fault) - set(dialect.errors) - MINI_PROGRAMS == set()
    for fault, refusal in dialect.errors.items():
        assert refusal.source, fault
        assert refusal.text, fault


@pytest.mark.parametrize("dialect", dialects.ALL, ids=lambda d: d.name)
def test_a_dialect_is_whole(dialect: Dialect) -> None:
    assert {EndpointName.AUTHORIZE, EndpointName.TOKEN, EndpointName.JWKS, EndpointName.DISCOVERY} <= set(
        dialect.endpoints
    )
    assert dialect.name in CLIENT_FLAGS
    assert (dialect.authorization_errors is Delivery.ERROR_ADDRESS) == bool(dialect.error_address)
    assert all(endpoint.source for endpoint in dialect.endpoints.values())


def test_no_two_dialects_share_an_address() -> None:
    paths = [endpoint.path for dialect in dialects.ALL for endpoint in dialect.endpoints.values()]
    assert len(set(paths)) == len(paths)
    assert len({dialect.issuer_path for dialect in dialects.ALL}) == len(dialects.ALL)
