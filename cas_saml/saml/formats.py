"""Formats of name identifiers (SAMLCore-8.3): our short names, and the URIs on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from django.utils.translation import gettext_lazy as _

UNSPECIFIED = "unspecified"
PERSISTENT = "persistent"
TRANSIENT = "transient"
EMAIL = "emailAddress"

URIS: Mapping[str, str] = MappingProxyType(
    {
        UNSPECIFIED: "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified",
        PERSISTENT: "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent",
        TRANSIENT: "urn:oasis:names:tc:SAML:2.0:nameid-format:transient",
        EMAIL: "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress",
    }
)
NAMES = tuple(URIS)
BY_URI: Mapping[str, str] = MappingProxyType({uri: name for name, uri in URIS.items()})
CHOICES = [
    (UNSPECIFIED, _("Unspecified")),
    (PERSISTENT, _("Persistent, another one for each application")),
    (TRANSIENT, _("Transient, another one for each session")),
    (EMAIL, _("E-mail address")),
]
