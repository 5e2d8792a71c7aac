"""An authenticator of software: makes passkeys and signs with them, rightly or with one thing wrong."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from fido2 import cbor
from fido2.cose import ES256, RS256, CoseKey, EdDSA

from identity.sign_in.webauthn import encode

UP, UV, BE, BS, AT = 0x01, 0x04, 0x08, 0x10, 0x40


@dataclass
class Passkey:
    """One key pair, and what it signs with."""

    rp_id: str
    user_handle: str = ""
    algorithm: int = -7
    is_synced: bool = False
    has_counter: bool = True
    credential_id: bytes = field(default_factory=lambda: os.urandom(32))
    aaguid: bytes = bytes(16)
    count: int = 0

    def __post_init__(self) -> None:
        self.key: Any
        if self.algorithm == -7:
            self.key = ec.generate_private_key(ec.SECP256R1())
            self.cose: CoseKey = ES256.from_cryptography_key(self.key.public_key())
        elif self.algorithm == -8:
            self.key = ed25519.Ed25519PrivateKey.generate()
            self.cose = EdDSA.from_cryptography_key(self.key.public_key())
        else:
            self.key = rsa.generate_private_key(65537, 2048)
            self.cose = RS256.from_cryptography_key(self.key.public_key())

    def sign(self, message: bytes) -> bytes:
        if self.algorithm == -7:
            signature: bytes = self.key.sign(message, ec.ECDSA(hashes.SHA256()))
        elif self.algorithm == -8:
            signature = self.key.sign(message)
        else:
            signature = self.key.sign(message, padding.PKCS1v15(), hashes.SHA256())
        return signature

    @property
    def _backup(self) -> int:
        return BE | BS if self.is_synced else 0

    def create(
        self,
        options: dict[str, Any],
        origin: str,
        *,
        flags: int | None = None,
        fmt: str = "none",
        client_data: dict[str, Any] | None = None,
        rp_id: str | None = None,
        attestation: bytes | None = None,
        statement: dict[str, Any] | None = None,
        **members: Any,
    ) -> str:
        """Answer creation options, as `toJSON` spells it. The rest says what is to be wrong."""
        data = _client_data("webauthn.create", options["challenge"], origin, client_data)
        credential = self.aaguid + len(self.credential_id).to_bytes(2, "big") + self.credential_id
        credential += cbor.encode(dict(self.cose))
        flags = UP | UV | self._backup if flags is None else flags
        authenticator_data = self._data(rp_id or self.rp_id, flags | AT) + credential
        if statement is None:
            statement = {}
            if fmt == "packed":  # self attestation
                signed = authenticator_data + hashlib.sha256(data).digest()
                statement = {"alg": self.algorithm, "sig": self.sign(signed)}
        if attestation is None:
            attestation = cbor.encode({"fmt": fmt, "attStmt": statement, "authData": authenticator_data})
        response = {
            "clientDataJSON": encode(data),
            "attestationObject": encode(attestation),
            "transports": ["internal", "hybrid"],
        }
        return self._document(response, {"credProps": {"rk": True}}, members)

    def get(
        self,
        options: dict[str, Any],
        origin: str,
        *,
        flags: int | None = None,
        client_data: dict[str, Any] | None = None,
        rp_id: str | None = None,
        signature: bytes | None = None,
        user_handle: str | None = None,
        authenticator_data: bytes | None = None,
        **members: Any,
    ) -> str:
        """Answer request options, as `toJSON` spells it. The rest says what is to be wrong."""
        data = _client_data("webauthn.get", options["challenge"], origin, client_data)
        if self.has_counter:
            self.count += 1
        flags = UP | UV | self._backup if flags is None else flags
        if authenticator_data is None:
            authenticator_data = self._data(rp_id or self.rp_id, flags)
        signed = authenticator_data + hashlib.sha256(data).digest()
        handle = self.user_handle if user_handle is None else user_handle
        response = {
            "clientDataJSON": encode(data),
            "authenticatorData": encode(authenticator_data),
            "signature": encode(self.sign(signed) if signature is None else signature),
            "userHandle": encode(handle.encode()) if handle else None,
        }
        return self._document(response, {}, members)

    def _data(self, rp_id: str, flags: int) -> bytes:
        return hashlib.sha256(rp_id.encode()).digest() + bytes([flags]) + self.count.to_bytes(4, "big")

    def _document(self, response: dict[str, Any], extensions: dict[str, Any], members: dict[str, Any]) -> str:
        name = encode(self.credential_id)
        document = {
            "id": name,
            "rawId": name,
            "type": "public-key",
            "authenticatorAttachment": "platform",
            "clientExtensionResults": extensions,
            "response": response,
        }
        return json.dumps({**document, **members})


def _client_data(type_: str, challenge: str, origin: str, changed: dict[str, Any] | None) -> bytes:
    data = {"type": type_, "challenge": challenge, "origin": origin, "crossOrigin": False, **(changed or {})}
    return json.dumps(data, separators=(",", ":")).encode()
