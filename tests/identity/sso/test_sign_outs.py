"""The steps of a sign-out through the browser, and what is said of each application."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from identity import delivery, registry
from identity.context import SYSTEM, RequestContext
from identity.models import Application, Delivery, SessionParticipant, SSOSession, Tenant
from identity.registry import Frame, Visit
from identity.sso import sessions, sign_outs
from identity.sso.sign_outs import SignOut, Told
from tests.factories import make_tenant, make_user
from tests.support.at_once import at_once

pytestmark = pytest.mark.django_db
BINDING = "the-browser"


class Channel:
    """A protocol that tells everybody but those called "deaf"."""

    def __init__(self, *, is_framed: bool) -> None:
        self.is_framed = is_framed
        self.steps: list[str] = []

    def wanted(self, participants: Sequence[SessionParticipant]) -> Collection[int]:
        return [row.pk for row in participants if row.registration != "deaf"]

    def step(self, participant: SessionParticipant, *, handle: str, context: RequestContext) -> Frame | Visit | None:
        self.steps.append(participant.registration)
        if participant.registration == "gone":
            return None
        url = f"https://{participant.registration}.example/?RelayState={handle}"
        return Frame(url) if self.is_framed else Visit(url, data={"request": f"id-of-{participant.registration}"})


@pytest.fixture
def channels(monkeypatch: pytest.MonkeyPatch) -> dict[str, Channel]:
    channels = {"framed": Channel(is_framed=True), "visited": Channel(is_framed=False)}
    monkeypatch.setattr(registry, "_front_channels", dict(channels))
    return channels


@pytest.fixture
def tenant() -> Tenant:
    return make_tenant()


@pytest.fixture
def context(tenant: Tenant) -> RequestContext:
    return replace(SYSTEM, tenant=tenant, language="ja")


@pytest.fixture
def session(tenant: Tenant, context: RequestContext) -> SSOSession:
    return sessions.start(user=make_user(tenant), amr=["pwd"], context=context)[0]


def join(session: SSOSession, protocol: str, name: str) -> SessionParticipant:
    application, _new = Application.objects.get_or_create(tenant=session.tenant, code=name, name=name.title())
    return sessions.join(session, application, protocol=protocol, client_ref=name)


def begin(session: SSOSession, context: RequestContext, **options: Any) -> SignOut:
    values = {"return_url": "", **options}
    handle = sign_outs.begin(session=session, binding=BINDING, context=context, **values)
    found = sign_outs.find(handle=handle, tenant=session.tenant, bindings=[BINDING])
    assert found is not None
    return found


def told(session: SSOSession) -> dict[str, Told]:
    return {row.name: row.told for row in sign_outs.report([session]).get(session.pk, [])}


def test_frames_come_at_once_and_visits_one_by_one(
    session: SSOSession, context: RequestContext, channels: dict[str, Channel]
) -> None:
    for protocol, name in [("visited", "a"), ("framed", "b"), ("visited", "c"), ("framed", "d"), ("other", "e")]:
        join(session, protocol, name)
    found = begin(session, context, return_url="https://rp.example/")
    assert (found.return_url, found.language, found.session) == ("https://rp.example/", "ja", session)
    assert [frame.url[:17] for frame in sign_outs.frames(found, context=context)] == [
        "https://b.example", "https://d.example"
    ]  # fmt: skip
    assert sign_outs.frames(found, context=context) == []
    for name in "ac":
        assert sign_outs.has_visits(found)
        visit = sign_outs.next_visit(found, context=context)
        assert visit is not None
        assert visit.url == f"https://{name}.example/?RelayState={found.handle}"
    assert not sign_outs.has_visits(found)
    assert sign_outs.next_visit(found, context=context) is None


def test_an_answer_is_taken_once_and_from_whom_it_was_asked(
    session: SSOSession, context: RequestContext, channels: dict[str, Channel]
) -> None:
    join(session, "visited", "a")
    join(session, "visited", "b")
    found = begin(session, context)
    sign_outs.next_visit(found, context=context)
    assert sign_outs.find_asked(found, protocol="visited", client_ref="b") is None
    participant = sign_outs.find_asked(found, protocol="visited", client_ref="a")
    assert participant is not None
    assert participant.data == {"request": "id-of-a"}
    assert sign_outs.note_answer(participant, is_confirmed=True)
    assert not sign_outs.note_answer(participant, is_confirmed=False)
    assert told(session) == {"A": Told.CONFIRMED, "B": Told.WAITING}


def test_the_application_that_asked_is_not_told(
    session: SSOSession, context: RequestContext, channels: dict[str, Channel]
) -> None:
    join(session, "visited", "a")
    join(session, "visited", "b")
    found = begin(session, context, initiator=("visited", "a"))
    sign_outs.next_visit(found, context=context)
    assert sign_outs.next_visit(found, context=context) is None
    assert channels["visited"].steps == ["b"]


def test_a_step_that_cannot_be_made_is_passed_over_and_said(
    session: SSOSession, context: RequestContext, channels: dict[str, Channel]
) -> None:
    for name in ("deaf", "gone", "a"):
        join(session, "visited", name)
    visit = sign_outs.next_visit(begin(session, context), context=context)
    assert visit is not None
    assert visit.url.startswith("https://a.example")
    assert told(session) == {"A": Told.WAITING, "Deaf": Told.SILENT, "Gone": Told.FAILED}


def test_there_is_nothing_to_show_where_nobody_joined_or_the_browser_is_wanted_elsewhere(
    session: SSOSession, context: RequestContext, channels: dict[str, Channel]
) -> None:
    arguments: dict[str, Any] = {"session": session, "binding": BINDING, "context": context}
    assert sign_outs.begin(return_url="", **arguments) == ""
    join(session, "other", "a")
    assert sign_outs.begin(return_url="https://rp.example/", **arguments) == ""
    assert sign_outs.begin(return_url="", **arguments) != ""


def test_a_browser_that_never_came_back_is_not_waited_for(
    session: SSOSession, context: RequestContext, channels: dict[str, Channel], time_machine: Any
) -> None:
    join(session, "visited", "a")
    sign_outs.next_visit(begin(session, context), context=context)
    assert told(session) == {"A": Told.WAITING}
    time_machine.move_to(timezone.now() + timedelta(minutes=3))
    assert told(session) == {"A": Told.FAILED}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, Told.WAITING),
        ({"attempts": 1, "last_error": "status 503"}, Told.RETRYING),
        ({"state": "delivered"}, Told.CONFIRMED),
        ({"state": "failed", "last_error": "status 400"}, Told.FAILED),
    ],
    ids=["new", "tried", "delivered", "given up"],
)
def test_deliveries_are_reported(
    session: SSOSession, monkeypatch: pytest.MonkeyPatch, values: dict[str, Any], expected: Told
) -> None:
    monkeypatch.setattr(registry, "_delivery_senders", {"test": lambda row: None})
    participant = join(session, "other", "a")
    row = delivery.enqueue(
        tenant=session.tenant, kind="test", url="https://a.example/", payload={},
        application=participant.application, sid=session.sid,
    )  # fmt: skip
    Delivery.objects.filter(pk=row.pk).update(**values)
    assert told(session) == {"A": expected}
    (reports,) = sign_outs.report([session]).values()
    assert sign_outs.is_settled(reports) == (expected in (Told.CONFIRMED, Told.FAILED))


def test_an_app_whose_session_it_was_is_not_told_of_its_own_end(session: SSOSession) -> None:
    join(session, sessions.HOLDER, "phone")
    join(session, sessions.VOUCHED, "host")
    join(session, "other", "a")
    assert told(session) == {"A": Told.SILENT}


@pytest.mark.security("S36")
def test_a_handle_is_good_in_its_tenant_and_browser_only(
    session: SSOSession, context: RequestContext, channels: dict[str, Channel]
) -> None:
    join(session, "visited", "a")
    handle = begin(session, context).handle
    assert sign_outs.find(handle=handle, tenant=session.tenant, bindings=["another"]) is None
    assert sign_outs.find(handle=handle, tenant=make_tenant(code="other"), bindings=[BINDING]) is None
    assert sign_outs.find(handle="", tenant=session.tenant, bindings=[BINDING]) is None


@pytest.mark.django_db(transaction=True)
def test_of_many_tabs_one_is_sent_to_each_application(
    session: SSOSession, context: RequestContext, channels: dict[str, Channel]
) -> None:
    for name in "abc":
        join(session, "visited", name)
    found = begin(session, context)

    def go_on(_number: int) -> str:
        visit = sign_outs.next_visit(found, context=context)
        return visit.url[8] if visit else ""

    assert sorted(at_once(go_on, times=6)) == ["", "", "", "a", "b", "c"]
    assert sorted(channels["visited"].steps) == ["a", "b", "c"]
