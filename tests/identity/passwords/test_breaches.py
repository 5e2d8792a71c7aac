"""Passwords known from breaches, in a range service and in a file: refused, and passed where nothing answers."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core import checks

from identity import outbound
from identity.context import RequestContext
from identity.errors import PasswordRefused
from identity.models import AuditEvent, PasswordPolicy, Tenant
from identity.passwords import breaches
from tests.factories import make_tenant
from tests.support.breaches import RangeService, digest_of

pytestmark = pytest.mark.django_db

KNOWN, RARE, FRESH = "Amber-Meadow-77", "Copper-Window-31", "Silent-Bridge-58"


@pytest.fixture(autouse=True)
def _no_rest() -> Iterator[None]:
    yield
    outbound.clear_circuits()


@pytest.fixture
def service(settings: Any) -> Iterator[RangeService]:
    with RangeService({KNOWN: 4000, RARE: 2}) as service:
        settings.IDENTITY = {**settings.IDENTITY, "breached_passwords": service.url}
        yield service


@pytest.fixture
def tenant() -> Tenant:
    return make_tenant(password_policy={"refuse_breached": True, "breach_threshold": 3})


def check(password: str, tenant: Tenant) -> None:
    breaches.check(password, tenant=tenant, context=RequestContext(tenant=tenant))


# The service -----------------------------------------------------------------------------------------------


def test_the_service_is_told_five_digits_and_asked_for_padding(service: RangeService, tenant: Tenant) -> None:
    with pytest.raises(PasswordRefused) as refused:
        check(KNOWN, tenant)
    assert refused.value.error_code == "PWD.0004"
    assert service.paths == [f"/range/{digest_of(KNOWN)[:5]}"]
    assert service.padded == [True]


def test_what_was_seen_less_often_than_the_threshold_passes(service: RangeService, tenant: Tenant) -> None:
    check(RARE, tenant)
    check(FRESH, tenant)
    PasswordPolicy.objects.filter(tenant=tenant).update(breach_threshold=2)
    with pytest.raises(PasswordRefused):
        check(RARE, Tenant.objects.get(pk=tenant.pk))


def test_padding_is_no_finding(service: RangeService) -> None:
    service.known[digest_of(FRESH)] = 0
    check(FRESH, make_tenant(password_policy={"refuse_breached": True}))


def test_nothing_is_asked_where_the_tenant_does_not_want_it(service: RangeService) -> None:
    check(KNOWN, make_tenant())
    assert service.paths == []


def test_what_the_policy_refuses_by_its_length_is_not_looked_up(service: RangeService, tenant: Tenant) -> None:
    for password in ("", "short", "x" * 1000, "\ud800" * 10):
        check(password, tenant)
    assert service.paths == []


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((500, {}, b""), "service: status 500"),
        ((503, {}, b"later"), "service: status 503"),
        ((302, {"Location": "https://elsewhere.example/"}, b""), "service: status 302"),
        ((200, {}, b"<html>please sign in to the wireless network</html>"), "not lines of a hash and a count"),
        ((200, {}, digest_of(KNOWN)[5:].encode() + b":9\r\nand then nonsense"), "not lines of a hash and a count"),
        ((200, {}, b"0" * 34 + b":9"), "not lines of a hash and a count"),
        ((200, {}, b""), "service: an empty answer"),
        ((200, {}, b"0" * 2_000_000), "service: ResponseTooLarge"),
        ((200, {"Content-Encoding": "gzip"}, b"x"), "service: UnexpectedResponse"),
    ],
)
def test_a_service_that_answers_something_else_lets_the_password_pass(
    service: RangeService, tenant: Tenant, caplog: Any, answer: Any, reason: str
) -> None:
    service.scripted = answer
    with caplog.at_level(logging.WARNING, logger="identity.passwords.breaches"):
        check(KNOWN, tenant)
    event = AuditEvent.objects.get(event_type="breach:unavailable")
    assert (event.outcome, event.reason, event.tenant) == ("refused", reason, tenant)
    assert [record.getMessage() for record in caplog.records] == ["breach.unavailable"]
    assert len(service.paths) == 1  # no redirect is followed, nothing is tried again


def test_a_slow_service_is_given_up_in_time(service: RangeService, tenant: Tenant, settings: Any) -> None:
    settings.IDENTITY = {**settings.IDENTITY, "breach_timeout_seconds": 0.3}
    service.delay_seconds = 2
    started = time.monotonic()
    check(KNOWN, tenant)
    assert time.monotonic() - started < 1.5
    assert AuditEvent.objects.get(event_type="breach:unavailable").reason == "service: TimedOut"


def test_a_service_that_is_away_is_left_alone_after_five_failures(tenant: Tenant, settings: Any) -> None:
    with RangeService({}) as gone:
        settings.IDENTITY = {**settings.IDENTITY, "breached_passwords": gone.url}
    for _number in range(6):
        check(KNOWN, tenant)
    reasons = AuditEvent.objects.filter(event_type="breach:unavailable").order_by("pk").values_list("reason", flat=True)
    assert list(reasons) == ["service: ConnectionFailed"] * 5 + ["service: CircuitOpen"]


def test_a_tenant_that_wants_it_where_no_source_is_configured_is_told_in_the_audit(tenant: Tenant) -> None:
    check(KNOWN, tenant)
    assert AuditEvent.objects.get(event_type="breach:unavailable").reason == "no source is configured"


# The file --------------------------------------------------------------------------------------------------


def write(path: Path, counts: dict[str, int], *, end: str = "\r\n", last: str = "\r\n") -> Path:
    lines = sorted(f"{digest_of(password)}:{count}" for password, count in counts.items())
    path.write_bytes((end.join(lines) + last).encode())
    return path


@pytest.mark.parametrize(("end", "last"), [("\r\n", "\r\n"), ("\n", "\n"), ("\n", "")])
@pytest.mark.parametrize("size", [1, 2, 3, 500])
def test_every_line_of_the_file_is_found_and_nothing_else(
    tmp_path: Path, settings: Any, size: int, end: str, last: str
) -> None:
    counts = {f"password {number}": number * number + 1 for number in range(size)}
    path = write(tmp_path / "hashes.txt", counts, end=end, last=last)
    settings.IDENTITY = {**settings.IDENTITY, "breached_passwords": str(path)}
    assert {password: breaches.count(password) for password in counts} == counts
    assert not any(breaches.count(f"another {number}") for number in range(100))


def test_the_file_is_searched_by_halves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "hashes.txt", {f"password {number}": 1 for number in range(5000)})
    reads = []
    plain = breaches._read_line
    monkeypatch.setattr(breaches, "_read_line", lambda file: reads.append(1) or plain(file))
    with path.open("rb") as file:
        assert breaches._of_file(file, digest_of("password 4321").encode()) == 1
    assert len(reads) <= 2 * 18  # 2**18 bytes are more than the file has


@pytest.mark.parametrize("content", [b"no hashes\n", b"0" * 5000, b"\0" * 100 + b"\n", b"00000:1\n00001:1\n"])
def test_a_file_of_something_else_lets_the_password_pass(
    tmp_path: Path, settings: Any, tenant: Tenant, content: bytes
) -> None:
    path = tmp_path / "hashes.txt"
    path.write_bytes(content)
    settings.IDENTITY = {**settings.IDENTITY, "breached_passwords": str(path)}
    check(KNOWN, tenant)
    assert AuditEvent.objects.get(event_type="breach:unavailable").reason == "not lines of a hash and a count"


def test_a_file_that_has_gone_lets_the_password_pass(tmp_path: Path, settings: Any, tenant: Tenant) -> None:
    settings.IDENTITY = {**settings.IDENTITY, "breached_passwords": str(tmp_path / "gone")}
    check(KNOWN, tenant)
    assert AuditEvent.objects.get(event_type="breach:unavailable").reason == "file: FileNotFoundError"
    assert [error.id for error in checks.run_checks() if "breached_passwords" in error.msg] == ["identity.E003"]
