"""The login state machine as an API without pages drives it."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from identity.context import RequestContext
from identity.errors import (
    AccountDisabled,
    AccountLocked,
    ApplicationDisabled,
    CredentialsRefused,
    PasswordRefused,
    StateInvalid,
)
from identity.models import (
    LoginState,
    LoginTransaction,
    PasswordPolicy,
    SessionEndReason,
    SessionKind,
    SessionPolicy,
    SSOSession,
    User,
)
from identity.sign_in import login, machine
from identity.sign_in.login import SignInStep
from identity.sso import access
from tests.factories import PASSWORD, make_account, make_application, make_tenant, make_user
from tests.sdk_api.mobile import MOBILE, inbox

__all__ = ["inbox"]

DEVICE = "a device's own handle"


@pytest.fixture
def tenant(db):
    return make_tenant()


@pytest.fixture
def alice(tenant):
    return make_user(tenant, user_name="alice", mobile=MOBILE, phone_number_verified=True)


def set_policy(tenant, **values) -> None:
    PasswordPolicy.objects.filter(tenant=tenant).update(**values)
    tenant.password_policy.refresh_from_db()


class Device:
    """One app on one telephone."""

    def __init__(self, tenant, application=None, binding: str = DEVICE) -> None:
        self.context = RequestContext(tenant=tenant, ip="198.51.100.7")
        self.proof = {"binding": binding, "context": self.context, "channel": SessionKind.SDK}
        self.handle = login.begin(tenant=tenant, application=application, **self.proof)

    def give_password(self, password: str = PASSWORD) -> login.LoginOutcome:
        return login.submit_password(SignInStep(self.handle, **self.proof), identifier="alice", password=password)


def test_password_gives_an_apps_session(tenant, alice):
    outcome = Device(tenant).give_password()
    assert (outcome.state, outcome.user) == (LoginState.SUCCESS, alice)
    assert outcome.session.kind == SessionKind.SDK
    assert outcome.session_handle not in {"", outcome.session.sid}


def test_application_without_access_is_denied_and_no_session_begins(tenant, alice):
    application = make_application(tenant, access="assigned")
    device = Device(tenant, application)
    outcome = device.give_password()
    assert (outcome.state, outcome.session, outcome.session_handle) == (LoginState.ACCESS_DENIED, None, "")
    assert SSOSession.objects.count() == 0
    with pytest.raises(StateInvalid):
        device.give_password()
    make_account(alice, application)
    assert Device(tenant, application).give_password().state == LoginState.SUCCESS


def test_disabled_application_is_refused(tenant, alice):
    application = make_application(tenant)
    device = Device(tenant, application)
    application.is_active = False
    application.save()
    with pytest.raises(ApplicationDisabled):
        device.give_password()
    assert SSOSession.objects.count() == 0


def test_order_of_checks(tenant, alice, inbox):
    """Lock, credentials, disabled, policy, second factor, age of the password."""
    application = make_application(tenant, access="assigned", mfa_mode="always")
    set_policy(tenant, max_age_days=30)
    User.objects.update(is_active=False, password_changed_at=timezone.now() - timedelta(days=60))
    for _try in range(4):
        with pytest.raises(CredentialsRefused):
            Device(tenant, application).give_password("wrong")
    with pytest.raises(AccountDisabled):
        Device(tenant, application).give_password()
    with pytest.raises(AccountLocked):
        Device(tenant, application).give_password()
    later = timezone.now() + timedelta(minutes=16)
    User.objects.update(is_active=True)
    with time_machine.travel(later):
        assert Device(tenant, application).give_password().state == LoginState.ACCESS_DENIED
        make_account(alice, application)
        device = Device(tenant, application)
        assert device.give_password().state == LoginState.MFA_AUTH
        assert inbox.messages == []  # an app asks for the code by itself
        login.begin_second_factor(SignInStep(device.handle, **device.proof))
        code = inbox.messages[-1].verification_code
        outcome = login.submit_second_factor(SignInStep(device.handle, **device.proof), {"verification_code": code})
        assert (outcome.state, outcome.reason) == (LoginState.PASSWORD_EXPIRED, "expired")
        with pytest.raises(StateInvalid):
            login.skip_password_warning(SignInStep(device.handle, **device.proof))
        with pytest.raises(PasswordRefused):
            login.change_expired_password(SignInStep(device.handle, **device.proof), new_password=PASSWORD)
        done = login.change_expired_password(SignInStep(device.handle, **device.proof), new_password="Calm-Lantern-58")
        assert (done.state, done.session.amr) == (LoginState.SUCCESS, ["pwd", "sms"])


@pytest.mark.security("S28")
@pytest.mark.parametrize("step", ["second_factor", "send", "change", "skip", "choose"])
def test_no_step_is_taken_before_its_state(tenant, alice, step):
    device = Device(tenant)
    calls = {
        "second_factor": lambda: login.submit_second_factor(
            SignInStep(device.handle, **device.proof), {"verification_code": "123456"}
        ),
        "send": lambda: login.begin_second_factor(SignInStep(device.handle, **device.proof)),
        "change": lambda: login.change_expired_password(SignInStep(device.handle, **device.proof), new_password="x"),
        "skip": lambda: login.skip_password_warning(SignInStep(device.handle, **device.proof)),
        "choose": lambda: login.choose_account(
            SignInStep(device.handle, binding=DEVICE, context=device.context, session=SSOSession()), goes_on=True
        ),
    }
    with pytest.raises(StateInvalid):
        calls[step]()
    assert LoginTransaction.objects.get().state == LoginState.START


@pytest.mark.security("S27")
@pytest.mark.parametrize("what", ["binding", "channel", "tenant", "handle", "no tenant"])
def test_a_step_needs_the_device_channel_and_tenant_that_began(tenant, alice, what):
    device = Device(tenant)
    if what == "binding":
        device.proof["binding"] = "another device"
    elif what == "channel":
        device.proof["channel"] = SessionKind.BROWSER
    elif what == "handle":
        device.handle = device.handle[:-1]
    else:
        other = make_tenant() if what == "tenant" else None
        device.proof["context"] = RequestContext(tenant=other)
    with pytest.raises(StateInvalid):
        device.give_password()


def test_transaction_runs_out_and_takes_twenty_failures_at_most(tenant, alice):
    set_policy(tenant, max_failures=1000)
    device = Device(tenant)
    with time_machine.travel(timezone.now() + timedelta(minutes=31)), pytest.raises(StateInvalid):
        device.give_password()
    for _try in range(20):
        with pytest.raises(CredentialsRefused):
            device.give_password("wrong")
    with pytest.raises(StateInvalid):
        device.give_password()


def test_failed_tries_leave_the_handle_usable(tenant, alice):
    device = Device(tenant)
    with pytest.raises(CredentialsRefused):
        device.give_password("wrong")
    assert device.give_password().state == LoginState.SUCCESS


def test_old_transactions_are_purged(tenant, alice):
    Device(tenant)
    assert login.purge_expired(timezone.now(), 10) == 0
    assert login.purge_expired(timezone.now() + timedelta(days=2), 10) == 1


# Choosing the account, as a browser


@pytest.fixture
def choosing(tenant, alice):
    context = RequestContext(tenant=tenant)
    proof = {"binding": DEVICE, "context": context}
    handle = login.begin(tenant=tenant, **proof)
    outcome = login.submit_password(SignInStep(handle, **proof), identifier="alice", password=PASSWORD)
    return outcome.session, proof


def test_going_on_keeps_the_session_and_proves_nothing_new(tenant, choosing):
    session, proof = choosing
    before = SSOSession.objects.get()
    handle = login.begin(tenant=tenant, select_account=True, next_url="/account", session=session, **proof)
    outcome = login.choose_account(SignInStep(handle, session=session, **proof), goes_on=True)
    assert (outcome.state, outcome.next_url, outcome.session_handle) == (LoginState.SUCCESS, "/account", "")
    after = SSOSession.objects.get()
    assert (after.handle_hash, after.authenticated_at) == (before.handle_hash, before.authenticated_at)


@pytest.mark.security("S28")
def test_going_on_where_the_password_is_wanted_again_asks_for_it(tenant, choosing):
    session, proof = choosing
    handle = login.begin(tenant=tenant, select_account=True, reauthenticate=True, session=session, **proof)
    outcome = login.choose_account(SignInStep(handle, session=session, **proof), goes_on=True)
    assert (outcome.state, outcome.transaction.data["login_hint"]) == (LoginState.START, "alice")
    assert outcome.transaction.finished_at is None


@pytest.mark.security("S28")
def test_going_on_where_a_second_factor_is_missing_asks_for_it(tenant, choosing):
    session, proof = choosing
    SessionPolicy.objects.update(mfa_mode="always")
    session = SSOSession.objects.select_related("user", "tenant__session_policy").get()
    session.user.tenant = session.tenant
    handle = login.begin(tenant=tenant, select_account=True, session=session, **proof)
    outcome = login.choose_account(SignInStep(handle, session=session, **proof), goes_on=True)
    assert outcome.state == LoginState.MFA_AUTH
    assert outcome.transaction.finished_at is None


def test_another_account_begins_with_an_empty_page(tenant, choosing):
    session, proof = choosing
    handle = login.begin(tenant=tenant, select_account=True, login_hint="alice", session=session, **proof)
    outcome = login.choose_account(SignInStep(handle, session=session, **proof), goes_on=False)
    assert (outcome.state, outcome.transaction.data["login_hint"]) == (LoginState.START, "")


@pytest.mark.parametrize("name", ["", " ", "\x00", "\ud800", "x" * 10_000, "％％", "'; DROP TABLE"])
def test_odd_names_are_nobody(tenant, alice, name):
    device = Device(tenant)
    with pytest.raises(CredentialsRefused):
        login.submit_password(SignInStep(device.handle, **device.proof), identifier=name, password="x")


@pytest.mark.security("S28")
@pytest.mark.security("S29")
def test_a_stale_copy_of_a_sign_in_cannot_be_moved_or_finished(tenant, alice):
    Device(tenant)
    row = LoginTransaction.objects.get()
    stale = LoginTransaction.objects.get()
    machine.move(row, to=LoginState.MFA_AUTH, user=alice, amr=["pwd"])
    for to in (LoginState.PASSWORD_WARN, LoginState.MFA_AUTH):
        with pytest.raises(StateInvalid):
            machine.move(stale, to=to, user=alice, amr=["pwd", "sms"])
    with pytest.raises(StateInvalid):
        machine.close(stale, state=LoginState.SUCCESS)
    found = LoginTransaction.objects.get()
    assert (found.state, found.amr, found.finished_at) == (LoginState.MFA_AUTH, ["pwd"], None)
    machine.close(row, state=LoginState.ACCESS_DENIED)
    for copy in (row, found):
        with pytest.raises(StateInvalid):
            machine.move(copy, to=LoginState.MFA_AUTH, user=alice, amr=["pwd"])
        with pytest.raises(StateInvalid):
            machine.close(copy, state=LoginState.SUCCESS)


@pytest.mark.security("S29")
def test_a_sign_in_that_ran_out_meanwhile_cannot_be_moved_or_finished(tenant, alice):
    Device(tenant)
    row = LoginTransaction.objects.get()
    with time_machine.travel(timezone.now() + timedelta(minutes=31)):
        with pytest.raises(StateInvalid):
            machine.move(row, to=LoginState.MFA_AUTH, user=alice, amr=["pwd"])
        with pytest.raises(StateInvalid):
            machine.close(row, state=LoginState.SUCCESS)


@pytest.mark.security("S26")
@pytest.mark.security("S48")
def test_a_half_done_sign_in_dies_with_the_epoch_of_its_first_proof(tenant, alice):
    device = Device(tenant, make_application(tenant, mfa_mode="always"))
    assert device.give_password().state == LoginState.MFA_AUTH
    step = SignInStep(device.handle, **device.proof)
    assert machine.get(step, state=LoginState.MFA_AUTH).user == alice
    access.revoke_everything(user=alice, reason=SessionEndReason.PASSWORD_CHANGED, context=device.context)
    with pytest.raises(StateInvalid):
        machine.get(step, state=LoginState.MFA_AUTH)
