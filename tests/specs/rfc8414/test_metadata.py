"""RFC 8414: how clients authenticate at each endpoint."""

from __future__ import annotations

import pytest

from tests.specs.conformance import RelyingParty

pytestmark = pytest.mark.django_db


@pytest.mark.spec("RFC8414-2")
def test_client_authentication_is_named_for_each_endpoint(party: RelyingParty) -> None:
    metadata = party.metadata
    proving = ["client_secret_basic", "client_secret_post", "private_key_jwt"]
    assert metadata["token_endpoint_auth_methods_supported"] == [*proving, "none"]
    assert metadata["revocation_endpoint_auth_methods_supported"] == [*proving, "none"]
    assert metadata["introspection_endpoint_auth_methods_supported"] == proving
    for endpoint in ("token", "revocation", "introspection"):
        algorithms = metadata[f"{endpoint}_endpoint_auth_signing_alg_values_supported"]
        assert "RS256" in algorithms
        assert not any(name.startswith(("HS", "none")) for name in algorithms)


@pytest.mark.spec("RFC8414-2")
def test_claimed_grant_types_are_those_of_the_token_endpoint(party: RelyingParty) -> None:
    for grant_type in party.metadata["grant_types_supported"]:
        if grant_type == "implicit":
            continue  # never comes to the token endpoint
        refused = party.call("token_endpoint", {"grant_type": grant_type})
        assert refused.json()["error"] != "unsupported_grant_type", grant_type
    refused = party.call("token_endpoint", {"grant_type": "password"})
    assert refused.json()["error"] == "unsupported_grant_type"
