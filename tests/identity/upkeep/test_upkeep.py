"""The worker's schedule, purging, resealing, and their commands."""

import logging
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from io import StringIO

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from identity import copies, crypto, delivery, pending_requests, purging, registry
from identity.keyring import keys, resealing
from identity.models import Delivery, KeyPair, PendingRequest, Tenant, User
from identity.upkeep import upkeep

OLD, NEW = b"1" * 32, b"2" * 32


def sealed_with(*encryption_keys):
    return override_settings(IDENTITY={**settings.IDENTITY, "key_encryption_keys": encryption_keys})


# Schedule ---------------------------------------------------------------------------------------------------


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.mark.django_db
def test_each_job_runs_at_its_own_interval():
    ran, clock = [], Clock()
    schedule = upkeep.Schedule(
        [
            upkeep.Job("often", timedelta(seconds=1), lambda now: ran.append("often")),
            upkeep.Job("seldom", timedelta(seconds=10), lambda now: ran.append("seldom")),
        ]
    )
    for _ in range(12):
        schedule.run_due(clock=clock)
        clock.now += 1
    assert ran.count("often") == 12
    assert ran.count("seldom") == 2
    assert ran[:2] == ["often", "seldom"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("error", "event", "level"),
    [
        (OperationalError("gone"), "worker.database", logging.WARNING),
        (ZeroDivisionError(), "worker.error", logging.ERROR),
    ],
)
def test_a_job_that_fails_is_logged_and_stops_no_other(caplog, error, event, level):
    def fail(now):
        raise error

    ran, clock = [], Clock()
    schedule = upkeep.Schedule(
        [
            upkeep.Job("broken", timedelta(seconds=1), fail),
            upkeep.Job("healthy", timedelta(seconds=1), ran.append),
        ]
    )
    for expected in (1, 2):
        assert schedule.run_due(clock=clock) == ["healthy"]
        assert len(ran) == expected
        clock.now += 1
    assert [(record.message, record.levelno) for record in caplog.records] == [(event, level)] * 2


@pytest.mark.django_db(transaction=True)
def test_the_worker_does_everything_it_is_for(monkeypatch):
    monkeypatch.setattr(registry, "_delivery_senders", {"test": lambda row: None})
    tenant = Tenant.objects.create(code="upkeep", name="Upkeep")
    row = delivery.enqueue(tenant=tenant, kind="test", url="https://rp.example.test/", payload={})
    copies.clear()
    keys.ensure(tenant=tenant, use="sig", alg="ES256")
    long_ago = timezone.now() - timedelta(days=91)
    KeyPair.objects.filter(state="active").update(activated_at=long_ago)
    PendingRequest.objects.create(
        tenant=tenant, handle_hash="h", binding_hash="b", path="/", payload_sealed="x", expires_at=long_ago
    )
    with ThreadPoolExecutor(2) as executor:
        done = upkeep.Schedule(upkeep.jobs(executor)).run_due()
    assert done == ["deliver", "chain_audit", "client_keys", "make_keys", "age_keys", "purge"]
    row.refresh_from_db()
    assert row.state == "delivered"
    assert KeyPair.objects.filter(state="retired").count() == 1
    assert KeyPair.objects.filter(state="active").count() == 3  # with the two that every tenant has
    assert not PendingRequest.objects.exists()


# Purging ----------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_purger_is_called_until_nothing_is_left(monkeypatch):
    places = []

    class Tickets:
        def batch(self, now, limit, after=None):
            places.append(after)
            begin = after[1] if after else 0
            gone = min(limit, 12 - begin)
            return registry.PurgedBatch(gone, (now, begin + gone) if gone == limit else None)

    now = timezone.now()
    monkeypatch.setattr(registry, "_purgers", {"tickets": Tickets()})
    assert purging.purge_expired(now=now, batch_rows=5) == {"tickets": 12}
    assert places == [None, (now, 5), (now, 10)]


@pytest.mark.django_db
def test_a_purge_goes_on_where_it_was_left():
    tenant = Tenant.objects.create(code="upkeep", name="Upkeep")
    now = timezone.now()
    # Of one instant, too: the key tells them apart.
    for number, age in enumerate((3, 2, 2, 2, 1, -1)):
        PendingRequest.objects.create(
            tenant=tenant,
            handle_hash=str(number),
            binding_hash="b",
            path="/",
            payload_sealed="x",
            expires_at=now - timedelta(minutes=age),
        )
    run, left = purging.Purge(now + pending_requests.KEPT_FOR, batch_rows=2), []
    while not run.is_done:
        asked = iter([False, True])
        run.work(is_over=lambda asked=asked: next(asked))
        left.append(PendingRequest.objects.count())
    assert run.counts["pending_requests"] == 5
    assert sorted(set(left), reverse=True) == [6, 4, 2, 1]


@pytest.mark.django_db
def test_no_batch_looks_again_at_what_was_removed(monkeypatch):
    tenant = Tenant.objects.create(code="upkeep", name="Upkeep")
    now = timezone.now()
    rows = [
        PendingRequest(
            tenant=tenant,
            handle_hash=str(number),
            binding_hash="b",
            path="/",
            payload_sealed="x",
            expires_at=now - timedelta(seconds=100 - number),
        )
        for number in range(10)
    ]
    PendingRequest.objects.bulk_create(rows)
    monkeypatch.setattr(registry, "_purgers", {"pending_requests": registry.purgers()["pending_requests"]})
    with CaptureQueriesContext(connection) as queries:
        later = now + pending_requests.KEPT_FOR
        assert purging.purge_expired(now=later, batch_rows=3) == {"pending_requests": 10}
    looks = [query["sql"] for query in queries if query["sql"].startswith("SELECT") and "LIMIT" in query["sql"]]
    assert len(looks) == 4
    assert all(">=" in look for look in looks[1:])


@pytest.mark.django_db
def test_a_purger_that_fails_keeps_no_other_from_its_work(monkeypatch, caplog):
    class Failing:
        def batch(self, now, limit, after=None):
            raise OperationalError

    class Idle:
        def batch(self, now, limit, after=None):
            return registry.PurgedBatch(0, None)

    monkeypatch.setattr(registry, "_purgers", {"a": Failing(), "b": Idle()})
    assert purging.purge_expired(now=timezone.now()) == {"b": 0}
    assert [record.message for record in caplog.records] == ["purge.error"]


@pytest.mark.django_db
def test_parked_requests_are_purged_a_day_after_they_expire():
    tenant = Tenant.objects.create(code="upkeep", name="Upkeep")
    now = timezone.now() - pending_requests.KEPT_FOR
    for number in range(2):
        PendingRequest.objects.create(
            tenant=tenant,
            handle_hash=str(number),
            binding_hash="b",
            path="/",
            payload_sealed="x",
            expires_at=now + timedelta(minutes=number),
        )
    out = StringIO()
    call_command("purge_expired", stdout=out)
    assert "pending_requests: 1" in out.getvalue().splitlines()
    assert PendingRequest.objects.get().handle_hash == "1"


@pytest.mark.django_db
def test_rows_of_browsers_that_are_gone_are_purged():
    now = timezone.now()
    for name, age in (("gone", -1), ("here", 1)):
        Session.objects.create(session_key=name, session_data="", expire_date=now + timedelta(minutes=age))
    assert purging.purge_expired(now=now)["admin_sessions"] == 1
    assert Session.objects.get().session_key == "here"


@pytest.mark.django_db
def test_every_purger_runs_on_an_empty_database():
    counts = purging.purge_expired(now=timezone.now() + timedelta(days=365))
    assert set(counts) == set(registry.purgers())
    assert {
        "admin_sessions",
        "attempt_counters",
        "deliveries",
        "keys",
        "login_transactions",
        "pending_requests",
        "sso_sessions",
        "verification_codes",
    } <= set(counts)
    assert set(counts.values()) == {0}


@pytest.mark.django_db
def test_what_services_seal_can_be_resealed():
    """Services spell the purpose of a column themselves; here the rule of crypto.column_purpose is held to them."""
    tenant = Tenant.objects.create(code="upkeep", name="Upkeep")
    copies.clear()
    with sealed_with(OLD):
        pending_requests.park(tenant=tenant, path="/oauth2/authorize", payload={"a": "b"}, binding="browser")
        keys.ensure(tenant=tenant, use="sig", alg="ES256")
    with sealed_with(NEW, OLD):
        results = {str(column): resealing.reseal(column) for column in resealing.sealed_columns()}
    assert results["identity.PendingRequest.payload_sealed"] == resealing.Result(resealed=1, unreadable=0)
    assert sum(result.unreadable for result in results.values()) == 0


# Resealing --------------------------------------------------------------------------------------------------


def test_every_sealed_column_is_found():
    names = {str(column) for column in resealing.sealed_columns()}
    assert {
        "identity.User.mobile_sealed",
        "identity.User.identity_number_sealed",
        "identity.KeyPair.private_sealed",
    } <= (names)
    declared = {
        f"{model._meta.label}.{field.name}"
        for model in apps.get_models()
        for field in model._meta.local_fields
        if "sealed" in field.name
    }
    assert names == declared


@pytest.fixture
def sealed_rows(db):
    """A user and a key pair of the old encryption key."""
    copies.clear()
    with sealed_with(OLD):
        tenant = Tenant.objects.create(code="upkeep", name="Upkeep")
        users = []
        for number in range(3):
            user = User(tenant=tenant, user_name=f"u{number}", user_key=f"u{number}")
            user.mobile = f"1381234567{number}"
            user.save()
            users.append(user)
        kid = keys.active(tenant=tenant, use="sig", alg="ES256").kid
    return tenant, users, kid


def test_resealing_lets_the_old_key_go(sealed_rows):
    tenant, users, kid = sealed_rows
    with sealed_with(NEW, OLD):
        out = StringIO()
        call_command("reseal", stdout=out)
        lines = out.getvalue().splitlines()
        assert "identity.User.mobile_sealed: 3 resealed, 0 unreadable" in lines
        assert "identity.KeyPair.private_sealed: 2 resealed, 0 unreadable" in lines
        assert "identity.User.identity_number_sealed: 0 resealed, 0 unreadable" in lines
        again = StringIO()
        call_command("reseal", stdout=again)
        assert all(line.endswith(": 0 resealed, 0 unreadable") for line in again.getvalue().splitlines())
    copies.clear()
    with sealed_with(NEW):
        assert [User.objects.get(pk=user.pk).mobile for user in users] == ["13812345670", "13812345671", "13812345672"]
        token = keys.sign(tenant=tenant, alg="ES256", claims={"sub": "alice"})
        assert keys.verify(tenant=tenant, token=token) == {"sub": "alice"}
        assert keys.active(tenant=tenant, use="sig", alg="ES256").kid == kid


def test_resealing_goes_on_in_batches(sealed_rows):
    with sealed_with(NEW, OLD):
        (column,) = (column for column in resealing.sealed_columns() if str(column) == "identity.User.mobile_sealed")
        assert resealing.reseal(column, batch_rows=2) == resealing.Result(resealed=3, unreadable=0)


def test_what_cannot_be_read_is_kept_and_reported(sealed_rows):
    _, (damaged, *_), _ = sealed_rows
    User.objects.filter(pk=damaged.pk).update(mobile_sealed="s1.00000000.AAAA")
    with sealed_with(NEW, OLD):
        out = StringIO()
        with pytest.raises(CommandError, match="1 values could not be read"):
            call_command("reseal", stdout=out)
        assert "identity.User.mobile_sealed: 2 resealed, 1 unreadable" in out.getvalue().splitlines()
    assert User.objects.get(pk=damaged.pk).mobile_sealed == "s1.00000000.AAAA"


def test_a_value_that_changed_meanwhile_is_left_alone(sealed_rows, monkeypatch):
    _, (user, *_), _ = sealed_rows
    unseal_bytes = crypto.unseal_bytes

    def change_first(sealed, *, purpose):
        User.objects.filter(pk=user.pk).update(mobile_sealed="changed")
        return unseal_bytes(sealed, purpose=purpose)

    with sealed_with(NEW, OLD):
        monkeypatch.setattr(crypto, "unseal_bytes", change_first)
        (column,) = (column for column in resealing.sealed_columns() if str(column) == "identity.User.mobile_sealed")
        assert resealing.reseal(column) == resealing.Result(resealed=2, unreadable=0)
    assert User.objects.get(pk=user.pk).mobile_sealed == "changed"


# The worker as a process ------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_the_worker_runs_once_for_cron():
    previous = signal.getsignal(signal.SIGTERM)
    with override_settings(IDENTITY={**settings.IDENTITY, "key_rotation_interval": timedelta(0)}):
        call_command("worker", "--once")
    assert signal.getsignal(signal.SIGTERM) is previous


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_worker_stops_gracefully(number, tmp_path):
    """It says that it started, is told to stop, and ends by itself with status 0."""
    log_file = tmp_path / "log"
    with worker_process(log_file) as worker:
        wait_for(lambda: b"worker.start" in log_file.read_bytes(), worker, log_file)
        worker.send_signal(number)
        assert worker.wait(30) == 0, log_file.read_text()
    assert b"worker.stop" in log_file.read_bytes()
    assert not Delivery.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_worker_with_many_aged_keys_sends_and_stops_within_seconds(tmp_path):
    """A hundred keys take it ten seconds; it looks after deliveries between them, and stops when it is told to."""
    tenant = Tenant.objects.create(code="upkeep", name="Upkeep")
    keys.make_first(tenant=tenant)
    columns = KeyPair.objects.filter(tenant=tenant, use="sig", state="active").values("public_jwk", "private_sealed")[0]
    long_ago = timezone.now() - timedelta(days=100)
    for number in range(100):
        other = Tenant.objects.create(code=f"t{number}", name="T")
        for use, alg in (("sig", "RS256"), ("enc", "RSA-OAEP-256")):
            for state in ("active", "next"):
                KeyPair.objects.create(
                    tenant=other,
                    kid=f"{use}{state}{number}",
                    use=use,
                    alg=alg,
                    state=state,
                    activated_at=long_ago if use == "sig" else timezone.now(),
                    **columns,
                )
    log_file = tmp_path / "log"
    with worker_process(log_file) as worker:
        retired = KeyPair.objects.filter(state="retired")
        wait_for(lambda: retired.count() > 0, worker, log_file)
        row = delivery.enqueue(
            tenant=tenant, kind="oidc_backchannel_logout", url="https://rp.example.test/", payload={}
        )
        wait_for(lambda: Delivery.objects.get(pk=row.pk).attempts > 0, worker, log_file)
        assert retired.count() < 100
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(10) == 0, log_file.read_text()
        assert retired.count() < 100


def wait_for(condition, worker, log_file):
    deadline = time.monotonic() + 60
    while not condition():
        assert worker.poll() is None, log_file.read_text()
        assert time.monotonic() < deadline, log_file.read_text()
        time.sleep(0.05)


@contextmanager
def worker_process(log_file):
    """A worker on the database of the test."""
    code = (
        "import django, sys; from django.conf import settings; django.setup();"
        "from django.core.management import call_command;"
        "settings.DATABASES['default']['NAME'] = sys.argv[1];"
        "from django.db import connections; connections['default'].settings_dict['NAME'] = sys.argv[1];"
        "call_command('worker')"
    )
    with log_file.open("wb") as log:
        worker = subprocess.Popen(
            [sys.executable, "-c", code, str(connection.settings_dict["NAME"])],
            env=os.environ | {"DJANGO_SETTINGS_MODULE": os.environ["DJANGO_SETTINGS_MODULE"]},
            stdout=log,
            stderr=log,
        )
    try:
        yield worker
    finally:
        worker.kill()
        worker.wait()
