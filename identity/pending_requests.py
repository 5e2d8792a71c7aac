"""Requests parked on the server while the browser does something else first (decision 8).

A parked request is sealed, read by one browser only, and spent once. It is how a POST from another site's page
survives SameSite=Lax (the browser comes back with a GET of our own, which carries its cookies), and how the state
of an authorization request is kept out of the browser's hands while the user signs in or consents (S43, S44).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from identity import crypto
from identity.errors import StateInvalid
from identity.models import PendingRequest, Tenant
from identity.statements import Select, Update, write

LIFETIME = timedelta(hours=1)
# A page may stand open longer than its request is good. The request is kept on for as long, to be begun anew.
KEPT_FOR = timedelta(days=1)
_HANDLE = "pending_request.handle"
_BINDING = "pending_request.binding"
_PAYLOAD = "pendingrequest.payload"  # the rule of crypto.column_purpose


@dataclass(frozen=True)
class Taken:
    """A parked request that was spent."""

    payload: dict[str, Any]
    is_over: bool  # its time had run out: what the user did on its page counts for nothing


def park(*, tenant: Tenant, path: str, payload: dict[str, Any], binding: str, lifetime: timedelta = LIFETIME) -> str:
    """Keep a request and return its handle.

    path: of the endpoint that may take it back. payload: JSON types only. binding: the browser's own handle, which
    must come back with the request.
    """
    row, handle = describe(tenant=tenant, path=path, payload=payload, binding=binding, lifetime=lifetime)
    write(row)
    return handle


def describe(
    *, tenant: Tenant, path: str, payload: dict[str, Any], binding: str, lifetime: timedelta = LIFETIME
) -> tuple[PendingRequest, str]:
    """Return the row of a request, for `statements.write` to keep with what else is begun for it, and its handle."""
    handle = crypto.new_handle()
    row = PendingRequest(
        handle_hash=crypto.hash_handle(handle, purpose=_HANDLE),
        binding_hash=crypto.hash_handle(binding, purpose=_BINDING),
        tenant=tenant,
        path=path,
        payload_sealed=crypto.seal(json.dumps(payload), purpose=_PAYLOAD),
        expires_at=timezone.now() + lifetime,
    )
    return row, handle


def peek(*, tenant: Tenant, path: str, handle: str, bindings: Sequence[str]) -> dict[str, Any]:
    """Read a parked request without spending it. Raises StateInvalid.

    bindings: what this browser holds; one of them must be the one it was parked with.
    """
    return _payload(_find(tenant=tenant, path=path, handle=handle, bindings=bindings).payload_sealed)


def consume(*, tenant: Tenant, path: str, handle: str, bindings: Sequence[str]) -> dict[str, Any]:
    """Spend a parked request. Raises StateInvalid if it is unknown, foreign, over or spent."""
    return _spend(tenant=tenant, path=path, handle=handle, bindings=bindings).payload


def take_up(*, tenant: Tenant, path: str, handle: str, bindings: Sequence[str]) -> Taken:
    """Spend a parked request, one that is over too, for callers that check everything anew and can ask again.

    Raises StateInvalid if it is unknown, foreign, spent, or over for longer than KEPT_FOR.
    """
    return _spend(tenant=tenant, path=path, handle=handle, bindings=bindings, kept_for=KEPT_FOR)


def _spend(
    *, tenant: Tenant, path: str, handle: str, bindings: Sequence[str], kept_for: timedelta = timedelta()
) -> Taken:
    """One conditional UPDATE decides: of two tabs of a browser that come back at once, one goes on."""
    now = timezone.now()
    handles = crypto.keyed_hashes(handle, purpose=_HANDLE)
    browsers = [each for binding in bindings for each in crypto.keyed_hashes(binding, purpose=_BINDING)]
    spent = _SPEND.rows(handles, browsers, tenant.pk, path, now - kept_for, now) if browsers else []
    if not spent:
        row = _find(tenant=tenant, path=path, handle=handle, bindings=bindings, kept_for=kept_for)
        raise StateInvalid(log_detail=f"pending_request={row.pk} spent")
    payload_sealed, expires_at = spent[0]
    return Taken(_payload(payload_sealed), is_over=expires_at <= now)


def _find(
    *, tenant: Tenant, path: str, handle: str, bindings: Sequence[str], kept_for: timedelta = timedelta()
) -> PendingRequest:
    hashes = crypto.keyed_hashes(handle, purpose=_HANDLE)
    row = _OF_PATH.first(hashes, tenant.pk, path, timezone.now() - kept_for)
    if row is None:
        raise StateInvalid(log_detail="pending_request unknown, spent or expired")
    if not any(crypto.matches_keyed_hash(binding, row.binding_hash, purpose=_BINDING) for binding in bindings):
        raise StateInvalid(log_detail=f"pending_request={row.pk} of another browser")
    return row


def _open(handles: Any, tenant: Any, path: Any, since: Any) -> QuerySet[PendingRequest]:
    return PendingRequest.objects.filter(
        handle_hash__in=handles, tenant=tenant, path=path, consumed_at=None, expires_at__gt=since
    )


_OF_PATH = Select(lambda handles, tenant, path, since: _open(handles, tenant, path, since)[:1])
_SPEND = Update(
    lambda handles, browsers, tenant, path, since, now: (
        _open(handles, tenant, path, since).filter(binding_hash__in=browsers),
        {"consumed_at": now},
    ),
    returning=("payload_sealed", "expires_at"),
)


def _payload(sealed: str) -> dict[str, Any]:
    payload: dict[str, Any] = json.loads(crypto.unseal(sealed, purpose=_PAYLOAD))
    return payload
