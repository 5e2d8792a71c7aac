"""What a relying party checks of a passkey (WebAuthn Level 3, "Registering a New Credential" and "Verifying an
Authentication Assertion"), each check with the name under which a refusal stands in the audit.

No rows here: a caller says what it expects and what is stored. `fido2` reads CBOR, keys and attestation statements.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from fido2 import cbor
from fido2.attestation.base import Attestation, InvalidAttestation
from fido2.cose import CoseKey
from fido2.webauthn import AttestationObject, AuthenticatorData

from identity import crypto
from identity.errors import PasskeyRefused
from identity.texts import unique_members

CREATE, GET = "webauthn.create", "webauthn.get"
# What is asked for in `pubKeyCredParams`, the first choice first: ES256, EdDSA, RS256, ES384, ES512.
ALGORITHMS = (-7, -8, -257, -35, -36)
MAX_CREDENTIAL_CHARACTERS = 32_768  # of the JSON document
MAX_ATTESTATION_BYTES = 16_384
MAX_ID_BYTES = 1023  # of a credential id
_TRANSPORTS = frozenset({"usb", "nfc", "ble", "smart-card", "hybrid", "internal"})
# What a library raises of bytes that are not what they should be.
_UNREADABLE = (ValueError, KeyError, IndexError, TypeError, AttributeError, struct.error, OverflowError, RecursionError)

_END = b"\x00"

Flag = AuthenticatorData.FLAG


@dataclass(frozen=True)
class RelyingParty:
    """Who we are to an authenticator."""

    rp_id: str  # a host name
    origins: frozenset[str]  # whole origins, of all hosts of the tenant (S52)


@dataclass(frozen=True)
class Expected:
    """What an answer must say."""

    party: RelyingParty
    challenge: str  # base64url
    needs_user_verification: bool


@dataclass(frozen=True)
class NewCredential:
    """What is kept of a new passkey. Binary values are base64url without padding."""

    credential_id: str
    public_key: str  # COSE key in CBOR
    algorithm: int
    sign_count: int
    is_user_verified: bool
    is_backup_eligible: bool
    is_backed_up: bool
    transports: list[str]
    aaguid: str  # with hyphens
    attestation_format: str
    is_discoverable: bool | None  # None where the browser does not say


@dataclass(frozen=True)
class StoredCredential:
    """What is known of the passkey that an answer names."""

    public_key: str
    algorithm: int
    sign_count: int
    is_backup_eligible: bool


@dataclass(frozen=True)
class Assertion:
    """A verified answer."""

    sign_count: int
    is_user_verified: bool
    is_backed_up: bool
    is_counter_back: bool  # a signal that the key was copied, and no proof of it


@dataclass(frozen=True)
class Answer:
    """An answer as it came: read, and nothing of it believed yet."""

    credential_id: str
    client_data: bytes
    response: Mapping[str, Any]
    extensions: Mapping[str, Any]

    @property
    def user_handle(self) -> str:
        """Whom the authenticator names, "" where it names nobody."""
        value = self.response.get("userHandle")
        if value in (None, ""):
            return ""
        try:
            return decode(value).decode()
        except UnicodeDecodeError:
            raise PasskeyRefused("user_handle") from None


def encode(value: bytes) -> str:
    """Return base64url without padding, as WebAuthn's JSON has binary members."""
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def decode(text: Any) -> bytes:
    """Read base64url without padding, and no other spelling of it. Raises PasskeyRefused."""
    if not isinstance(text, str):
        raise PasskeyRefused("malformed", log_detail="no base64url text")
    try:
        value = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise PasskeyRefused("malformed", log_detail="no base64url") from None
    if encode(value) != text:
        raise PasskeyRefused("malformed", log_detail="base64url in another spelling")
    return value


def read(document: str) -> Answer:
    """Read what `PublicKeyCredential.toJSON()` gave. Raises PasskeyRefused."""
    if len(document) > MAX_CREDENTIAL_CHARACTERS:
        raise PasskeyRefused("malformed", log_detail="too long")
    try:
        found = json.loads(document, object_pairs_hook=unique_members)
        response = found["response"]
        answer = Answer(found["id"], decode(response["clientDataJSON"]), response, found["clientExtensionResults"])
    except _UNREADABLE as error:
        raise PasskeyRefused("malformed", log_detail=type(error).__name__) from None
    if found.get("type") != "public-key" or found.get("rawId") != answer.credential_id:
        raise PasskeyRefused("malformed", log_detail="type or rawId")
    if not 0 < len(decode(answer.credential_id)) <= MAX_ID_BYTES:
        raise PasskeyRefused("credential_id")
    if not isinstance(response, dict) or not isinstance(answer.extensions, dict):
        raise PasskeyRefused("malformed", log_detail="members")
    return answer


# Registration ----------------------------------------------------------------------------------------------


def verify_registration(answer: Answer, *, expected: Expected) -> NewCredential:
    """Check a new credential, and return what is to be kept of it. Raises PasskeyRefused."""
    client_data_hash = _check_client_data(answer.client_data, type_=CREATE, expected=expected)
    attestation = _attestation(decode(answer.response.get("attestationObject")))
    data = attestation.auth_data
    _check_authenticator_data(data, expected=expected)
    credential = data.credential_data
    if credential is None:
        raise PasskeyRefused("malformed", log_detail="no attested credential data")
    algorithm = credential.public_key.get(3)
    if algorithm not in ALGORITHMS:
        raise PasskeyRefused("algorithm", log_detail=str(algorithm)[:20])
    _check_key(credential.public_key)
    _check_attestation(attestation, client_data_hash)
    if len(credential.credential_id) > MAX_ID_BYTES or encode(credential.credential_id) != answer.credential_id:
        raise PasskeyRefused("credential_id")
    return NewCredential(
        credential_id=answer.credential_id,
        public_key=encode(cbor.encode(dict(credential.public_key))),
        algorithm=algorithm,
        sign_count=data.counter,
        is_user_verified=data.is_user_verified(),
        is_backup_eligible=data.is_backup_eligible(),
        is_backed_up=data.is_backed_up(),
        transports=_transports(answer.response.get("transports")),
        aaguid=str(credential.aaguid),
        attestation_format=attestation.fmt,
        is_discoverable=_is_discoverable(answer.extensions),
    )


def _attestation(encoded: bytes) -> AttestationObject:
    if len(encoded) > MAX_ATTESTATION_BYTES:
        raise PasskeyRefused("malformed", log_detail="attestation too long")
    try:
        attestation = AttestationObject(encoded)
        # The library reads a text that was cut off as a shorter one, which would swallow what follows here.
        is_whole = cbor.decode_from(encoded + _END)[1] == _END
    except _UNREADABLE as error:
        raise PasskeyRefused("malformed", log_detail=f"attestation: {type(error).__name__}") from None
    if not is_whole or not isinstance(attestation.fmt, str) or not isinstance(attestation.att_stmt, dict):
        raise PasskeyRefused("malformed", log_detail="attestation")
    return attestation


def _check_attestation(attestation: AttestationObject, client_data_hash: bytes) -> None:
    """Check that the statement is true in its own format. Nobody asks whether its maker is trusted: we ask for none."""
    try:
        Attestation.for_type(attestation.fmt)().verify(attestation.att_stmt, attestation.auth_data, client_data_hash)
    except (InvalidAttestation, InvalidSignature, UnsupportedAlgorithm, *_UNREADABLE) as error:
        raise PasskeyRefused("attestation", log_detail=type(error).__name__) from None


def _check_key(key: CoseKey) -> None:
    """Refuse a key that no signature could ever fit: it would be found out when the person needs it."""
    try:
        key.verify(b"", b"")
    except InvalidSignature:
        return
    except (UnsupportedAlgorithm, *_UNREADABLE) as error:
        raise PasskeyRefused("algorithm", log_detail=type(error).__name__) from None
    raise PasskeyRefused("algorithm", log_detail="a key that takes every signature")


def _transports(value: Any) -> list[str]:
    named = value if isinstance(value, list) else []
    return sorted({name for name in named if isinstance(name, str)} & _TRANSPORTS)


def _is_discoverable(extensions: Mapping[str, Any]) -> bool | None:
    properties = extensions.get("credProps")
    value = properties.get("rk") if isinstance(properties, dict) else None
    return value if isinstance(value, bool) else None


# Authentication --------------------------------------------------------------------------------------------


def verify_assertion(answer: Answer, *, stored: StoredCredential, expected: Expected) -> Assertion:
    """Check an answer against the passkey that it names. Raises PasskeyRefused."""
    client_data_hash = _check_client_data(answer.client_data, type_=GET, expected=expected)
    encoded, signature = decode(answer.response.get("authenticatorData")), decode(answer.response.get("signature"))
    try:
        data = AuthenticatorData(encoded)
    except _UNREADABLE as error:
        raise PasskeyRefused("malformed", log_detail=f"authenticator data: {type(error).__name__}") from None
    _check_authenticator_data(data, expected=expected)
    if data.is_backup_eligible() != stored.is_backup_eligible:
        raise PasskeyRefused("backup_eligibility")
    _check_signature(stored, encoded + client_data_hash, signature)
    is_counted = bool(data.counter or stored.sign_count)
    return Assertion(
        sign_count=data.counter,
        is_user_verified=data.is_user_verified(),
        is_backed_up=data.is_backed_up(),
        is_counter_back=is_counted and data.counter <= stored.sign_count,
    )


def _check_signature(stored: StoredCredential, signed: bytes, signature: bytes) -> None:
    key = CoseKey.parse(cbor.decode(decode(stored.public_key)))  # type: ignore[arg-type]  # a map, as it was stored
    try:
        key.verify(signed, signature)
    except (InvalidSignature, ValueError) as error:
        raise PasskeyRefused("signature", log_detail=type(error).__name__) from None


# Both ------------------------------------------------------------------------------------------------------


def _check_client_data(encoded: bytes, *, type_: str, expected: Expected) -> bytes:
    """Check what the browser says it has signed for; return its SHA-256."""
    try:
        client_data = json.loads(encoded.decode("utf-8-sig"))
    except _UNREADABLE as error:
        raise PasskeyRefused("malformed", log_detail=f"client data: {type(error).__name__}") from None
    if not isinstance(client_data, dict):
        raise PasskeyRefused("malformed", log_detail="client data")
    if client_data.get("type") != type_:
        raise PasskeyRefused("type")
    challenge = str(client_data.get("challenge", "")).encode(errors="replace")
    if not crypto.constant_time_equal(challenge, expected.challenge.encode()):
        raise PasskeyRefused("challenge")
    # S52: the whole origin, as a member of a set; no part of it is looked at.
    origin = client_data.get("origin")
    if not isinstance(origin, str) or origin not in expected.party.origins:
        raise PasskeyRefused("origin", log_detail=repr(origin)[:100])
    # None of our pages is shown in a frame of somebody else's.
    if client_data.get("crossOrigin", False) is not False or "topOrigin" in client_data:
        raise PasskeyRefused("cross_origin")
    return hashlib.sha256(encoded).digest()


def _check_authenticator_data(data: AuthenticatorData, *, expected: Expected) -> None:
    if not crypto.constant_time_equal(data.rp_id_hash, hashlib.sha256(expected.party.rp_id.encode()).digest()):
        raise PasskeyRefused("rp_id")
    if not data.flags & Flag.UP:
        raise PasskeyRefused("user_presence")
    if expected.needs_user_verification and not data.flags & Flag.UV:
        raise PasskeyRefused("user_verification")
    if data.flags & Flag.BS and not data.flags & Flag.BE:
        raise PasskeyRefused("backup_state")


# Options ---------------------------------------------------------------------------------------------------


def descriptors(credentials: Sequence[tuple[str, list[str]]]) -> list[dict[str, Any]]:
    """Return credentials, each an id and its transports, as options name them."""
    return [{"type": "public-key", "id": each, "transports": transports} for each, transports in credentials]
