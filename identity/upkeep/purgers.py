"""What identity itself deletes when it is over. Other apps register their own purgers in `ready()`."""

from __future__ import annotations

from django.contrib.sessions.models import Session

from identity import delivery, nonces, pending_requests, purging, throttle
from identity.keyring import keys
from identity.messaging import messages
from identity.models import PendingRequest
from identity.registry import register_purger
from identity.sign_in import captcha, login, sso_tickets, verification
from identity.sign_in.factors import ceremonies
from identity.sso import devices, sessions, trusted_devices

# Parked requests that no browser can come back for.
purge_pending_requests = purging.Purger(
    lambda now: PendingRequest.objects.filter(expires_at__lte=now - pending_requests.KEPT_FOR), by="expires_at"
)


# The admin's own state (Django's session rows) of browsers that are gone.
purge_admin_sessions = purging.Purger(lambda now: Session.objects.filter(expire_date__lte=now), by="expire_date")


register_purger("admin_sessions", purge_admin_sessions)
register_purger("attempt_counters", throttle.purge_idle)
register_purger("captchas", captcha.purge_expired)
register_purger("deliveries", delivery.purge)
register_purger("devices", devices.purge_unseen)
register_purger("factor_ceremonies", ceremonies.purge)
register_purger("keys", keys.purge)
register_purger("login_transactions", login.purge_expired)
register_purger("pending_requests", purge_pending_requests)
register_purger("sent_messages", messages.purge_sent)
register_purger("spent_nonces", nonces.purge)
register_purger("sso_sessions", sessions.purge_ended)
register_purger("sso_tickets", sso_tickets.purge)
register_purger("trusted_devices", trusted_devices.purge)
register_purger("verification_codes", verification.purge_expired)
