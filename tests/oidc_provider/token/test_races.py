"""Two tabs at once: what may happen once happens once, and nobody sees a fault of ours."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from identity import pending_requests
from identity.context import RequestContext
from identity.errors import StateInvalid
from identity.models import AuditEvent
from identity.sso import sessions
from oidc_provider.authorization import consent
from oidc_provider.authorization.consent import Wish
from oidc_provider.models import Consent
from tests.factories import make_application, make_tenant, make_user
from tests.factories.oidc import make_client
from tests.support.at_once import at_once

pytestmark = pytest.mark.django_db(transaction=True)

THREADS = 8


@pytest.mark.security("S44")
def test_of_many_that_come_back_at_once_one_goes_on() -> None:
    tenant = make_tenant()
    handle = pending_requests.park(tenant=tenant, path="/a", payload={"n": 1}, binding="browser")

    def come_back(_number: int) -> dict[str, Any]:
        return pending_requests.consume(tenant=tenant, path="/a", handle=handle, bindings=["browser"])

    results = at_once(come_back, times=THREADS, refusals=StateInvalid)
    assert [result for result in results if not isinstance(result, StateInvalid)] == [{"n": 1}]


def test_the_first_consent_from_several_tabs_makes_one_row() -> None:
    tenant = make_tenant()
    context = RequestContext(tenant=tenant)
    client = make_client(make_application(tenant))
    session, _handle = sessions.start(user=make_user(tenant), amr=["pwd"], context=context)
    wish = Wish(("openid",), (), frozenset(), frozenset(), has_consented=False, is_implied=False)
    at_once(lambda _number: consent.record(wish, client=client, session=session, context=context), times=THREADS)
    row = Consent.objects.get()
    assert (row.scopes, row.withdrawn_at) == (["openid"], None)
    assert AuditEvent.objects.filter(event_type="consent:grant").count() == THREADS


def test_a_consent_is_withdrawn_once() -> None:
    tenant = make_tenant()
    user = make_user(tenant)
    client = make_client(make_application(tenant))
    row = Consent.objects.create(user=user, client=client, scopes=["openid"], granted_at=timezone.now())
    source, context = consent.AccountConsents(), RequestContext(tenant=tenant)
    results = at_once(
        lambda _number: source.withdraw(user=user, consent_id=str(row.pk), context=context), times=THREADS
    )
    assert sorted(results) == [False] * (THREADS - 1) + [True]
    assert AuditEvent.objects.filter(event_type="consent:withdraw").count() == 1
