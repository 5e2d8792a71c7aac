"""X.509 certificates: ours, made from the tenant's keys, and those of service providers.

A certificate is a container of a public key here, as SAML metadata has it: no chain is built, and a date that has
passed is a warning to the operator (`not_valid_after_utc`), not a refusal in the middle of somebody's sign-in.

Ours is a function of its key: names, serial number and dates follow from the row, and the signature is deterministic.
So every process makes the same bytes, at any time, and nothing has to be stored beside the key (docs/adr/0017).
"""

from __future__ import annotations

import base64
import hashlib
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from cas_saml.saml.xml import Refused
from identity.keyring import keys
from identity.models import KeyState, KeyUse, Tenant

DEFAULT_ALGORITHM = "RS256"
_LIFETIME = timedelta(days=3650)
_MIN_RSA_BITS = 2048
_CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
_MAX_CERTIFICATE_CHARACTERS = 16 * 1024
_MAX_KEPT = 1024
_PEM_LINE = "-----"


class CertificateRefused(Refused):
    """Not a certificate, or one whose key is too weak to trust."""


@dataclass(frozen=True)
class Credential:
    """A key that signs and the certificate by which service providers know it."""

    kid: str
    algorithm: str  # RFC7518-3.1: RS256, RS512, ES256
    certificate: x509.Certificate
    private: keys.PrivateKey = field(compare=False, repr=False)

    @cached_property
    def certificate_base64(self) -> str:
        """The content of ds:X509Certificate."""
        return to_base64(self.certificate)


# Ours ------------------------------------------------------------------------------------------------------


def active(*, tenant: Tenant, algorithm: str = DEFAULT_ALGORITHM) -> Credential:
    """Return what signs now; made on first need."""
    key = keys.active(tenant=tenant, use=KeyUse.SAML, alg=algorithm)
    return _credential(key, key.private)


def published(*, tenant: Tenant, algorithm: str = DEFAULT_ALGORITHM) -> list[Credential]:
    """Return what the metadata shows: the credential that signs now, then the one that will."""
    live = [
        key
        for key in keys.public_keys(tenant=tenant, use=KeyUse.SAML)
        if key.alg == algorithm and key.state in (KeyState.ACTIVE, KeyState.NEXT)
    ]
    return [_credential(key, key.private) for key in sorted(live, key=lambda key: key.state != KeyState.ACTIVE)]


_made: OrderedDict[str, x509.Certificate] = OrderedDict()  # by kid, which is a digest of the key


def _credential(key: keys.Key, private: keys.PrivateKey) -> Credential:
    certificate = _made.get(key.kid)
    if certificate is None:
        certificate = _made[key.kid] = make(private, kid=key.kid, not_before=key.created_at)
        if len(_made) > _MAX_KEPT:
            _made.popitem(last=False)
    return Credential(kid=key.kid, algorithm=key.alg, private=private, certificate=certificate)


def make(private: keys.PrivateKey, *, kid: str, not_before: datetime) -> x509.Certificate:
    """Sign a key's certificate with itself. The same arguments make the same bytes."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Monban {kid}")])
    not_before = not_before.replace(microsecond=0)
    public = private.public_key()
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        # RFC5280-4.1.2.2: positive, at most 20 octets.
        .serial_number(int.from_bytes(hashlib.sha256(kid.encode()).digest()[:16]) | 1)
        .not_valid_before(not_before)
        .not_valid_after(not_before + _LIFETIME)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )
    is_elliptic = isinstance(private, ec.EllipticCurvePrivateKey)
    # RFC6979 for elliptic curves; RSA's PKCS #1 v1.5 has no random part.
    return builder.sign(private, hashes.SHA256(), ecdsa_deterministic=True if is_elliptic else None)


# Theirs ----------------------------------------------------------------------------------------------------


def load(text: str) -> x509.Certificate:
    """Read a service provider's certificate: PEM, or the bare Base64 of metadata and of many admin pages.

    Raises CertificateRefused, also for keys that nobody should trust any more.
    """
    if len(text) > _MAX_CERTIFICATE_CHARACTERS:
        raise CertificateRefused("certificate_too_large")
    lines = [line.strip() for line in text.strip().splitlines()]
    body = "".join(line for line in lines if not line.startswith(_PEM_LINE))
    if sum(line.startswith(_PEM_LINE) for line in lines) not in (0, 2):
        raise CertificateRefused("certificate_not_one")
    try:
        certificate = x509.load_der_x509_certificate(base64.b64decode("".join(body.split()), validate=True))
        public = certificate.public_key()
    except Exception as error:  # cryptography raises many kinds for broken encodings, keys and curves
        raise CertificateRefused("certificate_unreadable") from error
    if isinstance(public, rsa.RSAPublicKey):
        if public.key_size < _MIN_RSA_BITS:
            raise CertificateRefused("certificate_key_weak", log_detail=f"bits={public.key_size}")
    elif not (isinstance(public, ec.EllipticCurvePublicKey) and isinstance(public.curve, _CURVES)):
        raise CertificateRefused("certificate_key_kind")
    return certificate


def to_base64(certificate: x509.Certificate) -> str:
    """Encode DER as one line of Base64."""
    return base64.b64encode(certificate.public_bytes(Encoding.DER)).decode("ascii")


def to_pem(certificate: x509.Certificate) -> str:
    """Encode it as PEM, as a row keeps it."""
    return certificate.public_bytes(Encoding.PEM).decode("ascii")


def fingerprint(certificate: x509.Certificate) -> str:
    """Return SHA-256 in upper-case hexadecimal pairs, as tools print it."""
    return certificate.fingerprint(hashes.SHA256()).hex(":").upper()
