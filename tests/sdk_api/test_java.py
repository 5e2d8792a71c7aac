"""X-signature by a Java client, with both readings of the document's transformation string. It runs where a JDK is."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.sdk_api.phone import Phone

SOURCE = Path(__file__).resolve().parents[1] / "clients" / "java" / "SdkSignature.java"
pytestmark = [
    pytest.mark.client,
    pytest.mark.skipif(shutil.which("javac") is None or shutil.which("java") is None, reason="no JDK on this machine"),
]


@pytest.mark.spec("OneAccess-4.1")
def test_a_java_app_reads_its_profile_and_signs_out(phone: Phone, tmp_path: Path) -> None:
    subprocess.run(["javac", "-Xlint:all", "-Werror", "-d", str(tmp_path), str(SOURCE)], check=True)
    pem = phone.get("public-key").json()["public_key"]
    token = phone.sign_in()

    def sign(variant: str) -> str:
        timestamp = phone.get("server-date").json()["timestamp"]
        arguments = [pem, token, timestamp, f"{int(timestamp):x}{variant}", variant]
        made = subprocess.run(
            ["java", "-cp", str(tmp_path), "SdkSignature", *arguments], capture_output=True, text=True, check=True
        )
        return made.stdout.strip()

    assert phone.profile(sign("sha256")).json()["user_name"] == "alice"
    assert phone.profile(sign("default")).json()["user_name"] == "alice"
    assert phone.get("logout", X_signature=sign("default")).status_code == 200
    assert phone.profile(sign("sha256")).json()["error_code"] == "PARAM.0030"
