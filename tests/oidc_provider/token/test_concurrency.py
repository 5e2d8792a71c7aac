"""Many clients at once with one code or one refresh token: one success, no other failure than the protocol's."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection, connections

from identity.models import AuditEvent, Tenant, User
from oidc_provider.clients import registration
from oidc_provider.models import AccessToken, RefreshToken
from tests.factories import make_application, make_tenant, make_user
from tests.factories.keys import make_keys
from tests.factories.oidc import make_client
from tests.support.at_once import at_once
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


def outcomes(act: Callable[[], Any]) -> Counter[tuple[int, str]]:
    """Run it REQUESTS times from THREADS threads; count the answers."""
    answers = at_once(lambda _number: act(), times=REQUESTS, threads=THREADS)
    return Counter((answer.status_code, answer.json().get("error", "")) for answer in answers)


def fresh(machine: Machine) -> Machine:
    """The same client with an HTTP client of its own; Django's test client is not made for threads."""
    return Machine(machine.client, machine.user)


@pytest.mark.spec("RFC6749-4.1.2")
@pytest.mark.security("S10")
def test_one_of_a_hundred_redemptions_of_a_code_succeeds(racing: Machine) -> None:
    code = racing.code()
    answers = outcomes(lambda: fresh(racing).exchange(code))
    assert answers == {(200, ""): 1, (400, "invalid_grant"): REQUESTS - 1}
    # What the one success gave was revoked by the others, for the code had been used twice.
    assert AccessToken.objects.count() == 0
    assert RefreshToken.objects.filter(revoked=None).count() == 0


@pytest.mark.spec("RFC9700-4.14.2")
def test_without_grace_one_of_a_hundred_uses_of_a_refresh_token_succeeds(racing: Machine) -> None:
    registration.update_client(racing.client, refresh_token_grace_seconds=0)
    token = racing.tokens()["refresh_token"]
    answers = outcomes(lambda: fresh(racing).refresh(token))
    assert answers == {(200, ""): 1, (400, "invalid_grant"): REQUESTS - 1}
    assert AccessToken.objects.count() == 0
    assert RefreshToken.objects.filter(revoked=None).count() == 0


def test_a_hundred_refreshes_at_once_all_keep_working_tokens(racing: Machine) -> None:
    registration.update_client(racing.client, refresh_token_grace_seconds=60)  # a slow machine takes more than ten
    token = racing.tokens()["refresh_token"]
    given: list[dict[str, Any]] = []

    def refresh() -> Any:
        response = fresh(racing).refresh(token)
        given.append(response.json())
        return response

    assert outcomes(refresh) == {(200, ""): REQUESTS}
    assert len({tokens["refresh_token"] for tokens in given}) == REQUESTS
    for tokens in given:
        assert racing.userinfo(tokens["access_token"]).status_code == 200
    assert racing.refresh(given[-1]["refresh_token"]).status_code == 200
    # The token that was exchanged was spent once, and nothing was revoked.
    assert RefreshToken.objects.filter(revoked=None).values("family").distinct().count() == 1
    assert not AuditEvent.objects.filter(event_type="token:reuse").exists()


def _redeem(*arguments: Any) -> None:
    _in_a_process(Machine.exchange, *arguments)


def _refresh(*arguments: Any) -> None:
    _in_a_process(Machine.refresh, *arguments)


def _in_a_process(
    act: Callable[[Machine, str], Any],
    database: dict[str, Any],
    client_pk: int,
    value: str,
    times: int,
    answers: Any,
    gate: Any,
) -> None:
    """In a process of its own."""
    connections.close_all()
    connection.settings_dict.update(database)
    forget_everything()
    from oidc_provider.models import Client

    machine = Machine(Client.objects.select_related("catalogue_entry__tenant").get(pk=client_pk))
    gate.wait()
    for _ in range(times):
        response = act(machine, value)
        answers.put((response.status_code, response.json().get("error", "")))
    connections.close_all()


@pytest.mark.spec("RFC6749-4.1.2")
def test_one_of_many_processes_redeems_a_code(racing: Machine) -> None:
    code = racing.code()
    found = in_processes(racing, code, _redeem)
    assert found == {(200, ""): 1, (400, "invalid_grant"): REQUESTS - 1}
    assert AccessToken.objects.count() == 0


def test_refreshes_at_several_nodes_never_lose_the_family(racing: Machine) -> None:
    registration.update_client(racing.client, refresh_token_grace_seconds=60)  # a slow machine takes more than ten
    token = racing.tokens()["refresh_token"]
    assert in_processes(racing, token, _refresh) == {(200, ""): REQUESTS}
    assert AccessToken.objects.count() == REQUESTS + 1
    assert not RefreshToken.objects.exclude(revoked=None).exists()


def in_processes(racing: Machine, value: str, work: Callable[..., None]) -> Counter[tuple[int, str]]:
    """Answers of processes that start together, REQUESTS in all."""
    forking = multiprocessing.get_context("fork")
    answers, gate = forking.Queue(), forking.Barrier(PROCESSES)
    settings = dict(connection.settings_dict)
    connections.close_all()  # no connection crosses the fork
    arguments = (settings, racing.client.pk, value, REQUESTS // PROCESSES, answers, gate)
    processes = [forking.Process(target=work, args=arguments) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    found = Counter(answers.get(timeout=60) for _ in range(REQUESTS))
    for process in processes:
        process.join(30)
    return found
