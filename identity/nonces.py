"""Nonces: used once by whoever they belong to, over all processes, because each use is a row."""

from __future__ import annotations

import json
from datetime import timedelta

from django.utils import timezone

from identity import crypto
from identity.models import SpentNonce, Tenant
from identity.purging import Purger
from identity.statements import Upsert, write

__all__ = ["is_spent", "is_spent_under_another_pepper", "purge", "spend", "use"]


def is_spent(*, tenant: Tenant, purpose: str, parts: tuple[str, ...]) -> bool:
    """Tell whether this nonce was used and still counts. parts: the nonce, and what it belongs to."""
    hashes = crypto.keyed_hashes(_key(tenant, parts), purpose=_purpose(purpose))
    return SpentNonce.objects.filter(key_hash__in=hashes, expires_at__gt=timezone.now()).exists()


def use(*, tenant: Tenant, purpose: str, parts: tuple[str, ...], lifetime: timedelta) -> Upsert:
    """Return the use of a nonce as a gate for `statements.write`, which holds for one request.

    Ask `is_spent_under_another_pepper` first. Where it does not, `spend` says whether that was a use that counts.
    """
    return _once(_row(tenant, purpose, parts, lifetime))


def is_spent_under_another_pepper(*, tenant: Tenant, purpose: str, parts: tuple[str, ...]) -> bool:
    """Tell whether this nonce was used before a new pepper came: no constraint sees that. No query with one pepper."""
    _newest, *older = crypto.keyed_hashes(_key(tenant, parts), purpose=_purpose(purpose))
    return bool(older) and SpentNonce.objects.filter(key_hash__in=older, expires_at__gt=timezone.now()).exists()


def spend(*, tenant: Tenant, purpose: str, parts: tuple[str, ...], lifetime: timedelta) -> bool:
    """Use a nonce; return whether nobody had. Of any number of requests at once, one is told so."""
    if is_spent_under_another_pepper(tenant=tenant, purpose=purpose, parts=parts):
        return False
    row = _row(tenant, purpose, parts, lifetime)
    if write(gate=[_once(row)]):
        return True
    # A row that is over and not deleted yet is taken by one conditional UPDATE.
    over = SpentNonce.objects.filter(key_hash=row.key_hash, expires_at__lte=timezone.now())
    return bool(over.update(expires_at=row.expires_at))


# Rows whose nonce may be used again.
purge = Purger(lambda now: SpentNonce.objects.filter(expires_at__lte=now), by="expires_at")


def _key(tenant: Tenant, parts: tuple[str, ...]) -> str:
    return json.dumps([tenant.pk, *parts])  # unambiguous, whatever stands in the parts


def _purpose(purpose: str) -> str:
    return f"spent_nonce.{purpose}"


def _row(tenant: Tenant, purpose: str, parts: tuple[str, ...], lifetime: timedelta) -> SpentNonce:
    key_hash = crypto.keyed_hash(_key(tenant, parts), purpose=_purpose(purpose))
    return SpentNonce(tenant=tenant, key_hash=key_hash, expires_at=timezone.now() + lifetime)


def _once(row: SpentNonce) -> Upsert:
    return Upsert(row, by=("key_hash",))
