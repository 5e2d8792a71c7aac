"""Proof key for code exchange (RFC7636). S256 only: plain is not in the table, so it cannot be chosen."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

from identity.crypto import constant_time_equal

# RFC7636-4.1, 4.2: 43 to 128 unreserved characters. An S256 challenge always has 43.
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")
_S256_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")


def s256(verifier: str) -> str:
    """BASE64URL(SHA256(ASCII(verifier))) (RFC7636-4.2)."""
    digest = hashlib.sha256(verifier.encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def matches_s256(verifier: str, challenge: str) -> bool:
    """Compare in constant time (RFC7636-4.6)."""
    return is_verifier(verifier) and constant_time_equal(s256(verifier), challenge)


def is_verifier(verifier: str) -> bool:
    """Whether it has the form of a verifier (RFC7636-4.1)."""
    return _VERIFIER.fullmatch(verifier) is not None


def is_challenge(challenge: str) -> bool:
    """Whether it has the form of an S256 challenge."""
    return _S256_CHALLENGE.fullmatch(challenge) is not None


# Method to (verifier, challenge) -> bool; takes the place of oauthlib's table in `engine`.
METHODS: Mapping[str, Callable[[str, str], bool]] = MappingProxyType({"S256": matches_s256})
