"""JWK Sets of clients (RFC7517-5): which of their keys may prove a client."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import jwt

# What a signature may be made with, by kind of key. S42: the key decides, the header only chooses among these.
_BY_KIND: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("RSA", ""): ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    ("EC", "P-256"): ("ES256",),
    ("EC", "P-384"): ("ES384",),
    ("EC", "P-521"): ("ES512",),
}
ALGORITHMS: tuple[str, ...] = tuple(name for names in _BY_KIND.values() for name in names)


@dataclass(frozen=True)
class PublicKey:
    """One key, and what may be signed with it."""

    kid: str | None
    algorithms: tuple[str, ...]
    jwk: jwt.PyJWK


def parse(document: object) -> tuple[PublicKey, ...]:
    """Return the usable keys of a JWK Set (RFC7517-5). Raises ValueError if it is none, or holds a private key."""
    members = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(members, list):
        raise ValueError("not a JWK Set")
    return tuple(key for member in members if (key := _parse_one(member)) is not None)


def _parse_one(member: object) -> PublicKey | None:
    """RFC7517-5: a key of an unknown kind or for another use is ignored."""
    if not isinstance(member, dict):
        raise ValueError("not a JWK")
    if {"d", "k"} & member.keys():
        raise ValueError("a private or symmetric key")
    names = _BY_KIND.get((str(member.get("kty")), str(member.get("crv", ""))), ())
    if member.get("alg") is not None:
        names = tuple(name for name in names if name == member["alg"])
    if not names or member.get("use", "sig") != "sig":
        return None
    try:
        parsed = jwt.PyJWK(member, algorithm=names[0])
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        raise ValueError("a key that cannot be read") from None
    kid = member.get("kid")
    if str(member.get("kty")) == "RSA" and parsed.key.key_size < 2048:
        raise ValueError("an RSA key under 2048 bits")  # RFC7518-3.3
    return PublicKey(kid=str(kid) if kid is not None else None, algorithms=names, jwk=parsed)
