"""The rows of this app."""

from cas_saml.cas.models import CASService, ServiceMatch, ServiceTicket

__all__ = ["CASService", "ServiceMatch", "ServiceTicket"]
