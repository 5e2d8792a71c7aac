"""Our metadata (SAMLMeta-2.4.3): the certificate that signs, the one that will, and where messages go."""

from __future__ import annotations

from cas_saml.saml import certificates, formats, xml
from cas_saml.saml.certificates import Credential
from cas_saml.saml.endpoints import BINDINGS, POST, REDIRECT
from cas_saml.saml.entity import Entity
from cas_saml.saml.xml import Element
from identity.models import Tenant

MEDIA_TYPE = "application/samlmetadata+xml"
# How long a provider may keep it; the next certificate is in it long before it signs.
CACHE_DURATION = "PT6H"


def document(entity: Entity, *, tenant: Tenant) -> bytes:
    """Return the EntityDescriptor of the tenant's identity provider."""
    role = xml.element(
        "md:IDPSSODescriptor",
        {"WantAuthnRequestsSigned": "false", "protocolSupportEnumeration": xml.NAMESPACES["samlp"]},
        *[_key(credential) for credential in certificates.published(tenant=tenant)],
        *[_endpoint("md:SingleLogoutService", binding, entity.slo) for binding in (REDIRECT, POST)],
        *[xml.element("md:NameIDFormat", None, uri) for uri in formats.URIS.values()],
        *[_endpoint("md:SingleSignOnService", binding, entity.sso) for binding in (REDIRECT, POST)],
    )
    attributes = {"entityID": entity.entity_id, "cacheDuration": CACHE_DURATION}
    return xml.serialize(xml.element("md:EntityDescriptor", attributes, role), has_declaration=True)


def _key(credential: Credential) -> Element:
    certificate = xml.element("ds:X509Certificate", None, credential.certificate_base64)
    key_info = xml.element("ds:KeyInfo", None, xml.element("ds:X509Data", None, certificate))
    return xml.element("md:KeyDescriptor", {"use": "signing"}, key_info)


def _endpoint(name: str, binding: str, location: str) -> Element:
    return xml.element(name, {"Binding": BINDINGS[binding], "Location": location})
