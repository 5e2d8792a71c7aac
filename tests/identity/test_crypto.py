"""Sealing, keyed hashes, blind indexes, handles, masks."""

import base64
import hashlib
import hmac

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

from identity import crypto

OLD, NEW = b"o" * 32, b"n" * 32


def with_identity(**changes):
    return override_settings(IDENTITY={**settings.IDENTITY, **changes})


@given(st.text())
def test_what_was_sealed_is_unsealed(plaintext):
    assert crypto.unseal(crypto.seal(plaintext, purpose="user.mobile"), purpose="user.mobile") == plaintext


@given(st.binary())
def test_bytes_are_sealed_as_they_are(plaintext):
    assert crypto.unseal_bytes(crypto.seal(plaintext, purpose="a.b"), purpose="a.b") == plaintext


def test_equal_values_have_different_seals():
    assert crypto.seal("same", purpose="a.b") != crypto.seal("same", purpose="a.b")


def test_a_seal_is_worthless_for_another_purpose():
    sealed = crypto.seal("13812345678", purpose="user.mobile")
    with pytest.raises(crypto.UnsealError):
        crypto.unseal(sealed, purpose="user.identity_number")


@pytest.mark.parametrize("position", [-1, -10, 13, 14])
def test_a_changed_seal_is_refused(position):
    sealed = crypto.seal("13812345678", purpose="user.mobile")
    changed = list(sealed)
    # The last character carries padding bits, so another letter must differ in more than those.
    changed[position] = "A" if sealed[position] not in "ABCD" else "z"
    with pytest.raises(crypto.UnsealError):
        crypto.unseal("".join(changed), purpose="user.mobile")


@pytest.mark.parametrize("damaged", ["", "s1", "s1.", "s1..", "plain text", "s2.00000000.AAAA", "s1.00000000.AAAA"])
def test_what_is_no_seal_is_refused(damaged):
    with pytest.raises(crypto.UnsealError):
        crypto.unseal(damaged, purpose="user.mobile")


def test_a_damaged_text_of_the_right_key_is_refused():
    prefix = crypto.newest_seal_prefix()
    for text in ("", "!!!", "AAAA", "ü", "A"):
        with pytest.raises(crypto.UnsealError):
            crypto.unseal(prefix + text, purpose="user.mobile")


def test_the_encryption_key_can_be_changed():
    with with_identity(key_encryption_keys=(OLD,)):
        sealed = crypto.seal("x", purpose="a.b")
        assert sealed.startswith(crypto.newest_seal_prefix())
    with with_identity(key_encryption_keys=(NEW, OLD)):
        assert crypto.unseal(sealed, purpose="a.b") == "x"
        assert not sealed.startswith(crypto.newest_seal_prefix())
        assert crypto.seal("x", purpose="a.b").startswith(crypto.newest_seal_prefix())
    with with_identity(key_encryption_keys=(NEW,)), pytest.raises(crypto.UnsealError):
        crypto.unseal(sealed, purpose="a.b")


def test_a_seal_shows_neither_plaintext_nor_key():
    with with_identity(key_encryption_keys=(OLD,)):
        sealed = crypto.seal("13812345678", purpose="user.mobile")
    assert b"1381234" not in base64.urlsafe_b64decode(sealed.rpartition(".")[2] + "==")
    assert hashlib.sha256(OLD).hexdigest()[:8] not in sealed
    assert OLD.hex()[:8] not in sealed


@pytest.mark.parametrize("name", ["key_encryption_keys", "hash_peppers"])
def test_without_keys_nothing_is_sealed_or_hashed(name):
    use = {"key_encryption_keys": crypto.seal, "hash_peppers": crypto.keyed_hash}[name]
    with with_identity(**{name: ()}), pytest.raises(ImproperlyConfigured, match=name):
        use("x", purpose="a.b")


def test_a_keyed_hash_is_hmac_sha256_under_a_derived_key():
    with with_identity(hash_peppers=(b"p" * 32,)):
        subkey = hmac.new(b"p" * 32, b"identity.hash:client_secret", hashlib.sha256).digest()
        expected = hmac.new(subkey, b"secret", hashlib.sha256).hexdigest()
        assert crypto.keyed_hash("secret", purpose="client_secret") == expected


def test_keyed_hashes_of_two_purposes_are_unrelated():
    assert crypto.keyed_hash("secret", purpose="a") != crypto.keyed_hash("secret", purpose="b")


def test_a_new_pepper_leaves_old_hashes_findable():
    with with_identity(hash_peppers=(OLD,)):
        stored = crypto.keyed_hash("secret", purpose="a")
    with with_identity(hash_peppers=(NEW, OLD)):
        assert crypto.keyed_hashes("secret", purpose="a") == [crypto.keyed_hash("secret", purpose="a"), stored]
        assert crypto.keyed_hash("secret", purpose="a") != stored
        assert crypto.matches_keyed_hash("secret", stored, purpose="a")
        assert not crypto.matches_keyed_hash("Secret", stored, purpose="a")
        assert not crypto.matches_keyed_hash("secret", stored, purpose="b")
    with with_identity(hash_peppers=(NEW,)):
        assert not crypto.matches_keyed_hash("secret", stored, purpose="a")


def test_a_blind_index_belongs_to_one_tenant_and_column():
    index = crypto.blind_index("+8613812345678", tenant_id=1, field="mobile")
    assert index == crypto.blind_index("+8613812345678", tenant_id=1, field="mobile")
    others = {
        crypto.blind_index("+8613812345678", tenant_id=2, field="mobile"),
        crypto.blind_index("+8613812345678", tenant_id=1, field="identity_number"),
        crypto.blind_index("+8613812345679", tenant_id=1, field="mobile"),
    }
    assert len(others) == 3
    assert index not in others
    assert len(index) == 64


def test_handles_are_long_and_new_each_time():
    assert len(crypto.new_handle()) == 43
    assert len({crypto.new_handle(16) for _ in range(100)}) == 100
    with pytest.raises(ValueError, match="128 bits"):
        crypto.new_handle(15)


@pytest.mark.security("S40")
def test_a_shortened_handle_has_another_hash():
    handle = crypto.new_handle()
    assert crypto.hash_handle(handle) != crypto.hash_handle(handle[:-1])
    assert handle not in crypto.hash_handle(handle)


@pytest.mark.parametrize(
    ("mask", "value", "shown"),
    [
        (crypto.mask_mobile, "13812345678", "138****5678"),
        (crypto.mask_mobile, "+8613812345678", "+86138****5678"),
        (crypto.mask_mobile, "12345678", "12****78"),
        (crypto.mask_mobile, "12345", "***45"),
        (crypto.mask_mobile, "123", "***"),
        (crypto.mask_mobile, "", ""),
        (crypto.mask_email, "alice@example.org", "a***@example.org"),
        (crypto.mask_email, "a@example.org", "***@example.org"),
        (crypto.mask_email, "no address", "***"),
        (crypto.mask_email, "", "***"),
        (crypto.mask_id, "110101199003078515", "11**************15"),
        (crypto.mask_id, "1234567", "*******"),
    ],
)
def test_masks_hide_the_middle(mask, value, shown):
    assert mask(value) == shown
