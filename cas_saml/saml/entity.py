"""Who we are to service providers: our entity ID and our endpoints, from configuration (decision 10)."""

from __future__ import annotations

from dataclasses import dataclass

from identity import origins
from identity.context import RequestContext
from identity.http import path_of
from identity.models import Tenant


@dataclass(frozen=True)
class Entity:
    """The identity provider of one tenant."""

    entity_id: str  # the address of its metadata (SAMLMeta-4.1.1)
    sso: str
    slo: str


def of(context: RequestContext) -> Entity:
    """Return the identity provider that a request came to."""
    return at(origins.origin(context))


def of_tenant(tenant: Tenant) -> Entity:
    """Return the identity provider of a tenant, without a request."""
    return at(origins.public_origin(tenant))


def at(origin: str) -> Entity:
    """Return the identity provider at an origin."""
    return Entity(
        entity_id=f"{origin}{path_of('cas_saml:saml_metadata')}",
        sso=f"{origin}{path_of('cas_saml:saml_sso')}",
        slo=f"{origin}{path_of('cas_saml:saml_slo')}",
    )
