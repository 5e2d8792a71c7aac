"""Find the service provider that a message or an address speaks of."""

from __future__ import annotations

from cas_saml.saml.models import MAX_ENTITY_ID, ServiceProvider
from identity.errors import ApplicationDisabled, NotFound
from identity.models import Tenant
from identity.texts import is_storable


def get(entity_id: str, *, tenant: Tenant, include_disabled: bool = False) -> ServiceProvider:
    """Return the provider of the tenant with exactly this entity ID: one query.

    Raises NotFound: APP.0002 for an empty one, else APP.0001. Raises ApplicationDisabled, unless told to include those.
    """
    if not entity_id:
        raise NotFound("APP.0002", log_detail="no entity ID")
    is_possible = len(entity_id) <= MAX_ENTITY_ID and is_storable(entity_id)
    return _find(tenant, {"entity_id": entity_id} if is_possible else None, include_disabled=include_disabled)


def get_by_id(public_id: str, *, tenant: Tenant) -> ServiceProvider:
    """Return the provider by its public id, which a parked request has."""
    return _find(tenant, {"public_id": public_id})


def _find(tenant: Tenant, key: dict[str, str] | None, *, include_disabled: bool = False) -> ServiceProvider:
    rows = ServiceProvider.objects.select_related("application")
    provider = rows.filter(tenant=tenant, **key).first() if key else None
    if provider is None:
        raise NotFound("APP.0001", log_detail="no service provider has this entity ID")
    provider.tenant = provider.application.tenant = tenant
    if not include_disabled and not (provider.is_active and provider.application.is_active):
        raise ApplicationDisabled(log_detail=f"service_provider={provider.public_id}")
    return provider
