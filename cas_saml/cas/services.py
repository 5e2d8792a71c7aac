"""Find the service that an address belongs to."""

from __future__ import annotations

from cas_saml import addresses
from cas_saml.addresses import AddressInvalid
from cas_saml.cas.models import CASService, ServiceMatch
from identity.errors import NotFound
from identity.models import Tenant


def find(service_url: str, *, tenant: Tenant) -> CASService | None:
    """The enabled service of the tenant that owns the address, or None: one query.

    An exact registration comes first, then the longest path.
    """
    try:
        address = addresses.read(service_url)
    except AddressInvalid:
        return None
    rows = CASService.objects.select_related("application").filter(tenant=tenant, origin=address.origin, is_active=True)
    owners = [row for row in rows if row.owns(address)]
    for row in owners:
        row.application.tenant = tenant
    return max(owners, key=lambda row: (row.match == ServiceMatch.EXACT, len(row.url)), default=None)


def get(service_url: str, *, tenant: Tenant) -> CASService:
    """The same. Raises NotFound (APP.0001), which is shown on our page and never redirected (S44)."""
    service = find(service_url, tenant=tenant)
    if service is None:
        raise NotFound("APP.0001", log_detail="no CAS service has this address")
    return service
