"""Who we are: the origin of a tenant's addresses, from configuration and never from a request (decision 10, S32)."""

from __future__ import annotations

import ipaddress
from functools import lru_cache, partial
from urllib.parse import urlsplit

from django.conf import settings

from identity.conf import conf
from identity.context import RequestContext
from identity.copies import Copies
from identity.models import Tenant, TenantDomain
from identity.statements import Select

_hosts: Copies[int, str] = Copies()
_FIRST_DOMAIN = Select(lambda tenant: TenantDomain.objects.filter(tenant=tenant)[:1])


def origin(context: RequestContext) -> str:
    """`https://` and the tenant's first domain. With DEBUG on loopback, scheme and host of the request."""
    if conf.debug and _is_loopback(context.origin):
        return context.origin
    if context.tenant is None:
        raise LookupError("There is no origin outside a tenant.")
    return public_origin(context.tenant)


def all_origins(context: RequestContext) -> frozenset[str]:
    """Return every origin of the tenant: of each of its domains. One query, except with DEBUG on loopback."""
    if conf.debug and _is_loopback(context.origin):
        return frozenset({context.origin})
    hosts = TenantDomain.objects.filter(tenant=context.tenant).values_list("host", flat=True)
    return frozenset(f"https://{host}" for host in hosts)


def base(context: RequestContext) -> str:
    """Return the address below which everything stands: the origin, and the path that we are deployed below, if any."""
    return origin(context) + path_prefix()


def public_base(tenant: Tenant) -> str:
    """Return the same without a request."""
    return public_origin(tenant) + path_prefix()


def path_prefix() -> str:
    """Return the path that we are deployed below, such as `/sso`; "" at the root. `reverse` brings its own."""
    return settings.FORCE_SCRIPT_NAME or ""


def public_origin(tenant: Tenant) -> str:
    """Return the same without a request: `https://` and the tenant's first domain."""
    host = _hosts.get(tenant.pk, partial(_first_host, tenant), tenant_id=tenant.pk)
    if host is None:
        raise LookupError(f"Tenant {tenant.pk} has no domain, so it has no origin.")
    return f"https://{host}"


def _first_host(tenant: Tenant) -> str | None:
    domain = _FIRST_DOMAIN.first(tenant.pk)
    return domain.host if domain is not None else None


@lru_cache(maxsize=256)
def _is_loopback(address: str) -> bool:
    host = urlsplit(address).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
