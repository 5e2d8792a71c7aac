"""Many at once: one request answered once, one lasting name for one person, a sign-out at the moment of a sign-in."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from cas_saml.models import PersistentName, SAMLSession, ServiceProvider
from cas_saml.saml import entity, messages, name_ids, sso
from cas_saml.saml.errors import MessageRefused
from cas_saml.saml.name_ids import Policy
from cas_saml.saml.requests import unsolicited
from identity.context import RequestContext
from identity.directory import profiles
from identity.errors import StateInvalid
from identity.models import Delivery, SSOSession
from identity.sso import sessions
from tests.cas_saml.test_concurrency import at_once
from tests.factories import make_tenant, make_user
from tests.factories.oidc import make_session
from tests.factories.saml import make_saml_keys, make_service_provider

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
    seen: list[str] = []

    def act() -> None:
        try:
            sso.answer(wanted, provider=provider, session=session, entity=us, context=context)
            seen.append("answered")
        except MessageRefused as error:
            seen.append(error.reason)

    at_once([act] * THREADS)
    assert Counter(seen) == {"answered": 1, "replayed": THREADS - 1}
    assert SAMLSession.objects.count() == 1


@pytest.mark.security("S20")
def test_of_many_with_one_command_one_is_taken() -> None:
    provider, _session, _context = set_up()
    seen: list[str] = []

    def act() -> None:
        try:
            messages.spend("_command", provider=provider)
            seen.append("taken")
        except MessageRefused as error:
            seen.append(error.reason)

    at_once([act] * THREADS)
    assert Counter(seen) == {"taken": 1, "replayed": THREADS - 1}


@pytest.mark.spec("SAMLCore-8.3.7")
def test_one_person_gets_one_lasting_name() -> None:
    provider, session, _context = set_up()
    profile = profiles.profile_of(user=session.user, application=provider.application)
    names: list[str] = []

    def act() -> None:
        names.append(name_ids.value_for(provider, Policy("persistent"), profile=profile, session=session)[1])

    at_once([act] * THREADS)
    assert len(set(names)) == 1
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

        at_once([ask, end])
    told = SAMLSession.objects.filter(pk__in=[row.payload["saml_session"] for row in Delivery.objects.all()])
    assert answered <= set(told.values_list("session_id", flat=True))
