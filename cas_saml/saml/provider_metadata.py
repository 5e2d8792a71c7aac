"""Metadata of service providers in (SAMLMeta-2): from a file or pasted by an operator, turned into a registration.

The operator vouches for the file; a signature in it is not checked, and its date of expiry is a warning. What is not
for the profiles that we speak is left out, and so is what cannot be used beside something that can; what is wrong and
alone is refused with its reason.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from django.utils.translation import gettext as _

from cas_saml.saml import certificates, encryption, formats, requested_attributes, xml
from cas_saml.saml.certificates import CertificateRefused
from cas_saml.saml.endpoints import BINDING_BY_URI, POST
from cas_saml.saml.xml import Element

log = logging.getLogger(__name__)

_PROTOCOL = xml.NAMESPACES["samlp"]


class MetadataRefused(ValueError):
    """The text is no metadata of one service provider. Says why, for the operator."""


@dataclass(frozen=True)
class ProviderMetadata:
    """What one EntityDescriptor says, as far as it concerns us."""

    entity_id: str
    consumers: list[dict[str, Any]]
    logout_services: list[dict[str, Any]]
    signing_certificates: list[str]  # PEM
    encryption_certificate: str  # PEM, "" where there is none
    encryption_algorithm: str  # "" where it names none that we know
    key_transport: str
    name_id_formats: list[str]
    attributes: dict[str, str]  # name on the wire to source
    signs_requests: bool
    wants_signed_assertions: bool
    valid_until: datetime | None

    @property
    def trust(self) -> dict[str, Any]:
        """Columns that follow the provider's metadata at each import: its addresses and its keys."""
        return {
            "assertion_consumer_services": self.consumers,
            "single_logout_services": self.logout_services,
            "signing_certificates": self.signing_certificates,
            "encryption_certificate": self.encryption_certificate,
            "metadata_valid_until": self.valid_until,
        }

    @property
    def preferences(self) -> dict[str, Any]:
        """Columns that a new registration begins with, and operators change."""
        values: dict[str, Any] = {
            "requests_must_be_signed": self.signs_requests and bool(self.signing_certificates),
            "attributes": self.attributes,
        }
        if self.wants_signed_assertions:
            values["sign_assertion"] = True
        if self.name_id_formats:
            values["name_id_formats"] = self.name_id_formats
        if self.encryption_algorithm:
            values["encryption_algorithm"] = self.encryption_algorithm
        if self.key_transport:
            values["key_transport"] = self.key_transport
        return values


def read(data: bytes | str, *, entity_id: str = "") -> ProviderMetadata:
    """Read the metadata of one service provider. Raises MetadataRefused.

    data: the bytes of a file, in whatever encoding it declares, or a text, which has none.
    entity_id: which one of several, or whose it must be.
    """
    try:
        # In another encoding than ours a character may have twice the bytes.
        if len(data) > 2 * xml.MAX_METADATA_BYTES:
            raise xml.XMLRefused("too_large")
        text = xml.decode(data) if isinstance(data, bytes) else data
        root = xml.parse_text(text, are_comments_dropped=True)
        return _read(_choose(root, entity_id.strip()))
    except xml.Refused as error:
        reason = f"{error.reason} {error.log_detail}".strip()
        raise MetadataRefused(_("The metadata cannot be read (%(reason)s).") % {"reason": reason}) from error


def _choose(root: Element, entity_id: str) -> Element:
    """Choose the one descriptor of a service provider; its root may be a list of entities, of any depth."""
    if not xml.is_named(root, "md:EntityDescriptor") and not xml.is_named(root, "md:EntitiesDescriptor"):
        raise MetadataRefused(_("It is no SAML 2.0 metadata."))
    found = [entity for entity in root.iter(xml.qname("md:EntityDescriptor")) if _role(entity) is not None]
    if not found:
        raise MetadataRefused(_("It describes no SAML 2.0 service provider."))
    if entity_id:
        found = [entity for entity in found if _address(entity, "entityID") == entity_id]
        if not found:
            raise MetadataRefused(_("It does not describe %(entity_id)s.") % {"entity_id": entity_id})
    if len(found) > 1:
        raise MetadataRefused(_("It describes several service providers. Give the entity ID of one."))
    entity: Element = found[0]
    return entity


def _role(entity: Element) -> Element | None:
    """SAMLMeta-2.4.1: the role of a service provider that speaks SAML 2.0."""
    roles = xml.find_all(entity, "md:SPSSODescriptor")
    return next((role for role in roles if _PROTOCOL in role.get("protocolSupportEnumeration", "").split()), None)


def _read(entity: Element) -> ProviderMetadata:
    role = _role(entity)
    assert role is not None  # `_choose` found it
    signing, to_encrypt, methods = _keys(role)
    listed = [formats.BY_URI.get(xml.text_of(each), "") for each in xml.find_all(role, "md:NameIDFormat")]
    return ProviderMetadata(
        entity_id=_address(entity, "entityID"),
        consumers=_consumers(role),
        logout_services=_logout_services(role),
        signing_certificates=signing,
        encryption_certificate=to_encrypt,
        encryption_algorithm=_known(methods, {name: each.uri for name, each in encryption.DATA_ALGORITHMS.items()}),
        key_transport=_known(methods, encryption.KEY_ALGORITHMS),
        name_id_formats=list(dict.fromkeys(name for name in listed if name)),
        attributes=requested_attributes.mapping(role),
        signs_requests=_is_true(role, "AuthnRequestsSigned"),
        wants_signed_assertions=_is_true(role, "WantAssertionsSigned"),
        valid_until=_earliest(each.get("validUntil") for each in (*entity.iterancestors(), entity, role)),
    )


def _consumers(role: Element) -> list[dict[str, Any]]:
    """SAMLMeta-2.4.4: indexed endpoints. Those of other bindings are for other profiles."""
    found = []
    for each in xml.find_all(role, "md:AssertionConsumerService"):
        if BINDING_BY_URI.get(each.get("Binding", "")) != POST:
            continue
        index = each.get("index", "")
        if not index.isdecimal() or len(index) > 5:
            raise MetadataRefused(_("An endpoint has no index."))
        found.append(
            {"index": int(index), "location": _address(each, "Location"), "is_default": _is_true(each, "isDefault")}
        )
    if not found:
        raise MetadataRefused(_("It names no assertion consumer service with the HTTP-POST binding."))
    return found


def _logout_services(role: Element) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for each in xml.find_all(role, "md:SingleLogoutService"):
        binding = BINDING_BY_URI.get(each.get("Binding", ""))
        location = _address(each, "Location")
        # Some write an empty address for "none".
        if binding is not None and location and binding not in found:
            found[binding] = {
                "binding": binding,
                "location": location,
                "response_location": _address(each, "ResponseLocation"),
            }
    return list(found.values())


def _keys(role: Element) -> tuple[list[str], str, list[str]]:
    """Return certificates that sign, the one to encrypt for, and the encryption methods that stand beside it.

    SAMLMeta-2.4.1.1: without a use a key is for both; we encrypt for RSA keys only, and take any for signatures. What
    cannot be used is left out where another one can; alone it is refused, so that nobody wonders where it is.
    """
    signing: list[str] = []
    to_encrypt, methods = "", []
    unusable: list[CertificateRefused] = []
    for descriptor in xml.find_all(role, "md:KeyDescriptor"):
        use = descriptor.get("use", "")
        usable, refused = _certificates(descriptor)
        unusable += refused
        if use in ("signing", ""):
            signing += [text for text in map(certificates.to_pem, usable) if text not in signing]
        fitting = [each for each in usable if isinstance(each.public_key(), rsa.RSAPublicKey)]
        if use in ("encryption", "") and fitting and not to_encrypt:
            to_encrypt = certificates.to_pem(fitting[0])
            methods = [each.get("Algorithm", "") for each in xml.find_all(descriptor, "md:EncryptionMethod")]
    if unusable and not signing:
        raise unusable[0]
    for error in unusable:
        log.warning("saml.metadata_certificate_left_out", extra={"reason": error.reason, "detail": error.log_detail})
    return signing, to_encrypt, methods


def _certificates(descriptor: Element) -> tuple[list[x509.Certificate], list[CertificateRefused]]:
    """Return the certificates of a key that can be used, and why the others cannot."""
    usable, refused = [], []
    path = "/".join(map(xml.qname, ("ds:KeyInfo", "ds:X509Data", "ds:X509Certificate")))
    for each in descriptor.iterfind(path):
        try:
            usable.append(certificates.load(xml.text_of(each)))
        except CertificateRefused as error:
            refused.append(error)
    return usable, refused


def _known(listed: Iterable[str], uris: Any) -> str:
    """Return the first of ours that is listed: ours are in order of strength; "" where none is."""
    given = set(listed)
    return next((name for name, uri in uris.items() if uri in given), "")


def _address(element: Element, name: str) -> str:
    """Read an attribute of type xs:anyURI, whose white space is none of it (XSD-2 3.2.17)."""
    return str(element.get(name, "")).strip()


def _is_true(element: Element, name: str) -> bool:
    return element.get(name, "") in ("true", "1")


def _earliest(values: Iterable[str | None]) -> datetime | None:
    moments = [xml.parse_instant(value) for value in values if value]
    return min(moments, default=None)
