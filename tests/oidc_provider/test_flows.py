"""Whole ways through the machine endpoints."""

from __future__ import annotations

import jwt
import pytest

from identity.keyring import keys
from oidc_provider.dialects.base import half_hash
from tests.support.machine import Machine

pytestmark = pytest.mark.django_db


def test_a_code_gives_tokens_that_work(machine: Machine) -> None:
    answer = machine.exchange(machine.code(scope="openid profile email", nonce="n-1", state="s-1"))
    body = answer.json()
    assert answer.status_code == 200
    assert answer["Cache-Control"] == "no-store"
    assert set(body) == {"access_token", "token_type", "expires_in", "scope", "refresh_token", "id_token"}
    assert (body["token_type"], body["expires_in"], body["scope"]) == ("Bearer", 3600, "openid profile email")

    claims = keys.verify(tenant=machine.context.tenant, token=body["id_token"])
    assert claims["iss"] == machine.issuer
    assert claims["aud"] == machine.client.client_id
    assert claims["sub"] == machine.user.public_id
    assert claims["nonce"] == "n-1"
    assert claims["at_hash"] == half_hash(body["access_token"], "RS256")
    assert claims["sid"] == machine.session.sid
    assert claims["auth_time"] == int(machine.session.authenticated_at.timestamp())
    assert claims["amr"] == ["pwd"]
    assert claims["exp"] - claims["iat"] == 3600
    assert jwt.get_unverified_header(body["id_token"])["alg"] == "RS256"

    info = machine.userinfo(body["access_token"])
    assert info.status_code == 200
    assert info.json()["sub"] == machine.user.public_id
    assert info.json()["email"] == "alice@example.org"

    again = machine.refresh(body["refresh_token"])
    assert again.status_code == 200
    assert again.json()["refresh_token"] != body["refresh_token"]
    renewed = keys.verify(tenant=machine.context.tenant, token=again.json()["id_token"])
    assert {name: renewed[name] for name in ("iss", "sub", "aud", "auth_time", "sid")} == {
        name: claims[name] for name in ("iss", "sub", "aud", "auth_time", "sid")
    }
    assert "nonce" not in renewed
