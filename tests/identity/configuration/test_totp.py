"""Authenticator apps of another product, brought in by a file."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pyotp
import pytest
from django.core import checks

from identity.configuration.files import apply_documents
from identity.configuration.shapes import ConfigError
from identity.models import AuditEvent, AuthenticatorApp, SessionPolicy, User
from identity.sign_in.factors import totp
from tests.factories import make_operator, make_tenant

pytestmark = pytest.mark.django_db

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
URI = f"otpauth://totp/Old%20House:zhang@example.org?secret={SECRET}&issuer=Old%20House&algorithm=SHA256&digits=6&period=30"


def keycloak(value: str, **data: Any) -> dict[str, Any]:
    told = {"subType": "totp", "digits": 6, "counter": 0, "period": 30, "algorithm": "HmacSHA1", **data}
    return {
        "type": "otp",
        "userLabel": "Phone",
        "secretData": json.dumps({"value": value}),
        "credentialData": json.dumps(told),
    }


def apply(tmp_path: Path, *secrets: Any) -> list[str]:
    user = {"user_name": "zhang", "totp": list(secrets)}
    changes = apply_documents([{"tenant": {"code": "north"}, "users": [user]}], base_dir=tmp_path)
    return [line for change in changes for line in change.lines()]


def test_both_forms_are_added_once_and_their_codes_count(tmp_path: Path) -> None:
    raw = "a raw text of Keycloak"
    (tmp_path / "secret").write_text(URI + "\n", encoding="utf-8")
    given = ({"file": "secret"}, keycloak(raw), keycloak(SECRET[:16], secretEncoding="BASE32"))
    assert apply(tmp_path, *given)[2:] == ["+ authenticator app of user zhang"] * 3
    assert apply(tmp_path, *given) == []
    user = User.objects.get(user_name="zhang")
    assert user.factor_kinds == "totp"
    assert set(AuthenticatorApp.objects.values_list("name", "algorithm")) == {
        ("Old House", "sha256"),
        ("Phone", "sha1"),
    }
    key = base64.b32encode(raw.encode()).decode()
    assert totp.take(user, pyotp.TOTP(key).now()).name == "Phone"
    events = AuditEvent.objects.filter(event_type="factor:add")
    assert [event.actor_type for event in events] == ["system"] * 3
    assert not any(SECRET in f"{event.details}{event.personal}{event.changes}" for event in events)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "otpauth://hotp/x?secret=" + SECRET,
        "https://example.org/?secret=" + SECRET,
        URI.replace("digits=6", "digits=8"),
        URI.replace("period=30", "period=60"),
        URI.replace("SHA256", "MD5"),
        URI.replace(SECRET, "ABC"),
        URI.replace(SECRET, "1!"),
        URI.replace(SECRET, "A" * 400),
        {"type": "password"},
        keycloak("short"),
        keycloak("a raw text of Keycloak", subType="hotp"),
        keycloak("a raw text of Keycloak", algorithm="HmacSHA512"),
        {**keycloak("a raw text of Keycloak"), "secretData": "no JSON"},
    ],
)
def test_what_cannot_be_taken_is_named_without_the_secret(tmp_path: Path, value: Any) -> None:
    with pytest.raises(ConfigError) as refused:
        apply(tmp_path, value)
    assert "users[0].totp[0]" in str(refused.value)
    assert SECRET not in str(refused.value)
    assert not AuthenticatorApp.objects.exists()


def test_on_deployment_tenants_whose_operators_need_no_own_factor_are_named() -> None:
    lax, strict, _without = (
        make_tenant(),
        make_tenant(session_policy={"operators_need_own_factor": True}),
        make_tenant(),
    )
    make_operator(lax)
    make_operator(strict)

    def told() -> list[str]:
        found = checks.run_checks(databases=["default"], include_deployment_checks=True)
        return [message.msg for message in found if message.id == "identity.W103"]

    assert told() == [f"Operators of the tenant {lax.code} need neither a passkey nor an authenticator app."]
    SessionPolicy.objects.filter(tenant=lax).update(mfa_mode="phishing_resistant")
    assert told() == []
