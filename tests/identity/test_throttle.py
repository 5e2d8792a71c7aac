"""Counting of tries: exact under load, on the resolved account, before the work."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from identity import throttle
from identity.context import RequestContext
from identity.errors import AccountLocked, CredentialsRefused, IdentityError, TooManyRequests, VerificationRefused
from identity.models import (
    AttemptCounter,
    AuditEvent,
    CounterKind,
    SSOSession,
    User,
    VerificationCode,
    VerificationPurpose,
)
from identity.sign_in import authentication, login, verification
from identity.sign_in.login import SignInStep
from tests.factories import PASSWORD, make_tenant, make_user
from tests.support.at_once import at_once, kinds


def context_of(tenant: Any, ip: str = "198.51.100.7") -> RequestContext:
    return RequestContext(tenant=tenant, ip=ip)


@pytest.mark.security("S31")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", ["alice", "nobody"])
def test_of_a_hundred_parallel_tries_exactly_the_allowed_number_is_looked_at(name):
    tenant = make_tenant(password_policy={"max_failures": 5, "max_failures_per_source": 1000})
    make_user(tenant, user_name="alice")

    def guess(number: int) -> User:
        return authentication.check_password_login(
            tenant=tenant, identifier=name, password=f"guess {number}", context=context_of(tenant)
        )

    assert kinds(at_once(guess, times=100, refusals=IdentityError)) == {"CredentialsRefused": 5, "AccountLocked": 95}


@pytest.mark.security("S31")
@pytest.mark.django_db(transaction=True)
def test_a_source_is_counted_exactly_over_many_accounts():
    tenant = make_tenant(password_policy={"max_failures": 5, "max_failures_per_source": 20})

    def spray(number: int) -> User:
        return authentication.check_password_login(
            tenant=tenant, identifier=f"user{number}", password="Summer-2026", context=context_of(tenant)
        )

    assert kinds(at_once(spray, times=60, refusals=IdentityError)) == {"CredentialsRefused": 20, "TooManyRequests": 40}
    # Each name with its tries, and with what it is told of them.
    assert AttemptCounter.objects.filter(kind=CounterKind.UNKNOWN_NAME).count() == 2 * 20


@pytest.mark.security("S30")
@pytest.mark.django_db(transaction=True)
def test_a_verification_code_is_tried_five_times_in_parallel_and_spent_once(monkeypatch):
    tenant = make_tenant(password_policy={"max_failures": 1000, "max_failures_per_source": 1000})
    user = make_user(tenant, email="a@example.org", email_verified=True)
    target, purpose = verification.email_of(user), VerificationPurpose.SECOND_FACTOR
    monkeypatch.setattr("secrets.randbelow", lambda limit: 123_456)
    verification.send(tenant=tenant, purpose=purpose, target=target, user=user, context=context_of(tenant))

    def guess(number: int) -> verification.Proved:
        proved = verification.prove(
            tenant=tenant, purpose=purpose, target=target, verification_code="123456", user=user
        )
        verification.spend(proved)
        return proved

    assert kinds(at_once(guess, times=20, refusals=IdentityError)) == {"Proved": 1, "VerificationRefused": 19}
    assert VerificationCode.objects.get().failures <= 5


@pytest.mark.security("S29")
@pytest.mark.django_db(transaction=True)
def test_a_sign_in_sent_many_times_at_once_opens_one_session():
    tenant = make_tenant(password_policy={"max_failures": 1000, "max_failures_per_source": 1000})
    user = make_user(tenant)
    handle = login.begin(tenant=tenant, binding="browser", context=context_of(tenant))

    def sign_in(number: int) -> login.LoginOutcome:
        return login.submit_password(
            SignInStep(handle, binding="browser", context=context_of(tenant)),
            identifier=user.user_name,
            password=PASSWORD,
        )

    assert kinds(at_once(sign_in, times=20, refusals=IdentityError)) == {"LoginOutcome": 1, "StateInvalid": 19}
    assert SSOSession.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_codes_asked_for_at_once_give_one_mail():
    from django.core import mail

    tenant = make_tenant()
    user = make_user(tenant, email="a@example.org", email_verified=True)

    def send(number: int) -> verification.SentCode:
        return verification.send(
            tenant=tenant,
            purpose=VerificationPurpose.VERIFY_EMAIL,
            target=verification.email_of(user),
            user=user,
            context=context_of(tenant),
        )

    assert kinds(at_once(send, times=20, refusals=IdentityError)) == {"SentCode": 1, "TooManyRequests": 19}
    assert len(mail.outbox) == 1


# One after the other


@pytest.fixture
def tenant(db):
    return make_tenant(password_policy={"max_failures": 3, "max_failures_per_source": 100})


@pytest.fixture
def alice(tenant):
    return make_user(tenant, user_name="alice", email="alice@example.org", email_verified=True, mobile="13812345678")


def guess(tenant, name="alice", password="wrong", ip="198.51.100.7"):
    return authentication.check_password_login(
        tenant=tenant, identifier=name, password=password, context=context_of(tenant, ip)
    )


def refused(error: type[Exception], *args: Any, **kwargs: Any) -> Any:
    with pytest.raises(error) as caught:
        guess(*args, **kwargs)
    return caught.value


@pytest.mark.security("S31")
def test_every_spelling_and_every_name_of_a_person_counts_on_one_account(tenant, alice):
    for name in ("ALICE", "ａｌｉｃｅ", "alice@example.org"):
        refused(CredentialsRefused, tenant, name)
    for name in ("alice", "Alice@Example.org", "13812345678"):
        refused(AccountLocked, tenant, name)
    refused(AccountLocked, tenant, "alice", PASSWORD)


def test_remaining_tries_are_told_and_then_the_time(tenant, alice):
    assert [refused(CredentialsRefused, tenant).params for _try in range(3)] == [(2,), (1,), (0,)]
    locked = refused(AccountLocked, tenant)
    assert locked.params == (15, 0)
    assert "15 minutes and 0 seconds" in locked.message


@pytest.mark.security("S33")
def test_an_unknown_name_is_locked_like_an_account(tenant):
    assert [refused(CredentialsRefused, tenant, "nobody").params for _try in range(3)] == [(2,), (1,), (0,)]
    assert refused(AccountLocked, tenant, "NOBODY").params == (15, 0)


def test_lock_ends_when_it_was_said_to_end_and_tries_meanwhile_do_not_prolong_it(tenant, alice):
    for _try in range(3):
        refused(CredentialsRefused, tenant)
    start = timezone.now()
    alice.refresh_from_db()
    assert abs(alice.locked_until - start - timedelta(seconds=900)) < timedelta(seconds=5)
    with time_machine.travel(start + timedelta(seconds=890)):
        refused(AccountLocked, tenant, "alice", PASSWORD)
    with time_machine.travel(start + timedelta(seconds=901)):
        assert guess(tenant, "alice", PASSWORD) == alice
    alice.refresh_from_db()
    assert alice.locked_until is None


def test_window_that_is_over_counts_no_more(tenant, alice):
    refused(CredentialsRefused, tenant)
    refused(CredentialsRefused, tenant)
    with time_machine.travel(timezone.now() + timedelta(seconds=901)):
        assert refused(CredentialsRefused, tenant).params == (2,)


@pytest.mark.security("S31")
def test_success_clears_the_account_but_not_the_source(tenant, alice):
    tenant.password_policy.max_failures_per_source = 6
    tenant.password_policy.save()
    for number in range(4):
        refused(CredentialsRefused, tenant, f"victim{number}")
    guess(tenant, "alice", PASSWORD)
    refused(CredentialsRefused, tenant)
    guess(tenant, "alice", PASSWORD)
    # Four victims and one slip: one more try, whatever the attacker's own account does in between.
    assert AttemptCounter.objects.get(kind=CounterKind.SOURCE).failures == 5
    refused(CredentialsRefused, tenant, "victim5")
    refused(TooManyRequests, tenant, "alice", PASSWORD)


def test_many_people_behind_one_address_may_sign_in(tenant):
    tenant.password_policy.max_failures_per_source = 5
    tenant.password_policy.save()
    for _number in range(8):
        user = make_user(tenant)
        assert guess(tenant, user.user_name, PASSWORD) == user


def test_another_source_is_not_held_up_by_a_locked_one(tenant, alice):
    tenant.password_policy.max_failures_per_source = 2
    tenant.password_policy.save()
    for number in range(2):
        refused(CredentialsRefused, tenant, f"victim{number}")
    refused(TooManyRequests, tenant, "alice", PASSWORD)
    assert guess(tenant, "alice", PASSWORD, ip="203.0.113.5") == alice


def test_locking_is_recorded_once_and_an_operator_lifts_it(tenant, alice):
    for _try in range(3):
        refused(CredentialsRefused, tenant)
    refused(AccountLocked, tenant)
    assert AuditEvent.objects.filter(event_type="login:locked", target_id=alice.public_id).count() == 1
    operator = make_user(tenant, is_staff=True)
    assert throttle.unlock(alice, context=context_of(tenant), actor=operator)
    assert not throttle.unlock(alice, context=context_of(tenant), actor=operator)
    assert AuditEvent.objects.filter(event_type="login:unlocked", actor_id=operator.public_id).count() == 1
    assert guess(tenant, "alice", PASSWORD) == alice


@pytest.mark.security("S36")
def test_tenants_do_not_share_counters(tenant, alice):
    other = make_tenant(password_policy={"max_failures": 3})
    make_user(other, user_name="alice")
    for _try in range(3):
        refused(CredentialsRefused, tenant)
    assert refused(CredentialsRefused, other).params == (2,)


def test_right_password_of_a_disabled_user_is_counted(tenant):
    from identity.errors import AccountDisabled

    make_user(tenant, user_name="gone", is_active=False)
    for _try in range(3):
        refused(AccountDisabled, tenant, "gone", PASSWORD)
    refused(AccountLocked, tenant, "gone", PASSWORD)


def test_idle_counters_are_purged_and_locks_kept(tenant, alice):
    for _try in range(3):
        refused(CredentialsRefused, tenant)
    AttemptCounter.objects.update(window_started_at=timezone.now() - timedelta(days=2))
    assert throttle.purge_idle(timezone.now(), 100) == 2  # of the source, and what the name is told
    assert AttemptCounter.objects.get().kind == CounterKind.ACCOUNT
    assert throttle.purge_idle(timezone.now() + timedelta(hours=1), 100) == 1


def test_code_of_nobody_is_refused(tenant, alice):
    with pytest.raises(VerificationRefused):
        verification.prove(
            tenant=tenant,
            purpose=VerificationPurpose.LOGIN,
            target=verification.email_of(alice),
            verification_code="123456",
        )
