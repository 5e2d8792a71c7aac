"""An app that somebody adds is a resource server by the toolkit's own tools, and tokens end there as they do here."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.test import Client as HttpClient
from django.utils import timezone

from identity.context import SYSTEM
from identity.directory import users
from identity.models import SessionEndReason, Tenant, User
from identity.sso import sessions
from oidc_provider.grants import rows
from oidc_provider.models import AccessToken
from tests.admin.conftest import sign_in
from tests.factories import make_application, make_tenant, make_user
from tests.factories.oidc import CALLBACK, make_client
from tests.support.machine import Machine
from tests.support.oidc_fixtures import fresh_process, tenant

__all__ = ["fresh_process", "tenant"]

SCOPED = ("/shop/orders", "/shop/decorated", "/shop/mixed")
PATHS = (*SCOPED, "/shop/unscoped")


@pytest.fixture(autouse=True)
def shop(settings: Any) -> None:
    settings.ROOT_URLCONF = "tests.resource_server.shop.urls"
    settings.AUTHENTICATION_BACKENDS = [*settings.AUTHENTICATION_BACKENDS, "oauth2_provider.backends.OAuth2Backend"]
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "oauth2_provider.middleware.OAuth2TokenMiddleware"]


@pytest.fixture
def user(tenant: Tenant) -> User:
    return make_user(tenant)


@pytest.fixture
def machine(tenant: Tenant, user: User) -> Machine:
    return Machine(make_client(make_application(tenant), api_scopes={"orders": "https://shop.example"}), user)


@pytest.fixture
def token(machine: Machine) -> str:
    return str(machine.tokens(scope="openid orders")["access_token"])


@pytest.fixture
def ask(machine: Machine) -> Callable[..., Any]:
    def ask(path: str, token: str = "", *, http: HttpClient = machine.http) -> Any:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        return http.get(path, headers=headers)

    return ask


@pytest.mark.parametrize("path", PATHS)
def test_a_token_with_the_scope_opens_the_view(ask: Callable[..., Any], path: str, token: str, user: User) -> None:
    answer = ask(path, token)
    assert (answer.status_code, answer.json()["user"]) == (200, user.public_id)


def test_the_rest_framework_knows_client_and_token(ask: Callable[..., Any], token: str, machine: Machine) -> None:
    assert ask("/shop/orders", token).json()["client_id"] == machine.client.client_id


def test_a_client_acts_for_itself(ask: Callable[..., Any], machine: Machine) -> None:
    token = machine.token(grant_type="client_credentials", scope="orders").json()["access_token"]
    answer = ask("/shop/orders", token)
    assert (answer.status_code, answer.json()) == (200, {"user": "", "client_id": machine.client.client_id})


def test_the_middleware_finds_the_user(ask: Callable[..., Any], token: str, user: User) -> None:
    assert ask("/shop/known", token).json() == {"user": user.public_id}
    assert ask("/shop/known").json() == {"user": ""}


def revoke(machine: Machine, token: str) -> None:
    assert machine.revoke(token).status_code == 200


def disable_user(machine: Machine, token: str) -> None:
    assert machine.user is not None
    users.disable(user=machine.user, context=SYSTEM)


def end_session(machine: Machine, token: str) -> None:
    assert machine.session is not None
    sessions.end(machine.session, reason=SessionEndReason.SIGNED_OUT, context=SYSTEM)


def disable_client(machine: Machine, token: str) -> None:
    machine.client.is_active = False
    machine.client.save()


def let_it_expire(machine: Machine, token: str) -> None:
    now = timezone.now()
    AccessToken.objects.update(created=now - timedelta(hours=1), expires=now)


ENDS = (revoke, disable_user, end_session, disable_client, let_it_expire)


@pytest.mark.security("S26")
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("end", ENDS, ids=[end.__name__ for end in ENDS])
def test_a_token_that_is_over_opens_nothing(
    ask: Callable[..., Any], path: str, machine: Machine, token: str, end: Callable[[Machine, str], None]
) -> None:
    end(machine, token)
    assert ask(path, token).status_code in (401, 403)
    assert ask("/shop/known", token).json() == {"user": ""}


@pytest.mark.security("S36")
@pytest.mark.parametrize("path", PATHS)
def test_a_token_of_another_tenant_opens_nothing(ask: Callable[..., Any], path: str, token: str, user: User) -> None:
    other = make_tenant()
    elsewhere = HttpClient(HTTP_HOST=other.domains.get().host)
    assert ask(path, token, http=elsewhere).status_code in (401, 403)
    assert ask("/shop/known", token, http=elsewhere).json() == {"user": ""}
    assert rows.load_access_token(token) is not None


@pytest.mark.spec("RFC6750-3.1")
@pytest.mark.parametrize("path", SCOPED)
def test_a_token_without_the_scope_opens_nothing(ask: Callable[..., Any], path: str, machine: Machine) -> None:
    assert ask(path, machine.tokens()["access_token"]).status_code == 403


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("kind", ["none", "unknown", "id_token", "refresh_token"])
def test_nothing_but_an_access_token_opens_a_view(
    ask: Callable[..., Any], path: str, machine: Machine, kind: str
) -> None:
    given = {"none": "", "unknown": "x" * 43, **machine.tokens(scope="openid orders")}[kind]
    assert ask(path, given).status_code in (401, 403)


@pytest.mark.spec("RFC6750-3")
def test_the_rest_framework_is_told_why(ask: Callable[..., Any]) -> None:
    answer = ask("/shop/orders", "x" * 43)
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer["WWW-Authenticate"]


def test_a_header_cannot_say_which_tenant_is_asked(ask: Callable[..., Any], token: str, tenant: Tenant) -> None:
    elsewhere = HttpClient(HTTP_HOST=make_tenant().domains.get().host)
    answer = elsewhere.get(
        "/shop/orders", headers={"authorization": f"Bearer {token}", "monban.context": tenant.public_id}
    )
    assert answer.status_code == 401


def test_the_decorator_refuses_where_nobody_named_the_validator(ask: Callable[..., Any], token: str) -> None:
    assert ask("/shop/without-validator", token).status_code == 403


@pytest.fixture
def routes(machine: Machine) -> dict[str, Any]:
    return {
        "/toolkit/token/": {"grant_type": "client_credentials", "scope": "orders"},
        "/toolkit/introspect/": {"token": machine.tokens(scope="openid orders")["access_token"]},
        "/toolkit/revoke_token/": {"token": machine.tokens(scope="openid orders")["access_token"]},
    }


def test_the_toolkits_own_endpoints_stay_shut(machine: Machine, routes: dict[str, Any]) -> None:
    tokens = AccessToken.objects.count()
    for path, form in routes.items():
        assert machine.post(path, form).status_code in (401, 403), path
    assert machine.user is not None
    browser = sign_in(machine.user)
    query = {"client_id": machine.client.client_id, "response_type": "code", "redirect_uri": CALLBACK}
    assert browser.get("/toolkit/authorize/", query).status_code == 400
    assert AccessToken.objects.count() == tokens


def test_the_settings_name_this_validator() -> None:
    assert settings.OAUTH2_PROVIDER["OAUTH2_VALIDATOR_CLASS"] == "oidc_provider.resource_server.ResourceValidator"
