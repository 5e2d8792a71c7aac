"""Many requests at once: one session, one consent, one code for each request, and no code after a withdrawal."""

from __future__ import annotations

import pytest

from identity.context import RequestContext
from identity.models import SSOSession
from oidc_provider.authorization.consent import AccountConsents
from oidc_provider.models import AuthorizationCode, Consent
from tests.factories import make_tenant, make_user
from tests.factories.keys import make_keys
from tests.miniapp.conftest import App, make_host, make_mini_program
from tests.support.at_once import at_once, each_at_once

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


def test_a_host_that_vouches_several_times_at_once_opens_one_session(app: App) -> None:
    answers = at_once(lambda _number: app.ask(decision="agree"), times=THREADS)
    assert [answer.status_code for answer in answers] == [200] * THREADS
    assert SSOSession.objects.count() == 1
    assert Consent.objects.get().scopes == ["email", "openid"]


def test_every_request_gets_a_code_of_its_own(app: App) -> None:
    app.agree()
    answers = at_once(lambda _number: app.code(), times=THREADS)
    assert len({answer.json()["code"] for answer in answers}) == THREADS


@pytest.mark.security("S10")
def test_of_many_that_redeem_a_code_at_once_one_gets_tokens(app: App) -> None:
    app.agree()
    code = app.code().json()["code"]
    answers = at_once(lambda _number: app.exchange(code), times=THREADS)
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
        *answers, withdrawn = each_at_once(*[app.code] * (THREADS - 1), withdraw)
        assert withdrawn
        assert {answer.status_code for answer in answers} <= {200, 401}
        assert not AuthorizationCode.objects.filter(consumed_at=None).exists()
        for answer in answers:
            if answer.status_code == 200:
                assert app.exchange(answer.json()["code"]).status_code == 400
