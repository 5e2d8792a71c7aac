"""Registering clients: what is refused, what is told once, what is written down."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from identity.context import SYSTEM
from identity.directory import tenants
from identity.keyring import keys
from identity.models import Application, AuditEvent, Tenant
from oidc_provider.clients import authentication, registration
from oidc_provider.models import Client
from tests.factories import make_application, make_tenant
from tests.factories.oidc import CALLBACK, CLIENT_SECRET, make_api_scope, make_client

pytestmark = pytest.mark.django_db


@pytest.fixture
def entry(tenant: Tenant) -> Application:
    return make_application(tenant)


def errors(**values: Any) -> set[str]:
    """The fields at which a registration is refused."""
    with pytest.raises(ValidationError) as caught:
        registration.register_client(**{"redirect_uris": [CALLBACK], **values})
    assert not Client.objects.exists()
    return set(caught.value.message_dict)


@pytest.mark.security("S41")
def test_a_secret_is_made_told_once_and_kept_as_a_hash(entry: Application) -> None:
    client, secret = registration.register_client(catalogue_entry=entry, redirect_uris=[CALLBACK])
    assert len(secret) == 43
    assert client.secret_hash == authentication.hash_secret(secret)
    assert secret not in json.dumps([str(value) for value in Client.objects.values_list().get()])
    event = AuditEvent.objects.get(event_type="client:create")
    assert secret not in str(event.__dict__)
    assert client.secret_hash not in str(event.__dict__)


@pytest.mark.security("S41")
@pytest.mark.parametrize("secret", ["", "short", "x" * 21])
def test_a_short_secret_is_refused(entry: Application, secret: str) -> None:
    assert errors(catalogue_entry=entry, client_secret=secret) == {"client_secret"}


def test_an_own_secret_of_22_characters_is_taken(entry: Application) -> None:
    _, secret = registration.register_client(
        catalogue_entry=entry, redirect_uris=[CALLBACK], client_id="wiki", client_secret="x" * 22
    )
    assert secret == "x" * 22


@pytest.mark.parametrize(
    ("dialect", "expected"),
    [("standard", "ES256"), ("tencent", "ES256"), ("topiam", "ES256"), ("pactera", "RS256"), ("oneaccess", "RS256")],
)
def test_a_new_client_signs_as_the_tenant_says_where_its_dialect_knows_that(
    entry: Application, tenant: Tenant, dialect: str, expected: str
) -> None:
    before, _secret = registration.register_client(catalogue_entry=entry, redirect_uris=[CALLBACK], name="before")
    tenants.update(tenant=tenant, id_token_signed_response_alg="ES256", context=SYSTEM)
    entry.refresh_from_db()
    values = {"catalogue_entry": entry, "redirect_uris": [CALLBACK], "dialect": dialect}
    client, _secret = registration.register_client(**values)
    assert client.id_token_signed_response_alg == expected
    said, _secret = registration.register_client(
        **{**values, "dialect": "standard"}, id_token_signed_response_alg="RS512"
    )
    assert said.id_token_signed_response_alg == "RS512"
    before.refresh_from_db()
    assert before.id_token_signed_response_alg == "RS256"


@pytest.mark.parametrize("dialect", ["standard", "pactera", "tencent", "oneaccess"])
def test_a_new_client_may_send_its_secret_in_the_header_or_in_the_body(entry: Application, dialect: str) -> None:
    client, secret = registration.register_client(catalogue_entry=entry, redirect_uris=[CALLBACK], dialect=dialect)
    assert (client.token_endpoint_auth_method, bool(secret)) == ("client_secret", True)


@pytest.mark.parametrize("method", ["none", "private_key_jwt"])
def test_a_client_without_a_secret_gets_none(entry: Application, method: str) -> None:
    assert "client_secret" in errors(
        catalogue_entry=entry, token_endpoint_auth_method=method, client_secret=CLIENT_SECRET
    )


RSA_1024 = {"kty": "RSA", "n": "w" * 171, "e": "AQAB"}
EC = {
    "kty": "EC",
    "crv": "P-256",
    "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
    "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
}  # RFC7517-A.1


@pytest.mark.parametrize(
    "values, field",
    [
        ({"client_id": "with space"}, "client_id"),
        ({"client_id": "x" * 256}, "client_id"),
        ({"client_id": "nul\x00"}, "client_id"),
        ({"dialect": "esperanto"}, "dialect"),
        ({"flags": {"unknown": True}}, "flags"),
        ({"flags": ["x"]}, "flags"),
        ({"token_endpoint_auth_method": "tls_client_auth"}, "token_endpoint_auth_method"),
        ({"token_endpoint_auth_method": "private_key_jwt"}, "jwks"),
        ({"jwks": {"keys": [EC]}, "jwks_uri": "https://client.example/jwks"}, "jwks_uri"),
        ({"jwks": {"keys": []}}, "jwks"),
        ({"jwks": {"keys": [{**EC, "d": "x"}]}}, "jwks"),
        ({"jwks": {"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}}, "jwks"),
        ({"jwks": {"keys": [RSA_1024]}}, "jwks"),
        ({"jwks": {"keys": [{**EC, "x": "nonsense"}]}}, "jwks"),
        ({"jwks": "text"}, "jwks"),
        ({"jwks_uri": "http://client.example/jwks"}, "jwks_uri"),
        ({"jwks_uri": "https://127.0.0.1/jwks"}, "jwks_uri"),
        ({"grant_types": []}, "grant_types"),
        ({"grant_types": ["password"]}, "grant_types"),
        ({"grant_types": "authorization_code"}, "grant_types"),
        ({"response_types": ["code token"]}, "response_types"),
        ({"response_types": ["id_token token", "code"]}, "response_types"),
        ({"response_types": []}, "response_types"),
        ({"grant_types": ["authorization_code", "implicit"]}, "response_types"),
        ({"token_endpoint_auth_method": "none", "grant_types": ["client_credentials"]}, "grant_types"),
        ({"token_endpoint_auth_method": "none", "may_introspect": True}, "may_introspect"),
        ({"redirect_uris": []}, "redirect_uris"),
        ({"redirect_uris": [CALLBACK, CALLBACK]}, "redirect_uris"),
        ({"redirect_uris": ["http://client.example/"]}, "redirect_uris"),
        ({"redirect_uris": "https://client.example/"}, "redirect_uris"),
        ({"post_logout_redirect_uris": ["javascript:alert(1)"]}, "post_logout_redirect_uris"),
        ({"web_origins": ["https://client.example/"]}, "web_origins"),
        ({"backchannel_logout_uri": "http://client.example/"}, "backchannel_logout_uri"),
        ({"frontchannel_logout_uri": "http://client.example/"}, "frontchannel_logout_uri"),
        ({"initiate_login_uri": "ftp://client.example/"}, "initiate_login_uri"),
        ({"scopes": ["admin"]}, "scopes"),
        ({"access_token_lifetime_seconds": 0}, "access_token_lifetime_seconds"),
        ({"refresh_token_grace_seconds": 61}, "refresh_token_grace_seconds"),
        ({"refresh_token_grace_seconds": -1}, "refresh_token_grace_seconds"),
        ({"refresh_token_grace_seconds": "10"}, "refresh_token_grace_seconds"),
        ({"access_token_lifetime_seconds": 10**7}, "access_token_lifetime_seconds"),
        ({"authorization_code_lifetime_seconds": 601}, "authorization_code_lifetime_seconds"),
        ({"claims_mapping": {"sub": {"source": "email"}}}, "claims_mapping"),
        ({"claims_mapping": {"x": {"source": "password"}}}, "claims_mapping"),
        ({"claims_mapping": {"x": {"source": "email", "to": "y"}}}, "claims_mapping"),
        ({"claims_mapping": {"x": "email"}}, "claims_mapping"),
        ({"claims_mapping": []}, "claims_mapping"),
        ({"secret_hash": "0" * 64}, "secret_hash"),
        ({"tenant_id": 1}, "tenant_id"),
    ],
)
def test_what_a_row_must_keep_to(entry: Application, values: dict[str, Any], field: str) -> None:
    assert field in errors(catalogue_entry=entry, **values)


@pytest.mark.security("S36")
def test_a_scope_of_another_tenant_is_refused(entry: Application) -> None:
    foreign = make_api_scope(make_application(make_tenant()))
    assert errors(catalogue_entry=entry, api_scopes=[foreign]) == {"api_scopes"}


def test_a_client_id_is_unique_over_all_tenants(entry: Application) -> None:
    taken = make_client(make_application(make_tenant()), client_id="wiki")
    with pytest.raises(ValidationError) as caught:
        registration.register_client(catalogue_entry=entry, client_id=taken.client_id, redirect_uris=[CALLBACK])
    assert set(caught.value.message_dict) == {"client_id"}


def test_an_internal_application_may_be_called_in_the_private_network(tenant: Tenant) -> None:
    entry = make_application(tenant, is_internal=True)
    client, _ = registration.register_client(
        catalogue_entry=entry, redirect_uris=[CALLBACK], backchannel_logout_uri="http://10.0.0.7/logout"
    )
    assert client.backchannel_logout_uri == "http://10.0.0.7/logout"


def test_an_update_tells_what_changed_and_writes_nothing_otherwise(entry: Application) -> None:
    client, _ = registration.register_client(catalogue_entry=entry, redirect_uris=[CALLBACK])
    before = AuditEvent.objects.count()
    assert registration.update_client(client, redirect_uris=[CALLBACK]) == {}
    assert AuditEvent.objects.count() == before
    changes = registration.update_client(client, require_pkce=False)
    assert changes == {"require_pkce": (True, False)}
    event = AuditEvent.objects.get(event_type="client:update")
    assert event.changes == {"require_pkce": [True, False]}


def test_the_same_secret_again_is_no_change(entry: Application) -> None:
    client, _ = registration.register_client(
        catalogue_entry=entry, redirect_uris=[CALLBACK], client_secret=CLIENT_SECRET
    )
    assert registration.update_client(client, client_secret=CLIENT_SECRET) == {}
    assert set(registration.update_client(client, client_secret=CLIENT_SECRET + "2")) == {"client_secret"}


def test_a_new_secret_may_leave_the_old_one_for_a_while(entry: Application) -> None:
    client, old = registration.register_client(catalogue_entry=entry, redirect_uris=[CALLBACK])
    registration.rotate_secret(client, keep_previous=True)
    assert client.previous_secret_hash == authentication.hash_secret(old)
    assert client.previous_secret_expires_at is not None
    registration.rotate_secret(client)
    assert client.previous_secret_hash == ""


def test_the_keys_of_a_clients_algorithm_are_there_before_its_first_request(entry: Application) -> None:
    registration.register_client(catalogue_entry=entry, redirect_uris=[CALLBACK], id_token_signed_response_alg="ES256")
    assert ("sig", "ES256") in keys.in_use(tenant=entry.tenant)


def test_a_flagged_client_of_an_internal_application_may_do_without_tls() -> None:
    entry = make_application(is_internal=True)
    addresses = {
        "redirect_uris": ["http://wiki.corp.example/cb"],
        "post_logout_redirect_uris": ["http://wiki.corp.example/"],
    }
    assert errors(catalogue_entry=entry, **addresses) == {"redirect_uris", "post_logout_redirect_uris"}
    assert errors(catalogue_entry=entry, flags={"plain_http": True}, redirect_uris=["ftp://wiki.corp.example/"]) == {
        "redirect_uris"
    }
    client, _ = registration.register_client(catalogue_entry=entry, flags={"plain_http": True}, **addresses)
    with pytest.raises(ValidationError):
        registration.update_client(client, flags={})
