"""Token introspection (RFC7662)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from oidc_provider.models import AccessToken, RefreshToken
from tests.factories import make_application, make_tenant, make_user
from tests.factories.keys import make_keys
from tests.factories.oidc import make_client
from tests.support.machine import Machine, basic, end, refusal

pytestmark = pytest.mark.django_db

NewMachine = Callable[..., Machine]


@pytest.fixture
def resource_server(new_machine: NewMachine) -> Machine:
    """A client with the right to introspect."""
    return new_machine(may_introspect=True, grant_types=["client_credentials"])


@pytest.mark.spec("RFC7662-2.2")
@pytest.mark.parametrize("hint", ["", "access_token", "refresh_token", "nonsense"])
def test_an_access_token_is_described(resource_server: Machine, machine: Machine, hint: str) -> None:
    token = machine.tokens(scope="openid email")["access_token"]
    row = AccessToken.objects.get()
    assert resource_server.introspect(token, token_type_hint=hint).json() == {
        "active": True,
        "client_id": machine.client.client_id,
        "scope": "openid email",
        "exp": int(row.expires.timestamp()),
        "iat": int(row.created.timestamp()),
        "iss": machine.issuer,
        "token_type": "Bearer",
        "sub": machine.user.public_id,
        "username": "alice",
    }


@pytest.mark.spec("RFC7662-2.2")
@pytest.mark.parametrize("hint", ["", "refresh_token", "access_token"])
def test_a_refresh_token_is_described(resource_server: Machine, machine: Machine, hint: str) -> None:
    token = machine.tokens(scope="openid email")["refresh_token"]
    body = resource_server.introspect(token, token_type_hint=hint).json()
    assert (body["active"], body["sub"], body["scope"]) == (True, machine.user.public_id, "openid email")
    assert body["exp"] == int(RefreshToken.objects.get().expires.timestamp())


@pytest.mark.spec("RFC7662-2.2")
def test_what_does_not_count_is_only_not_active(resource_server: Machine, machine: Machine) -> None:
    body = machine.tokens()
    machine.refresh(body["refresh_token"])
    machine.revoke(body["access_token"])
    for token in (body["refresh_token"], body["access_token"], body["id_token"], "nonsense", "x" * 5000):
        answer = resource_server.introspect(token)
        assert (answer.status_code, answer.json()) == (200, {"active": False})


@pytest.mark.security("S26")
@pytest.mark.parametrize("event", ["user disabled", "session ended", "all tokens ended", "application disabled"])
def test_a_token_dies_with_what_it_stands_on(resource_server: Machine, machine: Machine, event: str) -> None:
    body = machine.tokens()
    end(machine, event)
    for kind in ("access_token", "refresh_token"):
        assert resource_server.introspect(body[kind]).json() == {"active": False}


@pytest.mark.security("S26")
def test_nothing_of_a_disabled_tenant_counts(machine: Machine) -> None:
    token = machine.tokens()["access_token"]
    end(machine, "tenant disabled")
    # The tenant's host is nobody's now.
    assert machine.userinfo(token).status_code == 404


@pytest.mark.security("S36")
def test_another_tenants_token_is_unknown(resource_server: Machine) -> None:
    tenant = make_tenant()
    make_keys(tenant)
    foreign = Machine(make_client(make_application(tenant)), make_user(tenant))
    token = foreign.tokens()["access_token"]
    assert resource_server.introspect(token).json() == {"active": False}
    assert resource_server.userinfo(token).status_code == 401


@pytest.mark.spec("RFC7662-2.1")
def test_a_client_without_the_right_is_refused(machine: Machine) -> None:
    token = machine.tokens()["access_token"]
    assert refusal(machine.introspect(token)) == (403, "unauthorized_client")


@pytest.mark.spec("RFC7662-2.1")
def test_a_public_client_is_refused(new_machine: NewMachine, machine: Machine) -> None:
    public = new_machine(token_endpoint_auth_method="none", may_introspect=True)
    assert refusal(public.introspect(machine.tokens()["access_token"])) == (403, "unauthorized_client")


@pytest.mark.spec("RFC7662-2.3")
def test_the_client_must_prove_itself(resource_server: Machine) -> None:
    header = basic(resource_server.client.client_id, "x" * 30)
    answer = resource_server.post("/oauth2/introspect", {"token": "x"}, HTTP_AUTHORIZATION=header)
    assert refusal(answer) == (401, "invalid_client")


@pytest.mark.spec("RFC7662-2.1")
def test_the_token_must_be_there(resource_server: Machine) -> None:
    assert refusal(resource_server.post("/oauth2/introspect", {"token_type_hint": "access_token"})) == (
        400,
        "invalid_request",
    )


@pytest.mark.spec("RFC7662-4")
def test_only_post_is_taken(resource_server: Machine) -> None:
    assert resource_server.http.get("/oauth2/introspect?token=x").status_code == 405
    header = basic(resource_server.client.client_id, resource_server.secret)
    answer = resource_server.send("/oauth2/introspect?token=x", "", HTTP_AUTHORIZATION=header)
    assert refusal(answer) == (400, "invalid_request")
