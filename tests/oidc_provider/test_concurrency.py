"""Many clients at once with one code or one refresh token: one success, no other failure than the protocol's."""

from __future__ import annotations

import multiprocessing
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection, connections

from identity.models import Tenant, User
from oidc_provider.models import AccessToken, RefreshToken
from tests.factories import make_application, make_tenant, make_user
from tests.factories.keys import make_keys
from tests.factories.oidc import make_client
from tests.support.machine import Machine
from tests.support.oidc_fixtures import forget_everything

pytestmark = pytest.mark.django_db(transaction=True)

REQUESTS = 100
THREADS = 20
PROCESSES = 4


@pytest.fixture
def racing() -> Iterator[Machine]:
    forget_everything()
    tenant: Tenant = make_tenant()
    make_keys(tenant)
    user: User = make_user(tenant)
    yield Machine(make_client(make_application(tenant)), user)
    forget_everything()


def at_once(act: Callable[[], Any]) -> Counter[tuple[int, str]]:
    """Run it REQUESTS times from THREADS threads that start together."""
    answers: list[tuple[int, str]] = []
    barrier = threading.Barrier(THREADS)

    def work() -> None:
        try:
            barrier.wait()
            for _ in range(REQUESTS // THREADS):
                response = act()
                answers.append((response.status_code, response.json().get("error", "")))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Counter(answers)


def fresh(machine: Machine) -> Machine:
    """The same client with an HTTP client of its own; Django's test client is not made for threads."""
    return Machine(machine.client, machine.user)


@pytest.mark.spec("RFC6749-4.1.2")
@pytest.mark.security("S10")
def test_one_of_a_hundred_redemptions_of_a_code_succeeds(racing: Machine) -> None:
    code = racing.code()
    answers = at_once(lambda: fresh(racing).exchange(code))
    assert answers == {(200, ""): 1, (400, "invalid_grant"): REQUESTS - 1}
    # What the one success gave was revoked by the others, for the code had been used twice.
    assert AccessToken.objects.count() == 0
    assert RefreshToken.objects.filter(revoked=None).count() == 0


@pytest.mark.spec("RFC9700-4.14.2")
def test_one_of_a_hundred_uses_of_a_refresh_token_succeeds(racing: Machine) -> None:
    token = racing.tokens()["refresh_token"]
    answers = at_once(lambda: fresh(racing).refresh(token))
    assert answers == {(200, ""): 1, (400, "invalid_grant"): REQUESTS - 1}
    assert AccessToken.objects.count() == 0
    assert RefreshToken.objects.filter(revoked=None).count() == 0


def _redeem(database: dict[str, Any], client_pk: int, code: str, times: int, answers: Any, gate: Any) -> None:
    """In a process of its own."""
    connections.close_all()
    connection.settings_dict.update(database)
    forget_everything()
    from oidc_provider.models import Client

    machine = Machine(Client.objects.select_related("catalogue_entry__tenant").get(pk=client_pk))
    gate.wait()
    for _ in range(times):
        response = machine.exchange(code)
        answers.put((response.status_code, response.json().get("error", "")))
    connections.close_all()


@pytest.mark.spec("RFC6749-4.1.2")
def test_one_of_many_processes_redeems_a_code(racing: Machine) -> None:
    code = racing.code()
    forking = multiprocessing.get_context("fork")
    answers, gate = forking.Queue(), forking.Barrier(PROCESSES)
    settings = dict(connection.settings_dict)
    connections.close_all()  # no connection crosses the fork
    arguments = (settings, racing.client.pk, code, REQUESTS // PROCESSES, answers, gate)
    processes = [forking.Process(target=_redeem, args=arguments) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    found = Counter(answers.get(timeout=60) for _ in range(REQUESTS))
    for process in processes:
        process.join(30)
    assert found == {(200, ""): 1, (400, "invalid_grant"): REQUESTS - 1}
    assert AccessToken.objects.count() == 0
