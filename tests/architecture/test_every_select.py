"""Every statement that is spelled once finds what its queryset finds, over rows as the factories make them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.utils import timezone

from cas_saml.cas.models import ServiceTicket
from cas_saml.saml.models import SAMLSession
from identity.models import LoginTransaction, PendingRequest
from identity.statements import Select
from oidc_provider.models import AccessToken, AuthorizationCode, Client, Consent, RefreshToken
from tests.factories import make_account, make_application, make_tenant, make_user
from tests.factories.cas import make_cas_service, make_ticket
from tests.factories.keys import make_keys
from tests.factories.oidc import make_client, make_session
from tests.factories.saml import make_service_provider
from tests.support.plans import every_statement
from tests.support.spelled import both, state

HASH, OTHER = "a" * 64, "b" * 64

# The values with which each finds a row.
VALUES: dict[str, Callable[[Any], tuple[Any, ...]]] = {
    "cas_saml.cas.tickets._UNSPENT": lambda rows: ([OTHER, rows.ticket.ticket_hash], rows.tenant.pk),
    "cas_saml.saml.providers._BY_ENTITY_ID": lambda rows: (rows.provider.entity_id, rows.tenant.pk),
    "cas_saml.saml.providers._BY_PUBLIC_ID": lambda rows: (rows.provider.public_id, rows.tenant.pk),
    "cas_saml.saml.sso._NOT_ENDED": lambda rows: (rows.session.pk,),
    "cas_saml.saml.sso._TOLD": lambda rows: (rows.session.pk, rows.provider.pk, "persistent", "n"),
    "identity.directory.tenants._BY_HOST": lambda rows: (rows.tenant.domains.get().host,),
    "identity.directory.tenants._BY_PUBLIC_ID": lambda rows: (rows.tenant.public_id,),
    "identity.directory.tenants._DEFAULT": lambda rows: (),
    "identity.keyring.keys._LIVE": lambda rows: (rows.tenant.pk, timezone.now()),
    "identity.origins._FIRST_DOMAIN": lambda rows: (rows.tenant.pk,),
    "identity.pending_requests._OF_PATH": lambda rows: ([HASH, OTHER], rows.tenant.pk, "/there", timezone.now()),
    "identity.sign_in.authentication._BY_EMAIL": lambda rows: (rows.user.email_key, rows.tenant.pk),
    "identity.sign_in.authentication._BY_MOBILE": lambda rows: (rows.user.mobile_index, rows.tenant.pk),
    "identity.sign_in.authentication._BY_NAMES": lambda rows: (rows.user.user_key, "e", OTHER, rows.tenant.pk),
    "identity.sign_in.machine._BY_HANDLE": lambda rows: ([HASH], rows.tenant.pk, "browser"),
    "identity.sign_in.machine._UNDER_WAY": lambda rows: ([HASH], rows.tenant.pk, "browser", timezone.now()),
    "identity.sso.access._ACCOUNT": lambda rows: (rows.client.catalogue_entry_id, rows.user.pk),
    "identity.sso.sessions._BY_HANDLE": lambda rows: ([HASH, OTHER], rows.tenant.pk),
    "identity.sso.sessions._BY_SID": lambda rows: (rows.session.sid, rows.tenant.pk),
    "identity.sso.sessions._OF_KIND": lambda rows: ([HASH], rows.tenant.pk, "browser"),
    "oidc_provider.authorization.consent._VALID": lambda rows: (rows.user.pk, rows.client.pk),
    "oidc_provider.clients.cached._API_SCOPES": lambda rows: (rows.client.pk,),
    "oidc_provider.clients.cached._BY_CLIENT_ID": lambda rows: (rows.client.client_id,),
    "oidc_provider.clients.cached._BY_PK": lambda rows: (rows.client.pk,),
    "oidc_provider.grants.rows._ACCESS_TOKEN": lambda rows: ([HASH],),
    "oidc_provider.grants.rows._CODE": lambda rows: ([HASH, OTHER],),
    "oidc_provider.grants.rows._REFRESH_TOKEN": lambda rows: ([OTHER, HASH],),
}


def selects() -> dict[str, Select[Any]]:
    return {name: found for name, found in every_statement().items() if isinstance(found, Select)}


@pytest.fixture
def rows(db: None) -> SimpleNamespace:
    """A row of every kind that is looked up, and what stands beside it."""
    now = timezone.now()
    tenant = make_tenant(is_default=True)
    make_keys(tenant)
    user = make_user(tenant, email="e@example.org", mobile="+8613800138000")
    session = make_session(user, handle_hash=HASH)
    client: Client = make_client(make_application(tenant), api_scopes={"api:read": "https://api.example"})
    make_account(user, client.catalogue_entry)
    Consent.objects.create(user=user, client=client, scopes=["openid"], claims=["name"], granted_at=now)
    make_ticket(make_cas_service(tenant=tenant), session)
    provider = make_service_provider(tenant=tenant)
    SAMLSession.objects.create(
        tenant=tenant,
        service_provider=provider,
        session=session,
        session_index="i",
        name_id_format="persistent",
        name_id="n",
    )
    kept = {"tenant": tenant, "handle_hash": HASH, "binding_hash": OTHER, "expires_at": now + timedelta(hours=1)}
    PendingRequest.objects.create(**kept, path="/there", payload_sealed="sealed")
    LoginTransaction.objects.create(**kept, user=user, application=client.catalogue_entry, channel="browser")
    given: dict[str, Any] = {"user": user, "application": client, "session": session, "claims": {"userinfo": {}}}
    given |= {"expires": now + timedelta(hours=1), "scope": "openid"}
    AuthorizationCode.objects.create(**given, code_hash=HASH, auth_time=now, amr=["pwd"], redirect_uri="https://a")
    AccessToken.objects.create(**given, token_checksum=HASH, audience=["https://api.example"])
    RefreshToken.objects.create(**given, token_checksum=HASH, auth_time=now, amr=["pwd"])
    return SimpleNamespace(
        tenant=tenant, user=user, session=session, client=client, provider=provider, ticket=ServiceTicket.objects.get()
    )


def test_every_select_is_here() -> None:
    assert sorted(selects()) == sorted(VALUES)


@pytest.mark.parametrize("name", VALUES)
def test_a_select_finds_what_its_queryset_finds(name: str, rows: SimpleNamespace) -> None:
    found, by_orm = both(selects()[name], *VALUES[name](rows))
    assert [state(row) for row in found] == [state(row) for row in by_orm] != []
