"""What the user must do before an authorization request can be answered (OIDCC-3.1.2.3, OIDCC-3.1.2.4).

`Passed` is what the server itself saw happen since the request arrived. It travels sealed in a parked request, never
in an address, so that prompt=login can be neither skipped nor asked for for ever (S29, S43).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from django.utils import timezone

from identity import assurance
from identity.models import SSOSession
from identity.sso import access
from oidc_provider.authorization import consent
from oidc_provider.authorization.consent import Wish
from oidc_provider.authorization.request import AuthorizationRequest
from oidc_provider.errors import Fault, OAuthError


class Step(Enum):
    """What the user must do next, and what is answered where no page may be shown (prompt=none)."""

    SIGN_IN = Fault.LOGIN_REQUIRED
    SIGN_IN_AGAIN = "again"  # prompt=login or max_age: whoever is signed in must prove it again
    SELECT_ACCOUNT = Fault.ACCOUNT_SELECTION_REQUIRED
    STEP_UP = Fault.INTERACTION_REQUIRED  # another factor
    CONSENT = Fault.CONSENT_REQUIRED


@dataclass(frozen=True)
class Passed:
    """What was done for this request so far."""

    asked_at: datetime | None = None  # when the user was sent to sign in
    has_selected: bool = False
    has_stepped_up: bool = False
    consent_sid: str = ""  # the session in which the user pressed Allow

    def to_json(self) -> dict[str, Any]:
        """As a member of a parked request."""
        return {**self.__dict__, "asked_at": self.asked_at.isoformat() if self.asked_at else None}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Passed:
        """Read back what `to_json` wrote."""
        asked_at = document["asked_at"]
        return cls(**{**document, "asked_at": datetime.fromisoformat(asked_at) if asked_at else None})

    def after(self, step: Step) -> Passed:
        """What will have been done when the browser comes back from this step."""
        if step is Step.SELECT_ACCOUNT:
            return replace(self, has_selected=True)
        if step is Step.STEP_UP:
            return replace(self, has_stepped_up=True)
        # Whoever signs in afresh has chosen an account by doing so.
        return replace(self, asked_at=timezone.now(), has_selected=True)


@dataclass(frozen=True)
class Decision:
    """What to do with an authorization request: ask for `step`, or answer it with the scopes of `wish`."""

    step: Step | None
    wish: Wish | None = None  # known once somebody is signed in

    @property
    def scopes(self) -> tuple[str, ...]:
        """What may be granted."""
        return self.wish.scopes if self.wish else ()


def decide(wanted: AuthorizationRequest, *, session: SSOSession | None, passed: Passed) -> Decision:
    """Find the next thing the user must do.

    Raises OAuthError where the user cannot do it: prompt=none, another user than the named one, assurance out of
    reach. Raises AccessDenied and ApplicationDisabled if the user may not use the application.
    """
    if session is None:
        return _checked(wanted, Decision(Step.SIGN_IN))
    step = _sign_in_step(wanted, session=session, passed=passed)
    if step is not None:
        return _checked(wanted, Decision(step))
    _check_subject(wanted, session=session)
    step = _assurance_step(wanted, session=session, passed=passed)
    if step is not None:
        return _checked(wanted, Decision(step))
    wish = consent.wish(wanted, user=session.user)
    # The press on Allow counts for the session in which it was made.
    is_pressed = passed.consent_sid == session.sid
    is_asked_again = "consent" in wanted.prompt or (_may_be_impostor(wanted) and passed == Passed())
    if wish.is_new or (is_asked_again and not is_pressed):
        return _checked(wanted, Decision(Step.CONSENT, wish))
    return Decision(None, wish)


def _checked(wanted: AuthorizationRequest, decision: Decision) -> Decision:
    """OIDCC-3.1.2.6: with prompt=none no page may be shown; the client hears what would be needed."""
    if "none" in wanted.prompt and decision.step is not None:
        fault = decision.step.value
        raise OAuthError(fault if isinstance(fault, Fault) else Fault.LOGIN_REQUIRED)
    return decision


def _may_be_impostor(wanted: AuthorizationRequest) -> bool:
    """Whether any program of the user's device could have sent this in the client's name.

    RFC8252-8.6, RFC6749-10.2: a client that proves nothing, at an address that is nobody's own, gets no answer by
    itself, however often the user allowed it before; unless the operator vouches for it.
    """
    is_own_address = wanted.redirect_uri.startswith("https://")
    return wanted.client.is_public and not is_own_address and not wanted.client.catalogue_entry.skip_consent


def _sign_in_step(wanted: AuthorizationRequest, *, session: SSOSession, passed: Passed) -> Step | None:
    is_fresh = passed.asked_at is not None and session.authenticated_at >= passed.asked_at
    if not is_fresh and ("login" in wanted.prompt or _is_too_old(session, wanted.max_age)):
        return Step.SIGN_IN_AGAIN
    if "select_account" in wanted.prompt and not passed.has_selected:
        return Step.SELECT_ACCOUNT
    return None


def _is_too_old(session: SSOSession, max_age: int | None) -> bool:
    """OIDCC-3.1.2.1: max_age=0 is the same as prompt=login."""
    if max_age is None:
        return False
    return max_age == 0 or timezone.now() - session.authenticated_at > timedelta(seconds=max_age)


def _check_subject(wanted: AuthorizationRequest, *, session: SSOSession) -> None:
    """OIDCC-3.1.2.2: the user that the client named, by a hint or as a claim (OIDCC-5.5.1), and no other."""
    if wanted.subject and wanted.subject != session.user.public_id:
        raise OAuthError(Fault.SUBJECT_MISMATCH, log_detail=f"user={session.user_id}")


def _assurance_step(wanted: AuthorizationRequest, *, session: SSOSession, passed: Passed) -> Step | None:
    """Is the session good, and sure enough, for the request and the application (decision 21, S28)?"""
    required = required_acr(wanted)
    application = wanted.client.catalogue_entry
    is_admitted = access.admits(session=session, application=application, required_acr=required)
    if wanted.essential_acr and not required:
        raise OAuthError(Fault.ASSURANCE, log_detail="unknown acr")  # OIDCC-5.5.1.1
    if is_admitted:
        return None
    if passed.has_stepped_up:
        raise OAuthError(Fault.ASSURANCE, log_detail=f"session={session.pk}")
    return Step.STEP_UP


def required_acr(wanted: AuthorizationRequest) -> str:
    """The level that a sign-in for this request must reach; "" leaves it to the policy.

    acr_values is a wish (OIDCC-3.1.2.1): a level is demanded only by an essential acr claim.
    """
    return next((level for level in assurance.ACR_VALUES if level in wanted.essential_acr), "")
