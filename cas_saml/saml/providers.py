"""Find the service provider that a message or an address speaks of, which is remembered (decision 22).

A copy refuses nothing: where it is switched off, or none is held, the row is read.
"""

from __future__ import annotations

from cas_saml.saml.models import MAX_ENTITY_ID, ServiceProvider
from identity import copies
from identity.copies import Copies
from identity.errors import ApplicationDisabled, NotFound
from identity.models import Application, Tenant
from identity.statements import Select
from identity.texts import is_storable


def get(entity_id: str, *, tenant: Tenant, include_disabled: bool = False) -> ServiceProvider:
    """Return the provider of the tenant with exactly this entity ID: one query at most.

    Raises NotFound: APP.0002 for an empty one, else APP.0001. Raises ApplicationDisabled, unless told to include those.
    """
    if not entity_id:
        raise NotFound("APP.0002", log_detail="no entity ID")
    is_possible = len(entity_id) <= MAX_ENTITY_ID and is_storable(entity_id)
    if not is_possible:
        raise _unknown()
    return _enabled(_BY_ENTITY_ID, entity_id, tenant=tenant, include_disabled=include_disabled)


def get_by_id(public_id: str, *, tenant: Tenant) -> ServiceProvider:
    """Return the provider by its public id, which a parked request has."""
    return _enabled(_BY_PUBLIC_ID, public_id, tenant=tenant)


def connect() -> None:
    """Forget providers when their rows change. Called once, by `apps.ready`."""
    copies.watch(ServiceProvider)
    copies.watch(Application)


def _enabled(
    by: Select[ServiceProvider], key: str, *, tenant: Tenant, include_disabled: bool = False
) -> ServiceProvider:
    copy = _copies.find((by, tenant.pk, key))
    if copy is not None and copy.is_enabled:
        return copy
    moment = copies.begin()
    provider = by.first(key, tenant.pk)
    if provider is None:
        raise _unknown()
    provider.tenant = provider.application.tenant = tenant
    if provider.is_enabled:
        _copies.keep((by, tenant.pk, key), provider, tenant_id=tenant.pk, since=moment)
    elif not include_disabled:
        raise ApplicationDisabled(log_detail=f"service_provider={provider.public_id}")
    return provider


def _unknown() -> NotFound:
    return NotFound("APP.0001", log_detail="no service provider has this entity ID")


_copies: Copies[tuple[Select[ServiceProvider], int, str], ServiceProvider] = Copies()
_BY_ENTITY_ID = Select(
    lambda entity_id, tenant: ServiceProvider.objects.select_related("application").filter(
        tenant=tenant, entity_id=entity_id
    )[:1]
)
_BY_PUBLIC_ID = Select(
    lambda public_id, tenant: ServiceProvider.objects.select_related("application").filter(
        tenant=tenant, public_id=public_id
    )[:1]
)
