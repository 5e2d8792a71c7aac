"""What the user must do before an authorization request can be answered (OIDCC-3.1.2.3, OIDCC-3.1.2.4)."""

from __future__ import annotations

from dataclasses import dataclass

from identity import assurance
from identity.browser import interaction as browser
from identity.browser.interaction import Demands, FactorMissing, Passed, Step
from identity.models import SSOSession
from oidc_provider.authorization import consent
from oidc_provider.authorization.consent import Wish
from oidc_provider.authorization.request import AuthorizationRequest
from oidc_provider.errors import Fault, OAuthError

# What is answered where no page may be shown (prompt=none).
_WITHOUT_PAGES = {
    Step.SIGN_IN: Fault.LOGIN_REQUIRED,
    Step.SIGN_IN_AGAIN: Fault.LOGIN_REQUIRED,
    Step.SELECT_ACCOUNT: Fault.ACCOUNT_SELECTION_REQUIRED,
    Step.STEP_UP: Fault.INTERACTION_REQUIRED,
    Step.CONSENT: Fault.CONSENT_REQUIRED,
}


@dataclass(frozen=True)
class Decision:
    """What to do with an authorization request: ask for `step`, or answer it with the scopes of `wish`."""

    step: Step | None
    wish: Wish | None = None  # known once somebody is signed in
    wished_acr: str = ""  # the level to step up to, where nothing demands one but the client would like it

    @property
    def scopes(self) -> tuple[str, ...]:
        """What may be granted."""
        return self.wish.scopes if self.wish else ()


def decide(wanted: AuthorizationRequest, *, session: SSOSession | None, passed: Passed) -> Decision:
    """Find the next thing the user must do.

    Raises OAuthError where the user cannot do it: prompt=none, another user than the named one, assurance out of
    reach. Raises AccessDenied and ApplicationDisabled if the user may not use the application.
    """
    demands, subject, application = demands_of(wanted), wanted.subject, wanted.client.catalogue_entry
    step = browser.sign_in_step(demands, session=session, passed=passed)
    if session is None or step is not None:
        return _checked(wanted, Decision(step))
    # OIDCC-3.1.2.2: the user that the client named, by a hint or as a claim (OIDCC-5.5.1), and no other.
    if subject and subject != session.user.public_id:
        raise OAuthError(Fault.SUBJECT_MISMATCH, log_detail=f"user={session.user_id}")
    # Is the session good, and sure enough, for the request and the application (decision 21, S28)?
    try:
        step = browser.assurance_step(demands, application=application, session=session, passed=passed)
    except FactorMissing as error:
        raise OAuthError(Fault.ASSURANCE, log_detail=error.log_detail) from error
    if wanted.essential_acr and not demands.required_acr:
        raise OAuthError(Fault.ASSURANCE, log_detail="unknown acr")  # OIDCC-5.5.1.1
    if step is not None:
        return _checked(wanted, Decision(step))
    if wanted.acr_values and "none" not in wanted.prompt:
        wished_acr = browser.wished_acr(wanted.acr_values, session=session, passed=passed)
        if wished_acr:
            return Decision(Step.STEP_UP, wished_acr=wished_acr)
    is_asked_again = "consent" in wanted.prompt or (_may_be_impostor(wanted) and passed == Passed())
    # The press on Allow counts for the session in which it was made.
    is_pressed = passed.consent_sid == session.sid
    wish = consent.wish(wanted, user=session.user)
    if wish.is_new or (is_asked_again and not is_pressed):
        return _checked(wanted, Decision(Step.CONSENT, wish))
    return Decision(None, wish)


def _checked(wanted: AuthorizationRequest, decision: Decision) -> Decision:
    """OIDCC-3.1.2.6: with prompt=none no page may be shown; the client hears what would be needed."""
    if "none" in wanted.prompt and decision.step is not None:
        raise OAuthError(_WITHOUT_PAGES[decision.step])
    return decision


def _may_be_impostor(wanted: AuthorizationRequest) -> bool:
    """Whether any program of the user's device could have sent this in the client's name.

    RFC8252-8.6, RFC6749-10.2: a client that proves nothing, at an address that is nobody's own, gets no answer by
    itself, however often the user allowed it before; unless the operator vouches for it.
    """
    is_own_address = wanted.redirect_uri.startswith("https://")
    return wanted.client.is_public and not is_own_address and not wanted.client.catalogue_entry.skip_consent


def demands_of(wanted: AuthorizationRequest) -> Demands:
    """Return what the request demands of the sign-in behind it (OIDCC-3.1.2.1)."""
    return Demands(
        reauthenticate="login" in wanted.prompt,
        max_age_seconds=wanted.max_age,
        select_account="select_account" in wanted.prompt,
        required_acr=_required_acr(wanted),
    )


def _required_acr(wanted: AuthorizationRequest) -> str:
    """Return the level that a sign-in for this request must reach; "" leaves it to the policy.

    acr_values is a wish (OIDCC-3.1.2.1): a level is demanded only by an essential acr claim, and any of its values will
    do.
    """
    if not wanted.essential_acr:
        return ""
    levels = {assurance.LEVELS[name] for name in wanted.essential_acr if name in assurance.LEVELS}
    return next((level for level in assurance.ACR_VALUES if level in levels), "")


def stated_acr(wanted: AuthorizationRequest, session: SSOSession) -> str:
    """Return the acr that the answer states: of the values that were asked for the first that is true, else our own.

    OIDCC-5.5.1.1: an essential claim is answered with one of its values.
    """
    reached = assurance.acr_of(session.amr)
    asked = wanted.essential_acr or wanted.acr_values
    known = [name for name in asked if name in assurance.LEVELS]
    return next((name for name in known if assurance.satisfies(reached, assurance.LEVELS[name])), reached)
