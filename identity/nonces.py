"""Nonces: used once by whoever they belong to, over all processes, because each use is a row."""

from __future__ import annotations

import json
from datetime import timedelta

from django.db import IntegrityError, transaction
from django.utils import timezone

from identity import crypto
from identity.models import SpentNonce, Tenant
from identity.purging import Purger

__all__ = ["is_spent", "purge", "spend"]


def is_spent(*, tenant: Tenant, purpose: str, parts: tuple[str, ...]) -> bool:
    """Tell whether this nonce was used and still counts. parts: the nonce, and what it belongs to."""
    hashes = crypto.keyed_hashes(_key(tenant, parts), purpose=_purpose(purpose))
    return SpentNonce.objects.filter(key_hash__in=hashes, expires_at__gt=timezone.now()).exists()


def spend(*, tenant: Tenant, purpose: str, parts: tuple[str, ...], lifetime: timedelta) -> bool:
    """Use a nonce; return whether nobody had. Of any number of requests at once, one is told so."""
    now = timezone.now()
    key_hash = crypto.keyed_hash(_key(tenant, parts), purpose=_purpose(purpose))
    try:
        with transaction.atomic():
            SpentNonce.objects.create(tenant=tenant, key_hash=key_hash, expires_at=now + lifetime)
    except IntegrityError:
        # A row that is over and not deleted yet is taken by one conditional UPDATE.
        over = SpentNonce.objects.filter(key_hash=key_hash, expires_at__lte=now)
        return bool(over.update(expires_at=now + lifetime))
    return True


# Rows whose nonce may be used again.
purge = Purger(lambda now: SpentNonce.objects.filter(expires_at__lte=now), by="expires_at")


def _key(tenant: Tenant, parts: tuple[str, ...]) -> str:
    return json.dumps([tenant.pk, *parts])  # unambiguous, whatever stands in the parts


def _purpose(purpose: str) -> str:
    return f"spent_nonce.{purpose}"
