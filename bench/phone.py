"""A phone app on its device, with its back end, and the headers that it sends."""

from __future__ import annotations

import base64
import secrets
import time
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256

FINGERPRINT = "bench-device"
SYSTEM = "Android 14"
_PADDING = OAEP(mgf=MGF1(SHA256()), algorithm=SHA256(), label=None)


@dataclass
class Phone:
    """One app on one device, and its back end, signed in."""

    origin: str
    client_id: str
    key: RSAPublicKey
    session_token: str
    access_token: str

    def headers(self) -> dict[str, str]:
        # Puzzles are limited by address; each request comes from another one.
        return device_headers(self.client_id) | {"X-Forwarded-For": f"10.{'.'.join(map(str, secrets.token_bytes(3)))}"}

    def signature(self) -> str:
        text = (
            f"session_token={self.session_token}&timestamp={time.time_ns() // 1_000_000}&nonce={secrets.token_hex(6)}"
        )
        return base64.b64encode(self.key.encrypt(text.encode(), _PADDING)).decode()

    def device(self, **members: str) -> dict[str, str]:
        return {
            "operating_sys_version": SYSTEM,
            "device_ip": "10.10.10.1",
            "device_fingerprint": FINGERPRINT,
            **members,
        }


def device_headers(client_id: str) -> dict[str, str]:
    return {
        "X-operating-sys-version": SYSTEM,
        "X-device-fingerprint": FINGERPRINT,
        "X-agent": "Bench 1",
        "X-client-id": client_id,
    }
