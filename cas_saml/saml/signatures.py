"""XML signatures (SAMLCore-5): made over our elements, and checked on foreign ones.

`verify` answers with the element that the signature covers, parsed anew from the very bytes that were digested; what
is not in there was not signed, and callers read nothing else (S17, S18). Which key is right is the caller's knowledge:
a certificate inside the message is not even looked at (S16).
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from signxml import (
    CanonicalizationMethod,
    DigestAlgorithm,
    SignatureConfiguration,
    SignatureConstructionMethod,
    SignatureMethod,
    SignXMLException,
    XMLSigner,
    XMLVerifier,
)

from cas_saml.saml import xml
from cas_saml.saml.certificates import Credential
from cas_saml.saml.xml import Element, Refused, XMLRefused

log = logging.getLogger(__name__)

# What a provider may choose for what we sign, and the digest that goes with it. The first one is the default.
SIGNING: Mapping[str, tuple[SignatureMethod, DigestAlgorithm]] = {
    "rsa-sha256": (SignatureMethod.RSA_SHA256, DigestAlgorithm.SHA256),
    "rsa-sha384": (SignatureMethod.RSA_SHA384, DigestAlgorithm.SHA384),
    "rsa-sha512": (SignatureMethod.RSA_SHA512, DigestAlgorithm.SHA512),
    "ecdsa-sha256": (SignatureMethod.ECDSA_SHA256, DigestAlgorithm.SHA256),
}
DEFAULT_ALGORITHM = "rsa-sha256"

# What we take. HMAC is not among them: its key would be the certificate, which everybody has.
ACCEPTED = frozenset(
    {
        SignatureMethod.RSA_SHA256,
        SignatureMethod.RSA_SHA384,
        SignatureMethod.RSA_SHA512,
        SignatureMethod.ECDSA_SHA256,
        SignatureMethod.ECDSA_SHA384,
        SignatureMethod.ECDSA_SHA512,
    }
)
ACCEPTED_DIGESTS = frozenset({DigestAlgorithm.SHA256, DigestAlgorithm.SHA384, DigestAlgorithm.SHA512})
SHA1 = SignatureMethod.RSA_SHA1
SHA1_DIGEST = DigestAlgorithm.SHA1

_EXCLUSIVE = CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0
_EXCLUSIVE_WITH_COMMENTS = CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0_WITH_COMMENTS
# SAMLCore-5.4.3. Messages have no comments, so the two are one; in metadata they were dropped.
_CANONICALIZATIONS = frozenset({_EXCLUSIVE.value, _EXCLUSIVE_WITH_COMMENTS.value})
_ENVELOPED = SignatureConstructionMethod.enveloped.value
_MAX_PREFIXES = 16


class SignatureRefused(Refused):
    """There is no signature that counts."""


def key_algorithm(algorithm: str) -> str:
    """The kind of key of ours (`certificates.active(algorithm=…)`) that makes a signature of SIGNING."""
    return "ES256" if algorithm.startswith("ecdsa") else "RS256"


def sign(element: Element, credential: Credential, *, algorithm: str = DEFAULT_ALGORITHM) -> Element:
    """The element with an enveloped signature over it, behind its Issuer where it has one; the original stays as it is.

    algorithm: a name of SIGNING that fits the credential's key. The element needs an ID.
    """
    raise NotImplementedError


def is_signed(element: Element) -> bool:
    """Whether there is any signature in it, good or bad."""
    return next(element.iter(xml.qname("ds:Signature")), None) is not None


def verify(element: Element, certificates: Sequence[x509.Certificate], *, allow_sha1: bool = False) -> Element:
    """The element that one of the certificates' keys signed, from the signed bytes and without its signature.

    element: the root of a message as `xml.parse` gave it. Its own signature must be the only one, a child of it,
    over the whole of it (SAMLCore-5.4).
    allow_sha1: for a provider that is flagged; RSA-SHA1 is logged each time.
    Raises SignatureRefused.
    """
    raise NotImplementedError
