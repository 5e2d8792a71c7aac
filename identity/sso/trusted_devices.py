"""Browsers in which a person need not prove the second factor for some days, as the tenant allows.

A browser is known by a cookie of its own beside its binding; of both only keyed hashes are kept, and they count for one
person in one epoch (S48). `access.trusts_browsers` says where that is enough. Whoever changes a factor ends all of it.
"""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from identity import assurance, audit, authority, crypto, policies
from identity.authority import Change
from identity.context import RequestContext
from identity.errors import NotFound
from identity.events import EventType
from identity.models import SSOSession, TrustedDevice, User
from identity.purging import Purger
from identity.retries import retried
from identity.statements import Bound, Update
from identity.texts import is_storable

__all__ = ["days_of", "end", "end_all", "forget_all", "gate", "is_known", "list_of", "purge", "trust"]

PER_USER = 20  # the oldest goes

_HANDLE = "trusted_device.handle"
_BINDING = "trusted_device.binding"


def days_of(user: User) -> int:
    """Return for how many days a browser of this person may be trusted, 0 for never."""
    return 0 if authority.is_privileged(user) else policies.session_policy(user.tenant).trusted_device_days


@retried
def trust(*, session: SSOSession, binding: str, context: RequestContext) -> tuple[str, timedelta] | None:
    """Trust the browser of this session; return the handle for its cookie, the only copy, and how long it is good.

    binding: the browser's own handle. None where the session has not proved two factors, or no browser is trusted.
    """
    user, days = session.user, days_of(session.user)
    if not days or not assurance.satisfies(assurance.acr_of(session.amr), assurance.MULTI_FACTOR):
        return None
    handle, now = crypto.new_handle(), timezone.now()
    with transaction.atomic():
        # Its former trust, if it had one, is void with the cookie that is written over.
        bindings = crypto.keyed_hashes(binding, purpose=_BINDING)
        TrustedDevice.objects.filter(user=user, binding_hash__in=bindings).delete()
        row = TrustedDevice.objects.create(
            user=user,
            handle_hash=crypto.hash_handle(handle, purpose=_HANDLE),
            binding_hash=crypto.hash_handle(binding, purpose=_BINDING),
            epoch=session.epoch,
            user_agent=context.user_agent,
            ip=context.ip or None,
            expires_at=now + timedelta(days=days),
        )
        newest = TrustedDevice.objects.filter(user=user).order_by("-pk").values_list("pk", flat=True)
        surplus = list(newest[PER_USER:])
        if surplus:
            TrustedDevice.objects.filter(pk__in=surplus).delete()
        audit.record(
            EventType.DEVICE_TRUST,
            tenant=user.tenant,
            actor=user,
            target=user,
            sid=session.sid,
            context=context,
            details={"device": row.public_id, "days": days},
        )
    return handle, timedelta(days=days)


# One browser, for one person in one epoch, while it is trusted.
_USE = Update(
    lambda handles, bindings, user, epoch, now, oldest: (
        TrustedDevice.objects.filter(
            handle_hash__in=handles,
            binding_hash__in=bindings,
            user=user,
            epoch=epoch,
            expires_at__gt=now,
            created_at__gt=oldest,
        ),
        {"last_used_at": now},
    )
)


def is_known(*, user: User, handle: str, binding: str) -> bool:
    """Tell whether this browser is trusted for this person now, and note that it was used. One statement."""
    if not handle or not days_of(user):
        return False
    known = gate(user=user, handle=handle, binding=binding)
    return known.statement.holds(known.values)


def gate(*, user: User, handle: str, binding: str) -> Bound:
    """Return the same for `statements.write`: what is written since this browser is trusted needs it to be so still."""
    now = timezone.now()
    return _USE.bind(
        crypto.keyed_hashes(handle, purpose=_HANDLE),
        crypto.keyed_hashes(binding, purpose=_BINDING),
        user.pk,
        user.epoch,
        now,
        now - timedelta(days=days_of(user)),  # fewer than when it was made, perhaps
    )


def list_of(user: User) -> list[TrustedDevice]:
    """Return the browsers that are trusted now, the newest first."""
    days, now = days_of(user), timezone.now()
    if not days:
        return []
    rows = TrustedDevice.objects.filter(
        user=user, epoch=user.epoch, expires_at__gt=now, created_at__gt=now - timedelta(days=days)
    )
    return list(rows.order_by("-pk"))


@retried
def end(*, user: User, public_id: str, context: RequestContext) -> None:
    """Trust one of the person's own browsers no longer. Raises NotFound, for other people's too."""
    with transaction.atomic():
        gone = 0
        if is_storable(public_id):
            gone, _by_model = TrustedDevice.objects.filter(user=user, public_id=public_id).delete()
        if not gone:
            raise NotFound(log_detail=f"user={user.pk} has no such trusted browser")
        _ask_again(user)
        _record_end(user, count=1, context=context, actor=user)


@retried
def end_all(*, user: User, context: RequestContext, actor: object) -> int:
    """Trust none of the person's browsers any longer; return how many there were.

    Raises AuthorityRefused where an operator does it to somebody with more rights (S46).
    """
    with transaction.atomic():
        authority.check(Change.SESSION, user=user, actor=actor)
        return forget_all(user, context=context, actor=actor)


def forget_all(user: User, *, context: RequestContext, actor: object) -> int:
    """As `end_all`, in the transaction of a change that the caller was allowed, such as of a factor."""
    gone, _by_model = TrustedDevice.objects.filter(user=user).delete()
    if gone:
        _ask_again(user)
        _record_end(user, count=gone, context=context, actor=actor)
    return gone


# Browsers that are trusted no longer.
purge = Purger(lambda now: TrustedDevice.objects.filter(expires_at__lte=now), by="expires_at")


def _ask_again(user: User) -> None:
    # A session does not say which browser's trust it began with: each is asked for the factor, once.
    SSOSession.objects.filter(user=user, ended_at=None, device_trusted=True).update(device_trusted=False)


def _record_end(user: User, *, count: int, context: RequestContext, actor: object) -> None:
    audit.record(
        EventType.DEVICE_TRUST_END,
        tenant=user.tenant,
        actor=actor,
        target=user,
        context=context,
        details={"count": count},
    )
