"""Certificates: ours follow from the keys; of others only those with a key worth trusting are taken."""

from __future__ import annotations

import base64
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from cas_saml.saml import certificates
from cas_saml.saml.certificates import CertificateRefused
from identity import copies
from identity.keyring import keys
from identity.models import KeyPair, KeyUse
from tests.factories import make_tenant
from tests.support import saml

MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)


@pytest.mark.django_db
def test_the_metadata_shows_what_signs_now_and_then_what_will():
    tenant = make_tenant()
    signing = certificates.active(tenant=tenant)
    now, then = certificates.published(tenant=tenant)
    assert now == signing
    assert now.certificate != then.certificate
    keys.rotate(tenant=tenant, use=KeyUse.SAML, alg="RS256")
    copies.clear()
    assert certificates.active(tenant=tenant) == then
    assert certificates.published(tenant=tenant)[0] == then
    assert now.kid not in {each.kid for each in certificates.published(tenant=tenant)}


@pytest.mark.django_db
@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_a_certificate_is_the_same_wherever_it_is_made(algorithm):
    tenant = make_tenant()
    first = certificates.active(tenant=tenant, algorithm=algorithm).certificate
    certificates._made.clear()
    copies.clear()
    assert certificates.active(tenant=tenant, algorithm=algorithm).certificate == first
    first.verify_directly_issued_by(first)
    row = KeyPair.objects.get(kid=certificates.active(tenant=tenant, algorithm=algorithm).kid)
    assert first.not_valid_before_utc == row.created_at.replace(microsecond=0)
    assert (first.not_valid_after_utc - first.not_valid_before_utc).days == 3650


def test_another_process_makes_the_same_bytes():
    owners = [saml.credential("twin", kind=kind) for kind in ("RS256", "ES256")]
    ders = [owner.private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()) for owner in owners]
    program = (
        "import base64, sys, django; from datetime import UTC, datetime; django.setup();"
        "from cryptography.hazmat.primitives.serialization import load_der_private_key as load;"
        "from cas_saml.saml import certificates as c;"
        "keys = [load(base64.b64decode(line), password=None) for line in sys.stdin];"
        "moment = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC);"
        "print(*[c.to_base64(c.make(key, kid='k', not_before=moment)) for key in keys])"
    )
    finished = subprocess.run(
        [sys.executable, "-c", program],
        input="\n".join(base64.b64encode(der).decode() for der in ders),
        capture_output=True,
        text=True,
        check=True,
    )
    made = [certificates.make(owner.private, kid="k", not_before=MOMENT) for owner in owners]
    assert finished.stdout.split() == [certificates.to_base64(each) for each in made]


@pytest.mark.django_db
def test_keys_of_saml_are_in_no_jwk_set_and_age_without_being_rotated():
    tenant = make_tenant()
    kid = certificates.active(tenant=tenant).kid
    assert kid not in {key.kid for key in keys.public_keys(tenant=tenant)}
    assert keys.rotate_aged(now=datetime(2126, 1, 1, tzinfo=UTC)) == 1  # the one for id_tokens
    copies.clear()
    assert certificates.active(tenant=tenant).kid == kid


@pytest.mark.parametrize("kind", ["RS256", "ES256"])
def test_pem_and_bare_base64_are_read(kind):
    owner = saml.credential("read", kind=kind).certificate
    text = certificates.to_pem(owner)
    bare = "\n".join(text.splitlines()[1:-1])
    for spelling in (text, bare, f"\r\n {bare}  \n", text.replace("\n", "\r\n"), certificates.to_base64(owner)):
        assert certificates.load(spelling) == owner


@pytest.mark.security("S42")
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "certificate_unreadable"),
        ("nonsense", "certificate_unreadable"),
        ("AAAA", "certificate_unreadable"),
        ("\x00", "certificate_unreadable"),
        ("é", "certificate_unreadable"),
        ("\ud800", "certificate_unreadable"),
        ("A" * 20_000, "certificate_too_large"),
        (saml.pem(saml.credential().certificate) * 2, "certificate_not_one"),
        (saml.private_pem(saml.credential()).decode(), "certificate_unreadable"),
    ],
    ids=["empty", "words", "zeros", "nul", "not_ascii", "surrogate", "large", "two", "private_key"],
)
def test_what_is_not_one_certificate_is_refused(text, reason):
    with pytest.raises(CertificateRefused, match=reason):
        certificates.load(text)


@pytest.mark.security("S42")
def test_a_weak_key_is_refused():
    weak = saml.credential("weak", bits=1024)
    with pytest.raises(CertificateRefused, match="certificate_key_weak"):
        certificates.load(saml.pem(weak.certificate))


@pytest.mark.security("S42")
def test_a_curve_that_no_signature_uses_is_refused():
    key = ec.generate_private_key(ec.SECP256K1())
    made = certificates.make(key, kid="k", not_before=MOMENT)
    with pytest.raises(CertificateRefused, match="certificate_key_kind"):
        certificates.load(saml.pem(made))


def test_a_fingerprint_is_spelt_as_tools_spell_it():
    certificate = saml.credential().certificate
    assert isinstance(certificate, x509.Certificate)
    parts = certificates.fingerprint(certificate).split(":")
    assert len(parts) == 32
    assert all(len(part) == 2 and part == part.upper() for part in parts)
