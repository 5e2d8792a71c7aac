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
from oidc_provider.dialects.base import Dialect
from oidc_provider.errors import Fault, OAuthError
from oidc_provider.models import AuthorizationCode, Client

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


# Method to (verifier, challenge) -> bool. The verifier's form was checked before.
METHODS: Mapping[str, Callable[[str, str], bool]] = MappingProxyType({"S256": matches_s256, "SM3": matches_sm3})


def check_request(challenge: str, method: str, *, dialect: Dialect) -> None:
    """Check the form of what an authorization request sends, "" where it sends none (RFC7636-4.2, 4.3)."""
    if challenge and not is_challenge(challenge):
        raise OAuthError(Fault.CODE_CHALLENGE)
    if challenge and method not in dialect.challenge_methods:
        # RFC7636-4.3: a missing method means plain.
        raise OAuthError(Fault.CODE_CHALLENGE_METHOD)
    if method and not challenge:
        raise OAuthError(Fault.CODE_CHALLENGE_MISSING)


def is_required(client: Client, dialect: Dialect) -> bool:
    """Whether it must be used (RFC9700-2.1.1): by every public client, and by others that are registered so."""
    return client.needs_pkce or dialect.is_pkce_required


def check(verifier: str, *, code: AuthorizationCode, client: Client, dialect: Dialect) -> None:
    """Check what a token request proves (RFC7636-4.5, 4.6). S8: a verifier comes exactly when there is a challenge."""
    if code.code_challenge and not verifier:
        raise OAuthError(Fault.CODE_VERIFIER_MISSING, log_detail=f"code={code.pk}")
    if verifier and not code.code_challenge:
        # RFC9700-2.1.1, 4.8.2: or a code of a request without a challenge could be injected.
        raise OAuthError(Fault.CODE_VERIFIER_UNEXPECTED, log_detail=f"code={code.pk}")
    if not code.code_challenge:
        if is_required(client, dialect):
            # The client was registered to need it after it got the code.
            raise OAuthError(Fault.MALFORMED_PARAMETER, log_detail=f"code={code.pk} without a challenge")
        return
    _check_form(verifier, client=client, dialect=dialect)
    matches = METHODS.get(code.code_challenge_method)
    if matches is None or not matches(verifier, code.code_challenge):
        raise OAuthError(Fault.CODE_VERIFIER)


def _check_form(verifier: str, *, client: Client, dialect: Dialect) -> None:
    """RFC7636-4.1, within what the dialect's document and the client's flag add."""
    if is_verifier(verifier, max_length=dialect.max_verifier_length):
        return
    detail = f"client={client.pk} length={len(verifier)}"
    if not is_verifier(verifier, min_length=dialect.short_verifier_length, max_length=dialect.max_verifier_length):
        raise OAuthError(Fault.CODE_VERIFIER_MALFORMED, log_detail=detail)
    if not client.has_flag("short_verifiers"):
        # Only where the dialect knows the flag: its name in the audit is what an operator can do about it.
        is_known = "short_verifiers" in dialect.flags
        raise OAuthError(Fault.CODE_VERIFIER_SHORT if is_known else Fault.CODE_VERIFIER_MALFORMED, log_detail=detail)
