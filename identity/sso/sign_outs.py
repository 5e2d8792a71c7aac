"""Tell the applications of a sign-out through the browser, and say what every application answered.

The session has ended already, and what servers can be told lies in the outbox. A browser that signs out is led through
the steps that protocols registered (see `identity.registry`). Its handle opens nothing but the list of applications of
a session that is over, and works in that browser only.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from django.utils import timezone

from identity import pending_requests, registry
from identity.context import RequestContext
from identity.errors import StateInvalid
from identity.models import (
    Application,
    Delivery,
    DeliveryState,
    FrontChannelState,
    SessionParticipant,
    SSOSession,
    Tenant,
)
from identity.registry import Frame, Visit
from identity.sso.sessions import HOLDER, VOUCHED

# A browser that has not come back from an application by then has been left there, or closed.
PATIENCE = timedelta(minutes=2)
# The session was these applications' own, or by their word: its end is theirs.
_NOT_TOLD = (HOLDER, VOUCHED)
_PATH = "sign_out"  # of the parked request: no address of its own


class Told(StrEnum):
    """What is known of one application. In the order of what a person wants to hear first."""

    FAILED = "failed"  # it was not reached, or it refused
    RETRYING = "retrying"  # no answer yet; it is asked again
    WAITING = "waiting"
    SHOWN = "shown"  # the browser loaded its address, which is all that can be known
    CONFIRMED = "confirmed"
    SILENT = "silent"  # it takes no notice of sign-outs


@dataclass(frozen=True)
class ApplicationReport:
    """What came of telling one application."""

    name: str
    told: Told


@dataclass(frozen=True)
class SignOut:
    """A browser's sign-out under way."""

    handle: str
    session: SSOSession
    return_url: str  # where the browser goes in the end; "" is the signed-out page
    language: str


def begin(
    *,
    session: SSOSession,
    return_url: str,
    binding: str,
    context: RequestContext,
    initiator: tuple[str, str] | None = None,
) -> str:
    """Choose who is told through the browser. Return the handle of the page that tells them and says what became of it.

    It is "" where that page has nothing to do: nobody joined the session, or the servers tell the servers and the
    browser is wanted elsewhere.

    return_url: where the browser goes in the end, judged by the caller. binding: the browser's own handle.
    initiator: protocol and client_ref of the application that asked for the sign-out, has ended its own session, and
    needs no step.
    """
    participants = list(SessionParticipant.objects.filter(session=session).order_by("pk"))
    wanted: set[int] = set()
    for protocol, channel in registry.front_channels().items():
        its_own = [row for row in participants if row.protocol == protocol]
        others = [row for row in its_own if (row.protocol, row.registration) != initiator]
        wanted.update(channel.wanted(others) if others else ())
    asked = [row.pk for row in participants if (row.protocol, row.registration) == initiator]
    if asked:
        _move(asked, FrontChannelState.NONE, FrontChannelState.CONFIRMED)
    if not participants or (return_url and not wanted):
        return ""
    if wanted:
        _move(wanted, FrontChannelState.NONE, FrontChannelState.WAITING)
    payload = {"session": session.pk, "return_url": return_url, "language": context.language}
    return pending_requests.park(tenant=session.tenant, path=_PATH, payload=payload, binding=binding)


def find(*, handle: str, tenant: Tenant, bindings: Sequence[str]) -> SignOut | None:
    """Return the sign-out of this handle in this browser, or None."""
    try:
        payload = pending_requests.peek(tenant=tenant, path=_PATH, handle=handle, bindings=bindings)
    except StateInvalid:
        return None
    session = SSOSession.objects.filter(pk=payload["session"], tenant=tenant).first()
    if session is None:
        return None
    session.tenant = tenant
    return SignOut(handle=handle, session=session, return_url=payload["return_url"], language=payload["language"])


def frames(sign_out: SignOut, *, context: RequestContext) -> list[Frame]:
    """Return the frames that the browser must load, each given out once."""
    steps = (_take(row, sign_out, FrontChannelState.SHOWN, context) for row in _waiting(sign_out, is_framed=True))
    return [step for step in steps if isinstance(step, Frame)]


def has_visits(sign_out: SignOut) -> bool:
    """Tell whether the browser has applications left to go to."""
    return bool(_waiting(sign_out, is_framed=False))


def next_visit(sign_out: SignOut, *, context: RequestContext) -> Visit | None:
    """Return where the browser goes next to tell an application; None when all were asked."""
    for row in _waiting(sign_out, is_framed=False):
        step = _take(row, sign_out, FrontChannelState.ASKED, context)
        if isinstance(step, Visit):
            return step
    return None


def find_asked(sign_out: SignOut, *, protocol: str, client_ref: str) -> SessionParticipant | None:
    """Return the participant that the browser was sent to and that has not answered yet."""
    asked = SessionParticipant.objects.filter(session=sign_out.session, front_channel_state=FrontChannelState.ASKED)
    return asked.filter(protocol=protocol, registration=client_ref).first()


def note_answer(participant: SessionParticipant, *, is_confirmed: bool) -> bool:
    """Note what an application answered, once. Return whether an answer was waited for."""
    answer = FrontChannelState.CONFIRMED if is_confirmed else FrontChannelState.REFUSED
    return bool(_move([participant.pk], FrontChannelState.ASKED, answer))


def report(sessions: Iterable[SSOSession]) -> dict[int, list[ApplicationReport]]:
    """Return what is known of the applications of ended sessions, by the session's key: two queries."""
    ended = {session.sid: session for session in sessions}
    told: dict[tuple[int, Application], set[Told]] = defaultdict(set)
    rows = SessionParticipant.objects.filter(session__in=ended.values()).exclude(protocol__in=_NOT_TOLD)
    for row in rows.select_related("application").order_by("pk"):
        told[row.session_id, row.application].update(_told_by_browser(row))
    deliveries = Delivery.objects.filter(sid__in=ended, application__isnull=False).select_related("application")
    for delivery in deliveries.filter(tenant__in={session.tenant_id for session in ended.values()}):
        if delivery.application is not None:
            told[ended[delivery.sid].pk, delivery.application].add(_told_by_delivery(delivery))
    found: dict[int, list[ApplicationReport]] = defaultdict(list)
    for (session_pk, application), states in told.items():
        found[session_pk].append(ApplicationReport(application.name, _summary(states)))
    return {key: sorted(reports, key=lambda row: row.name) for key, reports in found.items()}


def is_settled(reports: Iterable[ApplicationReport]) -> bool:
    """Tell whether looking again soon will show nothing new."""
    return not any(row.told in (Told.WAITING, Told.RETRYING) for row in reports)


def _waiting(sign_out: SignOut, *, is_framed: bool) -> list[SessionParticipant]:
    protocols = [name for name, channel in registry.front_channels().items() if channel.is_framed == is_framed]
    rows = SessionParticipant.objects.filter(
        session=sign_out.session, protocol__in=protocols, front_channel_state=FrontChannelState.WAITING
    )
    return list(rows.select_related("application", "session__user", "session__tenant").order_by("pk"))


def _take(
    row: SessionParticipant, sign_out: SignOut, state: FrontChannelState, context: RequestContext
) -> Frame | Visit | None:
    # One conditional UPDATE: of two tabs with the same page, one goes on.
    if not _move([row.pk], FrontChannelState.WAITING, state):
        return None
    step = registry.front_channels()[row.protocol].step(row, handle=sign_out.handle, context=context)
    if step is None:
        _move([row.pk], state, FrontChannelState.REFUSED)
    elif isinstance(step, Visit) and step.data:
        SessionParticipant.objects.filter(pk=row.pk).update(data={**row.data, **step.data})
    return step


def _move(keys: Iterable[int], old: FrontChannelState, new: FrontChannelState) -> int:
    rows = SessionParticipant.objects.filter(pk__in=list(keys), front_channel_state=old)
    return rows.update(front_channel_state=new, front_channel_at=timezone.now())


_BY_BROWSER: Mapping[str, Told] = {
    FrontChannelState.WAITING: Told.WAITING,
    FrontChannelState.SHOWN: Told.SHOWN,
    FrontChannelState.ASKED: Told.WAITING,
    FrontChannelState.CONFIRMED: Told.CONFIRMED,
    FrontChannelState.REFUSED: Told.FAILED,
}


def _told_by_browser(row: SessionParticipant) -> set[Told]:
    told = _BY_BROWSER.get(row.front_channel_state)
    if told is None:
        return set()
    if told is Told.WAITING and row.front_channel_at and timezone.now() - row.front_channel_at > PATIENCE:
        return {Told.FAILED}
    return {told}


def _told_by_delivery(row: Delivery) -> Told:
    if row.state == DeliveryState.PENDING:
        return Told.RETRYING if row.last_error else Told.WAITING
    return Told.CONFIRMED if row.state == DeliveryState.DELIVERED else Told.FAILED


def _summary(states: set[Told]) -> Told:
    """Return one word for an application that is told in several ways: what is worst, but an answer beats no answer."""
    for state in (Told.FAILED, Told.RETRYING, Told.WAITING, Told.CONFIRMED, Told.SHOWN):
        if state in states:
            return state
    return Told.SILENT


__all__ = [
    "ApplicationReport",
    "Frame",
    "SignOut",
    "Told",
    "Visit",
    "begin",
    "find",
    "find_asked",
    "frames",
    "has_visits",
    "is_settled",
    "next_visit",
    "note_answer",
    "report",
]
