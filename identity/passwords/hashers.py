"""Password hashers. Argon2id makes every new hash; the others verify imported ones once.

Django upgrades by itself: `check_password` with a setter hashes again whenever the stored algorithm or its
parameters are not the preferred ones. PBKDF2 and bcrypt over SHA-256 come from Django.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from typing import Any, ClassVar

import bcrypt
from django.contrib.auth.hashers import (
    Argon2PasswordHasher,
    BasePasswordHasher,
    BCryptPasswordHasher,
    get_hasher,
    mask_hash,
)
from django.utils.translation import gettext_noop as _

from identity.crypto import constant_time_equal
from identity.passwords import turns


class Argon2id(Argon2PasswordHasher):
    """Argon2id with OWASP's smallest memory setting (decision 26)."""

    time_cost = 2
    memory_cost = 19 * 1024  # KiB
    parallelism = 1

    def encode(self, password: str, salt: str) -> str:
        """Hash in a thread that keeps the memory for the next hash."""
        return turns.in_hashing_thread(super().encode, password, salt)

    def verify(self, password: str, encoded: str) -> bool:
        """Hash and compare, likewise."""
        return turns.in_hashing_thread(super().verify, password, encoded)


class BCrypt(BCryptPasswordHasher):
    """`bcrypt$…` of a system that fed bcrypt the password itself: only its first 72 bytes ever counted.

    The library refuses longer ones, which would turn a long guess into an error and shut out people whose long
    password was cut when it was hashed.
    """

    def encode(self, password: str | bytes, salt: Any) -> str:
        """Hash as the other system did."""
        raw = password if isinstance(password, bytes) else password.encode()
        data = bcrypt.hashpw(raw[:72], salt)
        return f"{self.algorithm}${data.decode('ascii')}"


class LegacyHasher(BasePasswordHasher):
    """A fast salted hash from another system, `algorithm$salt$hex`. It verifies; it is never chosen for new."""

    digest: ClassVar[str]

    def salt(self) -> str:
        """Make a random salt. Only tests and importers that re-create a foreign hash need one."""
        return secrets.token_hex(8)

    def encode(self, password: str, salt: str) -> str:
        """Hash as the other system did."""
        if not salt or "$" in salt:
            raise ValueError("A salt is not empty and holds no $.")
        return f"{self.algorithm}${salt}${self._hex(password, salt)}"

    def verify(self, password: str, encoded: str) -> bool:
        """Compare.

        A wrong password costs as much as the preferred hash, so that the time does not tell which accounts were
        imported (S33); a right one is hashed again by the upgrade, which costs the same.
        """
        try:
            decoded = self.decode(encoded)
            is_right = constant_time_equal(self._hex(password, decoded["salt"]), decoded["hash"])
        except ValueError:  # Damaged at import. No password fits, and signing in is no place to fail for it.
            is_right = False
        if not is_right:
            preferred = get_hasher()
            preferred.encode(password, preferred.salt())
        return is_right

    def decode(self, encoded: str) -> dict[str, Any]:
        """Split the stored text. Hexadecimal digits may be upper case in the source system."""
        algorithm, salt, digest = encoded.split("$", 2)
        return {"algorithm": algorithm, "salt": salt, "hash": digest.lower()}

    def safe_summary(self, encoded: str) -> dict[Any, Any]:
        """Return what may be shown of a hash."""
        decoded = self.decode(encoded)
        return {
            _("algorithm"): decoded["algorithm"],
            _("salt"): mask_hash(decoded["salt"], show=2),
            _("hash"): mask_hash(decoded["hash"]),
        }

    def harden_runtime(self, password: str, encoded: str) -> None:
        """Nothing to level here; `verify` does it."""

    def _hex(self, password: str, salt: str) -> str:
        return hashlib.new(self.digest, (salt + password).encode()).hexdigest()


class SaltedSHA256(LegacyHasher):
    """`sha256$salt$hex`: SHA-256 of salt and password."""

    algorithm = "sha256"
    digest = "sha256"


class SaltedSHA1(LegacyHasher):
    """`sha1$salt$hex`: SHA-1 of salt and password."""

    algorithm = "sha1"
    digest = "sha1"


class LDAPSaltedSHA(LegacyHasher):
    """`ssha$salt$hex`: SHA-1 of password and salt; the salt is any bytes, in hexadecimal."""

    algorithm = "ssha"
    digest = "sha1"

    def _hex(self, password: str, salt: str) -> str:
        return hashlib.new(self.digest, password.encode() + bytes.fromhex(salt)).hexdigest()


class LDAPSaltedSHA256(LDAPSaltedSHA):
    """`ssha256$salt$hex`."""

    algorithm = "ssha256"
    digest = "sha256"


class LDAPSaltedSHA512(LDAPSaltedSHA):
    """`ssha512$salt$hex`."""

    algorithm = "ssha512"
    digest = "sha512"


_LDAP_SCHEMES = {"{SSHA}": LDAPSaltedSHA, "{SSHA256}": LDAPSaltedSHA256, "{SSHA512}": LDAPSaltedSHA512}


def from_ldap(value: str) -> str:
    """Turn a directory's `{SSHA}…`, `{SSHA256}…` or `{SSHA512}…` into the form stored here.

    Raises ValueError when the scheme or the text is another one. The value is not in the message.
    """
    scheme, brace, text = value.partition("}")
    hasher = _LDAP_SCHEMES.get((scheme + brace).upper())
    if hasher is None:
        raise ValueError("not a salted SHA scheme of LDAP")
    try:
        raw = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError("not base64") from None
    size = hashlib.new(hasher.digest).digest_size
    if len(raw) <= size:
        raise ValueError("no salt behind the digest")
    return f"{hasher.algorithm}${raw[size:].hex()}${raw[:size].hex()}"
