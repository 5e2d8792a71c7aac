"""SAML from the outside: keys of service providers, their messages, and the attacks on them.

Signatures of others are made by python-xmlsec, so that ours are not checked by what made them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

import xmlsec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from lxml import etree

from cas_saml.saml import certificates, xml
from cas_saml.saml.certificates import Credential

EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
ENVELOPED = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
DSIG_MORE = "http://www.w3.org/2001/04/xmldsig-more#"
RSA_SHA1 = "http://www.w3.org/2000/09/xmldsig#rsa-sha1"
RSA_SHA256 = f"{DSIG_MORE}rsa-sha256"
SHA1 = "http://www.w3.org/2000/09/xmldsig#sha1"
SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"

ISSUER = "https://sp.example.org/metadata"


def credential(name: str = "sp", *, kind: str = "RS256", bits: int = 2048) -> Credential:
    """A key pair and its certificate; the same for the same arguments, in this process."""
    return _credential(name, kind, bits)


@cache
def _credential(name: str, kind: str, bits: int) -> Credential:
    private: Any
    if kind == "ES256":
        private = ec.generate_private_key(ec.SECP256R1())
    else:
        private = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    made = certificates.make(private, kid=name, not_before=datetime(2020, 1, 1, tzinfo=UTC))
    return Credential(kid=name, algorithm=kind, private=private, certificate=made)


def private_pem(owner: Credential) -> bytes:
    return owner.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def pem(certificate: x509.Certificate) -> str:
    return certificates.to_pem(certificate)


@dataclass(frozen=True)
class Spec:
    """How to sign, for a sender who may do it differently from us."""

    method: str = RSA_SHA256
    digest: str = SHA256
    canonicalization: str = EXCLUSIVE
    transforms: tuple[str, ...] = (ENVELOPED, EXCLUSIVE)
    reference: str | None = None  # "#ID" of the element
    prefixes: str = ""


AS_WE_DO = Spec()


def sign(element: Any, owner: Credential, spec: Spec = AS_WE_DO, *, key: Any = None) -> Any:
    """Put a signature by python-xmlsec behind the Issuer; the element is changed and returned."""
    reference = f"#{element.get('ID')}" if spec.reference is None else spec.reference
    el = xml.element
    transforms = el("ds:Transforms", None, *[el("ds:Transform", {"Algorithm": each}) for each in spec.transforms])
    if spec.prefixes:
        transforms[-1].append(el("ec:InclusiveNamespaces", {"PrefixList": spec.prefixes}))
    digest = [el("ds:DigestMethod", {"Algorithm": spec.digest}), el("ds:DigestValue")]
    signature = el(
        "ds:Signature",
        None,
        el(
            "ds:SignedInfo",
            None,
            el("ds:CanonicalizationMethod", {"Algorithm": spec.canonicalization}),
            el("ds:SignatureMethod", {"Algorithm": spec.method}),
            el("ds:Reference", {"URI": reference}, transforms, *digest),
        ),
        el("ds:SignatureValue"),
        el("ds:KeyInfo", None, el("ds:X509Data", None, el("ds:X509Certificate", None, owner.certificate_base64))),
    )
    issuer = xml.find(element, "saml:Issuer")
    element.insert(0 if issuer is None else element.index(issuer) + 1, signature)
    context = xmlsec.SignatureContext()
    context.key = key or xmlsec.Key.from_memory(private_pem(owner), xmlsec.constants.KeyDataFormatPem)
    context.register_id(element, "ID")
    context.sign(signature)
    return xml.parse(xml.serialize(element))


def is_valid_for_xmlsec(element: Any, certificate: x509.Certificate) -> bool:
    """Whether another implementation finds the element's own signature good."""
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_memory(pem(certificate), xmlsec.constants.KeyDataFormatCertPem)
    for each in element.iter():
        if each.get("ID"):
            context.register_id(each, "ID")
    try:
        context.verify(element.find(xml.qname("ds:Signature")))
    except xmlsec.Error:
        return False
    return True


# Messages --------------------------------------------------------------------------------------------------


def authn_request(**changes: str | None) -> Any:
    """A small AuthnRequest; attributes may be changed or, with None, left out."""
    attributes: dict[str, str | None] = {
        "ID": xml.new_id(),
        "Version": "2.0",
        "IssueInstant": xml.instant(datetime.now(UTC)),
        **changes,
    }
    return xml.element("samlp:AuthnRequest", attributes, xml.element("saml:Issuer", None, ISSUER))


def logout_request(*, name_id: str = "alice", session_index: str = "s1", **changes: str | None) -> Any:
    attributes: dict[str, str | None] = {
        "ID": xml.new_id(),
        "Version": "2.0",
        "IssueInstant": xml.instant(datetime.now(UTC)),
        **changes,
    }
    return xml.element(
        "samlp:LogoutRequest",
        attributes,
        xml.element("saml:Issuer", None, ISSUER),
        xml.element("saml:NameID", None, name_id),
        xml.element("samlp:SessionIndex", None, session_index),
    )


# Attacks ---------------------------------------------------------------------------------------------------
#
# Signature wrapping as in Somorovsky et al., "On Breaking SAML" (2012), templates XSW1 to XSW8: the signed element
# stays somewhere in the document so that its signature holds, and a forged one stands where the reader looks. There,
# the forged element is an assertion or a response; here it is the request that an identity provider reads.

Template = Callable[[Any, Any, Any], None]


def _inside_signature(forged: Any, original: Any, signature: Any) -> None:
    """XSW1: the forged root has the signature, and in it the original."""
    forged.insert(1, signature)
    signature.append(original)


def _before_signature(forged: Any, original: Any, signature: Any) -> None:
    """XSW2: the original stands before the signature, which is a detached one then."""
    forged.insert(1, original)
    forged.insert(2, signature)


def _with_own_signature_first(forged: Any, original: Any, signature: Any) -> None:
    """XSW3: the original, signature and all, is the first child of the forged root."""
    original.insert(1, signature)
    forged.insert(0, original)


def _with_own_signature_last(forged: Any, original: Any, signature: Any) -> None:
    """XSW4: the same, as the last child."""
    original.insert(1, signature)
    forged.append(original)


def _at_the_end(forged: Any, original: Any, signature: Any) -> None:
    """XSW5: the forged root has the signature, and the original is its last child."""
    forged.insert(1, signature)
    forged.append(original)


def _inside_key_info(forged: Any, original: Any, signature: Any) -> None:
    """XSW6: the original is in the signature's KeyInfo, where readers do not look for messages."""
    forged.insert(1, signature)
    signature[-1].append(original)


def _inside_extensions(forged: Any, original: Any, signature: Any) -> None:
    """XSW7: the original, signature and all, is in samlp:Extensions, whose content may be anything."""
    original.insert(1, signature)
    forged.insert(1, xml.element("samlp:Extensions", None, original))


def _inside_object(forged: Any, original: Any, signature: Any) -> None:
    """XSW8: the original is in a ds:Object of the forged root's signature."""
    forged.insert(1, signature)
    signature.append(xml.element("ds:Object", None, original))


WRAPPINGS: dict[str, Template] = {
    "xsw1": _inside_signature,
    "xsw2": _before_signature,
    "xsw3": _with_own_signature_first,
    "xsw4": _with_own_signature_last,
    "xsw5": _at_the_end,
    "xsw6": _inside_key_info,
    "xsw7": _inside_extensions,
    "xsw8": _inside_object,
}


def wrap(signed: Any, template: str, *, forge: Callable[[Any], None], has_same_id: bool) -> bytes:
    """Wrap a signed message: what `forge` did to the copy is what a careless reader would act on."""
    original = copy.deepcopy(signed)
    signature = original.find(xml.qname("ds:Signature"))
    original.remove(signature)
    forged = copy.deepcopy(original)
    forge(forged)
    if not has_same_id:
        forged.set("ID", xml.new_id())
    WRAPPINGS[template](forged, original, signature)
    return etree.tostring(forged)
