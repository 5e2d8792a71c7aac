"""Encrypted assertions (SAMLCore-6): python-xmlsec, and nothing else of it.

It brings a libxml2 of its own, which must be the same version as lxml's; so both are pinned together, and elements
cross the border as bytes.
"""

from __future__ import annotations

from cryptography import x509

from cas_saml.saml.xml import Element, Refused

# Names that a provider's row may have; the first is the default.
DATA_ALGORITHMS = ("aes256-gcm", "aes128-gcm", "aes256-cbc", "aes128-cbc")
KEY_ALGORITHMS = ("rsa-oaep-mgf1p", "rsa-oaep-sha256")


class EncryptionRefused(Refused):
    """The provider's certificate cannot encrypt."""


def encrypt(
    assertion: Element,
    certificate: x509.Certificate,
    *,
    data_algorithm: str = DATA_ALGORITHMS[0],
    key_algorithm: str = KEY_ALGORITHMS[0],
) -> Element:
    """A saml:EncryptedAssertion that only the certificate's key opens. Sign the assertion before (SAMLCore-6.2).

    Raises EncryptionRefused: the certificate has no RSA key.
    """
    raise NotImplementedError
