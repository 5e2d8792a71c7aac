"""The outbox (decision 33): calls to other systems, written with what causes them and sent by the worker.

A delivery is sent at least once: a worker that dies after sending and before noting it leaves a row that is
sent again, with the same jti, by which receivers know a repeat. Claiming is one conditional UPDATE, so any
number of workers share the work on either database.
"""

from __future__ import annotations

import logging
import math
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from datetime import datetime
from functools import partial
from typing import Any

from django.db import connections, transaction
from django.db.models import Count, F, Min, Q, QuerySet
from django.utils import timezone

from identity import audit, crypto, outbound, registry
from identity.conf import conf
from identity.context import RequestContext
from identity.events import EventType
from identity.lookups import Constant
from identity.models import Application, Delivery, DeliveryState, Tenant
from identity.purging import Purger

log = logging.getLogger(__name__)

_PENDING = Constant(DeliveryState.PENDING)  # as the index of what is due says it

_MAX_ERROR_CHARACTERS = 200
_SPARE = 8  # rows looked at beyond those that are wanted
_MAX_SENDING_SECONDS = 10  # before the worker looks after its other jobs
_LOOK_SECONDS = 0.5  # how old the knowledge of who waits may be

Share = tuple[int, int | None]  # keys of a tenant and of an application


class DeliveryFailed(Exception):
    """The receiver did not take it. The text is shown to operators: reason and status, no content."""

    def __init__(self, reason: str, *, status: int | None = None, is_final: bool = False) -> None:
        super().__init__(reason)
        self.status = status  # HTTP
        self.is_final = is_final  # repeating is pointless


def enqueue(
    *,
    tenant: Tenant,
    kind: str,
    url: str,
    payload: Mapping[str, Any],
    application: Application | None = None,
    sid: str = "",
    not_before: datetime | None = None,
) -> Delivery:
    """Write a delivery; call it inside the transaction that causes it.

    kind: name of a sender that an app registered. Raises UnknownDeliveryKind, a programming error.
    payload: JSON, what the sender needs to make the message when it is sent. No secrets: operators see it.
    not_before: for what may become unnecessary until then (`note_told`).
    """
    registry.delivery_sender(kind)
    return Delivery.objects.create(
        tenant=tenant,
        application=application,
        kind=kind,
        url=url,
        jti=crypto.new_handle(16),
        payload=dict(payload),
        sid=sid,
        next_attempt_at=not_before or timezone.now(),
    )


def note_told(deliveries: Iterable[int]) -> int:
    """Note that receivers were told otherwise, for example by the browser. Return how many still waited."""
    waiting = Delivery.objects.filter(pk__in=list(deliveries), state=DeliveryState.PENDING)
    return waiting.update(state=DeliveryState.DELIVERED, delivered_at=timezone.now(), claimed_until=None)


def post_form(delivery: Delivery, fields: Mapping[str, str]) -> None:
    """POST form fields to the delivery's address through the guarded client; for use by senders.

    Raises DeliveryFailed unless the answer is 2xx.
    """
    _called(delivery, partial(outbound.post_form, delivery.url, fields))


def post(delivery: Delivery, body: bytes, *, headers: Mapping[str, str]) -> bytes:
    """POST a body and return the answer's; otherwise as `post_form`."""
    return _called(delivery, partial(outbound.request, "POST", delivery.url, headers=headers, body=body))


def submit(delivery: Delivery, fields: Mapping[str, str]) -> outbound.Response:
    """POST form fields and return the whole answer, of which the sender judges. Raises DeliveryFailed without one."""
    return _answered(delivery, partial(outbound.post_form, delivery.url, fields))


def _called(delivery: Delivery, call: Callable[..., outbound.Response]) -> bytes:
    response = _answered(delivery, call)
    if not response.is_success:
        raise DeliveryFailed(f"status {response.status}", status=response.status)
    return response.body


def _answered(delivery: Delivery, call: Callable[..., outbound.Response]) -> outbound.Response:
    limits = outbound.Limits.from_settings(total_seconds=conf.delivery_timeout_seconds)
    internal = delivery.application is not None and delivery.application.is_internal  # decision 12
    try:
        response = call(internal=internal, limits=limits)
    except outbound.OutboundError as error:
        raise DeliveryFailed(f"{type(error).__name__}: {error}") from error
    delivery.last_status = response.status
    return response


def send_all_due(*, executor: Executor, parallel: int, is_stopping: Callable[[], bool] = lambda: False) -> int:
    """Send everything that is due, `parallel` deliveries at the same time; return how many.

    A row is claimed only when a thread is free: it must not wait for others until its lease is over. Whose row that is
    `_Shares` decides, so that a tenant or an application which lets every call time out holds up no other.
    """
    running: dict[Future[None], Share] = {}
    sent = 0
    until = time.monotonic() + _MAX_SENDING_SECONDS
    shares = _Shares(parallel)
    while True:
        while len(running) < parallel and time.monotonic() < until and not is_stopping():
            claimed = shares.claim(running.values())
            if claimed is None:
                break
            running[executor.submit(_attempt_in_thread, claimed)] = (claimed.tenant_id, claimed.application_id)
        if not running:
            return sent
        for future in wait(running, timeout=_LOOK_SECONDS, return_when=FIRST_COMPLETED).done:
            del running[future]
            future.result()  # raises what the thread raised
            sent += 1


class _Shares:
    """Who gets the next free thread: the tenant that holds the fewest, then its application that holds the fewest.

    What all workers hold counts, on whatever machine: it stands in the rows. Of one worker's threads a fifth is kept
    from each tenant and half from each application, so that a newcomer finds one free.
    """

    def __init__(self, parallel: int) -> None:
        self.most_of_tenant = max(parallel - parallel // 5, 1)
        self.most_of_application = max(parallel // 2, 1)
        self._waiting: dict[Share, datetime] = {}  # whose rows are due, and since when
        self._held: Counter[Share] = Counter()  # by all workers
        self._looked_at = -math.inf

    def claim(self, running: Collection[Share]) -> Delivery | None:
        """Claim one delivery. running: what the threads of this worker do now."""
        is_fresh = time.monotonic() - self._looked_at < _LOOK_SECONDS
        for is_last_try in (not is_fresh, True):
            if is_last_try:
                self._look()
            while share := self._next(running):
                if claimed := claim(now=timezone.now(), limit=1, of=share):
                    self._held[share] += 1
                    return claimed[0]
                del self._waiting[share]  # Other workers took the rest.
            if is_last_try:
                break
        return None

    def _look(self) -> None:
        now = timezone.now()
        pending = Delivery.objects.filter(state=_PENDING).order_by()
        by_share = pending.values_list("tenant_id", "application_id")
        due = by_share.filter(_is_free(now), next_attempt_at__lte=now).annotate(since=Min("next_attempt_at"))
        held = by_share.filter(claimed_until__gt=now).annotate(count=Count("pk"))
        self._waiting = {(tenant, application): since for tenant, application, since in due}
        self._held = Counter({(tenant, application): count for tenant, application, count in held})
        self._looked_at = time.monotonic()

    def _next(self, running: Collection[Share]) -> Share | None:
        mine, of_tenant = Counter(running), Counter(tenant for tenant, _ in running)
        held_by_tenant: Counter[int] = Counter()
        for (tenant, _), count in self._held.items():
            held_by_tenant[tenant] += count

        def may_have_more(share: Share) -> bool:
            is_one_too_many = share[1] is not None and mine[share] >= self.most_of_application
            return of_tenant[share[0]] < self.most_of_tenant and not is_one_too_many

        def rank(share: Share) -> tuple[int, int, datetime]:
            return held_by_tenant[share[0]], self._held[share], self._waiting[share]

        return min(filter(may_have_more, self._waiting), key=rank, default=None)


def _is_free(now: datetime) -> Q:
    return Q(claimed_until=None) | Q(claimed_until__lte=now)


def claim(*, now: datetime, limit: int, of: Share | None = None) -> list[Delivery]:
    """Take up to `limit` due deliveries for this worker, oldest first. Each claim counts as an attempt.

    of: the tenant and application to which they belong; anybody's else.
    """
    due = Delivery.objects.filter(_is_free(now), state=_PENDING, next_attempt_at__lte=now)
    if of is not None:
        tenant_id, application_id = of
        due = due.filter(tenant_id=tenant_id)
        due = due.filter(application=None) if application_id is None else due.filter(application_id=application_id)
    claimed: list[Delivery] = []
    # Some more than needed: other workers want the oldest ones too.
    for delivery in due.select_related("tenant", "application").order_by("next_attempt_at", "pk")[: limit + _SPARE]:
        if len(claimed) == limit:
            break
        # Whoever makes this UPDATE first has the row; the count is the proof of it (see _note_failure).
        won = Delivery.objects.filter(
            _is_free(now), pk=delivery.pk, state=DeliveryState.PENDING, attempts=delivery.attempts
        ).update(claimed_until=now + conf.delivery_lease, attempts=F("attempts") + 1)
        if won:
            delivery.attempts += 1
            claimed.append(delivery)
    return claimed


def attempt(delivery: Delivery) -> None:
    """Send one claimed delivery and note what came of it."""
    delivery.last_status = None  # A sender that speaks HTTP notes the answer's.
    try:
        if delivery.attempts > conf.delivery_max_attempts:
            raise DeliveryFailed("the worker died during the last attempt", is_final=True)
        registry.delivery_sender(delivery.kind)(delivery)
    except DeliveryFailed as error:
        _note_failure(delivery, error)
    except Exception as error:  # One faulty sender must not stop the others; it is logged and noted.
        log.exception("delivery.error", extra={"delivery": delivery.pk, "kind": delivery.kind})
        _note_failure(delivery, DeliveryFailed(type(error).__name__))
    else:
        # Delivered is delivered, even when the lease ran out meanwhile.
        Delivery.objects.filter(pk=delivery.pk).exclude(state=DeliveryState.DELIVERED).update(
            state=DeliveryState.DELIVERED,
            delivered_at=timezone.now(),
            claimed_until=None,
            last_status=delivery.last_status,
            last_error="",
        )
        log.info("delivery.done", extra={"delivery": delivery.pk, "kind": delivery.kind})


def retry(*, delivery: Delivery, context: RequestContext, actor: Any = None) -> bool:
    """Let a delivery that failed be tried now; for operators. Tell whether there was anything to do.

    One that was given up gets a fresh set of attempts; one that waits for its next attempt waits no longer.
    """
    now = timezone.now()
    with transaction.atomic():
        row = Delivery.objects.select_for_update(no_key=True).get(pk=delivery.pk)
        before = {"state": row.state, "next_attempt_at": row.next_attempt_at}
        if row.state == DeliveryState.FAILED:
            row.state, row.attempts, row.claimed_until = DeliveryState.PENDING, 0, None
        elif row.state != DeliveryState.PENDING or row.next_attempt_at <= now:
            return False
        elif row.claimed_until is not None and row.claimed_until > now:
            return False  # A worker has it in its hands: it is being tried.
        row.next_attempt_at = now
        row.save(update_fields=["state", "attempts", "claimed_until", "next_attempt_at"])
        audit.record(
            EventType.ADMIN_CHANGE,
            tenant=row.tenant,
            actor=actor,
            target=row,
            application=row.application,
            context=context,
            changes={
                name: [value, getattr(row, name)] for name, value in before.items() if value != getattr(row, name)
            },
        )
    return True


def _outdated(now: datetime) -> QuerySet[Delivery]:
    finished = [DeliveryState.DELIVERED, DeliveryState.FAILED]
    return Delivery.objects.filter(state__in=finished, created_at__lte=now - conf.delivery_retention)


# Deliveries that were delivered or given up long ago.
purge = Purger(_outdated)


def _attempt_in_thread(delivery: Delivery) -> None:
    try:
        attempt(delivery)
    finally:
        connections.close_all()  # The thread's own: nobody else could close them.


def _note_failure(delivery: Delivery, error: DeliveryFailed) -> None:
    is_over = error.is_final or delivery.attempts >= conf.delivery_max_attempts
    delays = conf.delivery_retry_delays
    changes: dict[str, Any] = {
        "last_status": error.status,
        "last_error": str(error)[:_MAX_ERROR_CHARACTERS],
        "claimed_until": None,
    }
    if is_over:
        changes["state"] = DeliveryState.FAILED
    else:
        changes["next_attempt_at"] = timezone.now() + delays[min(delivery.attempts, len(delays)) - 1]
    # Only while the claim is ours: after the lease another worker may have taken or finished it.
    Delivery.objects.filter(pk=delivery.pk, state=DeliveryState.PENDING, attempts=delivery.attempts).update(**changes)
    log.warning(
        "delivery.failed",
        extra={"delivery": delivery.pk, "kind": delivery.kind, "attempt": delivery.attempts, "given_up": is_over},
    )
