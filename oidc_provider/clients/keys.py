"""Keys that clients publish at an address of their own (OIDCC-10.1), kept in rows and fetched ahead by the worker.

A request reads the row. Only where that lacks a key does it fetch by itself, for a client that has just been registered
or has just changed its key, and then briefly: once in `jwks_refetch_interval` for a client over all processes, one at a
time for a tenant in a process, for `jwks_fetch_time` at most, and not at all once an address has failed several
times in a row. So a stranger who names a client whose address trickles holds up nobody (S58).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Executor, wait
from contextlib import suppress
from datetime import datetime
from typing import Any

from django.db import connections
from django.db.models import F, Q
from django.utils import timezone

from identity import copies, outbound
from identity.copies import Copies
from oidc_provider.clients import jwk_sets
from oidc_provider.clients.jwk_sets import PublicKey
from oidc_provider.conf import conf
from oidc_provider.models import Client, PublishedKeys

log = logging.getLogger(__name__)

_FAILURES_OF_A_CIRCUIT = 3
_MAX_BACKOFF_DOUBLINGS = 6
_ROWS_AT_ONCE = 200


# By client and address. The worker fetches them all the time, so nobody is told.
_copies: Copies[tuple[int, str], tuple[PublicKey, ...]] = Copies(is_told=False)
_fetching: set[int] = set()  # tenants for which a request of this process fetches
_lock = threading.Lock()


def keys(client: Client, *, is_anew: bool = False) -> tuple[PublicKey, ...]:
    """Return the keys that the client publishes, as far as they are known.

    is_anew: those that were known did not fit; look whether there are others now.
    """
    known = None if is_anew else _copies.find((client.pk, client.jwks_uri))
    if known is not None:
        return known
    moment = copies.begin()
    row = PublishedKeys.objects.filter(client=client).first()
    now = timezone.now()
    is_known = row is not None and row.url == client.jwks_uri and row.fetched_at is not None
    is_stale = row is None or row.fetched_at is None or row.fetched_at < now - 2 * conf.jwks_cache_lifetime
    if not is_known or is_stale or is_anew:
        row = _fetch_in_a_request(client, now) or row
    found = _usable(client, row, now)
    if found:
        _copies.keep((client.pk, client.jwks_uri), found, tenant_id=client.tenant_id, since=moment)
    return found


def fetch_due(*, executor: Executor, parallel: int, is_over: Callable[[], bool] = lambda: False) -> int:
    """Fetch what is due, one of a tenant at a time; return how many. For the worker."""
    _prepare()
    fetched = 0
    while not is_over():
        now = timezone.now()
        due = PublishedKeys.objects.filter(
            next_fetch_at__lte=now,
            client__is_active=True,
            client__catalogue_entry__is_active=True,
            client__catalogue_entry__tenant__is_active=True,
        )
        rows = due.select_related("client__catalogue_entry").order_by("next_fetch_at", "pk")[:_ROWS_AT_ONCE]
        chosen = list({row.client.tenant_id: row for row in reversed(rows)}.values())[:parallel]
        # Another worker may have been first.
        chosen = [row for row in chosen if _claim(row.client, now, due)]
        if not chosen:
            break
        for future in wait([executor.submit(_fetch_in_thread, row.client) for row in chosen]).done:
            future.result()
        fetched += len(chosen)
    return fetched


def _prepare() -> None:
    """Give rows to clients that have none, and begin anew with addresses that were changed."""
    without = Client.objects.exclude(jwks_uri="").filter(published_keys=None, is_active=True)
    rows = [_new_row(client) for client in without[:_ROWS_AT_ONCE]]
    PublishedKeys.objects.bulk_create(rows, ignore_conflicts=True)
    changed = PublishedKeys.objects.exclude(url=F("client__jwks_uri"))
    for row in changed.select_related("client")[:_ROWS_AT_ONCE]:
        _begin_anew(row.client)


def _new_row(client: Client) -> PublishedKeys:
    return PublishedKeys(client=client, url=client.jwks_uri, next_fetch_at=timezone.now())


def _begin_anew(client: Client) -> None:
    changed = PublishedKeys.objects.filter(client=client).exclude(url=client.jwks_uri)
    changed.update(
        url=client.jwks_uri, jwks=None, fetched_at=None, asked_at=None, failures=0, next_fetch_at=timezone.now()
    )


def _fetch_in_a_request(client: Client, now: datetime) -> PublishedKeys | None:
    """Fetch, if this request may; return the row as it is afterwards."""
    tenant_id = client.tenant_id
    with _lock:
        if tenant_id in _fetching:
            return None
        _fetching.add(tenant_id)
    try:
        PublishedKeys.objects.bulk_create([_new_row(client)], ignore_conflicts=True)
        _begin_anew(client)
        may = Q(failures__lt=_FAILURES_OF_A_CIRCUIT) | Q(next_fetch_at__lte=now)
        if _claim(client, now, PublishedKeys.objects.filter(may)):
            _fetch(client)
        return PublishedKeys.objects.filter(client=client).first()
    finally:
        with _lock:
            _fetching.discard(tenant_id)


def _claim(client: Client, now: datetime, rows: Any) -> bool:
    """One conditional UPDATE decides who asks: over all processes one, and not again for a while."""
    quiet = Q(asked_at=None) | Q(asked_at__lte=now - conf.jwks_refetch_interval)
    return bool(
        PublishedKeys.objects.filter(quiet, pk__in=rows.filter(client=client).values("pk")).update(asked_at=now)
    )


def _fetch(client: Client) -> None:
    row = PublishedKeys.objects.filter(client=client, url=client.jwks_uri)
    limits = outbound.Limits.from_settings(total_seconds=conf.jwks_fetch_time.total_seconds())
    try:
        document = outbound.get_json(client.jwks_uri, internal=client.catalogue_entry.is_internal, limits=limits)
        jwk_sets.parse(document)
    except (outbound.OutboundError, ValueError) as error:
        log.warning("client.jwks_uri_failed", extra={"client_id": client.client_id, "reason": type(error).__name__})
        failures = row.values_list("failures", flat=True).first() or 0
        wait_for = conf.jwks_cache_lifetime * 2 ** min(failures, _MAX_BACKOFF_DOUBLINGS)
        row.update(failures=F("failures") + 1, next_fetch_at=timezone.now() + wait_for)
        return
    now = timezone.now()
    row.update(jwks=document, fetched_at=now, failures=0, next_fetch_at=now + conf.jwks_cache_lifetime)


def _fetch_in_thread(client: Client) -> None:
    try:
        _fetch(client)
    finally:
        connections.close_all()  # The thread's own: nobody else could close them.


def _usable(client: Client, row: PublishedKeys | None, now: datetime) -> tuple[PublicKey, ...]:
    """Return the keys of a row, none if its address has not answered for long: they may have been withdrawn."""
    found: tuple[PublicKey, ...] = ()
    is_ours = row is not None and row.url == client.jwks_uri and row.fetched_at is not None
    if row is not None and is_ours and row.fetched_at is not None and row.fetched_at > now - conf.jwks_max_age:
        with suppress(ValueError):
            found = jwk_sets.parse(row.jwks)
    return found
