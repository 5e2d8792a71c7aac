"""What identity itself deletes when it is over. Other apps register their own purgers in `ready()`."""

from __future__ import annotations

from datetime import datetime

from identity.models import PendingRequest
from identity.registry import register_purger
from identity.services import delivery, keys


def purge_pending_requests(now: datetime, limit: int) -> int:
    """Delete parked requests that no browser can come back for."""
    over = PendingRequest.objects.filter(expires_at__lte=now)
    deleted, _ = PendingRequest.objects.filter(pk__in=list(over.values_list("pk", flat=True)[:limit])).delete()
    return deleted


register_purger("deliveries", delivery.purge)
register_purger("keys", keys.purge)
register_purger("pending_requests", purge_pending_requests)
