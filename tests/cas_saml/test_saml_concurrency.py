"""Many at once: one request answered once, one lasting name for one person, a sign-out at the moment of a sign-in."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from cas_saml.models import PersistentName, SAMLSession, ServiceProvider
from cas_saml.saml import entity, messages, sso
from cas_saml.saml.errors import MessageRefused
from cas_saml.saml.requests import unsolicited
from identity.context import RequestContext
from identity.directory.profiles import Profile
from identity.errors import StateInvalid
from identity.models import Delivery, SSOSession
from identity.sso import sessions
from tests.factories import make_tenant, make_user
from tests.factories.oidc import make_session
from tests.factories.saml import make_saml_keys, make_service_provider
from tests.support.at_once import at_once, each_at_once

pytestmark = pytest.mark.django_db(transaction=True)

THREADS = 12


def set_up() -> tuple[ServiceProvider, SSOSession, RequestContext]:
    tenant = make_tenant()
    make_saml_keys(tenant)
    services = [{"binding": "post", "location": "https://sp.example/slo"}]
    provider = make_service_provider(tenant=tenant, single_logout_services=services)
    session = make_session(make_user(tenant))
    return provider, session, RequestContext(tenant=tenant)


@pytest.mark.security("S19")
def test_of_many_with_one_request_one_is_answered() -> None:
    provider, session, context = set_up()
    us = entity.of(context)
    wanted = replace(unsolicited(provider), message_id="_one")

    def act(_number: int) -> str:
        try:
            sso.answer(wanted, provider=provider, session=session, entity=us, context=context)
        except MessageRefused as error:
            return error.reason
        return "answered"

    assert Counter(at_once(act, times=THREADS, threads=THREADS)) == {"answered": 1, "replayed": THREADS - 1}
    assert SAMLSession.objects.count() == 1


@pytest.mark.security("S20")
def test_of_many_with_one_command_one_is_taken() -> None:
    provider, _session, _context = set_up()

    def act(_number: int) -> str:
        try:
            messages.spend("_command", provider=provider)
        except MessageRefused as error:
            return error.reason
        return "taken"

    assert Counter(at_once(act, times=THREADS, threads=THREADS)) == {"taken": 1, "replayed": THREADS - 1}


@pytest.mark.spec("SAMLCore-8.3.7")
def test_one_person_gets_one_lasting_name() -> None:
    provider, session, _context = set_up()
    profile = Profile(user=session.user, application=provider.application)

    def act(_number: int) -> str:
        return sso.name_for(provider, "persistent", profile=profile, session=session)

    assert len(set(at_once(act, times=THREADS, threads=THREADS))) == 1
    assert PersistentName.objects.count() == 1


@pytest.mark.spec("SAMLProf-4.4.3.2")
def test_a_sign_in_at_the_moment_of_a_sign_out_is_refused_or_told() -> None:
    provider, session, context = set_up()
    us = entity.of(context)
    answered: set[int] = set()
    for _ in range(10):
        session = make_session(session.user)

        def ask(session: SSOSession = session) -> None:
            try:
                sso.answer(unsolicited(provider), provider=provider, session=session, entity=us, context=context)
                answered.add(session.pk)
            except StateInvalid:
                return

        def end(session: SSOSession = session) -> None:
            # A copy of its own, as another process has.
            own = SSOSession.objects.select_related("user", "tenant").get(pk=session.pk)
            sessions.end(own, reason="signed_out", context=context)

        each_at_once(ask, end)
    told = SAMLSession.objects.filter(pk__in=[row.payload["saml_session"] for row in Delivery.objects.all()])
    assert answered <= set(told.values_list("session_id", flat=True))
