"""Find the service that an address belongs to, from a copy in the process.

It is a few seconds old at most (decision 22), and refuses nothing: where it holds no service for an address, the rows
are read again. Copies are shared between threads: never write to one.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models.signals import post_delete, post_save

from cas_saml import addresses
from cas_saml.addresses import AddressInvalid
from cas_saml.cas.models import CASService, ServiceMatch
from identity.conf import conf
from identity.errors import NotFound
from identity.models import Application, Tenant


@dataclass(frozen=True)
class _Copy:
    loaded_at: float
    services: tuple[CASService, ...]  # of one origin, enabled

    @property
    def is_fresh(self) -> bool:
        return 0 <= time.monotonic() - self.loaded_at < conf.process_cache_seconds


_copies: dict[tuple[int, str], _Copy] = {}


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


def clear_cache(**kwargs: Any) -> None:
    """Forget every copy of this process."""
    _copies.clear()


def connect() -> None:
    """Invalidate cached services when their rows change. Called once, by `apps.ready`."""
    for sender in (CASService, Application):
        post_save.connect(_changed, sender=sender, dispatch_uid=f"cas_saml.services.save.{sender.__name__}")
        post_delete.connect(_changed, sender=sender, dispatch_uid=f"cas_saml.services.delete.{sender.__name__}")


def _of_origin(origin: str, *, tenant: Tenant, is_anew: bool) -> tuple[CASService, ...]:
    key = (tenant.pk, origin)
    copy = _copies.get(key)
    if is_anew or copy is None or not copy.is_fresh:
        loaded_at = time.monotonic()
        rows = CASService.objects.select_related("application").filter(tenant=tenant, origin=origin, is_active=True)
        copy = _Copy(loaded_at, tuple(rows))
        for row in copy.services:
            row.application.tenant = tenant
        if copy.services:  # Others are not remembered: anybody can invent origins.
            _copies[key] = copy
    return copy.services


def _changed(**kwargs: Any) -> None:
    # Now, for this transaction; and again when it has committed, for another thread may have read the old row since.
    clear_cache()
    transaction.on_commit(partial(clear_cache))
