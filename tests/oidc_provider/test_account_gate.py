"""S49: an application that loses a person loses what it was given of them, at once, in every protocol of this app."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from identity.models import AppAccount
from oidc_provider import public
from oidc_provider.errors import OAuthError
from tests.factories import make_account
from tests.support.machine import Machine, refusal

pytestmark = [pytest.mark.django_db, pytest.mark.security("S49")]

NewMachine = Callable[..., Machine]
INVALID_GRANT = (400, "invalid_grant")


def disabled(account: AppAccount) -> None:
    account.is_active = False
    account.save()


def withdrawn(account: AppAccount) -> None:
    account.delete()


@pytest.fixture
def assigned(new_machine: NewMachine) -> Machine:
    machine = new_machine(may_introspect=True, application={"access": "assigned"})
    assert machine.user is not None
    make_account(machine.user, machine.client.catalogue_entry)
    return machine


@pytest.fixture(params=[disabled, withdrawn], ids=["disabled", "withdrawn"])
def lose(request: pytest.FixtureRequest) -> Callable[[], None]:
    act: Callable[[AppAccount], None] = request.param
    return lambda: act(AppAccount.objects.get())


@pytest.mark.parametrize("scope", ["openid", "openid offline_access"])
def test_userinfo_introspection_and_refresh_end_with_the_account(
    assigned: Machine, lose: Callable[[], None], scope: str
) -> None:
    tokens = assigned.tokens(scope=scope)
    access_token, refresh_token = tokens["access_token"], tokens["refresh_token"]
    assert assigned.userinfo(access_token).status_code == 200
    assert assigned.introspect(access_token).json()["active"] is True
    lose()
    assert assigned.userinfo(access_token).status_code == 401
    for token in (access_token, refresh_token):
        assert assigned.introspect(token).json() == {"active": False}
    assert refusal(assigned.refresh(refresh_token)) == INVALID_GRANT
    with pytest.raises(OAuthError):
        public.authenticate_bearer(access_token, tenant=assigned.client.catalogue_entry.tenant)


def test_a_code_ends_with_the_account(assigned: Machine, lose: Callable[[], None]) -> None:
    code = assigned.code()
    lose()
    assert refusal(assigned.exchange(code)) == INVALID_GRANT


def test_an_approval_asks_for_the_account(assigned: Machine, lose: Callable[[], None]) -> None:
    lose()
    with pytest.raises(OAuthError) as caught:
        assigned.authorize()
    assert caught.value.fault.value == "access_denied"


def test_what_was_refused_comes_back_with_the_account(assigned: Machine) -> None:
    token = assigned.tokens()["access_token"]
    AppAccount.objects.update(is_active=False)
    assert assigned.userinfo(token).status_code == 401
    AppAccount.objects.update(is_active=True)
    assert assigned.userinfo(token).status_code == 200


def test_the_account_costs_introspection_one_statement_and_only_where_access_is_assigned(
    new_machine: NewMachine, assigned: Machine
) -> None:
    open_to_all = new_machine(may_introspect=True)
    for machine, expected in ((open_to_all, 1), (assigned, 2)):
        token = machine.tokens()["access_token"]
        machine.introspect(token)
        with CaptureQueriesContext(connection) as captured:
            machine.introspect(token)
        assert len(captured) == expected, [query["sql"] for query in captured]
