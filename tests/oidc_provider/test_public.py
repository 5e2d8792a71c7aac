"""What sibling apps may call, what runs by itself, and the settings."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.checks import run_checks
from django.test import override_settings
from django.utils import timezone

from identity import copies
from identity.errors import IdentityError, catalogue
from identity.registry import purgers
from oidc_provider import errors, public
from oidc_provider.clients import cached
from oidc_provider.errors import FROM_DOMAIN, ROWS, Fault, OAuthError, from_domain
from oidc_provider.models import AccessToken, AuthorizationCode, ClientAssertion, RefreshToken
from tests.factories import make_application, make_tenant
from tests.support.machine import Machine, end

NewMachine = Callable[..., Machine]


@pytest.fixture
def api(new_machine: NewMachine) -> Machine:
    return new_machine(api_scopes={"api:read": "https://api.example", "api:write": "https://api.example"})


@pytest.mark.django_db
def test_a_bearer_is_known_by_its_token(api: Machine) -> None:
    token = api.token(grant_type="client_credentials", scope="api:read").json()["access_token"]
    principal = public.authenticate_bearer(
        token, tenant=api.context.tenant, scopes=["api:read"], audience="https://api.example"
    )
    assert principal.client_id == api.client.client_id
    assert principal.user is None
    assert principal.scopes == {"api:read"}


@pytest.mark.django_db
def test_a_bearer_that_acts_for_a_user(api: Machine) -> None:
    token = api.tokens(scope="openid api:write")["access_token"]
    principal = public.authenticate_bearer(token, tenant=api.context.tenant)
    assert principal.user == api.user
    assert api.session is not None
    assert principal.sid == api.session.sid


@pytest.mark.django_db
@pytest.mark.parametrize(
    "wanted, fault",
    [
        ({"scopes": ["api:write"]}, Fault.INSUFFICIENT_SCOPE),
        ({"audience": "https://other.example"}, Fault.ACCESS_TOKEN),
    ],
)
def test_a_bearer_without_the_right_is_refused(api: Machine, wanted: dict[str, Any], fault: Fault) -> None:
    token = api.token(grant_type="client_credentials", scope="api:read").json()["access_token"]
    with pytest.raises(OAuthError) as caught:
        public.authenticate_bearer(token, tenant=api.context.tenant, **wanted)
    assert caught.value.fault is fault


@pytest.mark.django_db
@pytest.mark.security("S36")
def test_a_bearer_of_another_tenant_is_refused(api: Machine) -> None:
    token = api.token(grant_type="client_credentials").json()["access_token"]
    with pytest.raises(OAuthError) as caught:
        public.authenticate_bearer(token, tenant=make_tenant())
    assert caught.value.fault is Fault.ACCESS_TOKEN


@pytest.mark.django_db
@pytest.mark.security("S26")
@pytest.mark.parametrize("event", ["user disabled", "session ended", "application disabled"])
def test_a_bearer_dies_with_what_it_stands_on(api: Machine, event: str) -> None:
    token = api.tokens(scope="openid api:read")["access_token"]
    end(api, event)
    with pytest.raises(OAuthError):
        public.authenticate_bearer(token, tenant=api.context.tenant)


@pytest.mark.django_db
def test_an_application_is_found_by_client_id(machine: Machine) -> None:
    entry, tenant = machine.client.catalogue_entry, machine.context.tenant
    assert public.find_application(client_id=machine.client.client_id, tenant=tenant) == entry
    assert public.find_application(client_id=machine.client.client_id, tenant=make_tenant()) is None
    for client_id in ("unknown", "", "\x00", "x" * 300):
        assert public.find_application(client_id=client_id, tenant=tenant) is None
    entry.is_active = False
    entry.save()
    assert public.find_application(client_id=machine.client.client_id, tenant=tenant) is None


@pytest.mark.django_db
def test_all_grants_of_a_user_end_for_one_client_or_for_all(new_machine: NewMachine) -> None:
    first, second = new_machine(), new_machine()
    tokens = [machine.tokens(scope="openid offline_access") for machine in (first, second)]
    assert first.user is not None
    assert public.revoke_for_user(first.user, client_id=first.client.client_id) == 2
    assert [m.userinfo(t["access_token"]).status_code for m, t in zip((first, second), tokens, strict=True)] == [
        401,
        200,
    ]
    assert public.revoke_for_user(first.user, client_id="unknown") == 0
    assert public.revoke_for_user(first.user) == 2
    assert second.refresh(tokens[1]["refresh_token"]).status_code == 400


@pytest.mark.django_db
def test_a_change_of_a_client_is_seen_at_the_next_request(machine: Machine, django_assert_num_queries: Any) -> None:
    tenant, client_id = machine.context.tenant, machine.client.client_id
    cached.find(client_id=client_id, tenant=tenant)
    with django_assert_num_queries(0):
        cached.find(client_id=client_id, tenant=tenant)
    machine.client.web_origins = ["https://app.example"]
    machine.client.save()
    found = cached.find(client_id=client_id, tenant=tenant)
    assert found is not None
    assert found.web_origins == ["https://app.example"]
    assert cached.is_web_origin("https://app.example", tenant=tenant)
    assert not cached.is_web_origin("https://app.example", tenant=make_application().tenant)


@pytest.mark.django_db
def test_a_copy_of_a_client_is_five_seconds_old_at_most(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    tenant, client_id = machine.context.tenant, machine.client.client_id
    clock = [1000.0]
    monkeypatch.setattr(copies.time, "monotonic", lambda: clock[0])
    copies.clear()
    cached.find(client_id=client_id, tenant=tenant)
    # As another process does it: no signal is heard here.
    type(machine.client).objects.filter(pk=machine.client.pk).update(is_active=False)
    clock[0] += 4.9
    assert cached.find(client_id=client_id, tenant=tenant).is_active
    clock[0] += 0.2
    assert not cached.find(client_id=client_id, tenant=tenant).is_active


@pytest.mark.django_db
def test_the_purger_deletes_what_is_over_in_portions(machine: Machine) -> None:
    for _ in range(3):
        machine.tokens()
    ClientAssertion.objects.create(client=machine.client, jti_hash="0" * 64, expires_at=timezone.now())
    of, now = purgers(), timezone.now()
    assert of["client_assertions"].batch(now, 100).removed == 1
    assert of["access_tokens"].batch(now, 100).removed == 0
    assert of["access_tokens"].batch(now + timedelta(hours=2), 2).removed == 2
    assert of["access_tokens"].batch(now + timedelta(hours=2), 100).removed == 1
    assert (AccessToken.objects.count(), AuthorizationCode.objects.count(), RefreshToken.objects.count()) == (0, 3, 3)
    assert of["authorization_codes"].batch(now + timedelta(days=2), 100).removed == 3
    assert of["refresh_tokens"].batch(now + timedelta(days=2), 100).removed == 0
    assert of["refresh_tokens"].batch(now + timedelta(days=32), 100).removed == 3


# The catalogue ---------------------------------------------------------------------------------------------


def test_every_fault_has_a_row_with_a_source_and_an_ascii_text() -> None:
    assert set(ROWS) == set(Fault)
    for fault, row in ROWS.items():
        assert row.source, fault
        assert row.text.isascii(), fault
        # RFC6749-5.2: neither quotes nor backslashes.
        assert not set('"\\') & set(row.text), fault
        assert row.error.replace("_", "").isalpha() or fault is Fault.ACCESS_TOKEN_MISSING


def test_every_domain_error_is_mapped() -> None:
    def families(kind: type[IdentityError]) -> list[type[IdentityError]]:
        return [kind, *(family for child in kind.__subclasses__() for family in families(child))]

    for kind in families(IdentityError):
        if kind is not IdentityError and kind.__module__ == "identity.errors":
            assert kind in FROM_DOMAIN, kind
    assert catalogue()


def test_an_unmapped_domain_error_is_a_server_error() -> None:
    class Strange(IdentityError):
        pass

    assert from_domain(Strange()).fault is Fault.SERVER_ERROR
    assert errors.ROWS[Fault.SERVER_ERROR].status == 500


# Settings --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings, code",
    [
        ({"acess_token_lifetime": timedelta(hours=1)}, "oidc_provider.E001"),
        ({"access_token_lifetime": 3600}, "oidc_provider.E002"),
        ({"access_token_lifetime": timedelta(0)}, "oidc_provider.E002"),
        ({"access_token_lifetime": timedelta(days=2)}, "oidc_provider.E003"),
        ({"max_id_token_lifetime": timedelta(days=7)}, "oidc_provider.E004"),
    ],
)
@pytest.mark.django_db  # other checks compare the secrets with the database
def test_a_wrong_setting_is_reported_by_name(settings: dict[str, Any], code: str) -> None:
    with override_settings(OIDC_PROVIDER=settings):
        assert [message.id for message in run_checks() if (message.id or "").startswith("oidc_provider.E")] == [code]
