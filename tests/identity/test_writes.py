"""What `identity.statements` writes together, and only where its gate holds."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import DataError, IntegrityError, connection, transaction
from django.db.models import Exists, F, OuterRef
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from identity import audit
from identity.context import RequestContext
from identity.events import EventType
from identity.models import AuditEvent, SessionParticipant, SpentNonce, SSOSession, User
from identity.statements import Delete, Select, Update, Upsert, new, write
from oidc_provider.models import AccessToken
from tests.factories import make_application, make_tenant, make_user
from tests.factories.oidc import make_client, make_session
from tests.support.spelled import state

pytestmark = pytest.mark.django_db

_END = Update(
    lambda pk, now: (SSOSession.objects.filter(pk=pk, ended_at=None), {"ended_at": now, "end_reason": "signed_out"})
)
_OPEN = Select(lambda pk: SSOSession.objects.filter(pk=pk, ended_at=None)[:1])


@pytest.fixture
def session() -> SSOSession:
    return make_session(make_user(make_tenant()))


@pytest.fixture
def token(session: SSOSession) -> AccessToken:
    return AccessToken(
        application=make_client(make_application(session.tenant)),
        session=session,
        user=session.user,
        token_checksum="%s' OR ä" + "0" * 50,
        scope="openid",
        claims={"userinfo": {"name": None, "n": [1, 2.5, True, "%s"]}},
        family=uuid.uuid4(),
        audience=["a", "b"],
        expires=timezone.now() + timedelta(hours=1),
        is_offline=True,
    )


def event(session: SSOSession) -> AuditEvent:
    context = RequestContext(tenant=session.tenant, ip="192.0.2.1", request_id="r1")
    return audit.describe(
        EventType.SESSION_END, tenant=session.tenant, target=session, context=context, details={"a": 1}
    )


def statements_of(captured: CaptureQueriesContext) -> list[str]:
    return [query["sql"] for query in captured if not query["sql"].startswith(("SAVEPOINT", "RELEASE"))]


def test_of_two_updates_of_one_row_one_changes_it(session: SSOSession) -> None:
    now = timezone.now()
    assert [_END.run(session.pk, now), _END.run(session.pk, now)] == [1, 0]
    session.refresh_from_db()
    assert (session.ended_at, session.end_reason) == (now, "signed_out")


def test_an_update_writes_what_the_orm_writes(token: AccessToken) -> None:
    token.save()
    values: dict[str, Any] = {
        "claims": {"id_token": {"%s": None}},
        "family": uuid.uuid4(),
        "is_offline": False,
        "expires": timezone.now(),
        "scope": "%s'; --",
        "user_id": None,
        "epoch": 7,
        "audience": ["%s", "c"],
    }
    names = [name.removesuffix("_id") for name in values]
    by_value = Update(
        lambda pk, *given: (AccessToken.objects.filter(pk=pk), dict(zip(names, given, strict=True))), returning=names
    )
    found = by_value.rows(token.pk, *values.values())
    row = AccessToken.objects.get()
    by_value.by_orm(token.pk, *values.values())
    assert state(row) == state(AccessToken.objects.get())
    assert found == [tuple(values.values())]
    assert {name: getattr(row, name) for name in values} == values


def test_a_column_may_be_counted_up_from_what_it_is(session: SSOSession) -> None:
    raise_epoch = Update(lambda pk: (User.objects.filter(pk=pk), {"epoch": F("epoch") + 1}), returning=["epoch"])
    assert [raise_epoch.rows(session.user_id), raise_epoch.rows(session.user_id)] == [[(1,)], [(2,)]]
    assert raise_epoch.rows(0) == []


def test_an_update_may_ask_of_other_rows(session: SSOSession) -> None:
    of_usable = Update(
        lambda pk, now: (
            SSOSession.objects.filter(
                Exists(User.objects.filter(pk=OuterRef("user_id"), is_active=True, epoch=OuterRef("epoch"))), pk=pk
            ),
            {"last_seen_at": now},
        )
    )
    assert of_usable.run(session.pk, timezone.now()) == 1
    User.objects.update(epoch=F("epoch") + 1)
    assert of_usable.run(session.pk, timezone.now()) == 0


@pytest.mark.parametrize(
    "rows",
    [SSOSession.objects.all(), SSOSession.objects.filter(user__is_active=True), SSOSession.objects.filter(kind="")[:1]],
    ids=["all", "by a join", "some"],
)
def test_an_update_that_could_be_won_twice_is_refused(rows: Any) -> None:
    with pytest.raises(TypeError):
        Update(lambda: (rows, {"end_reason": "replaced"})).run()


def test_rows_are_written_as_the_orm_writes_them(token: AccessToken, session: SSOSession) -> None:
    written = event(session)
    assert write(token, written, keys=True)
    by_write, event_by_write = AccessToken.objects.get(), AuditEvent.objects.get()
    assert (token, written) == (by_write, event_by_write)
    AccessToken.objects.all().delete()
    for row, model, kept in ((token, AccessToken, by_write), (written, AuditEvent, event_by_write)):
        row.pk, row._state.adding = None, True
        row.save()
        assert state(model.objects.get(pk=row.pk)) | {"id": kept.pk} == state(kept)


def test_what_is_written_together_is_one_statement(token: AccessToken, session: SSOSession) -> None:
    with CaptureQueriesContext(connection) as captured:
        assert write(token, event(session), gate=_END.bind(session.pk, timezone.now()))
    assert len(statements_of(captured)) == (1 if connection.vendor == "postgresql" else 3)
    assert (token.pk, AccessToken.objects.count(), AuditEvent.objects.count()) == (None, 1, 1)


@pytest.mark.parametrize("keys", [False, True])
@pytest.mark.parametrize("gate", [_END, _OPEN], ids=["update", "select"])
def test_behind_a_closed_gate_nothing_is_written(
    gate: Any, keys: bool, token: AccessToken, session: SSOSession
) -> None:
    values = (session.pk, timezone.now()) if gate is _END else (session.pk,)
    visit = Update(lambda pk, agent: (SSOSession.objects.filter(pk=pk), {"user_agent": agent}))
    other = make_session(session.user)
    assert write(event(session), gate=gate.bind(*values), besides=[visit.bind(other.pk, "1")], keys=keys)
    _END.run(session.pk, timezone.now())
    assert not write(token, event(session), gate=gate.bind(*values), besides=[visit.bind(other.pk, "2")], keys=keys)
    other.refresh_from_db()
    assert (other.user_agent, AccessToken.objects.count(), AuditEvent.objects.count()) == ("1", 0, 1)
    assert token.pk is None


def test_what_cannot_be_written_opens_no_gate(token: AccessToken, session: SSOSession) -> None:
    write(token)
    with pytest.raises(IntegrityError), transaction.atomic():
        write(token, event(session), gate=_END.bind(session.pk, timezone.now()))
    session.refresh_from_db()
    assert (session.ended_at, AccessToken.objects.count(), AuditEvent.objects.count()) == (None, 1, 0)


def test_what_is_too_long_is_refused_and_not_cut(token: AccessToken) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite keeps texts of any length")
    token.token_checksum = "a" * 65
    with pytest.raises(DataError), transaction.atomic():
        write(token)


def test_an_expression_is_no_value(token: AccessToken) -> None:
    token.scope = F("id")
    with pytest.raises(TypeError, match="scope"):
        write(token)


_GREET = Update(lambda pk, epoch, now: (User.objects.filter(pk=pk, epoch=epoch), {"last_login": now}))


@pytest.mark.parametrize("keys", [False, True])
def test_of_several_gates_each_is_tried_behind_the_one_before(
    keys: bool, token: AccessToken, session: SSOSession
) -> None:
    now, person = timezone.now(), session.user
    closed, opened = _GREET.bind(person.pk, 9, now), _GREET.bind(person.pk, 0, now)
    end = _END.bind(session.pk, now)
    assert not write(event(session), gate=[closed, end], keys=keys)
    session.refresh_from_db()
    assert session.ended_at is None
    told = event(session)
    with CaptureQueriesContext(connection) as captured:
        assert write(told, gate=[opened, end], keys=keys)
    assert len(statements_of(captured)) == (1 if connection.vendor == "postgresql" else 3)
    session.refresh_from_db()
    person.refresh_from_db()
    assert (session.ended_at, person.last_login, AuditEvent.objects.count()) == (now, now, 1)
    later = now + timedelta(seconds=1)
    assert not write(token, gate=[_GREET.bind(person.pk, 0, later), end], keys=keys)
    person.refresh_from_db()
    assert (person.last_login, AccessToken.objects.count()) == (later, 0)


def test_updates_run_together_without_a_row_too(session: SSOSession) -> None:
    now = timezone.now()
    greet, end = _GREET.bind(session.user_id, 0, now), _END.bind(session.pk, now)
    assert write(besides=[greet, end])
    session.refresh_from_db()
    session.user.refresh_from_db()
    assert (session.ended_at, session.user.last_login) == (now, now)
    assert not write(gate=end, besides=[greet])


@pytest.mark.parametrize("gate", [(), _OPEN], ids=["always", "behind a gate"])
def test_a_row_that_is_there_already_stays_and_only_some_columns_are_written(gate: Any, session: SSOSession) -> None:
    application = make_application(session.tenant)
    other = make_application(session.tenant, code="other")
    gates = gate and gate.bind(session.pk)
    same = ("session", "protocol", "registration")

    def joined(by: Any, data: dict[str, int]) -> SessionParticipant:
        return SessionParticipant(session=session, application=by, protocol="oidc", registration="r", data=data)

    for by, data, columns in ((application, {"a": 1}, ()), (other, {"a": 2}, ()), (other, {"a": 3}, ("data",))):
        assert write(Upsert(joined(by, data), by=same, columns=columns), gate=gates)
    assert write(event(session), Upsert(joined(other, {"a": 4}), by=same), gate=gates)
    row = SessionParticipant.objects.get()
    assert (row.application, row.data, AuditEvent.objects.count()) == (application, {"a": 3}, 1)
    with pytest.raises(TypeError):
        write(Upsert(joined(other, {}), by=same), keys=True)


def test_a_new_row_is_what_the_constructor_makes(session: SSOSession) -> None:
    application = make_client(make_application(session.tenant))
    columns: dict[str, Any] = {
        "application_id": application.pk,
        "session_id": session.pk,
        "token_checksum": "a",
        "expires": timezone.now(),
        "created": timezone.now(),
        "family": uuid.uuid4(),
    }
    row, by_constructor = new(AccessToken, **columns), AccessToken(**columns)
    assert state(row) == state(by_constructor)
    assert (row._state.adding, row._state.db, row.pk) == (True, None, None)
    assert row.session == session
    assert new(AccessToken).family != new(AccessToken).family
    assert new(AccessToken).claims is not new(AccessToken).claims
    row.save()
    assert AccessToken.objects.get() == row


def test_a_new_row_has_no_other_columns_than_its_own() -> None:
    with pytest.raises(TypeError, match="session"):
        new(AccessToken, session=None)


@pytest.mark.parametrize("keys", [False, True])
def test_a_row_may_be_a_gate_which_holds_once(keys: bool, session: SSOSession) -> None:
    nonce = SpentNonce(tenant=session.tenant, key_hash="a" * 64, expires_at=timezone.now())
    once = Upsert(nonce, by=("key_hash",))
    visit = Update(lambda pk, agent: (SSOSession.objects.filter(pk=pk), {"user_agent": agent}))
    assert write(event(session), gate=[_OPEN.bind(session.pk), once], besides=[visit.bind(session.pk, "1")], keys=keys)
    assert not write(event(session), gate=[once], besides=[visit.bind(session.pk, "2")], keys=keys)
    assert not write(gate=[once])
    session.refresh_from_db()
    assert (session.user_agent, SpentNonce.objects.count(), AuditEvent.objects.count()) == ("1", 1, 1)


def test_behind_a_gate_that_does_not_hold_no_row_is_tried(session: SSOSession) -> None:
    now = timezone.now()
    _END.run(session.pk, now)
    nonce = Upsert(SpentNonce(tenant=session.tenant, key_hash="a" * 64, expires_at=now), by=("key_hash",))
    assert not write(event(session), gate=[_OPEN.bind(session.pk), nonce])
    assert (SpentNonce.objects.count(), AuditEvent.objects.count()) == (0, 0)


def test_a_gate_that_locks_is_spelled_outside_of_a_transaction_too(session: SSOSession) -> None:
    locked = Select(lambda pk: SSOSession.objects.select_for_update(no_key=True).filter(pk=pk).only("pk")[:1])
    assert write(event(session), gate=locked.bind(session.pk))
    if connection.vendor == "postgresql":
        assert "FOR NO KEY UPDATE" in locked.plan([session.pk]).text.sql


def test_of_two_deletions_of_one_row_one_is_told_so(token: AccessToken, session: SSOSession) -> None:
    end = Delete(lambda pk, scope: AccessToken.objects.filter(pk=pk, scope=scope))
    write(token, keys=True)
    assert not write(event(session), gate=end.bind(token.pk, "another"))
    assert write(event(session), gate=end.bind(token.pk, "openid"))
    assert not write(event(session), gate=end.bind(token.pk, "openid"))
    assert (end.run(token.pk, "openid"), AccessToken.objects.count(), AuditEvent.objects.count()) == (0, 0, 1)


def test_a_deletion_by_a_join_is_refused() -> None:
    with pytest.raises(TypeError):
        Delete(lambda: AccessToken.objects.filter(user__is_active=True)).run()
