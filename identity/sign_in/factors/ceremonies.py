"""Ceremonies: what was made for one person or browser to answer, kept until it is answered, once (S28, S29)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import NamedTuple

from django.db import IntegrityError, transaction
from django.utils import timezone

from identity import crypto
from identity.errors import StateInvalid
from identity.models import CeremonyPurpose, FactorCeremony, LoginTransaction, SSOSession, Tenant, User
from identity.purging import Purger

# A key is typed into an app; a challenge is answered by pressing a button (WebAuthn: at least a few minutes).
_LIFETIMES = {CeremonyPurpose.ENROL_TOTP: timedelta(minutes=10)}
_LIFETIME = timedelta(minutes=5)
_SECRET = crypto.column_purpose(FactorCeremony, "secret_sealed")


class Key(NamedTuple):
    """Which ceremony: of one purpose, for one session or sign-in, and for one person where it is known who."""

    purpose: CeremonyPurpose
    owner: str
    user: User | None


def owner_of(holder: SSOSession | LoginTransaction) -> str:
    """Return what a ceremony is bound to: one session, or one sign-in under way."""
    return f"{'session' if isinstance(holder, SSOSession) else 'sign-in'} {holder.pk}"


def ensure(key: Key, *, tenant: Tenant, make: Callable[[], str]) -> str:
    """Return the secret of the open ceremony; where none is open, of one that is begun with what `make` returns."""
    found = find(key)
    if found is not None:
        return found
    now = timezone.now()
    secret = make()
    FactorCeremony.objects.filter(
        bound_to=key.owner, purpose=key.purpose, consumed_at=None, expires_at__lte=now
    ).update(consumed_at=now)
    try:
        with transaction.atomic():
            FactorCeremony.objects.create(
                tenant=tenant,
                user=key.user,
                purpose=key.purpose,
                bound_to=key.owner,
                secret_sealed=crypto.seal(secret, purpose=_SECRET),
                expires_at=now + _LIFETIMES.get(key.purpose, _LIFETIME),
            )
    except IntegrityError:
        # The page was opened twice at once: both show one secret.
        found = find(key)
        if found is None:
            raise StateInvalid(log_detail=f"{key.owner} has a ceremony of another person under way") from None
        return found
    return secret


def find(key: Key) -> str | None:
    """Return the secret of the open ceremony, if one is open."""
    row = _open(key)
    return crypto.unseal(row.secret_sealed, purpose=_SECRET) if row is not None else None


def spend(key: Key) -> str | None:
    """Close the ceremony and return its secret; of any number who try at once, one is told it, the others None."""
    row = _open(key)
    if row is None or not FactorCeremony.objects.filter(pk=row.pk, consumed_at=None).update(consumed_at=timezone.now()):
        return None
    return crypto.unseal(row.secret_sealed, purpose=_SECRET)


def close(owner: str) -> None:
    """Let nothing that was made for this session or sign-in be answered any more."""
    FactorCeremony.objects.filter(bound_to=owner, consumed_at=None).update(consumed_at=timezone.now())


# Ceremonies that nobody can answer any more.
purge = Purger(lambda now: FactorCeremony.objects.filter(expires_at__lt=now - timedelta(days=1)), by="expires_at")


def _open(key: Key) -> FactorCeremony | None:
    rows = FactorCeremony.objects.filter(
        bound_to=key.owner, purpose=key.purpose, user=key.user, consumed_at=None, expires_at__gt=timezone.now()
    )
    return rows.first()
