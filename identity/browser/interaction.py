"""What a person must do before a request of any protocol can be answered, and the way to the sign-in pages and back.

`Passed` is what the server itself saw happen since the request arrived. It travels sealed in a parked request, never in
an address, so that a new sign-in that was asked for can be neither skipped nor asked for for ever (S29, S43, S44).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Any
from urllib.parse import urlencode

from django.db.models import Model
from django.utils import timezone

from identity import assurance, cookies
from identity.browser import parking
from identity.errors import AccessDenied
from identity.http import Request, path_of, tenant_of
from identity.models import Application, SSOSession
from identity.sign_in import login
from identity.sign_in.factors import table
from identity.sso import access


class Step(Enum):
    """What the person must do next."""

    SIGN_IN = auto()
    SIGN_IN_AGAIN = auto()  # prompt=login, max_age, renew, ForceAuthn: whoever is signed in must prove it again
    SELECT_ACCOUNT = auto()
    STEP_UP = auto()  # another factor
    CONSENT = auto()


@dataclass(frozen=True)
class Demands:
    """What a request demands of the sign-in behind it, in whatever words."""

    reauthenticate: bool = False
    max_age_seconds: int | None = None
    select_account: bool = False
    required_acr: str = ""  # "" leaves it to the policy


NOTHING = Demands()


@dataclass(frozen=True)
class Passed:
    """What was done for a request so far."""

    asked_at: datetime | None = None  # when the person was sent to sign in
    has_selected: bool = False
    has_stepped_up: bool = False
    consent_sid: str = ""  # the session in which the person pressed Allow

    def after(self, step: Step) -> Passed:
        """Return what will have been done when the browser comes back from this step."""
        if step is Step.SELECT_ACCOUNT:
            return replace(self, has_selected=True)
        if step is Step.STEP_UP:
            return replace(self, has_stepped_up=True)
        # Whoever signs in afresh has chosen an account by doing so.
        return replace(self, asked_at=timezone.now(), has_selected=True)

    def is_fresh(self, session: SSOSession) -> bool:
        """Whether the session comes from a sign-in that this very request caused."""
        return self.asked_at is not None and session.authenticated_at >= self.asked_at

    def to_json(self) -> dict[str, Any]:
        """As a member of a parked request."""
        return {**self.__dict__, "asked_at": self.asked_at.isoformat() if self.asked_at else None}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Passed:
        """Read back what `to_json` wrote."""
        asked_at = document["asked_at"]
        return cls(**{**document, "asked_at": datetime.fromisoformat(asked_at) if asked_at else None})


class FactorMissing(AccessDenied):
    """The person has done what could be done, and the session still lacks a factor."""


# Deciding --------------------------------------------------------------------------------------------------


def is_signed_in(request: Request) -> bool:
    """Whether the browser's session is enough for pages of our own.

    An application may ask for less than the tenant; the session that it began is not enough here (S28).
    """
    session = request.sso_session
    return session is not None and access.is_sufficient(session=session, application=None)


def next_step(demands: Demands, *, application: Application, session: SSOSession | None, passed: Passed) -> Step | None:
    """Return what the person must do next; None where the request can be answered, and then there is a session.

    Raises as `access.check` does, and FactorMissing.
    """
    return sign_in_step(demands, session=session, passed=passed) or assurance_step(
        demands, application=application, session=session, passed=passed
    )


def sign_in_step(demands: Demands, *, session: SSOSession | None, passed: Passed) -> Step | None:
    """Return whether somebody must sign in, prove it again, or choose who they are."""
    if session is None:
        return Step.SIGN_IN
    wants_proof = demands.reauthenticate or demands.max_age_seconds is not None
    if wants_proof and session.device_trusted:
        # Whoever asks when the person proved who they are is not content with a browser that was left out of it.
        return Step.SIGN_IN_AGAIN
    if not passed.is_fresh(session) and (demands.reauthenticate or _is_too_old(session, demands.max_age_seconds)):
        return Step.SIGN_IN_AGAIN
    if demands.select_account and not passed.has_selected:
        return Step.SELECT_ACCOUNT
    return None


def assurance_step(
    demands: Demands, *, application: Application, session: SSOSession | None, passed: Passed
) -> Step | None:
    """Return whether the session lacks a factor, for the request or for the application (decision 21, S28).

    Raises as `access.check` does, and FactorMissing where the person has been sent for one already.
    """
    if session is None:
        return Step.SIGN_IN
    if access.admits(session=session, application=application, required_acr=demands.required_acr):
        return None
    if passed.has_stepped_up:
        raise FactorMissing(log_detail=f"session={session.pk} lacks a second factor")
    return Step.STEP_UP


def wished_acr(names: Sequence[str], *, session: SSOSession, passed: Passed) -> str:
    """Return the level to step up to because a request would like it, "" for none.

    names: in order of preference. A wish keeps nobody out: it is followed where the person has enrolled what it takes,
    and once.
    """
    for level in [assurance.LEVELS[name] for name in names if name in assurance.LEVELS]:
        if passed.has_stepped_up or assurance.satisfies(assurance.acr_of(session.amr), level):
            return ""
        if table.can_reach(session, level):
            return level
    return ""


def _is_too_old(session: SSOSession, max_age_seconds: int | None) -> bool:
    """OIDCC-3.1.2.1: max_age=0 is the same as prompt=login."""
    if max_age_seconds is None:
        return False
    age = timezone.now() - session.authenticated_at
    return max_age_seconds == 0 or age > timedelta(seconds=max_age_seconds)


# Asking ----------------------------------------------------------------------------------------------------


def ask(
    request: Request,
    step: Step,
    *,
    demands: Demands,
    application: Application,
    route: str,
    payload: dict[str, Any],
    **pages: Any,
) -> str:
    """Park the request for the route that takes it up again, and begin the sign-in that leads there: one statement.

    payload: of the request, with what will have been passed by then. pages: as in `begin`.
    Return the handle of the sign-in, whose page `sign_in_page` names.
    """
    waiting, next_url = parking.describe(request, route, payload)
    return begin(
        request, next_url=next_url, step=step, demands=demands, application=application, besides=[waiting], **pages
    )


def begin(
    request: Request,
    *,
    next_url: str,
    step: Step = Step.SIGN_IN,
    demands: Demands = NOTHING,
    application: Application | None = None,
    login_hint: str = "",
    ui_locales: str = "",
    return_origins: Sequence[str] = (),
    besides: Sequence[Model] = (),
) -> str:
    """Begin a sign-in of this browser; return its handle. The parameters are those of `login.begin`.

    A demand for a new sign-in is not repeated in a step that builds on the session.
    """
    is_for_sign_in = step in (Step.SIGN_IN, Step.SIGN_IN_AGAIN)
    return login.begin(
        tenant=tenant_of(request),
        binding=cookies.browser_binding(request),
        context=request.context,
        session=request.sso_session,
        application=application,
        next_url=next_url,
        login_hint=login_hint,
        ui_locales=ui_locales,
        reauthenticate=is_for_sign_in and demands.reauthenticate,
        max_age_seconds=demands.max_age_seconds if is_for_sign_in else None,
        select_account=step is Step.SELECT_ACCOUNT,
        required_acr=demands.required_acr,
        return_origins=return_origins,
        besides=besides,
    )


def sign_in_page(handle: str, **query: str) -> str:
    """Return the address of the page where the sign-in with this handle stands."""
    return f"{path_of('identity:login')}?{urlencode({'transaction': handle, **query})}"
