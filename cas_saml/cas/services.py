"""Find the service that an address belongs to, which is remembered (`identity.copies`, decision 22).

A copy refuses nothing: where it holds no service for an address, the rows are read again.
"""

from __future__ import annotations

from cas_saml import addresses
from cas_saml.addresses import AddressInvalid
from cas_saml.cas.models import CASService, ServiceMatch
from identity import copies
from identity.copies import Copies
from identity.errors import NotFound
from identity.models import Application, Tenant

# The enabled services of a tenant and an origin.
_of_origins: Copies[tuple[int, str], tuple[CASService, ...]] = Copies()


def find(service_url: str, *, tenant: Tenant) -> CASService | None:
    """Return the enabled service of the tenant that owns the address, or None: one query, or two for none.

    An exact registration comes first, then the longest path.
    """
    try:
        address = addresses.read(service_url)
    except AddressInvalid:
        return None
    for is_anew in (False, True):
        owners = [row for row in _of_origin(address.origin, tenant=tenant, is_anew=is_anew) if row.owns(address)]
        if owners:
            break
    return max(owners, key=lambda row: (row.match == ServiceMatch.EXACT, len(row.url)), default=None)


def get(service_url: str, *, tenant: Tenant) -> CASService:
    """Find it, or raise NotFound (APP.0001), which is shown on our page and never redirected (S44)."""
    service = find(service_url, tenant=tenant)
    if service is None:
        raise NotFound("APP.0001", log_detail="no CAS service has this address")
    return service


def connect() -> None:
    """Forget services when their rows change. Called once, by `apps.ready`."""
    copies.watch(CASService)
    copies.watch(Application)


def _of_origin(origin: str, *, tenant: Tenant, is_anew: bool) -> tuple[CASService, ...]:
    key = (tenant.pk, origin)
    services = None if is_anew else _of_origins.find(key)
    if services is None:
        moment = copies.begin()
        rows = CASService.objects.select_related("application").filter(tenant=tenant, origin=origin, is_active=True)
        services = tuple(rows)
        for row in services:
            row.application.tenant = tenant
        if services:  # Others are not remembered: anybody can invent origins.
            _of_origins.keep(key, services, tenant_id=tenant.pk, since=moment)
    return services
