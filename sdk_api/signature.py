"""X-signature: proof of a live session (docs/contract/sdk_signature.md). Despite its name an encryption under our key.

One error and one time for all reasons (decision 27): both OAEP variants are tried under every live key even when the
first one fits or there is nothing to decrypt, and every refusal costs the same queries. So it tells neither which key
or variant fitted, nor whether a session that is named in an old header still lives. Every refusal also reads the keys
anew, for this process may not know yet the one that another process has just made and published.
"""

from __future__ import annotations

import base64
import binascii
import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256

from identity import nonces
from identity.errors import CredentialsRefused
from identity.keyring import keys
from identity.keyring.keys import Key
from identity.models import SessionKind, SSOSession, Tenant
from identity.sso import sessions

CODE = "PARAM.0030"
KEY_ALG = "RSA-OAEP-256"
PROTOCOL = sessions.HOLDER  # of the participant that ties a session to the application that opened it
WINDOW_MS = 300_000
NONCE_LIFETIME = timedelta(milliseconds=2 * WINDOW_MS)

MAX_SESSION_TOKEN_BYTES = 120

_NONCES = "sdk_signature"
_MAX_HEADER = 2000  # 344 characters for RSA 2048, 684 for RSA 4096
_NOTHING = "-"  # looked for where no session is named; no handle is that short
_WHITE_SPACE = re.compile(r"\s+")
_SUFFIX = re.compile(r"#([0-9]{13})\Z")
_PLAINTEXT = re.compile(r"session_token=([^&#]+)&timestamp=([0-9]{13})&nonce=([^&#]+)")

# BouncyCastle's reading of "RSA/ECB/OAEPWithSHA-256AndMGF1Padding", then the JDK's own.
_VARIANTS = (
    OAEP(mgf=MGF1(SHA256()), algorithm=SHA256(), label=None),
    OAEP(mgf=MGF1(SHA1()), algorithm=SHA256(), label=None),  # noqa: S303 - a mask, for which no collision matters
)


@dataclass(frozen=True, slots=True)
class Claim:
    """What a signature says, in time."""

    session_token: str
    nonce: str


def prove(header: str, *, tenant: Tenant, client_id: str, call: str = "") -> SSOSession:
    """Return the session that the signature proves. Raises CredentialsRefused (PARAM.0030), whatever is wrong.

    call: what the nonce is spent for, where a client may use one for different calls; "" where one is good for one.
    """
    known = keys.decryption_keys(tenant=tenant)
    try:
        return _prove(decrypt(header, known), tenant=tenant, client_id=client_id, call=call)
    except CredentialsRefused:
        # Whatever was wrong, so that the time does not tell whether a key fitted.
        newer = keys.decryption_keys(tenant=tenant, known=known)
        if not newer:
            raise
    return _prove(decrypt(header, newer), tenant=tenant, client_id=client_id, call=call)


def _prove(plaintext: str | None, *, tenant: Tenant, client_id: str, call: str) -> SSOSession:
    claim = read(plaintext, now_ms=time.time_ns() // 1_000_000)
    token, nonce = (claim.session_token, claim.nonce) if claim else (_NOTHING, _NOTHING)
    # S11: the nonce belongs to the client and the session, so nobody can spend another one's.
    parts = (client_id, token, nonce, *([call] if call else []))
    session = sessions.find_by_handle(handle=token, tenant=tenant, kind=SessionKind.SDK)
    is_own = sessions.has_joined(session, protocol=PROTOCOL, client_ref=client_id)
    is_spent = nonces.is_spent(tenant=tenant, purpose=_NONCES, parts=parts)
    if claim is None:
        raise CredentialsRefused(CODE, log_detail="unreadable, or out of its time")
    if session is None or not is_own:
        raise CredentialsRefused(CODE, log_detail="no session of this client")
    if is_spent or not nonces.spend(tenant=tenant, purpose=_NONCES, parts=parts, lifetime=NONCE_LIFETIME):
        raise CredentialsRefused(CODE, log_detail=f"session={session.pk} nonce used before")
    return session


def decrypt(header: str, live_keys: Sequence[Key]) -> str | None:
    """Return the text in the header, or None. The work is the same for every header, none included."""
    ciphertext = _decode(header)
    found: bytes | None = None
    for key in live_keys:
        private = key.private
        if not isinstance(private, RSAPrivateKey):
            raise TypeError(f"{key.kid} decrypts nothing")
        size = private.key_size // 8
        is_right_size = len(ciphertext) == size
        block = ciphertext if is_right_size else b"\x00" + secrets.token_bytes(size - 1)
        for variant in _VARIANTS:
            try:
                plaintext = private.decrypt(block, variant)
            except ValueError:
                continue
            found = plaintext if is_right_size else found
    try:
        return found.decode() if found is not None else None
    except UnicodeDecodeError:
        return None


def read(plaintext: str | None, *, now_ms: int) -> Claim | None:
    """Return what the text says, or None where its form or its time is wrong. now_ms: since the Unix epoch."""
    if plaintext is None:
        return None
    if suffix := _SUFFIX.search(plaintext):
        if now_ms - int(suffix.group(1)) >= WINDOW_MS:
            return None
        plaintext = plaintext[: suffix.start()]
    match = _PLAINTEXT.fullmatch(plaintext)
    if match is None or abs(now_ms - int(match.group(2))) >= WINDOW_MS:
        return None
    if len(match.group(1).encode()) > MAX_SESSION_TOKEN_BYTES:
        return None  # A larger key than RSA 2048 would carry more; no session_token is that long.
    return Claim(session_token=match.group(1), nonce=match.group(3))


def _decode(header: str) -> bytes:
    """Base64 of either alphabet, padded or not, white space ignored; empty for anything else."""
    text = _WHITE_SPACE.sub("", header[:_MAX_HEADER]).translate(str.maketrans("-_", "+/")).rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""
