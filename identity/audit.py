"""The audit trail: record an event, chain the rows by hash, prove the chain (decision 34).

A success is recorded inside the transaction that it tells of, a refusal after the rollback. Rows are linked later and
in batches, so that recording stays one INSERT. Personal data stands in a column of its own that the hash leaves out,
so that it can be erased.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any, Required, TypedDict, Unpack

from django.core.serializers.json import DjangoJSONEncoder
from django.db import IntegrityError, models, transaction
from django.db.models import Q
from django.utils import timezone

from identity.context import RequestContext
from identity.events import EventType
from identity.models import Application, AuditBatch, AuditEvent, Tenant, User
from identity.statements import new, write

log = logging.getLogger(__name__)

BATCH_ROWS = 1000
SYSTEM_ACTOR = "system"

# Columns under the hash, in this order. `personal` may be erased and `batch` is set by the chaining itself.
_HASHED = (
    "id",
    "tenant_id",
    "at",
    "event_type",
    "outcome",
    "reason",
    "actor_type",
    "actor_id",
    "target_type",
    "target_id",
    "application_id",
    "client_id",
    "dialect",
    "sid",
    "request_id",
    "details",
    "changes",
)


class Happening(TypedDict, total=False):
    """What an event tells.

    actor: a User, a row with a `client_id`, or "system"; without one, the signed-in user of the context.
    target: the row that it was done to. details and changes: no personal data, JSON or what Django's encoder writes.
    changes: column to [before, after]; what is no pair is taken for the value of something new.
    personal: what may have to be erased; address and browser of the context are added.
    """

    tenant: Required[Tenant | None]
    actor: Any
    target: Any
    context: RequestContext | None
    outcome: str  # "success" unless it says otherwise
    reason: str
    client_id: str
    dialect: str
    sid: str
    application: Application | None
    details: Mapping[str, Any] | None
    changes: Mapping[str, Any] | None
    personal: Mapping[str, Any] | None


def record(event: EventType | str, **happening: Unpack[Happening]) -> AuditEvent:
    """Write one event: one INSERT and no look-up."""
    event_row = describe(event, **happening)
    write(event_row, keys=True)
    return event_row


def describe(event: EventType | str, **happening: Unpack[Happening]) -> AuditEvent:
    """Return the row of an event, which is not written yet: `statements.write` does so with what it tells of."""
    tenant, context, application = happening["tenant"], happening.get("context"), happening.get("application")
    actor_type, actor_id = _actor(happening.get("actor"), context)
    target_type, target_id = _reference(happening.get("target"))
    changes = happening.get("changes") or {}
    return new(
        AuditEvent,
        tenant_id=tenant.pk if tenant else None,
        at=timezone.now(),
        event_type=str(event),
        outcome=happening.get("outcome", "success"),
        reason=happening.get("reason", "")[:100],
        actor_type=actor_type,
        actor_id=actor_id,
        target_type=target_type,
        target_id=target_id,
        application_id=application.public_id if application else "",
        client_id=_text(happening.get("client_id", ""), 255),
        dialect=happening.get("dialect", ""),
        sid=happening.get("sid", ""),
        request_id=context.request_id if context else "",
        details=_plain(happening.get("details")),
        changes=_plain({name: _pair(value) for name, value in changes.items()}),
        personal={**_origin(context), **_plain(happening.get("personal"))},
    )


def chain_pending(*, batch_rows: int = BATCH_ROWS, is_over: Callable[[], bool] = lambda: False) -> int:
    """Link rows that are not linked yet, a batch of each tenant in turn; return how many were linked.

    is_over: asked before each batch; the rest waits for the next call. Several workers may call this: the number of a
    batch is unique, so of two that make the same link one gives way.
    """
    linked = 0
    waiting = deque(_tenants_with_pending())
    while waiting and not is_over():
        tenant_id = waiting.popleft()
        try:
            count = _chain_batch(tenant_id=tenant_id, batch_rows=batch_rows)
        except IntegrityError:
            log.info("audit.chain_contended", extra={"tenant": tenant_id})
            continue
        linked += count
        if count == batch_rows:
            waiting.append(tenant_id)
    return linked


@dataclass
class ChainReport:
    """What proving one tenant's chain found."""

    tenant_id: int | None
    batches: int = 0
    rows: int = 0
    pending: int = 0  # rows that no batch links yet
    head: str = ""  # the last hash; kept elsewhere, it proves that nothing was cut off the end
    problems: list[str] = field(default_factory=list)


def verify(*, expected: Mapping[tuple[int | None, int], str] | None = None) -> list[ChainReport]:
    """Prove every tenant's chain.

    expected: hashes that were kept elsewhere, by tenant and number of the batch.
    """
    linked = AuditBatch.objects.order_by().values_list("tenant_id", flat=True)
    written = AuditEvent.objects.order_by().values_list("tenant_id", flat=True)
    tenant_ids = {*linked.distinct(), *written.distinct(), *(key[0] for key in expected or {})}
    return [
        _verify_tenant(tenant_id, expected=expected or {})
        for tenant_id in sorted(tenant_ids, key=lambda tenant_id: -1 if tenant_id is None else tenant_id)
    ]


def erase_personal(user: User) -> int:
    """Empty the personal column of every event by or about the user; the chain stays provable."""
    rows = _mutable_events().filter(
        Q(actor_type="user", actor_id=user.public_id) | Q(target_type="user", target_id=user.public_id),
        tenant_id=user.tenant_id,
    )
    return rows.update(personal={})


def erase_personal_of_tenant(tenant: Tenant, *, batch_rows: int = BATCH_ROWS) -> int:
    """Empty the personal column of every event of a tenant that was removed, in batches; return how many had one."""
    erased = last = 0
    of_tenant = _mutable_events().filter(tenant=tenant).order_by("pk")
    while keys := list(of_tenant.filter(pk__gt=last).values_list("pk", flat=True)[:batch_rows]):
        erased += _mutable_events().filter(pk__in=keys).exclude(personal={}).update(personal={})
        last = keys[-1]
    return erased


def _actor(actor: Any, context: RequestContext | None) -> tuple[str, str]:
    if actor is None:
        return ("user", context.actor) if context and context.actor else ("", "")
    if isinstance(actor, str):
        return actor, ""
    if isinstance(actor, User):
        return "user", actor.public_id
    return "client", _text(actor.client_id, 255)


def _reference(row: Any) -> tuple[str, str]:
    if row is None:
        return "", ""
    for name in ("public_id", "sid", "client_id"):
        if value := getattr(row, name, ""):
            return row._meta.model_name, _text(value, 255)
    return row._meta.model_name, str(row.pk)


def _origin(context: RequestContext | None) -> dict[str, str]:
    if context is None:
        return {}
    return {name: value for name in ("ip", "user_agent", "given_request_id") if (value := getattr(context, name))}


def _text(value: object, length: int) -> str:
    """Cut what a request said to the column, without the characters that PostgreSQL cannot keep."""
    return str(value).replace("\x00", "")[:length]


def _pair(value: Any) -> list[Any]:
    """Give every reader of the trail one shape."""
    return list(value) if isinstance(value, list | tuple) and len(value) == 2 else [None, value]


def _plain(values: Mapping[str, Any] | None) -> dict[str, Any]:
    """Turn values into the very JSON that the database gives back, so that the hash is the same later."""
    if not values:
        return {}
    if all(map(_is_plain, values.values())):
        return dict(values)
    plain: dict[str, Any] = json.loads(json.dumps(dict(values), cls=DjangoJSONEncoder).replace("\\u0000", ""))
    return plain


def _is_plain(value: Any) -> bool:
    """Tell whether JSON gives a value back as it is. Most are names, and lists of names."""
    if type(value) is str:
        return "\x00" not in value
    return type(value) in (int, bool) or (
        type(value) is list and all(type(v) is str and "\x00" not in v for v in value)
    )


def _mutable_events() -> models.QuerySet[AuditEvent]:
    """Return events without the append-only manager, for writing the two columns outside the hash."""
    return models.QuerySet(AuditEvent)


def _of(tenant_id: int | None) -> Q:
    return Q(tenant=None) if tenant_id is None else Q(tenant_id=tenant_id)


def _row_digest(values: Mapping[str, Any]) -> bytes:
    document = [values[name] for name in _HASHED]
    document[_HASHED.index("at")] = values["at"].astimezone(UTC).isoformat(timespec="microseconds")
    return hashlib.sha256(json.dumps(document, sort_keys=True, separators=(",", ":")).encode()).digest()


def _batch_hash(previous: str, *, number: int, digests: list[bytes]) -> str:
    head = json.dumps([previous, number, len(digests)], separators=(",", ":")).encode()
    return hashlib.sha256(head + b"".join(digests)).hexdigest()


def _hashed_rows(rows: models.QuerySet[AuditEvent]) -> Iterator[dict[str, Any]]:
    yield from rows.order_by("id").values(*_HASHED).iterator(chunk_size=BATCH_ROWS)


def _tenants_with_pending() -> Iterator[int | None]:
    """Walk from one tenant to the next: DISTINCT would read each row that waits, which may be a million."""
    pending = AuditEvent.objects.filter(batch=None)
    if pending.filter(tenant=None).exists():
        yield None
    owners = pending.order_by("tenant_id").values_list("tenant_id", flat=True)
    tenant_id = owners.filter(tenant_id__gte=0).first()
    while tenant_id is not None:
        yield tenant_id
        tenant_id = owners.filter(tenant_id__gt=tenant_id).first()


def _chain_batch(*, tenant_id: int | None, batch_rows: int) -> int:
    with transaction.atomic():
        # The end of the chain before the rows: if another worker links them in between, the number is taken too.
        last = AuditBatch.objects.filter(_of(tenant_id)).order_by("-number").first()
        number = last.number + 1 if last else 1
        previous = last.hash if last else ""
        pending = AuditEvent.objects.filter(_of(tenant_id), batch=None).order_by("id")
        rows = list(pending.values(*_HASHED)[:batch_rows])
        if not rows:
            return 0
        batch = AuditBatch.objects.create(
            tenant_id=tenant_id,
            number=number,
            row_count=len(rows),
            previous_hash=previous,
            hash=_batch_hash(previous, number=number, digests=[_row_digest(row) for row in rows]),
        )
        linked = _mutable_events().filter(pk__in=[row["id"] for row in rows], batch=None).update(batch=batch)
        if linked != len(rows):
            raise IntegrityError(f"{len(rows) - linked} rows were linked by somebody else")
    # Where logs are kept on another machine, this line is the proof that nothing was cut off the end.
    log.info("audit.chained", extra={"tenant": tenant_id, "number": number, "rows": len(rows), "hash": batch.hash})
    return len(rows)


def _verify_tenant(tenant_id: int | None, *, expected: Mapping[tuple[int | None, int], str]) -> ChainReport:
    report = ChainReport(tenant_id=tenant_id)
    batches = AuditBatch.objects.filter(_of(tenant_id)).order_by("number")
    for batch in batches.iterator(chunk_size=BATCH_ROWS):
        report.batches += 1
        if batch.number != report.batches:
            report.problems.append(f"batch {report.batches} is missing")
            report.batches = batch.number
        if batch.previous_hash != report.head:
            report.problems.append(f"batch {batch.number} does not follow the batch before it")
        digests = [_row_digest(row) for row in _hashed_rows(AuditEvent.objects.filter(batch_id=batch.pk))]
        report.rows += len(digests)
        if len(digests) != batch.row_count:
            report.problems.append(f"batch {batch.number} has {len(digests)} rows in place of {batch.row_count}")
        elif _batch_hash(batch.previous_hash, number=batch.number, digests=digests) != batch.hash:
            report.problems.append(f"batch {batch.number} was changed")
        report.head = batch.hash
        if expected.get((tenant_id, batch.number), batch.hash) != batch.hash:
            report.problems.append(f"batch {batch.number} has another hash than the one kept elsewhere")
    # A row moved to another tenant's batch would be counted there; here it would silently be missing.
    report.problems += [
        f"batch {number} was cut off" for owner, number in expected if owner == tenant_id and number > report.batches
    ]
    report.pending = AuditEvent.objects.filter(_of(tenant_id), batch=None).count()
    return report
