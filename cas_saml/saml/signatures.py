"""XML signatures (SAMLCore-5): made over our elements, and checked on foreign ones.

`verify` answers with the element that the signature covers, parsed anew from the very bytes that were digested; what
is not in there was not signed, and callers read nothing else (S17, S18). Which key is right is the caller's knowledge:
a certificate inside the message is not even looked at (S16).
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping, Sequence

from cryptography import x509
from lxml import etree
from signxml.algorithms import (
    CanonicalizationMethod,
    DigestAlgorithm,
    SignatureConstructionMethod,
    SignatureMethod,
)
from signxml.exceptions import SignXMLException
from signxml.signer import XMLSigner
from signxml.verifier import SignatureConfiguration, XMLVerifier

from cas_saml.saml import xml
from cas_saml.saml.certificates import Credential
from cas_saml.saml.xml import Element, Node, Refused, XMLRefused

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
    """Return the kind of key of ours (`certificates.active(algorithm=…)`) that makes a signature of SIGNING."""
    return "ES256" if algorithm.startswith("ecdsa") else "RS256"


def sign(element: Element, credential: Credential, *, algorithm: str = DEFAULT_ALGORITHM) -> Element:
    """Sign the element with an enveloped signature behind its Issuer, if it has one; the original stays as it is.

    algorithm: a name of SIGNING that fits the credential's key. The element needs an ID.
    """
    method, digest = SIGNING[algorithm]
    content = credential.certificate_base64
    prepared = copy.deepcopy(element)
    prepared.tail = None
    issuer = xml.find(prepared, "saml:Issuer")
    place = xml.element("ds:Signature", {"Id": "placeholder"})
    prepared.insert(0 if issuer is None else prepared.index(issuer) + 1, place)  # SAMLCore-2.3.3, 3.2.1
    signer = XMLSigner(
        signature_algorithm=method,
        digest_algorithm=digest,
        c14n_algorithm=CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0,
    )
    certificate = Node("ds:X509Certificate", content)
    key_info = xml.element("ds:KeyInfo", None, Node("ds:X509Data", [certificate]))
    return signer.sign(
        prepared, key=credential.private, key_info=key_info, reference_uri=f"#{element.get('ID')}", id_attribute="ID"
    )


def is_signed(element: Element) -> bool:
    """Tell whether there is any signature in it, good or bad."""
    return next(element.iter(xml.qname("ds:Signature")), None) is not None


def verify(element: Element, certificates: Sequence[x509.Certificate], *, allow_sha1: bool = False) -> Element:
    """Return the element that one of the certificates' keys signed, from the signed bytes and without its signature.

    element: the root of a message as `xml.parse` gave it. Its own signature must be the only one, a child of it,
    over the whole of it (SAMLCore-5.4).
    allow_sha1: for a provider that is flagged; RSA-SHA1 is logged each time.
    Raises SignatureRefused.
    """
    signature = _only_signature(element)
    uses_sha1 = _check_form(element, signature, allow_sha1=allow_sha1)
    if not certificates:
        raise SignatureRefused("no_certificate")
    message = copy.deepcopy(element)
    for key_info in message.iterfind(f"{xml.qname('ds:Signature')}/{xml.qname('ds:KeyInfo')}"):
        # S16: nothing of it is signed and nothing of it is used, so nobody shall parse it either.
        key_info.getparent().remove(key_info)
    for certificate in certificates:
        signed = _signed_bytes(message, certificate, allow_sha1=allow_sha1)
        if signed is not None:
            if uses_sha1:
                log.warning("saml.signature_sha1", extra={"element": element.tag})
            return _reread(signed, element)
    raise SignatureRefused("signature_wrong")


def _only_signature(element: Element) -> Element:
    """S17: with several signatures, or one elsewhere, two readers may disagree about what is signed."""
    found = list(element.iter(xml.qname("ds:Signature")))
    if not found:
        raise SignatureRefused("unsigned")
    if len(found) > 1:
        raise SignatureRefused("several_signatures")
    if found[0].getparent() is not element:
        raise SignatureRefused("signature_misplaced")
    signature: Element = found[0]
    return signature


def _check_form(element: Element, signature: Element, *, allow_sha1: bool) -> bool:
    """Let nothing of XML Signature through that SAML does not use (SAMLCore-5.4); return whether SHA-1 is used."""
    try:
        return _check_parts(element, signature, allow_sha1=allow_sha1)
    except XMLRefused as error:
        raise SignatureRefused("signature_form", log_detail=error.reason) from error


def _check_parts(element: Element, signature: Element, *, allow_sha1: bool) -> bool:
    _check_children(signature, ["ds:SignedInfo", "ds:SignatureValue"], optional="ds:KeyInfo")
    info = signature[0]
    _check_children(info, ["ds:CanonicalizationMethod", "ds:SignatureMethod", "ds:Reference"])
    canonicalization, method, reference = info
    _check_canonicalization(canonicalization)
    _check_children(method, [])
    _check_children(reference, ["ds:Transforms", "ds:DigestMethod", "ds:DigestValue"])
    transforms, digest, _value = reference
    _check_children(digest, [])
    # SAMLCore-5.4.2: the element around the signature, by its ID. An empty URI would mean whatever document it is in.
    identifier = element.get("ID", "")
    if not identifier or reference.get("URI") != f"#{identifier}":
        raise SignatureRefused("reference_wrong")
    # SAMLCore-5.4.4: anything else could digest something that is not the message.
    if [each.tag for each in transforms] != [xml.qname("ds:Transform")] * 2 or len(transforms[0]):
        raise SignatureRefused("transforms")
    if transforms[0].get("Algorithm") != _ENVELOPED:
        raise SignatureRefused("transforms")
    _check_canonicalization(transforms[1])
    return _check_algorithms(method.get("Algorithm"), digest.get("Algorithm"), allow_sha1=allow_sha1)


def _check_children(parent: Element, names: list[str], *, optional: str = "") -> None:
    tags = [child.tag for child in parent]
    if optional and tags and tags[-1] == xml.qname(optional):
        tags.pop()
    if tags != [xml.qname(name) for name in names]:
        raise SignatureRefused("signature_form", log_detail=parent.tag)


def _check_canonicalization(method: Element) -> None:
    if method.get("Algorithm") not in _CANONICALIZATIONS:
        raise SignatureRefused("canonicalization")
    if len(method):
        _check_children(method, ["ec:InclusiveNamespaces"])
        if len(method[0]) or len(method[0].get("PrefixList", "").split()) > _MAX_PREFIXES:
            raise SignatureRefused("canonicalization")


def _check_algorithms(method: str | None, digest: str | None, *, allow_sha1: bool) -> bool:
    """Tell whether SHA-1 is used. Raises SignatureRefused for what is not accepted."""
    uses_sha1 = method == SHA1.value or digest == SHA1_DIGEST.value
    if uses_sha1 and not allow_sha1:
        raise SignatureRefused("sha1")
    if method not in {each.value for each in ACCEPTED | {SHA1}}:
        raise SignatureRefused("algorithm")
    if digest not in {each.value for each in ACCEPTED_DIGESTS | {SHA1_DIGEST}}:
        raise SignatureRefused("algorithm")
    return uses_sha1


def _signed_bytes(message: Element, certificate: x509.Certificate, *, allow_sha1: bool) -> bytes | None:
    """Return the canonical bytes that the key signed; None if it did not."""
    expected = SignatureConfiguration(
        location="./",
        expect_references=1,
        signature_methods=ACCEPTED | {SHA1} if allow_sha1 else ACCEPTED,
        digest_algorithms=ACCEPTED_DIGESTS | {SHA1_DIGEST} if allow_sha1 else ACCEPTED_DIGESTS,
        # SAML's metadata hands over keys; the dates on the container bind nobody (docs/adr/0017).
        verification_time=certificate.not_valid_before_utc,
    )
    try:
        result = XMLVerifier().verify(message, x509_cert=certificate, id_attribute="ID", expect_config=expected)
    except (SignXMLException, etree.LxmlError, ValueError, TypeError):
        return None  # TypeError is signxml's for a value that is empty
    return None if isinstance(result, list) else result.signed_data


def _reread(signed: bytes, element: Element) -> Element:
    """S18: the signed bytes are what is read from here on."""
    verified = xml.parse(signed, max_bytes=xml.MAX_METADATA_BYTES)
    if verified.tag != element.tag or verified.get("ID") != element.get("ID"):
        raise SignatureRefused("reference_wrong")
    return verified
