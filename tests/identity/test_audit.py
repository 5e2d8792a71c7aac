"""The audit trail: one INSERT, append-only, chained by hash; tampering shows."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from identity import audit
from identity.context import RequestContext
from identity.events import EventType
from identity.models import AppendOnlyError, AuditBatch, AuditEvent
from tests.factories import make_application, make_tenant, make_user
from tests.support.at_once import at_once

TABLE = AuditEvent._meta.db_table
BATCHES = AuditBatch._meta.db_table


@pytest.fixture
def tenant(db):
    return make_tenant(code="north")


def write(tenant, number: int = 1) -> list[AuditEvent]:
    return [
        audit.record(
            EventType.USER_UPDATE,
            tenant=tenant,
            actor="system",
            details={"n": n, "when": timezone.now(), "text": "日本語 ü", "ratio": 0.1},
            changes={"name": ["a", "b"]},
            personal={"name": "Alice"},
        )
        for n in range(number)
    ]


def sql(statement: str, *values: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


def problems() -> list[str]:
    return [problem for report in audit.verify() for problem in report.problems]


def test_recording_is_one_insert(tenant, django_assert_num_queries):
    user, application = make_user(tenant), make_application(tenant)
    context = RequestContext(tenant=tenant, ip="198.51.100.7", user_agent="Test", request_id="r1", actor="someone")
    with django_assert_num_queries(1):
        row = audit.record(
            EventType.TOKEN_GRANT,
            tenant=tenant,
            actor=user,
            target=user,
            context=context,
            client_id="wiki\x00",
            application=application,
            sid="s1",
            details={"scope": "openid\x00"},
        )
    row.refresh_from_db()
    assert (row.actor_type, row.actor_id, row.target_type, row.target_id) == (
        "user",
        user.public_id,
        "user",
        user.public_id,
    )
    assert (row.application_id, row.client_id, row.sid, row.request_id) == (application.public_id, "wiki", "s1", "r1")
    assert (row.details, row.personal) == ({"scope": "openid"}, {"ip": "198.51.100.7", "user_agent": "Test"})


def test_without_an_actor_the_signed_in_user_of_the_request_acts(tenant):
    row = audit.record(EventType.USER_UPDATE, tenant=tenant, context=RequestContext(tenant=tenant, actor="u1"))
    assert (row.actor_type, row.actor_id) == ("user", "u1")


@pytest.mark.parametrize("model", [AuditEvent, AuditBatch])
def test_rows_are_not_changed_or_deleted_through_the_orm(tenant, model):
    write(tenant)
    audit.chain_pending()
    row = model.objects.get()
    attempts = [
        row.save,
        row.delete,
        model.objects.all().delete,
        lambda: model.objects.update(tenant=None),
        lambda: model.objects.bulk_update([row], ["tenant"]),
        lambda: model.objects.filter(pk=row.pk).update(tenant=None),
    ]
    for attempt in attempts:
        with pytest.raises(AppendOnlyError):
            attempt()


def test_chain_is_intact_and_continues(tenant):
    other = make_tenant()
    write(tenant, 5)
    write(other, 2)
    write(None, 1)
    assert audit.chain_pending(batch_rows=2) == 8
    assert audit.chain_pending(batch_rows=2) == 0
    write(tenant, 1)
    assert audit.chain_pending(batch_rows=2) == 1
    assert list(AuditBatch.objects.filter(tenant=tenant).order_by("number").values_list("number", "row_count")) == [
        (1, 2),
        (2, 2),
        (3, 1),
        (4, 1),
    ]
    reports = {report.tenant_id: report for report in audit.verify()}
    assert [(reports[key].batches, reports[key].rows) for key in (tenant.pk, other.pk, None)] == [
        (4, 6),
        (1, 2),
        (1, 1),
    ]
    assert problems() == []


def test_row_that_commits_late_is_linked_later(tenant):
    slow, _quick = write(tenant, 2)
    # Its transaction has drawn an id and is still open while the worker links the row behind it.
    sql(f"DELETE FROM {TABLE} WHERE id = %s", slow.pk)
    assert audit.chain_pending() == 1
    slow._state.adding = True
    slow.save()
    assert audit.chain_pending() == 1
    assert problems() == []
    assert AuditEvent.objects.get(pk=slow.pk).batch.number == 2


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("actor_id", "somebody else"),
        ("outcome", "refused"),
        ("event_type", "user:create"),
        ("at", "2020-01-01 00:00:00"),
        ("target_id", "x"),
        ("details", '{"n": 7}'),
        ("changes", "{}"),
        ("request_id", "x"),
        ("sid", "x"),
        ("client_id", "x"),
        ("dialect", "x"),
        ("reason", "x"),
    ],
)
def test_changed_row_shows(tenant, column, value):
    row = write(tenant, 3)[1]
    audit.chain_pending()
    sql(f"UPDATE {TABLE} SET {column} = %s WHERE id = %s", value, row.pk)
    assert problems() == ["batch 1 was changed"]


def test_deleted_row_shows(tenant):
    row = write(tenant, 3)[1]
    audit.chain_pending()
    sql(f"DELETE FROM {TABLE} WHERE id = %s", row.pk)
    assert problems() == ["batch 1 has 2 rows in place of 3"]


def test_inserted_row_shows(tenant):
    write(tenant, 2)
    audit.chain_pending()
    forged = write(tenant, 1)[0]
    sql(f"UPDATE {TABLE} SET batch_id = %s WHERE id = %s", AuditBatch.objects.get().pk, forged.pk)
    assert problems() == ["batch 1 has 3 rows in place of 2"]
    sql(f"UPDATE {BATCHES} SET row_count = 3")
    assert problems() == ["batch 1 was changed"]


def test_exchanged_row_shows(tenant):
    rows = write(tenant, 2)
    audit.chain_pending()
    forged = write(tenant, 1)[0]
    sql(f"DELETE FROM {TABLE} WHERE id = %s", rows[0].pk)
    sql(f"UPDATE {TABLE} SET batch_id = %s WHERE id = %s", AuditBatch.objects.get().pk, forged.pk)
    assert problems() == ["batch 1 was changed"]


def test_row_given_to_another_tenant_shows(tenant):
    other = make_tenant()
    row = write(tenant, 2)[0]
    audit.chain_pending()
    sql(f"UPDATE {TABLE} SET tenant_id = %s WHERE id = %s", other.pk, row.pk)
    assert problems() == ["batch 1 was changed"]


def test_removed_and_rewritten_batches_show(tenant):
    for _batch in range(3):
        write(tenant, 1)
        audit.chain_pending()
    second = AuditBatch.objects.get(number=2)
    sql(f"DELETE FROM {TABLE} WHERE batch_id = %s", second.pk)
    sql(f"DELETE FROM {BATCHES} WHERE id = %s", second.pk)
    assert problems() == ["batch 2 is missing", "batch 3 does not follow the batch before it"]


def test_rewritten_hash_shows_at_the_next_batch(tenant):
    for _batch in range(2):
        write(tenant, 1)
        audit.chain_pending()
    sql(f"UPDATE {BATCHES} SET hash = %s WHERE number = 1", "0" * 64)
    assert problems() == ["batch 1 was changed", "batch 2 does not follow the batch before it"]


def test_end_that_was_cut_off_shows_against_a_hash_kept_elsewhere(tenant):
    for _batch in range(2):
        write(tenant, 1)
        audit.chain_pending()
    output = StringIO()
    call_command("verify_audit", stdout=output)
    head = next(line.split(" ")[0] for line in output.getvalue().splitlines() if line.startswith("north:"))
    assert head.startswith("north:2:")
    call_command("verify_audit", "--expect", head, stdout=StringIO())
    last = AuditBatch.objects.get(number=2)
    sql(f"DELETE FROM {TABLE} WHERE batch_id = %s", last.pk)
    sql(f"DELETE FROM {BATCHES} WHERE id = %s", last.pk)
    call_command("verify_audit", stdout=StringIO())
    errors = StringIO()
    with pytest.raises(CommandError):
        call_command("verify_audit", "--expect", head, stdout=StringIO(), stderr=errors)
    assert "north: batch 2 was cut off" in errors.getvalue()
    with pytest.raises(CommandError):
        call_command("verify_audit", "--expect", "nowhere:1:abc", stdout=StringIO())


def test_command_tells_and_fails_where_the_trail_was_tampered_with(tenant):
    write(tenant, 2)
    audit.chain_pending()
    output = StringIO()
    call_command("verify_audit", stdout=output)
    assert "The audit trail is intact." in output.getvalue()
    sql(f"UPDATE {TABLE} SET actor_id = 'x'")
    errors = StringIO()
    with pytest.raises(CommandError):
        call_command("verify_audit", stdout=StringIO(), stderr=errors)
    assert errors.getvalue() == "north: batch 1 was changed\n"


def test_personal_data_is_erased_and_the_chain_stays_provable(tenant):
    user, other = make_user(tenant), make_user(tenant)
    context = RequestContext(tenant=tenant, ip="198.51.100.7")
    audit.record(EventType.USER_UPDATE, tenant=tenant, actor=user, context=context, personal={"name": "Alice"})
    audit.record(EventType.USER_UPDATE, tenant=tenant, actor=other, target=user, context=context)
    audit.record(EventType.USER_UPDATE, tenant=tenant, actor=other, context=context)
    audit.chain_pending()
    assert audit.erase_personal(user) == 2
    assert [row.personal for row in AuditEvent.objects.order_by("pk")] == [{}, {}, {"ip": "198.51.100.7"}]
    assert problems() == []


@pytest.mark.django_db(transaction=True)
def test_workers_that_chain_at_once_make_one_chain():
    tenant = make_tenant()
    write(tenant, 40)
    at_once(lambda number: audit.chain_pending(batch_rows=5), times=10)
    audit.chain_pending()
    (report,) = audit.verify()
    assert (report.rows, report.pending, report.problems) == (40, 0, [])
