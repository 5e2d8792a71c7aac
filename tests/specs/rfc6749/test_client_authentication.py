"""Client authentication at the token endpoint (RFC6749-2.3, 3.2.1; RFC7523)."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from django.utils import timezone

from identity import copies, outbound
from oidc_provider.clients import keys
from oidc_provider.clients.authentication import ASSERTION_TYPE, hash_secret
from oidc_provider.models import AccessToken, AuthorizationCode, Client, ClientAssertion, PublishedKeys, RefreshToken
from tests.factories import make_application, make_tenant
from tests.factories.oidc import CLIENT_SECRET, make_client
from tests.support.machine import Machine, Signer, basic, refusal

pytestmark = pytest.mark.django_db

NewMachine = Callable[..., Machine]
CREDENTIALS = {"grant_type": "client_credentials"}


@pytest.mark.spec("RFC6749-2.3.1")
@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_the_registered_method_is_taken(new_machine: NewMachine, method: str) -> None:
    assert new_machine(token_endpoint_auth_method=method).token(**CREDENTIALS).status_code == 200


@pytest.mark.spec("OIDCC-9")
def test_another_method_than_the_registered_one_is_refused(new_machine: NewMachine) -> None:
    machine = new_machine(token_endpoint_auth_method="client_secret_post")
    header = basic(machine.client.client_id, CLIENT_SECRET)
    assert refusal(machine.post("/oauth2/token", CREDENTIALS, HTTP_AUTHORIZATION=header)) == (401, "invalid_client")


@pytest.mark.spec("OIDCC-9")
def test_a_confidential_client_must_prove_itself(machine: Machine) -> None:
    params = {**CREDENTIALS, "client_id": machine.client.client_id}
    assert refusal(machine.post("/oauth2/token", params, HTTP_AUTHORIZATION="")) == (401, "invalid_client")


@pytest.mark.spec("RFC6749-3.2.1")
def test_a_request_without_a_client_is_refused(machine: Machine) -> None:
    answer = machine.post("/oauth2/token", CREDENTIALS, HTTP_AUTHORIZATION="")
    assert refusal(answer) == (401, "invalid_client")
    assert answer["WWW-Authenticate"].startswith("Basic ")


@pytest.mark.spec("RFC6749-2.3")
@pytest.mark.parametrize(
    "second",
    [
        {"client_secret": CLIENT_SECRET},
        {"client_assertion": "x.y.z", "client_assertion_type": ASSERTION_TYPE},
        {"client_id": "another-client"},
    ],
    ids=["secret", "assertion", "client_id"],
)
def test_two_methods_in_one_request_are_refused(machine: Machine, second: dict[str, str]) -> None:
    assert refusal(machine.token(**CREDENTIALS, **second)) == (400, "invalid_request")


@pytest.mark.spec("RFC6749-2.3.1")
def test_a_client_registered_for_a_secret_sends_it_where_it_likes(new_machine: NewMachine) -> None:
    machine = new_machine(token_endpoint_auth_method="client_secret")
    header = basic(machine.client.client_id, CLIENT_SECRET)
    body = {"client_id": machine.client.client_id, "client_secret": CLIENT_SECRET}
    assert machine.post("/oauth2/token", CREDENTIALS, HTTP_AUTHORIZATION=header).status_code == 200
    assert machine.post("/oauth2/token", {**CREDENTIALS, **body}, HTTP_AUTHORIZATION="").status_code == 200
    both = machine.post("/oauth2/token", {**CREDENTIALS, **body}, HTTP_AUTHORIZATION=header)
    assert refusal(both) == (400, "invalid_request")
    neither = {**CREDENTIALS, "client_id": machine.client.client_id}
    assert refusal(machine.post("/oauth2/token", neither, HTTP_AUTHORIZATION="")) == (401, "invalid_client")
    wrong = {**body, "client_secret": "x" * 30}
    assert refusal(machine.post("/oauth2/token", {**CREDENTIALS, **wrong}, HTTP_AUTHORIZATION="")) == (
        401,
        "invalid_client",
    )


@pytest.mark.security("S33")
@pytest.mark.spec("RFC6749-5.2")
def test_an_unknown_client_and_a_wrong_secret_are_one_answer(machine: Machine) -> None:
    wrong = machine.post("/oauth2/token", CREDENTIALS, HTTP_AUTHORIZATION=basic(machine.client.client_id, "x" * 30))
    unknown = machine.post("/oauth2/token", CREDENTIALS, HTTP_AUTHORIZATION=basic("nobody", CLIENT_SECRET))
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.content == unknown.content
    assert wrong["WWW-Authenticate"] == unknown["WWW-Authenticate"]


@pytest.mark.security("S40")
@pytest.mark.parametrize("shortened", [CLIENT_SECRET[:-1], CLIENT_SECRET + "x", CLIENT_SECRET.upper()])
def test_a_changed_secret_is_refused(machine: Machine, shortened: str) -> None:
    header = basic(machine.client.client_id, shortened)
    assert refusal(machine.post("/oauth2/token", CREDENTIALS, HTTP_AUTHORIZATION=header)) == (401, "invalid_client")


@pytest.mark.spec("RFC6749-2.3.1")
def test_both_halves_of_the_header_are_form_encoded(new_machine: NewMachine) -> None:
    secret = "a secret with % and : and + and 日本, long enough"
    machine = new_machine(client_id="urn:client/with:colons", secret_hash=hash_secret(secret))
    machine.secret = secret
    assert machine.token(**CREDENTIALS).status_code == 200


@pytest.mark.spec("RFC6749-2.3.1")
@pytest.mark.parametrize("header", ["Basic", "Basic !!!", "Basic //8=", "Basic YQ==", "Basic OnNlY3JldA==", "Digest x"])
def test_a_header_that_cannot_be_read_is_refused(machine: Machine, header: str) -> None:
    assert refusal(machine.post("/oauth2/token", CREDENTIALS, HTTP_AUTHORIZATION=header)) == (401, "invalid_client")


@pytest.mark.security("S36")
def test_a_client_of_another_tenant_does_not_exist(machine: Machine) -> None:
    stranger = make_client(make_application(make_tenant()))
    header = basic(stranger.client_id, CLIENT_SECRET)
    assert refusal(machine.post("/oauth2/token", CREDENTIALS, HTTP_AUTHORIZATION=header)) == (401, "invalid_client")


@pytest.mark.security("S26")
@pytest.mark.parametrize("disabled", ["client", "application"])
def test_a_disabled_client_is_refused(machine: Machine, disabled: str) -> None:
    row = machine.client if disabled == "client" else machine.client.catalogue_entry
    row.is_active = False
    row.save()
    assert refusal(machine.token(**CREDENTIALS)) == (401, "invalid_client")


def test_the_secret_before_is_taken_until_its_time_is_over(machine: Machine) -> None:
    machine.client.secret_hash = hash_secret("the-new-secret-of-this-client")
    machine.client.previous_secret_hash = hash_secret(CLIENT_SECRET)
    machine.client.previous_secret_expires_at = timezone.now() + timedelta(minutes=1)
    machine.client.save()
    assert machine.token(**CREDENTIALS).status_code == 200
    machine.client.previous_secret_expires_at = timezone.now() - timedelta(seconds=1)
    machine.client.save()
    assert refusal(machine.token(**CREDENTIALS)) == (401, "invalid_client")


@pytest.mark.security("S41")
def test_secrets_codes_and_tokens_are_stored_hashed(machine: Machine) -> None:
    code = machine.code()
    body = machine.exchange(code).json()
    for model in (Client, AuthorizationCode, AccessToken, RefreshToken):
        stored = json.dumps([list(map(str, row)) for row in model.objects.values_list()])
        for secret in (CLIENT_SECRET, code, body["access_token"], body["refresh_token"]):
            assert secret not in stored


# private_key_jwt -------------------------------------------------------------------------------------------


def prove(machine: Machine, assertion: str, **changes: str) -> Any:
    params = {**CREDENTIALS, "client_assertion": assertion, "client_assertion_type": ASSERTION_TYPE, **changes}
    return machine.post("/oauth2/token", params)


@pytest.fixture
def signer() -> Signer:
    return Signer()


@pytest.fixture
def signing_machine(new_machine: NewMachine, signer: Signer) -> Machine:
    return new_machine(token_endpoint_auth_method="private_key_jwt", jwks={"keys": [signer.jwk]})


@pytest.mark.spec("RFC7523-3")
@pytest.mark.parametrize("audience", ["issuer", "token endpoint", "list"])
def test_an_assertion_proves_the_client(signing_machine: Machine, signer: Signer, audience: str) -> None:
    issuer = signing_machine.issuer
    aud = {"issuer": issuer, "token endpoint": f"{issuer}/oauth2/token", "list": [issuer]}
    assert prove(signing_machine, signer.assertion(signing_machine, aud=aud[audience])).status_code == 200


@pytest.mark.spec("RFC7523bis-4")
def test_an_assertion_that_names_others_beside_us_is_refused(signing_machine: Machine, signer: Signer) -> None:
    issuer = signing_machine.issuer
    token_endpoint = f"{issuer}/oauth2/token"
    for audience in (
        [issuer, "https://other.example"],
        ["https://other.example", issuer],
        [token_endpoint, "https://evil.example"],
        [issuer, token_endpoint],
        [],
    ):
        assertion = signer.assertion(signing_machine, aud=audience)
        assert refusal(prove(signing_machine, assertion)) == (401, "invalid_client"), audience


@pytest.mark.security("S11")
@pytest.mark.spec("RFC7523-3")
def test_an_assertion_is_taken_once(signing_machine: Machine, signer: Signer) -> None:
    assertion = signer.assertion(signing_machine)
    assert prove(signing_machine, assertion).status_code == 200
    assert refusal(prove(signing_machine, assertion)) == (401, "invalid_client")


@pytest.mark.security("S11")
def test_an_assertion_is_taken_once_under_a_new_pepper_too(
    signing_machine: Machine, signer: Signer, settings: Any
) -> None:
    assertion = signer.assertion(signing_machine)
    assert prove(signing_machine, assertion).status_code == 200
    peppers = settings.IDENTITY["hash_peppers"]
    settings.IDENTITY = {**settings.IDENTITY, "hash_peppers": (b"n" * 32, *peppers)}
    assert refusal(prove(signing_machine, assertion)) == (401, "invalid_client")


@pytest.mark.security("S11")
def test_an_assertion_is_spent_by_a_request_that_is_refused(signing_machine: Machine, signer: Signer) -> None:
    assertion = signer.assertion(signing_machine)
    assert refusal(prove(signing_machine, assertion, grant_type="password")) == (400, "unsupported_grant_type")
    assert ClientAssertion.objects.count() == 1
    assert refusal(prove(signing_machine, assertion)) == (401, "invalid_client")


@pytest.mark.spec("RFC7523-3")
@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "somebody-else"},
        {"sub": None},
        {"aud": "https://other.example"},
        {"aud": None},
        {"exp": lambda now: now - 3600},
        {"exp": lambda now: now + 24 * 3600},
        {"exp": None},
        {"jti": None},
        {"jti": ""},
        {"jti": 7},
        {"nbf": lambda now: now + 3600},
        {"nbf": "soon"},
        {"exp": lambda now: str(now + 60)},
        {"exp": float("inf")},
        {"exp": float("nan")},
        {"exp": {}},
        {"iat": float("inf")},
        {"aud": 7},
        {"aud": {}},
        {"sub": 7},
    ],
    # Numbered: a name with the time in it differs between the processes of a parallel run.
    ids=[f"wrong-{number}" for number in range(20)],
)
def test_an_assertion_with_a_wrong_claim_is_refused(
    signing_machine: Machine, signer: Signer, changes: dict[str, Any]
) -> None:
    now = int(time.time())
    changes = {name: value(now) if callable(value) else value for name, value in changes.items()}
    assert refusal(prove(signing_machine, signer.assertion(signing_machine, **changes))) == (401, "invalid_client")


@pytest.mark.spec("RFC7521-4.2")
def test_an_assertion_about_another_client_is_refused(
    signing_machine: Machine, signer: Signer, machine: Machine
) -> None:
    assertion = signer.assertion(signing_machine, sub=machine.client.client_id)
    assert refusal(prove(signing_machine, assertion)) == (401, "invalid_client")


@pytest.mark.security("S42")
@pytest.mark.parametrize("attack", ["none", "HS256 with the public key", "another key", "another algorithm", "crit"])
def test_the_algorithm_is_the_keys_own(new_machine: NewMachine, attack: str) -> None:
    signer = Signer(rsa.generate_private_key(65537, 2048), alg="RS256")
    machine = new_machine(token_endpoint_auth_method="private_key_jwt", jwks={"keys": [signer.jwk]})
    good = jwt.decode(signer.assertion(machine), options={"verify_signature": False})
    head = {"kid": signer.kid}
    if attack == "none":
        assertion = jwt.encode(good, None, algorithm="none", headers=head)
    elif attack == "HS256 with the public key":
        assertion = jwt.encode(good, signer.jwk["n"], algorithm="HS256", headers=head)
    elif attack == "another key":
        assertion = jwt.encode(good, rsa.generate_private_key(65537, 2048), algorithm="RS256", headers=head)
    elif attack == "another algorithm":
        assertion = jwt.encode(good, signer.key, algorithm="PS256", headers=head)  # the JWK says RS256
    else:
        assertion = signer.assertion(machine, headers={"crit": ["exp"]})
    assert refusal(prove(machine, assertion)) == (401, "invalid_client")


@pytest.mark.parametrize("text", ["", "x", "a.b.c", "é", "." * 50, "e30.e30.e30"])
def test_what_is_no_jwt_is_refused(signing_machine: Machine, text: str) -> None:
    assert refusal(prove(signing_machine, text))[0] == 401


def test_a_wrong_assertion_type_is_refused(signing_machine: Machine, signer: Signer) -> None:
    answer = prove(signing_machine, signer.assertion(signing_machine), client_assertion_type="saml")
    assert refusal(answer) == (401, "invalid_client")


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the client's address publishes, and how often it was asked."""
    published: dict[str, Any] = {"calls": 0, "document": {"keys": []}}

    def get_json(url: str, *, internal: bool, limits: outbound.Limits) -> Any:
        published["calls"] += 1
        assert limits.total_seconds <= 2
        if isinstance(published["document"], Exception):
            raise published["document"]
        return published["document"]

    monkeypatch.setattr(keys.outbound, "get_json", get_json)
    return published


@pytest.fixture
def fetching_machine(new_machine: NewMachine) -> Machine:
    return new_machine(token_endpoint_auth_method="private_key_jwt", jwks_uri="https://client.example/jwks")


@pytest.mark.spec("OIDCC-10.1")
def test_keys_are_fetched_once_and_kept(fetching_machine: Machine, signer: Signer, fetched: dict[str, Any]) -> None:
    fetched["document"] = {"keys": [signer.jwk]}
    for _ in range(3):
        assert prove(fetching_machine, signer.assertion(fetching_machine)).status_code == 200
    assert fetched["calls"] == 1


@pytest.mark.spec("OIDCC-10.1.1")
def test_a_new_key_is_fetched_and_unknown_ones_do_not_fetch_for_ever(
    fetching_machine: Machine, signer: Signer, fetched: dict[str, Any]
) -> None:
    fetched["document"] = {"keys": [signer.jwk]}
    assert prove(fetching_machine, signer.assertion(fetching_machine)).status_code == 200
    fresh = Signer(kid="k2")
    fetched["document"] = {"keys": [fresh.jwk]}
    for _ in range(5):
        assert refusal(prove(fetching_machine, fresh.assertion(fetching_machine))) == (401, "invalid_client")
    assert fetched["calls"] == 1
    PublishedKeys.objects.update(asked_at=timezone.now() - timedelta(seconds=31))
    assert prove(fetching_machine, fresh.assertion(fetching_machine)).status_code == 200
    assert fetched["calls"] == 2


def run_worker() -> int:
    with ThreadPoolExecutor(1) as executor:
        # In this thread: the transaction of the test is its own.
        executor.submit = in_this_thread  # type: ignore[method-assign,assignment]
        return keys.fetch_due(executor=executor, parallel=4)


def in_this_thread(call: Any, *arguments: Any) -> Future[Any]:
    done: Future[Any] = Future()
    done.set_result(call(*arguments))
    return done


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(keys, "_fetch_in_thread", keys._fetch)
    return run_worker


@pytest.mark.security("S58")
def test_the_worker_fetches_ahead_and_requests_then_call_nobody(
    fetching_machine: Machine, signer: Signer, fetched: dict[str, Any], worker: Any
) -> None:
    fetched["document"] = {"keys": [signer.jwk]}
    assert worker() == 1
    assert worker() == 0
    for _ in range(2):
        assert prove(fetching_machine, signer.assertion(fetching_machine)).status_code == 200
    assert fetched["calls"] == 1
    PublishedKeys.objects.update(next_fetch_at=timezone.now(), asked_at=None)
    assert worker() == 1


@pytest.mark.security("S58")
def test_an_address_that_keeps_failing_is_called_by_no_request_any_more(
    fetching_machine: Machine, signer: Signer, fetched: dict[str, Any]
) -> None:
    fetched["document"] = outbound.TimedOut("client.example")
    for _ in range(6):
        prove(fetching_machine, signer.assertion(fetching_machine))
        PublishedKeys.objects.update(asked_at=None)
    assert fetched["calls"] == 3
    # The worker goes on trying, less and less often; then the client is in again.
    assert PublishedKeys.objects.get().next_fetch_at > timezone.now() + timedelta(minutes=15)


@pytest.mark.security("S58")
def test_one_request_of_a_tenant_fetches_at_a_time(
    new_machine: NewMachine, signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    machines = [
        new_machine(token_endpoint_auth_method="private_key_jwt", jwks_uri=f"https://client.example/{number}")
        for number in range(2)
    ]
    calls = []

    def get_json(url: str, **options: Any) -> Any:
        calls.append(url)
        if len(calls) == 1:  # While this one trickles, another request comes.
            assert refusal(prove(machines[1], signer.assertion(machines[1]))) == (401, "invalid_client")
        return {"keys": [signer.jwk]}

    monkeypatch.setattr(keys.outbound, "get_json", get_json)
    assert prove(machines[0], signer.assertion(machines[0])).status_code == 200
    assert calls == ["https://client.example/0"]


@pytest.mark.security("S58")
def test_keys_outlive_an_address_that_is_down_for_an_hour_and_no_longer(
    fetching_machine: Machine, signer: Signer, fetched: dict[str, Any]
) -> None:
    fetched["document"] = {"keys": [signer.jwk]}
    assert prove(fetching_machine, signer.assertion(fetching_machine)).status_code == 200
    fetched["document"] = outbound.TimedOut("client.example")
    for age, status in ((timedelta(minutes=50), 200), (timedelta(minutes=61), 401)):
        PublishedKeys.objects.update(fetched_at=timezone.now() - age, asked_at=None)
        copies.clear()
        assert prove(fetching_machine, signer.assertion(fetching_machine)).status_code == status


def test_another_address_makes_the_keys_of_the_old_one_worthless(
    fetching_machine: Machine, signer: Signer, fetched: dict[str, Any], worker: Any
) -> None:
    fetched["document"] = {"keys": [signer.jwk]}
    assert worker() == 1
    fetching_machine.client.jwks_uri = "https://client.example/new"
    fetching_machine.client.save()
    fetched["document"] = {"keys": [Signer(kid="k2").jwk]}
    assert refusal(prove(fetching_machine, signer.assertion(fetching_machine))) == (401, "invalid_client")
    assert PublishedKeys.objects.get().url == "https://client.example/new"


def test_an_address_that_does_not_answer_refuses_the_client(
    fetching_machine: Machine, signer: Signer, fetched: dict[str, Any]
) -> None:
    fetched["document"] = outbound.TimedOut("client.example")
    for _ in range(3):
        assert refusal(prove(fetching_machine, signer.assertion(fetching_machine))) == (401, "invalid_client")
    assert fetched["calls"] == 1


@pytest.mark.security("S34")
@pytest.mark.parametrize(
    "address", ["https://127.0.0.1/jwks", "https://169.254.169.254/jwks", "http://client.example/jwks", "file:///jwks"]
)
def test_an_address_in_the_private_network_is_never_called(
    new_machine: NewMachine, signer: Signer, address: str
) -> None:
    # As if it had come past registration, which refuses it too.
    machine = new_machine(token_endpoint_auth_method="private_key_jwt", jwks_uri=address)
    assert refusal(prove(machine, signer.assertion(machine))) == (401, "invalid_client")
