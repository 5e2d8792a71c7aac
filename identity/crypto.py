"""Sealing, keyed hashes, blind indexes, opaque handles and masks.

Three families of keys, all from the environment (decision 30): encryption keys seal columns (AES-256-GCM),
peppers key the hashes of machine secrets and handles, the index key keys the blind indexes. The first two are
lists, newest first: the newest writes, every one reads, so a key is changed by putting a new one in front and
dropping the old one when nothing uses it any more (`manage.py reseal`; for peppers the expiry of handles).

Every call names a purpose. It separates the uses: a value sealed or hashed for one is worthless for another.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.core.exceptions import ImproperlyConfigured
from django.db import models

from identity.conf import conf

_VERSION = "s1"  # s1.<key id>.<base64url of nonce and ciphertext>; the key id is 8 hex digits.
_NONCE_BYTES = 12
_KEY_ID_LENGTH = 8


class UnsealError(Exception):
    """A sealed value is damaged, was sealed for another purpose, or its key is gone. Holds no value."""


# Sealing ---------------------------------------------------------------------------------------------------


def seal(plaintext: bytes | str, *, purpose: str) -> str:
    """Encrypt with the newest key. The result is ASCII, about 4/3 of the plaintext plus 51 characters."""
    if isinstance(plaintext, str):
        plaintext = plaintext.encode()
    key_id, cipher = _cipher(_newest("key_encryption_keys"))
    nonce = secrets.token_bytes(_NONCE_BYTES)
    box = nonce + cipher.encrypt(nonce, plaintext, purpose.encode())
    return f"{_VERSION}.{key_id}.{_b64encode(box)}"


def unseal(sealed: str, *, purpose: str) -> str:
    """Decrypt text. Raises UnsealError."""
    return unseal_bytes(sealed, purpose=purpose).decode()


def unseal_bytes(sealed: str, *, purpose: str) -> bytes:
    """Decrypt bytes. Raises UnsealError."""
    version, _, rest = sealed.partition(".")
    key_id, _, text = rest.partition(".")
    if version != _VERSION:
        raise UnsealError("unknown form")
    for key in conf.key_encryption_keys:
        candidate_id, cipher = _cipher(key)
        if candidate_id == key_id:
            try:
                box = _b64decode(text)
                return cipher.decrypt(box[:_NONCE_BYTES], box[_NONCE_BYTES:], purpose.encode())
            except (InvalidTag, ValueError):
                raise UnsealError(f"damaged, or not for {purpose}") from None
    raise UnsealError(f"no key {key_id[:_KEY_ID_LENGTH]}")


def newest_seal_prefix() -> str:
    """Return what every value sealed by the newest key starts with; for finding the others in the database."""
    return f"{_VERSION}.{_cipher(_newest('key_encryption_keys'))[0]}."


def column_purpose(model: type[models.Model], column: str) -> str:
    """Return what the column `<name>_sealed` of a model is sealed for: `<model>.<name>`, for example `user.mobile`.

    Every sealed column follows this rule; `reseal` finds the columns and their purposes by it.
    """
    return f"{model._meta.model_name}.{column.removesuffix('_sealed')}"


def has_key_of(sealed: str) -> bool:
    """Tell whether a key is configured that sealed this value; it is not opened."""
    return any(sealed.startswith(f"{_VERSION}.{_cipher(key)[0]}.") for key in conf.key_encryption_keys)


# Keyed hashes and handles ----------------------------------------------------------------------------------


def keyed_hash(value: str | bytes, *, purpose: str) -> str:
    """Return 64 hex digits of HMAC-SHA-256 under the newest pepper.

    For values with 128 bits or more of chance, and for values that must only be compared; never for a
    person's password.
    """
    return _hmac(_subkey(_newest("hash_peppers"), "hash", purpose), value)


def keyed_hashes(value: str | bytes, *, purpose: str) -> list[str]:
    """Return the hash under every live pepper, newest first: look up with `__in` and rows survive a new pepper."""
    return [_hmac(_subkey(pepper, "hash", purpose), value) for pepper in _all("hash_peppers")]


def matches_keyed_hash(value: str | bytes, digest: str, *, purpose: str) -> bool:
    """Compare a value with a stored keyed hash in constant time, under every live pepper."""
    # Every pepper is tried, so that the time does not tell which one matched.
    results = [constant_time_equal(candidate, digest) for candidate in keyed_hashes(value, purpose=purpose)]
    return any(results)


def new_handle(nbytes: int = 32) -> str:
    """Make an opaque handle: URL-safe text of `nbytes` random bytes (43 characters for 32)."""
    if nbytes < 16:
        raise ValueError("A handle carries at least 128 bits.")
    return secrets.token_urlsafe(nbytes)


def hash_handle(handle: str, *, purpose: str = "handle") -> str:
    """Return what is stored of a handle. S40: the whole handle is hashed, so a shortened one is never found."""
    return keyed_hash(handle, purpose=purpose)


def constant_time_equal(left: str | bytes, right: str | bytes) -> bool:
    """Compare without telling by the time how much was equal."""
    left = left.encode() if isinstance(left, str) else left
    right = right.encode() if isinstance(right, str) else right
    return hmac.compare_digest(left, right)


def envelope_keys(purpose: str) -> list[bytes]:
    """Return keys to sign what we hand out and read back ourselves, one of each live pepper, newest first."""
    return [_subkey(pepper, "envelope", purpose) for pepper in _all("hash_peppers")]


# Blind indexes ---------------------------------------------------------------------------------------------


def blind_index(value: str, *, tenant_id: int, field: str) -> str:
    """Return 64 hex digits by which a sealed value is looked up and kept unique within its tenant and column.

    The caller normalises the value first. Equal values of two tenants or columns have unrelated indexes.
    """
    if not conf.blind_index_key:
        raise ImproperlyConfigured("IDENTITY['blind_index_key'] is empty.")
    return _hmac(_subkey(conf.blind_index_key, "index", f"{tenant_id}:{field}"), value)


# Fingerprints ----------------------------------------------------------------------------------------------


def fingerprints() -> dict[str, list[str]]:
    """Tell each key from every other one, by variable, in the order of its list; helps nobody to find it."""
    keys = {
        "KEY_ENCRYPTION_KEYS": conf.key_encryption_keys,
        "HASH_PEPPERS": conf.hash_peppers,
        "BLIND_INDEX_KEY": (conf.blind_index_key,),
    }
    return {name: [_hmac(_subkey(key, "fingerprint", name), name) for key in values] for name, values in keys.items()}


# Masks -----------------------------------------------------------------------------------------------------


def mask_mobile(mobile: str) -> str:
    """`13812345678` as `138****5678`. Short numbers show their last two characters at most."""
    if len(mobile) < 8:
        return "*" * max(len(mobile) - 2, 0) + mobile[-2:] if len(mobile) > 4 else "*" * len(mobile)
    return f"{mobile[:-8]}****{mobile[-4:]}" if len(mobile) > 10 else f"{mobile[:2]}****{mobile[-2:]}"


def mask_email(email: str) -> str:
    """`alice@example.org` as `a***@example.org`."""
    local, at, domain = email.rpartition("@")
    return f"{local[:1]}***{at}{domain}" if at and len(local) > 1 else f"***{at}{domain if at else ''}"


def mask_id(identifier: str) -> str:
    """Show the first and last two characters of an identity number, and nothing of one shorter than eight."""
    if len(identifier) < 8:
        return "*" * len(identifier)
    return identifier[:2] + "*" * (len(identifier) - 4) + identifier[-2:]


# Keys ------------------------------------------------------------------------------------------------------


def _all(name: str) -> tuple[bytes, ...]:
    keys: tuple[bytes, ...] = getattr(conf, name)
    if not keys:
        raise ImproperlyConfigured(f"IDENTITY[{name!r}] is empty.")
    return keys


def _newest(name: str) -> bytes:
    return _all(name)[0]


@lru_cache(maxsize=16)
def _cipher(key: bytes) -> tuple[str, AESGCM]:
    """Return the public id of an encryption key and its ready cipher."""
    key_id = hmac.digest(key, b"identity.key-id", hashlib.sha256).hex()[:_KEY_ID_LENGTH]
    return key_id, AESGCM(key)


@lru_cache(maxsize=4096)
def _subkey(key: bytes, family: str, scope: str) -> bytes:
    return hmac.digest(key, f"identity.{family}:{scope}".encode(), hashlib.sha256)


def _hmac(key: bytes, value: str | bytes) -> str:
    return hmac.digest(key, value.encode() if isinstance(value, str) else value, "sha256").hex()


def _b64encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _b64decode(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError("not base64url") from error
