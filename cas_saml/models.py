"""The rows of this app."""

from cas_saml.cas.models import CASService, ServiceMatch, ServiceTicket
from cas_saml.saml.models import PersistentName, SAMLSession, ServiceProvider

__all__ = ["CASService", "PersistentName", "SAMLSession", "ServiceMatch", "ServiceProvider", "ServiceTicket"]
