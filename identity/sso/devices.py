"""The devices that people sign in from: recorded at sign-in, shown to them and to operators, never trusted.

A session stays with the fingerprint that it was opened with (D19); what else an app says of its device is hearsay.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from identity import crypto
from identity.conf import conf
from identity.context import RequestContext
from identity.models import Device, Tenant, User
from identity.purging import Purger

__all__ = ["PER_USER", "forget_all", "index_of", "list_of", "purge_unseen", "record"]

PER_USER = 20  # an app that makes up a fingerprint each time must not fill the table
_FIELD = "device.fingerprint"


def index_of(fingerprint: str, *, tenant: Tenant) -> str:
    """Return what is kept of a fingerprint, equal for equal ones of one tenant; "" where there is none."""
    return crypto.blind_index(fingerprint, tenant_id=tenant.pk, field=_FIELD) if fingerprint else ""


def record(*, user: User, context: RequestContext) -> str:
    """Note that the user signed in from the device of this request; return its index, "" without a device.

    In the caller's transaction. One UPDATE for a known device. Of a user's devices the last seen are kept.
    """
    device = context.device
    if device is None:
        return ""
    now = timezone.now()
    index = index_of(device.fingerprint, tenant=user.tenant)
    values: dict[str, Any] = {
        "os_version": _storable(device.os_version, 100),
        "agent": _storable(device.agent, 300),
        "ip": context.ip or None,
        "claimed_ip": _address(device.ip),
        "last_seen_at": now,
    }
    known = Device.objects.filter(user=user, fingerprint_index=index)
    if known.update(**values):
        return index
    try:
        with transaction.atomic():
            Device.objects.create(tenant=user.tenant, user=user, fingerprint_index=index, first_seen_at=now, **values)
    except IntegrityError:
        # The same device signed in twice at once; the other request's row serves both.
        known.update(**values)
        return index
    _keep_the_last(user)
    return index


def list_of(user: User) -> list[Device]:
    """Return the user's devices, the last seen first."""
    return list(Device.objects.filter(user=user).order_by("-last_seen_at", "-pk")[:PER_USER])


def forget_all(user: User) -> None:
    """Delete what is known of the devices of a person who is deleted."""
    Device.objects.filter(user=user).delete()


# Devices that nobody has signed in from for long.
purge_unseen = Purger(
    lambda now: Device.objects.filter(last_seen_at__lt=now - conf.device_retention), by="last_seen_at"
)


def _keep_the_last(user: User) -> None:
    rows = Device.objects.filter(user=user).order_by("-last_seen_at", "-pk")
    if surplus := list(rows.values_list("pk", flat=True)[PER_USER : 2 * PER_USER]):
        Device.objects.filter(pk__in=surplus).delete()


def _storable(text: str, length: int) -> str:
    return "".join(character if character.isprintable() else " " for character in text[:length])


def _address(text: str) -> str | None:
    try:
        # Without a zone ("%eth0"), which means something on one machine only, and nothing to a database.
        return str(ip_address(text.strip().partition("%")[0]))
    except ValueError:
        return None
