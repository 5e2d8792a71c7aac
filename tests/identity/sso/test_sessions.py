"""Sessions and the one gate, as services."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from identity import assurance, policies
from identity.context import RequestContext
from identity.errors import AccessDenied, AccountDisabled, ApplicationDisabled, NotFound, StateInvalid
from identity.models import (
    Application,
    AuditEvent,
    SessionEndReason,
    SessionKind,
    SessionParticipant,
    SessionPolicy,
    SSOSession,
    Tenant,
    User,
)
from identity.signals import session_ended, user_disabled
from identity.sso import access, sessions
from tests.factories import make_account, make_application, make_tenant, make_user
from tests.support.at_once import at_once, kinds


@pytest.fixture
def tenant(db):
    return make_tenant()


@pytest.fixture
def user(tenant):
    return make_user(tenant)


@pytest.fixture
def context(tenant):
    return RequestContext(tenant=tenant, ip="198.51.100.7", user_agent="Test")


@pytest.fixture
def session(user, context):
    opened, _handle = sessions.start(user=user, amr=["pwd"], context=context)
    return opened


@pytest.fixture
def heard():
    """What the signals told."""
    told: list[tuple[str, object]] = []

    def on_session(sender, session, reason, **kwargs):
        told.append((session.sid, reason))

    def on_user(sender, user, **kwargs):
        told.append(("user", user.pk))

    session_ended.connect(on_session)
    user_disabled.connect(on_user)
    yield told
    session_ended.disconnect(on_session)
    user_disabled.disconnect(on_user)


# Assurance


@pytest.mark.security("S28")
@pytest.mark.parametrize(
    ("amr", "acr", "claim"),
    [
        (["pwd"], assurance.SINGLE_FACTOR, ["pwd"]),
        (["pwd", "otp"], assurance.MULTI_FACTOR, ["pwd", "otp", "mfa"]),
        (["sms"], assurance.SINGLE_FACTOR, ["sms"]),
        (["pwd", "pwd"], assurance.SINGLE_FACTOR, ["pwd"]),
        (["sms", "otp"], assurance.SINGLE_FACTOR, ["sms", "otp"]),
        (["pwd", "mfa"], assurance.SINGLE_FACTOR, ["pwd"]),
        ([], assurance.SINGLE_FACTOR, []),
    ],
)
def test_assurance_follows_from_the_recorded_factors(amr, acr, claim):
    assert (assurance.acr_of(amr), assurance.with_summary(amr)) == (acr, claim)


def test_a_higher_level_satisfies_a_lower_one_and_no_level_an_unknown_one():
    assert assurance.satisfies(assurance.MULTI_FACTOR, assurance.SINGLE_FACTOR)
    assert not assurance.satisfies(assurance.SINGLE_FACTOR, assurance.MULTI_FACTOR)
    assert assurance.satisfies(assurance.SINGLE_FACTOR, "")
    assert not assurance.satisfies(assurance.MULTI_FACTOR, "urn:example:gold")


# Starting and finding


def test_handle_finds_the_session_with_one_query_and_is_not_stored(user, tenant, context, django_assert_num_queries):
    session, handle = sessions.start(user=user, amr=["pwd"], context=context)
    assert handle not in {session.sid, session.handle_hash}
    with django_assert_num_queries(1):
        found = sessions.find_by_handle(handle=handle, tenant=tenant)
        assert found is not None
        assert (found.pk, found.user.user_name, found.user.is_usable) == (session.pk, user.user_name, True)
        assert policies.session_policy(found.tenant).idle_seconds == 8 * 3600
    assert sessions.find_by_handle(handle=session.sid, tenant=tenant) is None
    assert sessions.find_by_handle(handle="", tenant=tenant) is None


@pytest.mark.security("S36")
def test_handle_is_nobody_in_another_tenant(user, context):
    _session, handle = sessions.start(user=user, amr=["pwd"], context=context)
    assert sessions.find_by_handle(handle=handle, tenant=make_tenant()) is None


def test_browser_and_app_sessions_live_as_the_policy_says(user, context):
    browser, _handle = sessions.start(user=user, amr=["pwd"], context=context)
    app, _handle = sessions.start(user=user, amr=["pwd"], context=context, kind=SessionKind.SDK)
    assert browser.expires_at - browser.authenticated_at == timedelta(hours=24)
    assert browser.idle_expires_at - browser.authenticated_at == timedelta(hours=8)
    assert app.expires_at - app.authenticated_at == timedelta(seconds=604_800)
    assert app.idle_expires_at == app.expires_at


def test_tenant_without_a_policy_row_has_the_defaults(user, tenant, context):
    SessionPolicy.objects.all().delete()
    user.refresh_from_db()
    user.tenant = Tenant.objects.get(pk=tenant.pk)
    session, _handle = sessions.start(user=user, amr=["pwd"], context=context)
    assert session.expires_at - session.authenticated_at == timedelta(hours=24)


@pytest.mark.security("S26")
def test_nobody_who_is_disabled_gets_a_session(user, context):
    user.is_active = False
    with pytest.raises(AccountDisabled):
        sessions.start(user=user, amr=["pwd"], context=context)


# Joining and ending


def test_application_joins_once(session, tenant):
    application = make_application(tenant)
    first = sessions.join(session, application, client_ref="wiki", data={"a": 1})
    assert sessions.join(session, application, client_ref="wiki").pk == first.pk
    again = sessions.join(session, application, client_ref="wiki", data={"a": 2})
    assert (again.pk, again.data) == (first.pk, {"a": 2})
    sessions.join(session, application, client_ref="wiki", protocol="cas")
    assert SessionParticipant.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_application_that_joins_many_times_at_once_joins_once():
    tenant = make_tenant()
    session, _handle = sessions.start(user=make_user(tenant), amr=["pwd"], context=RequestContext(tenant=tenant))
    application = make_application(tenant)
    results = at_once(lambda number: sessions.join(session, application, client_ref="wiki", data={}), times=20)
    assert kinds(results) == {"SessionParticipant": 20}
    assert SessionParticipant.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_session_that_is_ended_many_times_at_once_is_ended_and_told_once(heard):
    tenant = make_tenant()
    session, _handle = sessions.start(user=make_user(tenant), amr=["pwd"], context=RequestContext(tenant=tenant))
    context = RequestContext(tenant=tenant)

    def end(number: int) -> bool:
        row = SSOSession.objects.select_related("user", "tenant").get(pk=session.pk)
        return sessions.end(row, reason=SessionEndReason.SIGNED_OUT, context=context)

    assert sorted(at_once(end, times=20)) == [False] * 19 + [True]
    assert heard == [(session.sid, SessionEndReason.SIGNED_OUT)]
    assert AuditEvent.objects.filter(event_type="session:end").count() == 1


def test_listener_that_fails_undoes_the_end(session, context):
    def fail(**kwargs):
        raise RuntimeError("the outbox is full")

    session_ended.connect(fail, weak=False, dispatch_uid="fail")
    try:
        with pytest.raises(RuntimeError):
            sessions.end(session, reason=SessionEndReason.SIGNED_OUT, context=context)
    finally:
        session_ended.disconnect(dispatch_uid="fail")
    assert SSOSession.objects.get().ended_at is None


def test_ended_session_is_not_renewed(session, context):
    sessions.end(session, reason=SessionEndReason.SIGNED_OUT, context=context)
    with pytest.raises(StateInvalid):
        sessions.renew(session=session, amr=["pwd"], context=context)


def test_renewing_replaces_the_handle_and_the_factors(user, tenant, context):
    session, old = sessions.start(user=user, amr=["pwd", "otp"], context=context)
    renewed, new = sessions.renew(session=session, amr=["pwd"], context=context)
    assert (renewed.amr, renewed.acr) == (["pwd"], assurance.SINGLE_FACTOR)
    assert sessions.find_by_handle(handle=old, tenant=tenant) is None
    assert sessions.find_by_handle(handle=new, tenant=tenant) == session


def test_everything_of_a_user_ends_at_once(session, user, context, heard):
    other, _handle = sessions.start(user=user, amr=["pwd"], context=context)
    access.revoke_everything(user=user, reason=SessionEndReason.USER_DISABLED, context=context)
    assert {sid for sid, _reason in heard} == {session.sid, other.sid, "user"}
    assert heard[-1] == ("user", user.pk)
    assert not SSOSession.objects.filter(ended_at=None).exists()
    user.refresh_from_db()
    assert user.epoch == session.epoch + 1


@pytest.mark.security("S36")
def test_a_person_finds_the_own_open_sessions_only(session, user, tenant, context):
    other, _handle = sessions.start(user=make_user(tenant), amr=["pwd"], context=context)
    assert sessions.get_own(user=user, sid=session.sid) == session
    for sid in (other.sid, "unknown", "\x00", ""):
        with pytest.raises(NotFound):
            sessions.get_own(user=user, sid=sid)
    assert sessions.list_open(user) == [session]
    sessions.end(session, reason=SessionEndReason.SIGNED_OUT, context=context)
    assert sessions.list_open(user) == []


def test_touching_is_one_conditional_update_a_minute(session, django_assert_num_queries):
    with django_assert_num_queries(0):
        sessions.touch(session)
    with time_machine.travel(timezone.now() + timedelta(seconds=61)):
        stale = SSOSession.objects.select_related("tenant__session_policy").get()
        twin = SSOSession.objects.select_related("tenant__session_policy").get()
        with django_assert_num_queries(1):
            sessions.touch(stale)
        seen = stale.last_seen_at
        with django_assert_num_queries(1):
            sessions.touch(twin)
        assert SSOSession.objects.get().last_seen_at == seen
        with django_assert_num_queries(0):
            sessions.touch(stale)


def test_old_sessions_are_purged_and_open_ones_kept(session, user, context):
    old, _handle = sessions.start(user=user, amr=["pwd"], context=context)
    SSOSession.objects.filter(pk=old.pk).update(ended_at=timezone.now() - timedelta(days=91))
    assert sessions.purge_ended(timezone.now(), 100) == 1
    assert SSOSession.objects.get() == session
    assert sessions.purge_ended(timezone.now() + timedelta(days=92), 100) == 1


# The gate


@pytest.mark.security("S26")
def test_the_gate_asks_person_tenant_application_grant_and_session(session, user, tenant, context):
    application = make_application(tenant)
    now = timezone.now()
    grant = {"user": user, "session": session, "application": application, "epoch": user.epoch}
    access.check(**grant)
    cases: list[tuple[object, str, object, type[Exception]]] = [
        (user, "is_active", False, AccountDisabled),
        (user, "deleted_at", now, AccountDisabled),
        (user.tenant, "is_active", False, AccountDisabled),
        (application, "is_active", False, ApplicationDisabled),
        (user, "epoch", user.epoch + 1, StateInvalid),
        (session, "epoch", user.epoch - 1, StateInvalid),
        (session, "ended_at", now, StateInvalid),
        (session, "expires_at", now, StateInvalid),
        (session, "idle_expires_at", now, StateInvalid),
    ]
    for row, name, value, error in cases:
        before = getattr(row, name)
        setattr(row, name, value)
        with pytest.raises(error):
            access.check(**grant)
        setattr(row, name, before)
    access.check(**grant)


@pytest.mark.security("S49")
def test_the_gate_asks_for_the_account_at_the_application(user, session, tenant):
    application = make_application(tenant, access="assigned")
    grant = {"user": user, "session": session, "application": application, "epoch": user.epoch}
    with pytest.raises(AccessDenied):
        access.check(**grant)
    account = make_account(user, application)
    access.check(**grant)
    account.is_active = False
    account.save()
    with pytest.raises(AccessDenied):
        access.check(**grant)
    access.check(**{**grant, "application": None})


def test_the_gate_asks_no_query_where_everyone_may_come_in(user, session, tenant, django_assert_num_queries):
    everyone, assigned = make_application(tenant), make_application(tenant, access="assigned")
    make_account(user, assigned)
    for application, queries in ((everyone, 0), (assigned, 1)):
        with django_assert_num_queries(queries):
            access.check(user=user, session=session, application=application, epoch=user.epoch)


def test_offline_grant_outlives_its_session_but_not_the_end_of_all_tokens(session, user, context):
    epoch = user.epoch
    sessions.end(session, reason=SessionEndReason.SIGNED_OUT, context=context)
    grant = {"user": user, "session": session, "application": None, "epoch": epoch}
    with pytest.raises(StateInvalid):
        access.check(**grant)
    access.check(**grant, is_offline=True)
    access.revoke_everything(user=user, reason=SessionEndReason.PASSWORD_CHANGED, context=context)
    with pytest.raises(StateInvalid):
        access.check(**grant, is_offline=True)


@pytest.mark.security("S28")
@pytest.mark.parametrize(
    ("tenants", "applications", "amr", "required", "is_enough"),
    [
        ("never", "", ["pwd"], "", True),
        ("always", "", ["pwd"], "", False),
        ("always", "", ["pwd", "otp"], "", True),
        ("always", "never", ["pwd"], "", True),
        ("never", "always", ["pwd"], "", False),
        ("if_enrolled", "", ["pwd"], "", True),
        ("never", "", ["pwd"], assurance.MULTI_FACTOR, False),
        ("never", "", ["pwd", "otp"], assurance.MULTI_FACTOR, True),
        ("never", "", ["pwd", "otp"], "urn:example:gold", False),
    ],
)
def test_enough_is_judged_by_recorded_factors_and_the_rule(
    user, context, tenants, applications, amr, required, is_enough
):
    SessionPolicy.objects.update(mfa_mode=tenants)
    user.tenant = Tenant.objects.select_related("session_policy").get(pk=user.tenant_id)
    application: Application = make_application(user.tenant, mfa_mode=applications)
    session, _handle = sessions.start(user=user, amr=amr, context=context)
    # What the column says is not believed: assurance is computed where it is used.
    session.acr = assurance.MULTI_FACTOR
    assert access.is_sufficient(session=session, application=application, required_acr=required) is is_enough


def test_users_last_login_is_kept(db):
    from identity.sign_in import login
    from identity.sign_in.login import SignInStep
    from tests.factories import PASSWORD

    tenant = make_tenant()
    user = make_user(tenant)
    context = RequestContext(tenant=tenant)
    handle = login.begin(tenant=tenant, binding="b", context=context)
    login.submit_password(
        SignInStep(handle, binding="b", context=context), identifier=user.user_name, password=PASSWORD
    )
    assert User.objects.get(pk=user.pk).last_login is not None
