"""What registration demands of clients of the vendors' dialects."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ValidationError

from identity.models import Tenant
from oidc_provider import dialects
from oidc_provider.checks import check_lowered_defences
from oidc_provider.clients import registration
from oidc_provider.dialects.base import Dialect
from tests.dialects.party import CALLBACK
from tests.factories import make_application

pytestmark = pytest.mark.django_db


def register(tenant: Tenant, **values: Any) -> Any:
    given = {"redirect_uris": [CALLBACK], **values}
    return registration.register_client(catalogue_entry=make_application(tenant), **given)[0]


@pytest.mark.parametrize("dialect", dialects.ALL, ids=lambda dialect: dialect.name)
def test_a_client_has_the_defaults_of_its_dialect_and_what_is_said(tenant: Tenant, dialect: Dialect) -> None:
    client = register(tenant, dialect=dialect.name)
    for name, value in dialect.client_defaults.items():
        assert getattr(client, name) == value
    other = register(tenant, dialect=dialect.name, grant_types=["authorization_code"], scopes=["openid"])
    assert (other.grant_types, other.scopes) == (["authorization_code"], ["openid"])
    # A default is a copy: what one client has, another does not share.
    client.scopes.append("roles")
    assert "roles" not in register(tenant, dialect=dialect.name).scopes


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"dialect": "pactera", "id_token_signed_response_alg": "RS512"}, "id_token_signed_response_alg"),
        ({"dialect": "oneaccess", "id_token_signed_response_alg": "ES256"}, "id_token_signed_response_alg"),
        ({"dialect": "pactera", "client_secret": "a-secret-with-a-colon:in-it"}, "client_secret"),
        ({"dialect": "pactera", "client_secret": "too-short"}, "client_secret"),
        ({"dialect": "pactera", "flags": {"implicit_without_nonce": True}}, "flags"),
        ({"dialect": "pactera", "flags": {"short_verifiers": "yes"}}, "flags"),
        ({"dialect": "oneaccess", "flags": {"short_verifiers": True}}, "flags"),
        ({"dialect": "pactera", "flags": {"plain_http": True}}, "flags"),  # the application is not internal
        ({"dialect": "standard", "flags": {"errors_by_redirect": True}}, "flags"),
        (
            {
                "dialect": "tencent",
                "allow_implicit": True,
                "response_types": ["code", "id_token"],
                "grant_types": ["authorization_code", "implicit"],
            },
            "response_types",
        ),
        ({"dialect": "unknown"}, "dialect"),
    ],
)
def test_what_a_dialect_does_not_know_is_refused(tenant: Tenant, values: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as refused:
        register(tenant, **values)
    assert field in refused.value.message_dict


def test_a_dialect_can_be_chosen_in_the_admin() -> None:
    from oidc_provider.admin.clients import ClientForm
    from oidc_provider.admin.new_client import NewClientForm

    names = [dialect.name for dialect in dialects.ALL]
    for form in (ClientForm, NewClientForm):
        assert [value for value, _ in form.base_fields["dialect"].choices] == names  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"dialect": "pactera", "flags": {"short_verifiers": True}}, ["short_verifiers"]),
        ({"dialect": "oneaccess", "flags": {"implicit_without_nonce": True}}, ["implicit_without_nonce"]),
        ({"dialect": "pactera", "flags": {"short_verifiers": False, "standard_at_hash": True}}, []),
        ({"dialect": "pactera", "flags": {"short_verifiers": True}, "is_active": False}, []),
    ],
)
def test_the_deploy_check_names_clients_with_less_safety(
    tenant: Tenant, values: dict[str, Any], expected: list[str]
) -> None:
    client = register(tenant, **values)
    found = check_lowered_defences(None, databases=["default"])
    assert [(message.id, message.msg) for message in found] == [
        ("oidc_provider.W001", f"Client {client.client_id} has the flag {name!r}, which lowers a defence.")
        for name in expected
    ]
    assert check_lowered_defences(None, databases=None) == []
