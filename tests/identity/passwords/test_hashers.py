"""Argon2id for new passwords; imported hashes are verified once and replaced."""

import base64
import hashlib

import argon2
import pytest
from django.conf import settings
from django.contrib.auth.hashers import check_password, identify_hasher, make_password
from django.test import override_settings

from identity.passwords import hashers

PASSWORD = "correct horse 電池"


@pytest.fixture(autouse=True)
def product_hashers():
    """The product's list, without the cheap hasher that the suite puts in front."""
    cheap, *product = settings.PASSWORD_HASHERS
    assert cheap.startswith("tests.")
    with override_settings(PASSWORD_HASHERS=product):
        yield


def upgraded(encoded):
    """What check_password stores after a right password."""
    stored = []
    assert check_password(PASSWORD, encoded, setter=lambda raw: stored.append(make_password(raw)))
    return stored


def test_new_hashes_are_argon2id_with_the_decided_cost():
    encoded = make_password(PASSWORD)
    parameters = argon2.extract_parameters(encoded.removeprefix("argon2"))
    assert parameters.type is argon2.low_level.Type.ID
    assert (parameters.memory_cost, parameters.time_cost, parameters.parallelism) == (19 * 1024, 2, 1)
    assert check_password(PASSWORD, encoded)
    assert not check_password(PASSWORD + " ", encoded)


def test_a_current_hash_is_not_replaced():
    assert upgraded(make_password(PASSWORD)) == []


def test_an_argon2_hash_of_another_cost_is_replaced():
    weak = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    (stored,) = upgraded("argon2" + weak)
    assert stored.startswith("argon2$argon2id$v=19$m=19456,t=2,p=1$")


def salted(algorithm, salt, *, password_first=False):
    salt_bytes = bytes.fromhex(salt) if password_first else salt.encode()
    parts = (PASSWORD.encode(), salt_bytes) if password_first else (salt_bytes, PASSWORD.encode())
    return hashlib.new(algorithm, b"".join(parts)).hexdigest()


LEGACY = {
    "sha256": "sha256$pepper$" + salted("sha256", "pepper"),
    "sha256 upper case": "sha256$pepper$" + salted("sha256", "pepper").upper(),
    "sha1": "sha1$pepper$" + salted("sha1", "pepper"),
    "ssha": "ssha$00ff24$" + salted("sha1", "00ff24", password_first=True),
    "ssha256": "ssha256$00ff24$" + salted("sha256", "00ff24", password_first=True),
    "ssha512": "ssha512$00ff24$" + salted("sha512", "00ff24", password_first=True),
    "bcrypt": lambda: make_password(PASSWORD, hasher="bcrypt"),
    "bcrypt_sha256": lambda: make_password(PASSWORD, hasher="bcrypt_sha256"),
    "pbkdf2": lambda: make_password(PASSWORD, hasher="pbkdf2_sha256"),
}


@pytest.mark.parametrize("encoded", LEGACY.values(), ids=LEGACY.keys())
def test_an_imported_hash_is_verified_and_replaced(encoded):
    encoded = encoded() if callable(encoded) else encoded
    (stored,) = upgraded(encoded)
    assert identify_hasher(stored).algorithm == "argon2"
    assert not check_password("wrong", encoded)


@pytest.mark.security("S33")
def test_a_wrong_password_costs_as_much_for_an_imported_hash(monkeypatch):
    calls = []
    encode = hashers.Argon2id.encode

    def counted(self, password, salt):
        calls.append(password)
        return encode(self, password, salt)

    monkeypatch.setattr(hashers.Argon2id, "encode", counted)
    assert not check_password("wrong", LEGACY["sha1"])
    assert calls == ["wrong"]


def test_hashes_of_a_directory_are_taken_over():
    digest = hashlib.sha1(PASSWORD.encode() + b"\x00\xff$")
    encoded = hashers.from_ldap("{SSHA}" + base64.b64encode(digest.digest() + b"\x00\xff$").decode())
    assert encoded == LEGACY["ssha"]
    assert hashers.from_ldap("{ssha}" + base64.b64encode(digest.digest() + b"\x00\xff$").decode()) == encoded


@pytest.mark.parametrize("value", ["", "secret", "{MD5}AAAA", "{SSHA}!!", "{SSHA}" + "A" * 27 + "=", "{SSHA512}AAAA"])
def test_another_form_of_a_directory_is_refused_without_showing_it(value):
    with pytest.raises(ValueError) as refused:
        hashers.from_ldap(value)
    assert "AAAA" not in str(refused.value)


def test_the_summary_shows_no_hash():
    summary = identify_hasher(LEGACY["sha256"]).safe_summary(LEGACY["sha256"])
    assert salted("sha256", "pepper")[10:] not in str(summary)


@pytest.mark.parametrize("salt", ["", "a$b"])
def test_a_salt_that_would_break_the_stored_form_is_refused(salt):
    with pytest.raises(ValueError, match="salt"):
        hashers.SaltedSHA256().encode(PASSWORD, salt)


@pytest.mark.parametrize("encoded", ["sha1$", "sha256$only", "ssha$not hex$00", "ssha$0$00"])
def test_a_damaged_hash_fits_no_password(encoded):
    assert not check_password(PASSWORD, encoded)
