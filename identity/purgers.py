"""What identity itself deletes when it is over. Other apps register their own purgers in `ready()`."""

from __future__ import annotations

from datetime import datetime

from django.contrib.sessions.models import Session

from identity.models import PendingRequest
from identity.registry import register_purger
from identity.services import (
    captcha,
    delivery,
    devices,
    keys,
    login,
    messages,
    nonces,
    pending_requests,
    sessions,
    sso_tickets,
    throttle,
    verification,
)


def purge_pending_requests(now: datetime, limit: int) -> int:
    """Delete parked requests that no browser can come back for."""
    over = PendingRequest.objects.filter(expires_at__lte=now - pending_requests.KEPT_FOR)
    deleted, _ = PendingRequest.objects.filter(pk__in=list(over.values_list("pk", flat=True)[:limit])).delete()
    return deleted


def purge_admin_sessions(now: datetime, limit: int) -> int:
    """Delete the admin's own state (Django's session rows) of browsers that are gone."""
    over = Session.objects.filter(expire_date__lte=now)
    deleted, _ = Session.objects.filter(pk__in=list(over.values_list("pk", flat=True)[:limit])).delete()
    return deleted


register_purger("admin_sessions", purge_admin_sessions)
register_purger("attempt_counters", throttle.purge_idle)
register_purger("captchas", captcha.purge_expired)
register_purger("deliveries", delivery.purge)
register_purger("devices", devices.purge_unseen)
register_purger("keys", keys.purge)
register_purger("login_transactions", login.purge_expired)
register_purger("pending_requests", purge_pending_requests)
register_purger("sent_messages", messages.purge_sent)
register_purger("spent_nonces", nonces.purge)
register_purger("sso_sessions", sessions.purge_ended)
register_purger("sso_tickets", sso_tickets.purge)
register_purger("verification_codes", verification.purge_expired)
