"""Counting of tries, before the work that they cause (S30, S31).

A try is counted against the account that the name resolved to, or against a keyed hash of a name that nobody has,
and against the source; every factor counts on the same row. Counting is one conditional statement on a row that
decides by itself whether the try is admitted, so of a hundred parallel tries exactly the allowed number gets through.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any, NamedTuple

from django.db import connection, transaction
from django.db.models import DurationField, F, Model, Q, QuerySet
from django.db.models.signals import post_save
from django.dispatch import receiver
from django.utils import timezone

from identity import audit, authority, crypto, policies
from identity.authority import Change
from identity.context import RequestContext
from identity.errors import AccountLocked, SystemBusy, TooManyRequests
from identity.events import EventType
from identity.models import AttemptCounter, CounterKind, PasswordPolicy, Tenant, User
from identity.purging import Purger
from identity.retries import retried
from identity.statements import Update, write

_PURPOSE = "attempt_counter"
_NEVER_REACHED = 30_000  # by what only counts and never locks; the column holds it
_NOBODY_ADDRESS = "unknown"
_SUBSCRIBER_BITS = 64


@dataclass(frozen=True)
class Attempt:
    """One admitted try."""

    tenant: Tenant
    user: User | None
    source: str
    remaining: int  # further tries before the account is locked


@dataclass(frozen=True)
class Limit:
    """So many events in such a time; when they are used up, nothing until `lock` has passed.

    Without a lock, the next window begins when the present one is over, however fast it was used up.
    """

    count: int
    window: timedelta
    lock: timedelta | None = None


@retried
def admit(*, tenant: Tenant, user: User | None, name: str, context: RequestContext) -> Attempt:
    """Count one try, before a password or code is looked at.

    user: whom the name resolved to. name: as compared; counted where nobody has it.
    Raises TooManyRequests if the source used up its tries and AccountLocked if the account did; a refused try is not
    counted, so a lock ends when it was said to end.
    """
    policy = policies.password_policy(tenant)
    window, lock = timedelta(seconds=policy.failure_window_seconds), timedelta(seconds=policy.lock_seconds)
    kind, key = _account_key(user=user, name=name)
    source = source_of(context, person=f"{kind}:{key}")
    now = timezone.now()
    with transaction.atomic():
        by_source = _Try(tenant, CounterKind.SOURCE, source, Limit(policy.max_failures_per_source, window, lock))
        by_account = _Try(tenant, kind, key, Limit(policy.max_failures, window, lock))
        is_admitted, counter = _count_in_turn(by_source, by_account, now=now)
        if not is_admitted:
            raise _too_many(tenant=tenant, kind=CounterKind.SOURCE, key=source, now=now)
        if counter is None:
            raise _locked(tenant=tenant, kind=kind, key=key, now=now)
        if user is not None and counter.locked_until is not None:
            User.objects.filter(pk=user.pk).update(locked_until=counter.locked_until)
            audit.record(
                EventType.LOGIN_LOCKED, tenant=tenant, target=user, context=context, details={"tries": counter.failures}
            )
    return Attempt(tenant, user, source, max(policy.max_failures - counter.failures, 0))


@retried
def remaining_of_name(attempt: Attempt, *, name: str) -> int:
    """Count a refused try of this name, and return how many further ones it has before the lock.

    The account's own count is that of all names of a person: told as it is, it would say which names are one person's
    (S33). So each name is told its own tries, and never more of them than the account had since it last began anew.
    """
    policy = policies.password_policy(attempt.tenant)
    key = f"\ntold:{name}"  # no name begins with a line break
    window = timedelta(seconds=policy.failure_window_seconds)
    with transaction.atomic():
        never = Limit(_NEVER_REACHED, window)
        _count(_Try(attempt.tenant, CounterKind.UNKNOWN_NAME, key, never), now=timezone.now())
        rows = _rows(tenant=attempt.tenant, kind=CounterKind.UNKNOWN_NAME, key=key)
        tries = policy.max_failures - attempt.remaining
        if rows.filter(failures__gt=tries).update(failures=tries):
            return attempt.remaining
        told: int = rows.values_list("failures", flat=True).get()
    return max(policy.max_failures - told, 0)


@retried
def succeed(attempt: Attempt, *rows: Model, is_whole: bool = False) -> None:
    """Take a good try back: the account starts anew, the source is only given this one try back (S31).

    rows: what is written with it, such as the event that tells of it. is_whole: a second factor was proved, or both at
    once. Before that, the account of somebody who has enrolled one is given this one try back too: whoever knows the
    password could clear the count of wrong codes with it, and guess for ever (S30).
    """
    tenant, user = attempt.tenant, attempt.user
    taken_back = [_GIVE_ONE_BACK.bind(*_which(tenant, CounterKind.SOURCE, attempt.source))]
    if user is not None:
        take_back = _BEGIN_ANEW if is_whole or not user.factor_kinds else _GIVE_ONE_BACK
        taken_back.append(take_back.bind(*_which(tenant, *_account_key(user=user, name=""))))
        taken_back.append(_SHOW_UNLOCKED.bind(user.pk))
    write(*rows, besides=taken_back)


@retried
def unlock(user: User, *, context: RequestContext, actor: Any = None) -> bool:
    """Lift the lock of an account, for an operator. Return whether there was anything to lift.

    Raises AuthorityRefused.
    """
    authority.check(Change.LOCK, user=user, actor=actor)
    kind, key = _account_key(user=user, name="")
    with transaction.atomic():
        is_counted = Q(failures__gt=0) | Q(locked_until__isnull=False)
        lifted = _rows(tenant=user.tenant, kind=kind, key=key).filter(is_counted).update(failures=0, locked_until=None)
        shown = User.objects.filter(pk=user.pk).exclude(locked_until=None).update(locked_until=None)
        before, user.locked_until = user.locked_until, None
        if lifted or shown:
            audit.record(
                EventType.LOGIN_UNLOCKED,
                tenant=user.tenant,
                actor=actor,
                target=user,
                context=context,
                changes={"locked_until": [before, None]},
            )
    return bool(lifted or shown)


def count_source(*, tenant: Tenant, context: RequestContext) -> None:
    """Count one try of a source where no account may be locked by it. Raises TooManyRequests."""
    policy = policies.password_policy(tenant)
    window, lock = timedelta(seconds=policy.failure_window_seconds), timedelta(seconds=policy.lock_seconds)
    by_source = Limit(policy.max_failures_per_source, window, lock)
    limit(tenant=tenant, kind=CounterKind.SOURCE, key=source_of(context), limit=by_source)


@contextmanager
def source_counted(*, tenant: Tenant, context: RequestContext) -> Iterator[None]:
    """Count one try of a source, as `count_source`, and take back one that we were too busy for: it was none."""
    count_source(tenant=tenant, context=context)
    try:
        yield
    except SystemBusy:
        succeed_source(tenant=tenant, context=context)
        raise


def succeed_source(*, tenant: Tenant, context: RequestContext) -> None:
    """Take a good try back that `count_source` counted."""
    succeed(Attempt(tenant, None, source_of(context), 0))


def limit(*, tenant: Tenant, kind: CounterKind, key: str, limit: Limit, weight: int = 1) -> None:
    """Count one event against any other limit of a tenant. Raises TooManyRequests with the time to wait.

    weight: 0 only asks whether there is room, by the same statements (S33).
    """
    now = timezone.now()
    if not _count(_Try(tenant, kind, key, limit, weight), now=now):
        raise _too_many(tenant=tenant, kind=kind, key=key, now=now)


def limit_client(*, tenant: Tenant, client_id: str, per_minute: int | None) -> None:
    """Count a call of a client to one of our own APIs; None does not limit it. Raises TooManyRequests."""
    if per_minute is not None:
        limit(
            tenant=tenant,
            kind=CounterKind.API_CLIENT,
            key=client_id,
            limit=Limit(per_minute, timedelta(minutes=1)),
        )


def raise_limit(*, tenant: Tenant, kind: CounterKind, count: int) -> None:
    """Lift the locks of a kind whose limit is higher now than what was counted."""
    _LIFT.run(tenant.pk, kind.value, count)


def source_of(context: RequestContext, *, person: str = "") -> str:
    """Return the source of a request as it is counted: its address; of IPv6, the 64 bits that belong to one subscriber.

    RFC6177-1: whoever has one such network has 2^64 addresses, and would never be counted twice on one of them.
    person: whom a try is about. A back end that has proved itself has one address for all people of its application: it
    counts for each of them, and for each device that it names, so that none locks out the others (S51).
    """
    if context.relay:
        device = context.device.fingerprint if context.device is not None else ""
        return f"relay:{context.relay}:{person}:{device}"
    return _subscriber(context.ip)


@lru_cache(maxsize=1000)  # the same addresses come again
def _subscriber(ip: str) -> str:
    try:
        address = ip_address(ip)
    except ValueError:
        return _NOBODY_ADDRESS
    if isinstance(address, IPv6Address):
        return str(ip_network((address, _SUBSCRIBER_BITS), strict=False))
    return str(address)


@receiver(post_save, sender=PasswordPolicy, dispatch_uid="throttle.raise_limit")
def _lift_with_the_limit(*, instance: PasswordPolicy, **kwargs: object) -> None:
    """Lift what a limit locked when an operator raises it, as they do when somebody is locked by it."""
    tenant = instance.tenant
    raise_limit(tenant=tenant, kind=CounterKind.SOURCE, count=instance.max_failures_per_source)
    for kind in (CounterKind.ACCOUNT, CounterKind.UNKNOWN_NAME):
        raise_limit(tenant=tenant, kind=kind, count=instance.max_failures)
    for user in User.objects.filter(tenant=tenant, locked_until__gt=timezone.now()).iterator():
        kind, key = _account_key(user=user, name="")
        if _rows(tenant=tenant, kind=kind, key=key).filter(locked_until=None).exists():
            User.objects.filter(pk=user.pk).update(locked_until=None)


def _idle(now: datetime) -> QuerySet[AttemptCounter]:
    idle = AttemptCounter.objects.filter(window_started_at__lt=now - timedelta(days=1))
    return idle.filter(Q(locked_until=None) | Q(locked_until__lt=now))


# Counters that have not counted for a day and lock nobody.
purge_idle = Purger(_idle, by="window_started_at")


def _account_key(*, user: User | None, name: str) -> tuple[CounterKind, str]:
    # S31: every spelling of a name counts on the one account that it resolves to.
    return (CounterKind.ACCOUNT, str(user.pk)) if user is not None else (CounterKind.UNKNOWN_NAME, name)


def _key_hash(tenant: Tenant, kind: CounterKind, key: str) -> str:
    return crypto.keyed_hash(f"{tenant.pk}:{kind}:{key}", purpose=_PURPOSE)


def _rows(*, tenant: Tenant, kind: CounterKind, key: str) -> QuerySet[AttemptCounter]:
    return AttemptCounter.objects.filter(tenant=tenant, kind=kind, key_hash=_key_hash(tenant, kind, key))


def _which(tenant: Tenant, kind: CounterKind, key: str) -> tuple[int, str, str]:
    return tenant.pk, kind.value, _key_hash(tenant, kind, key)


def _counters(tenant: Any, kind: Any, key_hash: Any) -> QuerySet[AttemptCounter]:
    return AttemptCounter.objects.filter(tenant=tenant, kind=kind, key_hash=key_hash)


_GIVE_ONE_BACK = Update(
    lambda tenant, kind, key_hash: (
        _counters(tenant, kind, key_hash).filter(failures__gt=0),
        {"failures": F("failures") - 1, "locked_until": None},
    )
)
_LIFT = Update(
    lambda tenant, kind, count: (
        AttemptCounter.objects.filter(tenant=tenant, kind=kind, failures__lt=count).exclude(locked_until=None),
        {"locked_until": None},
    )
)
_BEGIN_ANEW = Update(
    lambda tenant, kind, key_hash: (_counters(tenant, kind, key_hash), {"failures": 0, "locked_until": None})
)
# The condition reads the row and not an object: a failure at the same moment may have locked it since.
_SHOW_UNLOCKED = Update(lambda pk: (User.objects.filter(pk=pk).exclude(locked_until=None), {"locked_until": None}))


# Counting --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Try:
    """One event to be counted on one row."""

    tenant: Tenant
    kind: CounterKind
    key: str
    limit: Limit
    weight: int = 1

    def values(self, now: datetime, *, prefix: str = "") -> dict[str, Any]:
        """Return the values of `_COUNT`."""
        instant = connection.ops.adapt_datetimefield_value
        limit = self.limit
        lock = instant(now + limit.lock) if limit.lock is not None else None
        tenant, kind, key_hash = _which(self.tenant, self.kind, self.key)
        values = {
            "tenant": tenant,
            "kind": kind,
            "key": key_hash,
            "now": instant(now),
            "over": instant(now - limit.window),  # a window that began then, or before
            "window": DurationField().get_db_prep_value(limit.window, connection),
            "weight": self.weight,
            "room": limit.count - self.weight,
            "lock": lock,
            "fresh_lock": (lock or instant(now + limit.window)) if limit.count <= self.weight else None,
        }
        return {prefix + name: value for name, value in values.items()}


class _Counted(NamedTuple):
    """How a row stands that has counted."""

    failures: int
    locked_until: datetime | None


def _count(one: _Try, *, now: datetime) -> bool:
    """Count one event if the row admits it. The last admitted one sets the lock."""
    with connection.cursor() as cursor:
        cursor.execute(_one_statement(connection.vendor), one.values(now))
        return bool(cursor.rowcount)


def _count_in_turn(first: _Try, second: _Try, *, now: datetime) -> tuple[bool, _Counted | None]:
    """Count on two rows in the caller's transaction, on the second one only where the first one admits.

    Return whether it did, and how the second row stands; None where that one does not admit. Always in one order, so
    that two tries never wait for each other's rows.
    """
    if connection.vendor != "postgresql":
        is_admitted = _count(first, now=now)
        if not (is_admitted and _count(second, now=now)):
            return is_admitted, None
        row = _rows(tenant=second.tenant, kind=second.kind, key=second.key).get()
        return True, _Counted(row.failures, row.locked_until)
    with connection.cursor() as cursor:
        cursor.execute(_two_in_turn(), first.values(now, prefix="first_") | second.values(now, prefix="second_"))
        is_admitted, failures, locked_until = cursor.fetchone()
    return is_admitted, None if failures is None else _Counted(failures, locked_until)


# One statement, written out: it is the same on both databases, and to build it anew from expressions takes ten times as
# long as to run it. A new window begins when the old one is over, and when a lock has run out. Of two first tries at
# once, one inserts, and the other counts on its row.
_COUNT = """
INSERT INTO identity_attemptcounter AS c (tenant_id, kind, key_hash, failures, window_started_at, locked_until)
SELECT {tenant}, {kind}, {key}, {weight}, {now}, {fresh_lock} WHERE {only_if}
ON CONFLICT (tenant_id, kind, key_hash) DO UPDATE SET
    failures = CASE WHEN c.window_started_at <= {over} OR c.locked_until <= {now} THEN {weight}
        ELSE c.failures + {weight} END,
    window_started_at = CASE WHEN c.window_started_at <= {over} OR c.locked_until <= {now} THEN {now}
        ELSE c.window_started_at END,
    locked_until = CASE WHEN c.window_started_at <= {over} OR c.locked_until <= {now} THEN {fresh_lock}
        WHEN c.failures >= {room} THEN COALESCE({lock}, {end_of_window}) END
WHERE c.locked_until IS NULL OR c.locked_until <= {now}
"""
_VALUES = ("tenant", "kind", "key", "weight", "now", "fresh_lock", "over", "room", "lock", "window")


def _counting(*, prefix: str = "", only_if: str = "true") -> str:
    places = {name: f"%({prefix}{name})s" for name in _VALUES}
    end_of_window = connection.ops.combine_duration_expression("+", ["c.window_started_at", places["window"]])
    return _COUNT.format(**places, end_of_window=end_of_window, only_if=only_if)


@cache
def _one_statement(vendor: str) -> str:
    return _counting()


@cache
def _two_in_turn() -> str:
    admitted = "EXISTS (SELECT 1 FROM one)"
    return (
        f"WITH one AS ({_counting(prefix='first_')} RETURNING 1),"  # noqa: S608 - our own words
        f" two AS ({_counting(prefix='second_', only_if=admitted)} RETURNING failures, locked_until)"
        f" SELECT {admitted}, (SELECT failures FROM two), (SELECT locked_until FROM two)"
    )


def _seconds_left(*, tenant: Tenant, kind: CounterKind, key: str, now: datetime) -> int:
    locked_until = _rows(tenant=tenant, kind=kind, key=key).values_list("locked_until", flat=True).first()
    return max(math.ceil((locked_until - now).total_seconds()), 1) if locked_until else 1


def _locked(*, tenant: Tenant, kind: CounterKind, key: str, now: datetime) -> AccountLocked:
    minutes, seconds = divmod(_seconds_left(tenant=tenant, kind=kind, key=key, now=now), 60)
    return AccountLocked(None, minutes, seconds, log_detail=f"tenant={tenant.pk} kind={kind}")


def _too_many(*, tenant: Tenant, kind: CounterKind, key: str, now: datetime) -> TooManyRequests:
    seconds = _seconds_left(tenant=tenant, kind=kind, key=key, now=now)
    return TooManyRequests(retry_after_seconds=seconds, log_detail=f"tenant={tenant.pk} kind={kind}")
