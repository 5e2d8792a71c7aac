"""A refresh that is under way while its grant is revoked does not outlive it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connections, transaction

from identity.context import RequestContext
from oidc_provider.clients import registration
from oidc_provider.dialects.standard import STANDARD
from oidc_provider.grants import rows
from oidc_provider.models import AccessToken, RefreshToken
from tests.factories import make_application, make_tenant, make_user
from tests.factories.keys import make_keys
from tests.factories.oidc import make_client
from tests.support.machine import Machine
from tests.support.oidc_fixtures import forget_everything

pytestmark = pytest.mark.django_db(transaction=True)

HELD_SECONDS = 0.7  # long enough for the other one to come to the rows


@pytest.fixture
def machine() -> Iterator[Machine]:
    forget_everything()
    tenant = make_tenant()
    make_keys(tenant)
    yield Machine(make_client(make_application(tenant)), make_user(tenant))
    forget_everything()


def held_open(act: Callable[[], Any]) -> tuple[threading.Thread, threading.Event]:
    """Run it in a thread whose transaction stays open for a while after its tokens were stored."""
    stored = threading.Event()

    def work() -> None:
        try:
            with transaction.atomic():
                act()
                stored.set()
                threading.Event().wait(HELD_SECONDS)
        finally:
            connections.close_all()

    return threading.Thread(target=work), stored


@pytest.mark.security("S14")
@pytest.mark.parametrize("who", ["user", "family"])
@pytest.mark.parametrize("is_within_grace", [False, True], ids=["first use", "second use"])
def test_what_a_refresh_under_way_gives_is_revoked_with_the_rest(
    machine: Machine, who: str, is_within_grace: bool
) -> None:
    registration.update_client(machine.client, refresh_token_grace_seconds=60)
    token = machine.tokens()["refresh_token"]
    row = RefreshToken.objects.get()
    if is_within_grace:
        machine.refresh(token)
    thread, stored = held_open(lambda: Machine(machine.client, machine.user).refresh(token))
    thread.start()
    assert stored.wait(20)
    if who == "user":
        rows.revoke_for_user(machine.user, client=machine.client)  # as a withdrawn consent does
    else:
        tenant = machine.user.tenant
        facts: Any = SimpleNamespace(tenant=tenant, dialect=STANDARD, request=RequestContext(tenant=tenant))
        rows.revoke_token(row, client=machine.client, facts=facts, now=row.created)
    thread.join()
    assert RefreshToken.objects.count() == (3 if is_within_grace else 2)
    assert RefreshToken.objects.filter(revoked=None).count() == 0
    assert AccessToken.objects.count() == 0
