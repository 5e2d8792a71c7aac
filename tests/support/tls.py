"""A certificate authority of a test, which makes the contexts of servers."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.conf import settings
from django.test import override_settings


def certificate(subject, key, issuer, issuer_key, *, names=(), is_authority=False):
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if names:
        alternatives = [x509.DNSName(name) for name in names]
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    """Makes server contexts; `file` is what a client must trust."""
    folder = tmp_path_factory.mktemp("ca")
    key = ec.generate_private_key(ec.SECP256R1())
    root = certificate("Test CA", key, "Test CA", key, is_authority=True)
    file = folder / "ca.pem"
    file.write_bytes(root.public_bytes(serialization.Encoding.PEM))

    def context(*names):
        leaf_key = ec.generate_private_key(ec.SECP256R1())
        leaf = certificate(names[0], leaf_key, "Test CA", key, names=names)
        pem = folder / f"{names[0]}.pem"
        pem.write_bytes(
            leaf_key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + leaf.public_bytes(serialization.Encoding.PEM)
        )
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(pem)
        return tls

    return type("Authority", (), {"file": str(file), "context": staticmethod(context)})


@pytest.fixture
def trusted(authority):
    with override_settings(IDENTITY={**settings.IDENTITY, "outbound_ca_file": authority.file}):
        yield authority
