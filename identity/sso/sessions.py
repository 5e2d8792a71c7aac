"""Single sign-on sessions: start, find, touch, join, end.

The browser or device holds a handle of which only a keyed hash is stored. The handle is new at every sign-in and at
every gain of rights (S27); `sid` is the public name of the session and stays.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import Exists, Model, OuterRef, Q, QuerySet
from django.utils import timezone

from identity import audit, authority, crypto, policies
from identity.assurance import acr_of
from identity.authority import Change
from identity.conf import conf
from identity.context import RequestContext
from identity.errors import AccountDisabled, NotFound, StateInvalid
from identity.events import EventType
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
from identity.purging import Purger
from identity.retries import retried
from identity.signals import session_ended
from identity.sso import devices
from identity.statements import Bound, Select, Upsert, write

__all__ = [
    "describe",
    "end",
    "end_all",
    "find_by_handle",
    "find_by_sid",
    "forget_joined",
    "get_own",
    "has_joined",
    "join",
    "joined_by",
    "list_ended",
    "list_open",
    "refresh",
    "renew",
    "start",
    "touch",
    "vouched",
    "write_joined",
]

TOUCH_INTERVAL = timedelta(minutes=1)
MAX_ENDED_SHOWN = 5
MAX_JOINED_REMEMBERED = 10_000  # about 3 MB; forgetting only costs the statement again
_SAME_PARTICIPANT = ("session", "protocol", "registration")
_joined: set[tuple[str, str, str, str]] = set()  # sid, protocol, client_ref and data
HANDLE = "sso_session.handle"
HOLDER = "sdk"  # protocol of the participant that holds the session itself, by its session_token
VOUCHED = "vouched"  # protocol of the participant for whose word a session was opened


@retried
def start(
    *,
    user: User,
    amr: Sequence[str],
    context: RequestContext,
    kind: str = SessionKind.BROWSER,
    factor_skipped: bool = False,
    device_trusted: bool = False,
) -> tuple[SSOSession, str]:
    """Open a session; return it and its handle. Only the handle's hash is kept, so this is the only copy.

    amr: authentication methods in order of use, values of RFC8176-2; the assurance follows from them.
    factor_skipped: the person has put off setting up a second factor, as the tenant's grace allows.
    device_trusted: the second factor was left out, as the person trusts this browser.
    Raises AccountDisabled if the user or the tenant is disabled.
    """
    session, event, handle = describe(
        user=user, amr=amr, context=context, kind=kind, factor_skipped=factor_skipped, device_trusted=device_trusted
    )
    with transaction.atomic():
        if kind == SessionKind.SDK:
            session.device_index = devices.record(user=user, context=context)
        write(session, event, keys=True)
    return session, handle


def describe(
    *,
    user: User,
    amr: Sequence[str],
    context: RequestContext,
    kind: str = SessionKind.BROWSER,
    factor_skipped: bool = False,
    device_trusted: bool = False,
) -> tuple[SSOSession, AuditEvent, str]:
    """Return a session that is not open yet, the event that tells of it, and its handle: `write` opens it.

    Raises AccountDisabled.
    """
    if not user.is_usable:
        raise AccountDisabled(log_detail=f"user={user.pk}")
    now = timezone.now()
    handle = crypto.new_handle()
    idle, lifetime = _lifetimes(policies.session_policy(user.tenant), kind)
    session = SSOSession(
        sid=crypto.new_handle(),
        handle_hash=crypto.hash_handle(handle, purpose=HANDLE),
        tenant=user.tenant,
        user=user,
        kind=kind,
        amr=list(amr),
        acr=acr_of(amr),
        factor_skipped=factor_skipped,
        device_trusted=device_trusted,
        authenticated_at=now,
        last_seen_at=now,
        idle_expires_at=now + min(idle, lifetime),
        expires_at=now + lifetime,
        ip=context.ip or None,
        user_agent=context.user_agent,
        # As it was read before the proof: what a change of the password meanwhile raised is not caught up with.
        epoch=user.epoch,
    )
    event = audit.describe(
        EventType.SESSION_START,
        tenant=user.tenant,
        actor=user,
        target=session,
        sid=session.sid,
        context=context,
        details={"kind": kind, "amr": session.amr, "acr": session.acr},
    )
    return session, event, handle


@retried
def renew(
    *,
    session: SSOSession,
    amr: Sequence[str],
    context: RequestContext,
    is_step_up: bool = False,
    factor_skipped: bool = False,
    device_trusted: bool = False,
) -> tuple[SSOSession, str]:
    """Take note that the person of this session has proved themselves again; return it with a new handle.

    The session keeps its `sid`, so that applications that joined it are not signed out. A step-up adds a factor to
    those already proved and leaves the time of sign-in as it was.
    Raises StateInvalid if the session has ended meanwhile, AccountDisabled if its user may not act.
    """
    if not session.user.is_usable:
        raise AccountDisabled(log_detail=f"user={session.user_id}")
    now = timezone.now()
    handle = crypto.new_handle()
    idle, lifetime = _lifetimes(policies.session_policy(session.tenant), session.kind)
    values: dict[str, Any] = {
        "handle_hash": crypto.hash_handle(handle, purpose=HANDLE),
        "amr": list(amr),
        "acr": acr_of(amr),
        "factor_skipped": factor_skipped,
        "device_trusted": device_trusted,
        "last_seen_at": now,
        "ip": context.ip or None,
        "user_agent": context.user_agent,
    }
    if not is_step_up:
        values |= {"authenticated_at": now, "expires_at": now + lifetime}
    expires_at = values.get("expires_at", session.expires_at)
    values["idle_expires_at"] = min(now + idle, expires_at)
    with transaction.atomic():
        if not SSOSession.objects.filter(pk=session.pk, ended_at=None, expires_at__gt=now).update(**values):
            raise StateInvalid(log_detail=f"session={session.pk} ended")
        for name, value in values.items():
            setattr(session, name, value)
        audit.record(
            EventType.SESSION_START,
            tenant=session.tenant,
            actor=session.user,
            target=session,
            sid=session.sid,
            context=context,
            details={"kind": session.kind, "amr": session.amr, "acr": session.acr, "renewed": True},
        )
    return session, handle


@retried
def refresh(session: SSOSession, *, handle: str, context: RequestContext) -> str:
    """Give an app's session a new handle and its lifetime once more; the old handle is dead at once.

    handle: the present one. Of any number of tries with it, one is told a new one. What was proved, and when, stays as
    it is; so does the limit that is counted from the sign-in (`sdk_max_seconds`). Raises StateInvalid.
    """
    now = timezone.now()
    policy = policies.session_policy(session.tenant)
    _idle, lifetime = _lifetimes(policy, session.kind)
    expires_at = min(now + lifetime, session.authenticated_at + timedelta(seconds=policy.sdk_max_seconds))
    if expires_at <= now:
        raise StateInvalid(log_detail=f"session={session.pk} may not be refreshed any more")
    new_handle = crypto.new_handle()
    values: dict[str, Any] = {
        "handle_hash": crypto.hash_handle(new_handle, purpose=HANDLE),
        "last_seen_at": now,
        "idle_expires_at": expires_at,
        "expires_at": expires_at,
        "ip": context.ip or None,
    }
    present = SSOSession.objects.filter(pk=session.pk, ended_at=None, expires_at__gt=now)
    with transaction.atomic():
        if not present.filter(handle_hash__in=crypto.keyed_hashes(handle, purpose=HANDLE)).update(**values):
            raise StateInvalid(log_detail=f"session={session.pk} ended, or refreshed by somebody else")
        for name, value in values.items():
            setattr(session, name, value)
        devices.record(user=session.user, context=context)
        audit.record(
            EventType.SESSION_REFRESH,
            tenant=session.tenant,
            actor=session.user,
            target=session,
            sid=session.sid,
            context=context,
            details={"expires_at": expires_at.isoformat()},
        )
    return new_handle


def find_by_handle(*, handle: str, tenant: Tenant, kind: str = "") -> SSOSession | None:
    """Return the usable session of this handle, or None: one query, which loads its user and its policy too.

    kind: of SessionKind, where only a handle of that kind is taken.
    """
    if not handle:
        return None
    hashes = crypto.keyed_hashes(handle, purpose=HANDLE)
    return _usable(_OF_KIND.first(hashes, tenant.pk, kind) if kind else _BY_HANDLE.first(hashes, tenant.pk))


def find_by_sid(*, sid: str, tenant: Tenant) -> SSOSession | None:
    """Return the usable session of this name, or None. A name proves nothing: the caller kept it after a proof."""
    return _usable(_BY_SID.first(sid, tenant.pk))


def _last_open(**which: Any) -> QuerySet[SSOSession]:
    rows = SSOSession.objects.select_related("user", "tenant__session_policy")
    return rows.filter(ended_at=None, **which).order_by("-pk")[:1]


_BY_HANDLE = Select(lambda hashes, tenant: _last_open(handle_hash__in=hashes, tenant=tenant))
_OF_KIND = Select(lambda hashes, tenant, kind: _last_open(handle_hash__in=hashes, tenant=tenant, kind=kind))
_BY_SID = Select(lambda sid, tenant: _last_open(sid=sid, tenant=tenant))


def _usable(session: SSOSession | None) -> SSOSession | None:
    if session is None:
        return None
    # One row, one object: the gate asks the user's tenant, which is the session's.
    session.user.tenant = session.tenant
    return session if session.is_usable else None


@retried
def vouched(*, user: User, application: Application, client_ref: str, context: RequestContext) -> SSOSession:
    """Return the session that an application vouches for: the user is signed in there, and it has proved itself.

    We saw no factor, so none is recorded and it never amounts to more than one. It is the same session for as long as
    it counts. client_ref: of the application's registration. Raises AccountDisabled if the user may not act, and
    AuthorityRefused for an operator: an application's secret is no proof of one (S46).
    """
    authority.check(Change.SIGN_IN, user=user, actor=None)
    with transaction.atomic():
        # Of two requests at once, the second one finds what the first one opened.
        User.objects.select_for_update(no_key=True).get(pk=user.pk)
        joined = {"participants__protocol": VOUCHED, "participants__registration": client_ref}
        known = _usable(_last_open(tenant=user.tenant, user=user, kind=SessionKind.SDK, **joined).first())
        if known is not None:
            return known
        session, _handle = start(user=user, amr=[], context=context, kind=SessionKind.SDK)
        join(session, application, protocol=VOUCHED, client_ref=client_ref)
    return session


def touch(session: SSOSession) -> None:
    """Note that the session was used: at most once a minute, by one conditional UPDATE."""
    now = timezone.now()
    if now - session.last_seen_at < TOUCH_INTERVAL:
        return
    idle, _lifetime = _lifetimes(policies.session_policy(session.tenant), session.kind)
    values = {"last_seen_at": now, "idle_expires_at": min(now + idle, session.expires_at)}
    # Of several requests of one page, one writes.
    due = SSOSession.objects.filter(pk=session.pk, ended_at=None, last_seen_at__lte=now - TOUCH_INTERVAL)
    if due.update(**values):
        session.last_seen_at, session.idle_expires_at = now, values["idle_expires_at"]


def join(
    session: SSOSession,
    application: Application,
    *,
    protocol: str = "oidc",
    client_ref: str,
    data: dict[str, Any] | None = None,
) -> SessionParticipant:
    """Note that the session was used to sign in to an application, so that its end is told there.

    client_ref: client_id, CAS service id or SAML entity id. data: what that protocol's logout needs.
    """
    key = dict(zip(_SAME_PARTICIPANT, (session, protocol, client_ref), strict=True))
    participant = SessionParticipant(**key, application=application, data=data or {})
    write(Upsert(participant, by=_SAME_PARTICIPANT, columns=() if data is None else ("data",)))
    return SessionParticipant.objects.get(**key)


def write_joined(
    *rows: Model,
    session: SSOSession,
    application: Application,
    protocol: str,
    client_ref: str,
    data: dict[str, Any] | None = None,
    gate: Sequence[Bound | Upsert] = (),
) -> bool:
    """Note the same with the rows that a sign-in to the application gives: one statement.

    gate: as `statements.write` takes it; return whether it held.
    A participant's row stays as long as its session, so a process that has seen it committed does not write it again.
    """
    key = (session.sid, protocol, client_ref, json.dumps(data, sort_keys=True))
    if key in _joined:
        return write(*rows, gate=gate)
    participant = SessionParticipant(
        session=session, application=application, protocol=protocol, registration=client_ref, data=data or {}
    )
    # The same browser may open the application twice at once: one row serves both.
    joined = Upsert(participant, by=_SAME_PARTICIPANT, columns=() if data is None else ("data",))
    if not write(joined, *rows, gate=gate):
        return False
    # Remember only on commit: a rolled-back join must not be cached.
    transaction.on_commit(partial(_remember_joined, key))
    return True


def _remember_joined(key: tuple[str, str, str, str]) -> None:
    if len(_joined) >= MAX_JOINED_REMEMBERED:
        _joined.clear()
    _joined.add(key)


def forget_joined() -> None:
    """Forget what this process has seen."""
    _joined.clear()


def has_joined(session: SSOSession | None, *, protocol: str, client_ref: str) -> bool:
    """Tell whether the session was used to sign in to that registration. None has joined nothing, at the same cost."""
    joined = SessionParticipant.objects.filter(protocol=protocol, registration=client_ref)
    return joined.filter(session_id=session.pk if session else 0).exists()


def joined_by(session: SSOSession, application: Application, *, protocol: str) -> str:
    """By which registration of the application the session was used there; "" where it was not."""
    joined = SessionParticipant.objects.filter(session=session, application=application, protocol=protocol)
    return joined.order_by("pk").values_list("registration", flat=True).first() or ""


@retried
def end(session: SSOSession, *, reason: str, context: RequestContext, actor: Any = None) -> bool:
    """End a session and tell the protocols, in one transaction. Return whether it was still open.

    Raises AuthorityRefused where an operator ends the session of somebody with more rights.
    """
    if reason == SessionEndReason.ENDED_BY_OPERATOR:
        authority.check(Change.SESSION, user=session.user, actor=actor)
    now = timezone.now()
    with transaction.atomic():
        # One conditional UPDATE: of two sign-outs at once, one tells the applications.
        if not SSOSession.objects.filter(pk=session.pk, ended_at=None).update(ended_at=now, end_reason=reason):
            return False
        session.ended_at, session.end_reason = now, reason
        audit.record(
            EventType.SESSION_END,
            tenant=session.tenant,
            actor=actor,
            target=session,
            sid=session.sid,
            context=context,
            reason=reason,
            details={"user": session.user.public_id},
        )
        session_ended.send(sender=SSOSession, session=session, reason=SessionEndReason(reason))
    return True


@retried
def end_all(user: User, *, reason: str, context: RequestContext, actor: Any = None) -> int:
    """End every open session of a user; return how many there were. The epoch is the caller's: see `access`."""
    with transaction.atomic():
        # In one order, so that two who end them at the same moment never wait for each other in a circle.
        rows = SSOSession.objects.select_related("user", "tenant").filter(user=user, ended_at=None).order_by("pk")
        return sum(end(session, reason=reason, context=context, actor=actor) for session in rows)


def list_open(user: User) -> list[SSOSession]:
    """Return the user's sessions that still count, the last used first, with the applications that joined."""
    now = timezone.now()
    rows = (
        SSOSession.objects.filter(
            user=user, epoch=user.epoch, ended_at=None, expires_at__gt=now, idle_expires_at__gt=now
        )
        .prefetch_related("participants__application")
        .order_by("-last_seen_at", "-pk")
    )
    return list(rows)


def list_ended(user: User, *, since: datetime) -> list[SSOSession]:
    """Return the user's sessions that were ended since then and were used for an application, the last one first."""
    joined = Exists(SessionParticipant.objects.filter(session=OuterRef("pk")))
    ended = SSOSession.objects.filter(joined, user=user, ended_at__gte=since)
    return list(ended.order_by("-ended_at", "-pk")[:MAX_ENDED_SHOWN])


def get_own(*, user: User, sid: str) -> SSOSession:
    """Return an open session of this user by its sid. Raises NotFound, for other people's too (S36)."""
    rows = SSOSession.objects.select_related("user", "tenant")
    session = rows.filter(user=user, sid=sid, ended_at=None).first() if "\x00" not in sid else None
    if session is None:
        raise NotFound("PARAM.0014", log_detail=f"user={user.pk} has no such session")
    return session


def _gone(now: datetime) -> QuerySet[SSOSession]:
    before = now - conf.session_retention
    return SSOSession.objects.filter(Q(expires_at__lt=before) | Q(ended_at__lt=before))


# Sessions that ended or ran out so long ago that no id_token names them any more.
purge_ended = Purger(_gone)


def _lifetimes(policy: SessionPolicy, kind: str) -> tuple[timedelta, timedelta]:
    """Return how long a session may idle and how long it lasts (decision 23)."""
    if kind == SessionKind.SDK:
        lifetime = timedelta(seconds=policy.sdk_lifetime_seconds)
        return lifetime, lifetime
    return timedelta(seconds=policy.idle_seconds), timedelta(seconds=policy.lifetime_seconds)
