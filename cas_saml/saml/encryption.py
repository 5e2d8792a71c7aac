"""Encrypted assertions (SAMLCore-6): python-xmlsec for their content, and nothing else of it.

It brings a libxml2 of its own, which must be the same version as lxml's; so both are pinned together (docs/adr/0017),
and what is encrypted crosses the border as bytes.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

import xmlsec
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from cas_saml.saml import xml
from cas_saml.saml.certificates import to_base64
from cas_saml.saml.xml import Element, Refused

_ELEMENT = "http://www.w3.org/2001/04/xmlenc#Element"


class EncryptionRefused(Refused):
    """The provider's certificate cannot encrypt."""


@dataclass(frozen=True)
class _Cipher:
    uri: str
    bits: int


# Names that a provider's row may have; the first is the default. CBC has no integrity of its own: the signature
# inside protects the assertion, and the provider must check it before it trusts a byte.
DATA_ALGORITHMS: Mapping[str, _Cipher] = {
    "aes256-gcm": _Cipher("http://www.w3.org/2009/xmlenc11#aes256-gcm", 256),
    "aes128-gcm": _Cipher("http://www.w3.org/2009/xmlenc11#aes128-gcm", 128),
    "aes256-cbc": _Cipher("http://www.w3.org/2001/04/xmlenc#aes256-cbc", 256),
    "aes128-cbc": _Cipher("http://www.w3.org/2001/04/xmlenc#aes128-cbc", 128),
}
# OAEP in both spellings; PKCS #1 v1.5 is not offered. The first one's SHA-1 is no signature's, and everybody reads it.
KEY_ALGORITHMS: Mapping[str, str] = {
    "rsa-oaep-mgf1p": "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p",
    "rsa-oaep-sha256": "http://www.w3.org/2009/xmlenc11#rsa-oaep",
}
_SHA1 = hashes.SHA1()  # noqa: S303 - see above
_PADDINGS: Mapping[str, padding.OAEP] = {
    "rsa-oaep-mgf1p": padding.OAEP(mgf=padding.MGF1(_SHA1), algorithm=_SHA1, label=None),
    "rsa-oaep-sha256": padding.OAEP(mgf=padding.MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=None),
}
DEFAULT_DATA_ALGORITHM = "aes256-gcm"
DEFAULT_KEY_ALGORITHM = "rsa-oaep-mgf1p"


def encrypt(
    assertion: Element,
    certificate: x509.Certificate,
    *,
    data_algorithm: str = DEFAULT_DATA_ALGORITHM,
    key_algorithm: str = DEFAULT_KEY_ALGORITHM,
) -> Element:
    """Return a saml:EncryptedAssertion that only the certificate's key opens. Sign the assertion before (SAMLCore-6.2).

    Raises EncryptionRefused: the certificate has no RSA key.
    """
    cipher = DATA_ALGORITHMS[data_algorithm]
    public = certificate.public_key()
    if not isinstance(public, rsa.RSAPublicKey):
        raise EncryptionRefused("certificate_key_kind")
    session_key = secrets.token_bytes(cipher.bits // 8)
    wrapped = public.encrypt(session_key, _PADDINGS[key_algorithm])
    # Not a KeysManager: each new one reads the machine's certificate authorities, 11 ms and 0.8 MB.
    context = xmlsec.EncryptionContext()
    context.key = xmlsec.Key.from_binary_data(xmlsec.constants.KeyDataAes, session_key)
    filled = context.encrypt_binary(_template(cipher.uri), xml.serialize(assertion))
    # Parse xmlsec's result anew, so that no node that it made goes further.
    encrypted = xml.parse(xml.serialize(filled), max_bytes=_MAX_BYTES)
    # SAMLCore-6.1: the session key beside what it opens, inside, where every provider looks for it.
    encrypted.insert(1, xml.element("ds:KeyInfo", None, _encrypted_key(key_algorithm, wrapped, certificate)))
    return xml.element("saml:EncryptedAssertion", None, encrypted)


# Base64 of everything that a message may have.
_MAX_BYTES = 2 * xml.MAX_MESSAGE_BYTES


def _template(cipher_uri: str) -> Element:
    """Return the xenc:EncryptedData to be filled."""
    return xml.element(
        "xenc:EncryptedData",
        {"Type": _ELEMENT},
        xml.element("xenc:EncryptionMethod", {"Algorithm": cipher_uri}),
        xml.element("xenc:CipherData", None, xml.element("xenc:CipherValue")),
    )


def _encrypted_key(name: str, wrapped: bytes, certificate: x509.Certificate) -> Element:
    method = xml.element("xenc:EncryptionMethod", {"Algorithm": KEY_ALGORITHMS[name]})
    if name == "rsa-oaep-sha256":
        method.append(xml.element("ds:DigestMethod", {"Algorithm": "http://www.w3.org/2001/04/xmlenc#sha256"}))
        method.append(xml.element("xenc11:MGF", {"Algorithm": "http://www.w3.org/2009/xmlenc11#mgf1sha256"}))
    else:
        method.append(xml.element("ds:DigestMethod", {"Algorithm": "http://www.w3.org/2000/09/xmldsig#sha1"}))
    x509_data = xml.element("ds:X509Data", None, xml.element("ds:X509Certificate", None, to_base64(certificate)))
    value = xml.element("xenc:CipherValue", None, base64.b64encode(wrapped).decode("ascii"))
    return xml.element(
        "xenc:EncryptedKey",
        None,
        method,
        xml.element("ds:KeyInfo", None, x509_data),
        xml.element("xenc:CipherData", None, value),
    )
