"""The outbox: written with its cause, claimed once, repeated with growing delays, given up visibly."""

import logging
import multiprocessing
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import pytest
from django.conf import settings
from django.db import connections, transaction
from django.test import override_settings
from django.utils import timezone

from identity import delivery, purging, registry
from identity.context import SYSTEM
from identity.models import Application, Delivery, Tenant
from tests.support import deliveries

pytestmark = pytest.mark.django_db

KIND = "test_logout"


@pytest.fixture
def sent(monkeypatch):
    """Deliveries that the sender of this kind was given; `sent.fail` makes it refuse them."""

    class Sent(list):
        fail: Exception | None = None

    sent = Sent()

    def send(row):
        sent.append((row.pk, row.jti, row.payload))
        if sent.fail is not None:
            raise sent.fail

    monkeypatch.setattr(registry, "_delivery_senders", {KIND: send})
    return sent


@pytest.fixture
def tenant():
    return Tenant.objects.create(code="outbox", name="Outbox")


def enqueue(tenant, **changes):
    values = {"tenant": tenant, "kind": KIND, "url": "https://rp.example.test/logout", "payload": {"sid": "s"}}
    return delivery.enqueue(**(values | changes))


def send_due(after=timedelta(0)):
    return deliveries.send_due(now=timezone.now() + after, limit=10)


def test_a_delivery_is_sent_and_noted(tenant, sent):
    row = enqueue(tenant)
    assert (row.state, row.attempts) == ("pending", 0)
    assert send_due() == 1
    row.refresh_from_db()
    assert (row.state, row.attempts, row.last_error, row.claimed_until) == ("delivered", 1, "", None)
    assert row.delivered_at is not None
    assert sent == [(row.pk, row.jti, {"sid": "s"})]
    assert send_due(timedelta(days=1)) == 0


@pytest.mark.django_db(transaction=True)
def test_nothing_is_sent_for_a_transaction_that_was_rolled_back(sent):
    tenant = Tenant.objects.create(code="outbox", name="Outbox")
    with transaction.atomic():
        enqueue(tenant)
        transaction.set_rollback(True)
    assert send_due() == 0
    assert sent == []


def test_a_kind_that_nobody_sends_is_refused_at_once(tenant, sent):
    with pytest.raises(registry.UnknownDeliveryKind):
        enqueue(tenant, kind="unknown")
    assert not Delivery.objects.exists()


def test_failures_are_repeated_with_growing_delays_and_the_same_jti(tenant, sent, time_machine):
    now = timezone.now()
    time_machine.move_to(now, tick=False)
    row = enqueue(tenant)
    sent.fail = delivery.DeliveryFailed("status 503", status=503)
    waits = []
    for _ in range(4):
        assert deliveries.send_due(now=timezone.now(), limit=10) == 1
        row.refresh_from_db()
        assert (row.state, row.last_status, row.last_error) == ("pending", 503, "status 503")
        waits.append(row.next_attempt_at - timezone.now())
        time_machine.move_to(row.next_attempt_at - timedelta(seconds=1), tick=False)
        assert deliveries.send_due(now=timezone.now(), limit=10) == 0
        time_machine.move_to(row.next_attempt_at, tick=False)
    assert waits == [timedelta(seconds=10), timedelta(minutes=1), timedelta(minutes=10), timedelta(hours=1)]
    assert deliveries.send_due(now=timezone.now(), limit=10) == 1
    row.refresh_from_db()
    assert (row.state, row.attempts) == ("failed", 5)
    assert deliveries.send_due(now=timezone.now() + timedelta(days=9), limit=10) == 0
    assert [jti for _, jti, _ in sent] == [row.jti] * 5


def test_a_final_refusal_is_not_repeated(tenant, sent):
    row = enqueue(tenant)
    sent.fail = delivery.DeliveryFailed("gone", status=410, is_final=True)
    send_due()
    row.refresh_from_db()
    assert (row.state, row.attempts, row.last_status) == ("failed", 1, 410)


def test_a_faulty_sender_is_logged_and_counts_as_a_failure(tenant, sent, caplog):
    broken, healthy = enqueue(tenant), enqueue(tenant, payload={"sid": "other"})
    sent.fail = ZeroDivisionError("a secret")
    with caplog.at_level(logging.ERROR):
        assert send_due() == 2
    for row in (broken, healthy):
        row.refresh_from_db()
        assert (row.state, row.attempts, row.last_error) == ("pending", 1, "ZeroDivisionError")
    assert [record.message for record in caplog.records if record.levelno == logging.ERROR] == ["delivery.error"] * 2


def test_a_long_error_is_cut_to_the_column(tenant, sent):
    row = enqueue(tenant)
    sent.fail = delivery.DeliveryFailed("x" * 500)
    send_due()
    row.refresh_from_db()
    assert len(row.last_error) == 200


def test_a_claimed_delivery_is_nobody_elses_until_the_lease_ends(tenant, sent):
    enqueue(tenant)
    now = timezone.now()
    (first,) = delivery.claim(now=now, limit=10)
    assert delivery.claim(now=now + timedelta(seconds=59), limit=10) == []
    (second,) = delivery.claim(now=now + timedelta(seconds=60), limit=10)
    assert (first.pk, first.attempts, second.attempts) == (second.pk, 1, 2)


def test_a_late_failure_does_not_disturb_the_worker_that_took_over(tenant, sent):
    row = enqueue(tenant)
    now = timezone.now()
    (late,) = delivery.claim(now=now, limit=1)
    delivery.claim(now=now + timedelta(minutes=2), limit=1)
    sent.fail = delivery.DeliveryFailed("slow")
    delivery.attempt(late)
    row.refresh_from_db()
    assert (row.state, row.attempts, row.last_error) == ("pending", 2, "")
    assert row.claimed_until is not None


def test_a_late_success_counts(tenant, sent):
    row = enqueue(tenant)
    now = timezone.now()
    (late,) = delivery.claim(now=now, limit=1)
    delivery.claim(now=now + timedelta(minutes=2), limit=1)
    delivery.attempt(late)
    row.refresh_from_db()
    assert row.state == "delivered"


def test_a_worker_that_dies_each_time_does_not_repeat_for_ever(tenant, sent):
    row = enqueue(tenant)
    now = timezone.now()
    for hour in range(5):
        delivery.claim(now=now + timedelta(hours=hour), limit=1)
    assert send_due(timedelta(hours=6)) == 1
    row.refresh_from_db()
    assert (row.state, sent) == ("failed", [])


def test_an_operator_gives_a_delivery_another_try(tenant, sent):
    row, done = enqueue(tenant), enqueue(tenant)
    Delivery.objects.filter(pk=row.pk).update(state="failed", attempts=5)
    Delivery.objects.filter(pk=done.pk).update(state="delivered", attempts=1)
    assert [delivery.retry(delivery=one, context=SYSTEM) for one in (row, done)] == [True, False]
    assert send_due() == 1
    row.refresh_from_db()
    assert (row.state, row.attempts) == ("delivered", 1)


def test_an_operator_need_not_wait_for_the_next_attempt(tenant, sent):
    waiting, taken = enqueue(tenant), enqueue(tenant)
    later = timezone.now() + timedelta(hours=1)
    Delivery.objects.filter(pk__in=[waiting.pk, taken.pk]).update(attempts=2, next_attempt_at=later)
    Delivery.objects.filter(pk=taken.pk).update(claimed_until=later)
    assert [delivery.retry(delivery=one, context=SYSTEM) for one in (waiting, taken)] == [True, False]
    assert send_due() == 1
    waiting.refresh_from_db()
    assert (waiting.state, waiting.attempts) == ("delivered", 3)


def test_the_oldest_are_claimed_first(tenant, sent):
    rows = [enqueue(tenant) for _ in range(4)]
    Delivery.objects.filter(pk=rows[3].pk).update(next_attempt_at=timezone.now() - timedelta(hours=1))
    claimed = delivery.claim(now=timezone.now(), limit=2)
    assert [row.pk for row in claimed] == [rows[3].pk, rows[0].pk]


def test_old_deliveries_are_purged_and_waiting_ones_are_not(tenant, sent):
    waiting, done, lost = (enqueue(tenant) for _ in range(3))
    Delivery.objects.filter(pk=done.pk).update(state="delivered")
    Delivery.objects.filter(pk=lost.pk).update(state="failed")
    assert purging.purge_expired(now=timezone.now() + timedelta(days=29))["deliveries"] == 0
    assert purging.purge_expired(now=timezone.now() + timedelta(days=31), batch_rows=1)["deliveries"] == 2
    assert list(Delivery.objects.values_list("pk", flat=True)) == [waiting.pk]


# Over HTTP --------------------------------------------------------------------------------------------------


@pytest.fixture
def receiver():
    """A receiver on loopback: `answers` are its next statuses, `forms` what it got."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            server.forms.append(parse_qs(body))
            self.send_response(server.answers.pop(0))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args):
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.answers, server.forms = [], []
    server.url = f"http://127.0.0.1:{server.server_port}/logout"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def posts(monkeypatch):
    def send(row):
        delivery.post_form(row, {"logout_token": row.jti})

    monkeypatch.setattr(registry, "_delivery_senders", {KIND: send})


def test_a_form_reaches_an_internal_application(tenant, posts, receiver):
    application = Application.objects.create(tenant=tenant, name="Wiki", code="wiki", is_internal=True)
    row = enqueue(tenant, application=application, url=receiver.url)
    receiver.answers = [500, 200]
    send_due()
    row.refresh_from_db()
    assert (row.state, row.last_status, row.last_error) == ("pending", 500, "status 500")
    send_due(timedelta(minutes=1))
    row.refresh_from_db()
    assert (row.state, row.last_status) == ("delivered", 200)
    assert receiver.forms == [{"logout_token": [row.jti]}] * 2


@pytest.mark.security("S34")
@pytest.mark.parametrize("has_application", [True, False])
def test_a_private_address_is_called_for_internal_applications_only(tenant, posts, receiver, has_application):
    application = Application.objects.create(tenant=tenant, name="Wiki", code="wiki") if has_application else None
    row = enqueue(tenant, application=application, url=receiver.url.replace("http:", "https:"))
    send_due()
    row.refresh_from_db()
    assert row.state == "pending"
    assert row.last_error == "AddressRefused: 127.0.0.1 is not a public address"
    assert receiver.forms == []


# Many workers -----------------------------------------------------------------------------------------------


def record_in_database(row):
    """A sender whose work can be counted from every process: the deliveries it was given, with repeats."""
    Delivery.objects.create(
        tenant=row.tenant,
        kind="sent",
        url=str(row.pk),
        jti=f"{row.pk}-{row.attempts}",
        next_attempt_at=timezone.now(),
        state="delivered",
    )


@pytest.mark.django_db(transaction=True)
def test_threads_send_at_the_same_time(monkeypatch):
    together = threading.Barrier(4)
    monkeypatch.setattr(registry, "_delivery_senders", {KIND: lambda row: together.wait(10)})
    tenant = Tenant.objects.create(code="outbox", name="Outbox")
    for _ in range(4):
        enqueue(tenant)
    with ThreadPoolExecutor(4) as executor:
        # Sent one after the other, the first would wait for the others until the barrier breaks.
        assert delivery.send_all_due(executor=executor, parallel=4) == 4
    assert set(Delivery.objects.values_list("state", flat=True)) == {"delivered"}


@pytest.mark.django_db(transaction=True)
def test_an_application_that_answers_slowly_holds_up_no_other(monkeypatch):
    tenant = Tenant.objects.create(code="outbox", name="Outbox")
    slow, quick = (Application.objects.create(tenant=tenant, name=code, code=code) for code in ("slow", "quick"))
    others_are_told = threading.Event()

    def send(row):
        if row.application_id == quick.pk:
            others_are_told.set()
        elif not others_are_told.wait(10):
            raise delivery.DeliveryFailed("the other application was not told meanwhile")

    monkeypatch.setattr(registry, "_delivery_senders", {KIND: send})
    for _ in range(6):
        enqueue(tenant, application=slow)
    enqueue(tenant, application=quick)
    with ThreadPoolExecutor(4) as executor:
        assert delivery.send_all_due(executor=executor, parallel=4) == 7
    assert set(Delivery.objects.values_list("state", flat=True)) == {"delivered"}


@pytest.mark.django_db(transaction=True)
@pytest.mark.security("S58")
@pytest.mark.parametrize("workers", [1, 2])
def test_a_tenant_that_answers_slowly_holds_up_no_other(monkeypatch, workers):
    """Over several applications, and over several workers: here each of its calls waits until the others are told."""
    slow, quick = (Tenant.objects.create(code=code, name=code) for code in ("slow", "quick"))
    told, others_are_told = [], threading.Event()

    def send(row):
        if row.tenant_id == quick.pk:
            told.append(row.pk)
            if len(told) == 20:
                others_are_told.set()
        elif not others_are_told.wait(20):
            raise delivery.DeliveryFailed("the other tenant was not told meanwhile")

    monkeypatch.setattr(registry, "_delivery_senders", {KIND: send})
    for code in ("one", "two", "three"):
        application = Application.objects.create(tenant=slow, name=code, code=code)
        for _ in range(10 * workers):
            enqueue(slow, application=application)
    for _ in range(20):
        enqueue(quick)

    def work(number):
        try:
            with ThreadPoolExecutor(8) as executor:
                return delivery.send_all_due(executor=executor, parallel=8)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(workers) as pool:
        assert sum(pool.map(work, range(workers))) == 30 * workers + 20
    assert set(Delivery.objects.values_list("state", flat=True)) == {"delivered"}
    assert len(set(told)) == len(told)


@pytest.mark.django_db(transaction=True)
def test_a_newcomer_finds_a_free_thread(monkeypatch):
    slow, quick = (Tenant.objects.create(code=code, name=code) for code in ("slow", "quick"))
    newcomer_is_told = threading.Event()
    begun = threading.Semaphore(0)

    def send(row):
        begun.release()
        if row.tenant_id == quick.pk:
            newcomer_is_told.set()
        elif not newcomer_is_told.wait(20):
            raise delivery.DeliveryFailed("the newcomer found no thread")

    def come_later():
        for _ in range(4):
            begun.acquire()
        enqueue(quick)
        connections.close_all()

    monkeypatch.setattr(registry, "_delivery_senders", {KIND: send})
    for _ in range(8):
        enqueue(slow)
    with ThreadPoolExecutor(6) as executor:
        later = executor.submit(come_later)
        assert delivery.send_all_due(executor=executor, parallel=5) == 9
        later.result()
    assert set(Delivery.objects.values_list("state", flat=True)) == {"delivered"}


@pytest.mark.django_db(transaction=True)
def test_nothing_more_is_claimed_when_the_worker_is_to_stop(sent):
    tenant = Tenant.objects.create(code="outbox", name="Outbox")
    for _ in range(3):
        enqueue(tenant)
    with ThreadPoolExecutor(1) as executor:
        assert delivery.send_all_due(executor=executor, parallel=1, is_stopping=lambda: len(sent) >= 1) == 1
    assert Delivery.objects.filter(state="pending", attempts=0).count() == 2


def work(results, now):
    try:
        total = 0
        while claimed := deliveries.send_due(now=now, limit=5):
            total += claimed
        results.put(total)
    finally:
        connections.close_all()


@pytest.mark.django_db(transaction=True)
def test_workers_share_the_work_and_send_nothing_twice(monkeypatch):
    monkeypatch.setattr(registry, "_delivery_senders", {KIND: record_in_database})
    tenant = Tenant.objects.create(code="outbox", name="Outbox")
    expected = {str(enqueue(tenant).pk) for _ in range(40)}
    fork = multiprocessing.get_context("fork")
    results = fork.Queue()
    connections.close_all()
    workers = [fork.Process(target=work, args=(results, timezone.now())) for _ in range(3)]
    for worker in workers:
        worker.start()
    totals = [results.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join(10)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert sum(totals) == 40
    seen = list(Delivery.objects.filter(kind="sent").values_list("url", flat=True))
    assert len(seen) == 40
    assert set(seen) == expected
    assert not Delivery.objects.filter(kind=KIND).exclude(state="delivered").exists()


def test_the_number_of_attempts_is_a_setting(tenant, sent):
    row = enqueue(tenant)
    sent.fail = delivery.DeliveryFailed("no")
    with override_settings(IDENTITY={**settings.IDENTITY, "delivery_max_attempts": 1}):
        send_due()
    row.refresh_from_db()
    assert row.state == "failed"
