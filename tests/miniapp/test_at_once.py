"""Many requests at once: one session, one consent, one code for each request, and no code after a withdrawal."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections

from identity.context import RequestContext
from identity.models import SSOSession
from oidc_provider.authorization.consent import AccountConsents
from oidc_provider.models import AuthorizationCode, Consent
from tests.factories import make_tenant, make_user
from tests.factories.keys import make_keys
from tests.miniapp.conftest import App, make_host, make_mini_program

pytestmark = pytest.mark.django_db(transaction=True)

THREADS = 6


@pytest.fixture
def app() -> App:
    tenant = make_tenant()
    make_keys(tenant)
    mini_program = make_mini_program(tenant)
    app = App(make_user(tenant, email="a@example.org"), make_host(tenant, mini_program), mini_program)
    app.vouch()
    return app


def at_once(*acts: Callable[[], Any]) -> list[Any]:
    """Run them from threads that start together; what each returned, in their order. What one raises is raised."""
    results: list[Any] = [None] * len(acts)
    barrier = threading.Barrier(len(acts))

    def work(number: int, act: Callable[[], Any]) -> None:
        try:
            barrier.wait()
            results[number] = act()
        except Exception as error:
            results[number] = error
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work, args=pair) for pair in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in results:
        if isinstance(result, Exception):
            raise result
    return results


def test_a_host_that_vouches_several_times_at_once_opens_one_session(app: App) -> None:
    answers = at_once(*[lambda: app.ask(decision="agree")] * THREADS)
    assert [answer.status_code for answer in answers] == [200] * THREADS
    assert SSOSession.objects.count() == 1
    assert Consent.objects.get().scopes == ["email", "openid"]


def test_every_request_gets_a_code_of_its_own(app: App) -> None:
    app.agree()
    answers = at_once(*[app.code] * THREADS)
    assert len({answer.json()["code"] for answer in answers}) == THREADS


@pytest.mark.security("S10")
def test_of_many_that_redeem_a_code_at_once_one_gets_tokens(app: App) -> None:
    app.agree()
    code = app.code().json()["code"]
    answers = at_once(*[lambda: app.exchange(code)] * THREADS)
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * (THREADS - 1)


@pytest.mark.security("S14")
def test_no_code_outlives_a_withdrawal_that_came_at_the_same_time(app: App) -> None:
    app.agree()
    consent = app.consent
    assert consent is not None

    def withdraw() -> bool:
        context = RequestContext(tenant=app.tenant)
        return AccountConsents().withdraw(user=app.user, consent_id=str(consent.pk), context=context)

    for _ in range(5):
        app.agree()
        *answers, withdrawn = at_once(*[app.code] * (THREADS - 1), withdraw)
        assert withdrawn
        assert {answer.status_code for answer in answers} <= {200, 401}
        assert not AuthorizationCode.objects.filter(consumed_at=None).exists()
        for answer in answers:
            if answer.status_code == 200:
                assert app.exchange(answer.json()["code"]).status_code == 400
