"""Ways around the counters of tries, and ways to use them against others."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
import time_machine
from django.db import connection, transaction
from django.utils import timezone

from identity import throttle
from identity.context import RequestContext
from identity.errors import AccountLocked, CredentialsRefused, TooManyRequests
from identity.models import AttemptCounter, MessagePolicy, PasswordPolicy, VerificationCode, VerificationPurpose
from identity.sign_in import authentication, login, password_reset, verification
from identity.sign_in.login import SignInStep
from tests.factories import make_tenant, make_user
from tests.support.at_once import each_at_once
from tests.support.locks import is_anybody_waiting


@pytest.fixture
def tenant(db):
    return make_tenant()


@pytest.fixture
def alice(tenant):
    return make_user(tenant, user_name="alice", email="alice@example.org", email_verified=True)


def guess(tenant, ip: str, number: int) -> None:
    context = RequestContext(tenant=tenant, ip=ip)
    name = f"nobody-{number}"
    authentication.check_password_login(tenant=tenant, identifier=name, password="wrong", context=context)


@pytest.mark.security("S31")
def test_a_network_of_ipv6_is_one_source(tenant):
    PasswordPolicy.objects.filter(tenant=tenant).update(max_failures_per_source=3)
    tenant.password_policy.refresh_from_db()
    for number in range(3):
        with pytest.raises(CredentialsRefused):
            guess(tenant, f"2001:db8:1:2::{number:x}", number)
    with pytest.raises(TooManyRequests):
        guess(tenant, "2001:db8:1:2:ffff::1", 4)
    with pytest.raises(CredentialsRefused):
        guess(tenant, "2001:db8:1:3::1", 5)


@pytest.mark.security("S31")
def test_asking_for_codes_from_one_network_of_ipv6_is_limited(tenant, alice):
    for number in range(MessagePolicy().per_source_hour):
        context = RequestContext(tenant=tenant, ip=f"2001:db8:7:7::{number:x}")
        password_reset.begin(tenant=tenant, identifier=f"nobody-{number}", answer=None, binding="b", context=context)
    context = RequestContext(tenant=tenant, ip="2001:db8:7:7:1::")
    with pytest.raises(TooManyRequests):
        password_reset.begin(tenant=tenant, identifier="alice", answer=None, binding="b", context=context)


@pytest.mark.security("S31")
def test_asking_for_somebodys_resets_does_not_keep_them_from_their_second_factor(tenant, alice):
    stranger, own = RequestContext(tenant=tenant, ip="203.0.113.9"), RequestContext(tenant=tenant, ip="198.51.100.7")
    now = timezone.now()
    for minute in range(MessagePolicy().per_target_hour + 1):
        with time_machine.travel(now + timedelta(minutes=2 * minute), tick=False):
            password_reset.begin(tenant=tenant, identifier="alice", answer=None, binding="b", context=stranger)
    resets = VerificationCode.objects.filter(user=alice, purpose=VerificationPurpose.RESET_PASSWORD)
    assert resets.count() == MessagePolicy().per_target_hour
    with time_machine.travel(now + timedelta(minutes=12), tick=False):
        verification.send(
            tenant=tenant,
            purpose=VerificationPurpose.SECOND_FACTOR,
            target=verification.email_of(alice),
            user=alice,
            context=own,
        )


@pytest.mark.security("S33")
@pytest.mark.parametrize(
    ("first", "second"),
    [("alice", "alice@example.org"), ("138-1234-5678", "13812345678"), ("alice@example.org", "13812345678")],
)
def test_the_count_that_is_told_does_not_say_which_names_are_one_persons(tenant, first, second):
    proof = {"binding": "b", "context": RequestContext(tenant=tenant, ip="198.51.100.7")}

    def told(*names: str) -> list[tuple[object, ...]]:
        found = []
        for name in names:
            handle = login.begin(tenant=tenant, **proof)
            with pytest.raises(CredentialsRefused) as caught:
                login.submit_password(SignInStep(handle, **proof), identifier=name, password="wrong")
            found.append(caught.value.params)
        return found

    unknown = told(first, second)
    AttemptCounter.objects.all().delete()
    make_user(tenant, user_name="alice", email="alice@example.org", mobile="13812345678")
    assert told(first, second) == unknown


def test_the_count_that_is_told_goes_down_within_a_sign_in(tenant, alice):
    proof = {"binding": "b", "context": RequestContext(tenant=tenant, ip="198.51.100.7")}
    handle = login.begin(tenant=tenant, **proof)
    left = tenant.password_policy.max_failures
    for number in range(1, left + 1):
        with pytest.raises(CredentialsRefused) as caught:
            login.submit_password(SignInStep(handle, **proof), identifier="alice", password="wrong")
        assert caught.value.params == (left - number,)
    with pytest.raises(AccountLocked):
        login.submit_password(SignInStep(handle, **proof), identifier="alice", password="wrong")


@pytest.mark.security("S47")
@pytest.mark.django_db(transaction=True)
def test_a_good_try_is_taken_back_in_the_order_in_which_tries_count():
    """Source before account: else whoever guesses at somebody's password locks up with them as they sign in."""
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one writer")
    tenant = make_tenant()
    alice = make_user(tenant)
    context = RequestContext(tenant=tenant, ip="192.0.2.1")
    attempt = throttle.admit(tenant=tenant, user=alice, name="", context=context)
    is_held = threading.Event()

    def hold() -> None:
        with transaction.atomic():
            rows = AttemptCounter.objects.select_for_update(nowait=True)
            rows.get(kind="source")
            is_held.set()
            while not is_anybody_waiting():
                threading.Event().wait(0.01)
            rows.get(kind="account")

    def take_back() -> None:
        is_held.wait(timeout=30)
        throttle.succeed(attempt)

    each_at_once(hold, take_back)
    assert set(AttemptCounter.objects.values_list("failures", flat=True)) == {0}
