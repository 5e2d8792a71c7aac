"""Section 3.1.2: the token operation."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import override_settings

from identity.keyring import keys
from identity.models import AuditEvent
from oidc_provider.clients.authentication import ASSERTION_TYPE
from oidc_provider.models import AccessToken, Client
from tests.contract.tenant_cases import away
from tests.factories.oidc import CLIENT_SECRET, make_client
from tests.support.machine import FORM, Machine, Signer, basic
from tests.tenant_api.world import World

pytestmark = pytest.mark.django_db


BAD_CLIENT = {"error": "invalid_client", "error_description": "Bad client credentials"}


def refusal(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]


def test_the_token_is_opaque_and_carries_the_rights_as_scopes() -> None:
    world = World(rights=("user_read", "org_all"))
    body = world.ask_for_token().json()
    assert (body["token_type"], body["expires_in"], body["scope"]) == ("Bearer", 1800, "org_all user_read")
    row = AccessToken.objects.get()
    assert (row.audience, row.user, row.scope) == (["tenant-api"], None, "org_all user_read")
    assert body["access_token"] not in (row.token_checksum, "")
    assert "." not in body["access_token"]


def test_the_id_token_names_the_client(world: World) -> None:
    body = world.ask_for_token().json()
    claims = keys.verify(tenant=world.tenant, token=body["id_token"])
    client_id = world.client.client_id
    assert (claims["iss"], claims["sub"], claims["aud"]) == (f"https://{world.host}", client_id, client_id)
    assert claims["exp"] - claims["iat"] == 1800


def test_tokens_issued_before_stay_valid(world: World) -> None:
    first = world.token
    assert world.ask_for_token().json()["access_token"] != first
    assert world.call("getUserById", token=first).status_code == 200


@pytest.mark.parametrize("method", ["client_secret", "client_secret_basic", "client_secret_post"])
@pytest.mark.parametrize("place", ["header", "body"])
def test_the_secret_may_stand_in_the_body_or_in_the_header(world: World, method: str, place: str) -> None:
    client: Client = world.client
    client.token_endpoint_auth_method = method
    client.save()
    if place == "body":
        answer = world.ask_for_token()
    else:
        answer = world.http.generic(
            "POST",
            "/api/v2/tenant/token",
            "grant_type=client_credentials",
            content_type=FORM,
            HTTP_AUTHORIZATION=basic(client.client_id, CLIENT_SECRET),
        )
    assert answer.status_code == 200, answer.content


@pytest.mark.security("S11")
def test_an_assertion_proves_the_client_once(world: World) -> None:
    signer, client = Signer(), world.client
    client.token_endpoint_auth_method, client.jwks = "private_key_jwt", {"keys": [signer.jwk]}
    client.save()
    proof = {
        "client_secret": "",
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": signer.assertion(Machine(client)),
    }
    assert world.ask_for_token(**proof).status_code == 200
    assert refusal(world.ask_for_token(**proof)) == (400, "invalid_client")


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"client_secret": "wrong-secret-with-enough-characters"}, "invalid_client"),
        ({"client_secret": ""}, "invalid_client"),
        ({"client_id": "nobody"}, "invalid_client"),
        ({"client_id": ""}, "invalid_client"),
        ({"grant_type": ""}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "authorization_code", "code": "x"}, "unsupported_grant_type"),
    ],
)
def test_a_bad_request_is_refused_with_400(world: World, changes: dict[str, str], error: str) -> None:
    assert refusal(world.ask_for_token(**changes)) == (400, error)
    event = AuditEvent.objects.get(event_type="token:grant")
    assert event.outcome == "refused"
    assert not AccessToken.objects.exists()


def test_a_repeated_parameter_is_refused(world: World) -> None:
    body = f"grant_type=client_credentials&client_id={world.client.client_id}&client_id=x&client_secret={CLIENT_SECRET}"
    answer = world.http.generic("POST", "/api/v2/tenant/token", body, content_type=FORM)
    assert refusal(answer) == (400, "invalid_request")


@pytest.mark.parametrize("body", [b"\xff\xfe", b"{}", b"", b"&" * 5000, b"a=%00"])
def test_nonsense_is_refused(world: World, body: bytes) -> None:
    answer = world.http.generic("POST", "/api/v2/tenant/token", body, content_type="application/json")
    assert answer.status_code == 400


def test_a_client_without_any_right_gets_no_token() -> None:
    world = World(rights=())
    assert refusal(world.ask_for_token()) == (400, "invalid_scope")


def test_a_client_without_the_grant_type_gets_no_token(world: World) -> None:
    client = world.client
    client.grant_types = ["authorization_code"]
    client.save()
    assert refusal(world.ask_for_token()) == (400, "unauthorized_client")


@pytest.mark.security("S36")
def test_a_client_of_another_tenant_is_unknown(world: World) -> None:
    foreign = World()
    assert refusal(world.ask_for_token(client_id=foreign.client.client_id)) == (400, "invalid_client")


def test_a_public_client_gets_no_token(world: World) -> None:
    public = make_client(world.application, token_endpoint_auth_method="none", secret_hash="")
    public.api_scopes.set(world.client.api_scopes.all())
    assert refusal(world.ask_for_token(client_id=public.client_id, client_secret="")) == (400, "invalid_client")


def test_the_lifetime_is_the_clients_where_it_has_one(world: World) -> None:
    with override_settings(TENANT_API={"token_lifetime": timedelta(minutes=5)}):
        assert world.ask_for_token().json()["expires_in"] == 300
    client = world.client
    client.access_token_lifetime_seconds = 90
    client.save()
    assert world.ask_for_token().json()["expires_in"] == 90


def test_a_client_of_any_dialect_may_be_granted_it(world: World) -> None:
    client = world.client
    client.dialect = "tencent"
    client.save()
    answer = world.ask_for_token()
    assert answer.status_code == 200, answer.content
    assert world.call("getUserById", token=answer.json()["access_token"]).status_code == 200


def test_only_post_gives_a_token(world: World) -> None:
    answer = world.http.get("/api/v2/tenant/token")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")


def test_a_lost_database_is_told_as_busy(world: World) -> None:
    assert world.client
    with connection.execute_wrapper(away):
        answer = world.ask_for_token()
    assert (answer.status_code, answer.json()["error_code"]) == (503, "COM.0002")
    assert answer.headers["Retry-After"] == "5"


@pytest.mark.security("S33")
def test_on_the_shared_host_a_client_is_looked_for_in_its_own_tenant(world: World) -> None:
    shared = {"HTTP_HOST": "api.monban.example"}
    World()  # another tenant
    assert world.ask_for_token(shared).status_code == 200
    answers = [world.ask_for_token(shared, client_secret="x" * 30), world.ask_for_token(shared, client_id="nobody")]
    for answer in answers:
        assert (answer.status_code, answer.json()) == (400, BAD_CLIENT)
    nameless = world.ask_for_token(shared, client_id="", client_secret="")
    assert (nameless.status_code, nameless.json()["error_code"]) == (400, "APP.0001")
    world.tenant.is_active = False
    world.tenant.save()
    assert world.ask_for_token(shared).status_code == 400


@pytest.mark.security("S33")
def test_an_unknown_client_and_a_wrong_secret_are_told_in_the_same_words(world: World) -> None:
    for changes in ({"client_id": "nobody"}, {"client_secret": "x" * 30}):
        answer = world.ask_for_token(**changes)
        assert (answer.status_code, answer.json()) == (400, BAD_CLIENT)
