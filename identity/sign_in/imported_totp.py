"""Secrets of authenticator apps as other products write them: otpauth URIs, and Keycloak's credentials."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from django.utils.translation import gettext as _

from identity.models import TOTPAlgorithm
from identity.sign_in.factors import totp

MIN_SECRET_BYTES, MAX_SECRET_BYTES = 10, 128  # shorter ones are guessed (RFC4226-4, R6 asks for 16; old ones have 10)

_ALGORITHMS = {
    "SHA1": TOTPAlgorithm.SHA1,
    "SHA256": TOTPAlgorithm.SHA256,
    "HmacSHA1": TOTPAlgorithm.SHA1,
    "HmacSHA256": TOTPAlgorithm.SHA256,
}


@dataclass(frozen=True)
class Secret:
    """What is kept of an app."""

    base32: str
    algorithm: TOTPAlgorithm
    name: str  # "" where none is told

    def __repr__(self) -> str:
        return f"Secret({self.algorithm})"


def read(value: str | Mapping[str, Any]) -> Secret:
    """Read one secret. Raises ValueError, which says what is wrong and never the secret."""
    return _of_keycloak(value) if isinstance(value, Mapping) else _of_uri(value)


def _of_uri(uri: str) -> Secret:
    """Read `otpauth://totp/Issuer:account?secret=…&algorithm=SHA1&digits=6&period=30`."""
    parts = urlsplit(uri)
    if parts.scheme != "otpauth" or parts.netloc != "totp":
        raise ValueError(_("is no otpauth URI of a code that changes with the time."))
    found = {name: values[0] for name, values in parse_qs(parts.query).items()}
    _check_form(found.get("digits", "6"), found.get("period", "30"))
    key = _decoded(found.get("secret", ""))
    label = unquote(parts.path).strip("/").rpartition(":")[2].strip()
    return _secret(key, found.get("algorithm", "SHA1"), name=found.get("issuer", "") or label)


def _of_keycloak(credential: Mapping[str, Any]) -> Secret:
    """Read a credential of Keycloak's export of a realm: `type` is `otp`, and two members are JSON in texts."""
    try:
        data, kept = json.loads(credential["credentialData"]), json.loads(credential["secretData"])
        kind, value = data["subType"], kept["value"]
    except (KeyError, TypeError, ValueError):
        raise ValueError(_("is no credential of Keycloak's.")) from None
    if credential.get("type") != "otp" or kind != "totp" or not isinstance(value, str):
        raise ValueError(_("is no credential of a code that changes with the time."))
    _check_form(data.get("digits"), data.get("period"))
    # Keycloak's secrets are texts whose bytes are the key, unless it says otherwise.
    key = _decoded(value) if data.get("secretEncoding") == "BASE32" else value.encode()
    return _secret(key, str(data.get("algorithm")), name=str(credential.get("userLabel") or ""))


def _check_form(digits: Any, period: Any) -> None:
    if str(digits) != str(totp.DIGITS) or str(period) != str(totp.STEP_SECONDS):
        raise ValueError(_("Codes here have six digits and change every thirty seconds."))


def _decoded(text: str) -> bytes:
    plain = text.replace(" ", "").upper().rstrip("=")
    try:
        return base64.b32decode(plain + "=" * (-len(plain) % 8))
    except (binascii.Error, ValueError):
        raise ValueError(_("The secret is not in base32.")) from None


def _secret(key: bytes, algorithm: str, *, name: str) -> Secret:
    if algorithm not in _ALGORITHMS:
        raise ValueError(_("SHA-1 and SHA-256 are known here."))
    if not MIN_SECRET_BYTES <= len(key) <= MAX_SECRET_BYTES:
        raise ValueError(_("The secret is too short or too long."))
    return Secret(base64.b32encode(key).decode().rstrip("="), _ALGORITHMS[algorithm], name)
