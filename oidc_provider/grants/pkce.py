"""Proof key for code exchange (RFC7636). S256, and SM3 where a dialect has it; plain is not in the table.

Both challenges look the same: only the method that was stored with the code tells them apart.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

from cryptography.hazmat.primitives import hashes

from identity.crypto import constant_time_equal

# RFC7636-4.1, 4.2: 43 to 128 unreserved characters. An S256 challenge always has 43.
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]+")
MIN_VERIFIER_LENGTH = 43
MAX_VERIFIER_LENGTH = 128
# The last of the 43 characters carries four bits of the digest and two zero bits.
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]")


def s256(verifier: str) -> str:
    """BASE64URL(SHA256(ASCII(verifier))) (RFC7636-4.2)."""
    digest = hashlib.sha256(verifier.encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def sm3(verifier: str) -> str:
    """BASE64URL(SM3(ASCII(verifier))): the method of Tencent EIAM."""
    digest = hashes.Hash(hashes.SM3())
    digest.update(verifier.encode("ascii"))
    return base64.urlsafe_b64encode(digest.finalize()).rstrip(b"=").decode()


def matches_s256(verifier: str, challenge: str) -> bool:
    """Compare in constant time (RFC7636-4.6)."""
    return constant_time_equal(s256(verifier), challenge)


def matches_sm3(verifier: str, challenge: str) -> bool:
    """Compare in constant time (RFC7636-4.6)."""
    return constant_time_equal(sm3(verifier), challenge)


def is_verifier(verifier: str, *, min_length: int = MIN_VERIFIER_LENGTH, max_length: int = MAX_VERIFIER_LENGTH) -> bool:
    """Whether it has the form of a verifier (RFC7636-4.1)."""
    return min_length <= len(verifier) <= max_length and _VERIFIER.fullmatch(verifier) is not None


def is_challenge(challenge: str) -> bool:
    """Whether it has the form of a challenge: 32 bytes, as base64url writes them."""
    return _CHALLENGE.fullmatch(challenge) is not None


# Method to (verifier, challenge) -> bool; takes the place of oauthlib's table. The verifier's form was checked before.
METHODS: Mapping[str, Callable[[str, str], bool]] = MappingProxyType({"S256": matches_s256, "SM3": matches_sm3})
