"""Codes that another program makes: those of OATH Toolkit (the Debian package oathtool) count here."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine

from identity.configuration.files import apply_documents
from identity.context import RequestContext
from identity.errors import VerificationRefused
from identity.models import AuthenticatorApp, User
from identity.sign_in import enrolment
from identity.sign_in.factors import totp
from tests.factories import make_tenant, make_user

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(not shutil.which("oathtool") and os.environ.get("CI") != "true", reason="needs oathtool"),
]

NOW = datetime(2026, 3, 5, 12, 0, 10, tzinfo=UTC)
STEP = timedelta(seconds=30)
# Of more bytes than the hash of SHA-1 has, and of fewer.
SECRET = base64.b32encode(b"a secret of thirty-two bytes, no").decode()
RAW = "HZsTY0vGqC2NGkbVbNbW"  # Keycloak makes texts like this, and their bytes are the key


def code_of(base32: str, algorithm: str, moment: datetime) -> str:
    program = [
        "oathtool",
        f"--totp={algorithm}",
        "--digits=6",
        "--base32",
        f"--now={moment:%Y-%m-%d %H:%M:%S} UTC",
        base32,
    ]
    return subprocess.run(program, check=True, capture_output=True, text=True, timeout=10).stdout.strip()


def import_secret(tmp_path: Path, secret: Any) -> User:
    user = {"user_name": "zhang", "totp": [secret]}
    apply_documents([{"tenant": {"code": "north"}, "users": [user]}], base_dir=tmp_path)
    return User.objects.get(user_name="zhang")


def check_codes(user: User, base32: str, algorithm: str) -> None:
    """One step either side is good, each once, and two steps away none is."""
    with time_machine.travel(NOW, tick=False):
        for moment in (NOW - 2 * STEP, NOW + 2 * STEP):
            with pytest.raises(VerificationRefused):
                totp.take(user, code_of(base32, algorithm, moment))
        for moment in (NOW - STEP, NOW, NOW + STEP):
            code = code_of(base32, algorithm, moment)
            totp.take(user, code)
            with pytest.raises(VerificationRefused):
                totp.take(user, code)


@pytest.mark.spec("RFC6238-5.1")
def test_its_codes_enrol_an_app_and_count_from_then_on() -> None:
    user = make_user(make_tenant())
    with time_machine.travel(NOW - timedelta(hours=1), tick=False):
        secret = enrolment.begin_totp(user=user, owner="session 1").secret
        enrolment.finish_totp(
            user=user,
            owner="session 1",
            name="",
            verification_code=code_of(secret, "sha1", NOW - timedelta(hours=1)),
            context=RequestContext(tenant=user.tenant),
        )
    check_codes(user, secret, "sha1")


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
def test_its_codes_count_for_a_secret_from_an_otpauth_uri(tmp_path: Path, algorithm: str) -> None:
    (tmp_path / "secret").write_text(
        f"otpauth://totp/Old:zhang?secret={SECRET}&algorithm={algorithm.upper()}&digits=6&period=30\n"
    )
    check_codes(import_secret(tmp_path, {"file": "secret"}), SECRET, algorithm)
    assert AuthenticatorApp.objects.get().algorithm == algorithm


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
@pytest.mark.parametrize(
    ("value", "encoding", "base32"),
    [(RAW, {}, base64.b32encode(RAW.encode()).decode()), (SECRET, {"secretEncoding": "BASE32"}, SECRET)],
    ids=["text", "base32"],
)
def test_its_codes_count_for_a_secret_that_keycloak_exported(
    tmp_path: Path, value: str, encoding: dict[str, str], base32: str, algorithm: str
) -> None:
    data = {"subType": "totp", "digits": 6, "counter": 0, "period": 30, "algorithm": f"Hmac{algorithm.upper()}"}
    credential = {
        "id": "f3b7a1de-4f0e-4a3c-9a55-0f6f3ad1c9b2",
        "type": "otp",
        "userLabel": "Phone",
        "createdDate": 1716888000000,
        "secretData": json.dumps({"value": value}),
        "credentialData": json.dumps({**data, **encoding}),
    }
    check_codes(import_secret(tmp_path, credential), base32, algorithm)
