"""Who we are to service providers: our entity ID and our endpoints, from configuration (decision 10)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from django.urls import get_script_prefix, reverse

from identity import origins
from identity.context import RequestContext
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
    return _below(origin, get_script_prefix())


@lru_cache(maxsize=1000)  # every request of a tenant asks, and to spell three routes takes a tenth of its time
def _below(origin: str, script_prefix: str) -> Entity:
    return Entity(
        entity_id=f"{origin}{reverse('cas_saml:saml_metadata')}",
        sso=f"{origin}{reverse('cas_saml:saml_sso')}",
        slo=f"{origin}{reverse('cas_saml:saml_slo')}",
    )
