"""Which second factors there are, and which of them a person may take in one sign-in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from identity import assurance, policies
from identity.errors import StateInvalid
from identity.messaging import messages
from identity.models import FactorKind, LoginTransaction, SignInMethod, SSOSession, User, VerificationChannel
from identity.sign_in.factors import kinds
from identity.sign_in.factors.base import EnrolledFactor, Factor
from identity.sign_in.factors.mail_code import MailCode
from identity.sign_in.factors.passkey import PasskeyAnswer
from identity.sign_in.factors.password import PasswordAnswer
from identity.sign_in.factors.recovery_code import Recovery
from identity.sign_in.factors.sent_code import SentCode
from identity.sign_in.factors.text_message import TextMessage
from identity.sign_in.factors.totp import AuthenticatorCode
from identity.sso import access

TEXT_MESSAGE = TextMessage()
_PASSWORD = PasswordAnswer()

# By name, the one that is taken without a choice first.
FACTORS: Mapping[str, Factor] = MappingProxyType(
    {factor.name: factor for factor in (PasskeyAnswer(), AuthenticatorCode(), TEXT_MESSAGE, MailCode(), Recovery())}
)


def is_lacking(session: SSOSession) -> bool:
    """Return whether the session is of one factor, and its person can prove another one that makes two of it."""
    user, amr = session.user, session.amr
    if _is_multi(amr):
        return False
    more = [each for each in _own(user, amr=amr) if _is_multi([*amr, *each.shows(amr)])]
    return bool(user.factor_kinds) or any(
        not isinstance(each, SentCode) or messages.has_route(tenant=user.tenant, channel=each.target(user).channel)
        for each in more
    )


def can_reach(session: SSOSession, level: str) -> bool:
    """Return whether one more factor, of those that the person has enrolled, brings the session to this level."""
    user, amr = session.user, session.amr
    own = [each for each in allowed(user) if each.name in kinds.of(user)]
    return any(assurance.satisfies(assurance.acr_of([*amr, *each.shows(amr)]), level) for each in own)


def possible(row: LoginTransaction, *, user: User, amr: Sequence[str]) -> list[Factor]:
    """Return what the person may take in this sign-in, the one that is taken without a choice first.

    Only what leads on from what was proved already: after a sign-in by text message another one shows nothing new
    (S28). What reaches the level that is needed here comes before what comes to two factors; where neither leads on,
    nothing is left to take.
    """
    able = [each for each in _own(user, amr=amr) if row.channel in each.channels]
    present = assurance.acr_of(amr)
    for level in (needed(row, user=user), assurance.MULTI_FACTOR):
        found = [each for each in able if assurance.satisfies(assurance.acr_of([*amr, *each.shows(amr)]), level)]
        if found and not assurance.satisfies(present, level):
            return found
    return []


def enrollable(row: LoginTransaction, *, user: User, amr: Sequence[str]) -> list[Factor]:
    """Return what somebody who has not enough could set up in this sign-in, to reach the level that is needed here."""
    if has_unproved(user, amr=amr):
        return []
    level = needed(row, user=user)
    found = [each for each in allowed(user) if each.name in (FactorKind.PASSKEY, FactorKind.TOTP)]
    return [each for each in found if assurance.satisfies(assurance.acr_of([*amr, *each.shows(amr)]), level)]


def has_unproved(user: User, *, amr: Sequence[str]) -> bool:
    """Return whether one factor was proved so far, and the person has another one, which comes before adding any (S28).

    What they have enrolled counts even where it is no second factor after the first one, as an app is none after a
    code: whoever reads the mailbox would add a passkey beside it otherwise.
    """
    if _is_multi(amr):
        return False
    own = _own(user, amr=amr)
    return any(isinstance(each, EnrolledFactor) or _is_multi([*amr, *each.shows(amr)]) for each in own)


def needed(row: LoginTransaction, *, user: User) -> str:
    """Return the level that this sign-in has to reach, "" for none."""
    required_acr = row.data.get("required_acr", "")
    return access.required_level(user=user, application=row.application, required_acr=required_acr)


def allowed(user: User) -> list[Factor]:
    """Return the factors that the person's tenant allows; of operators, perhaps only those that no gateway carries."""
    is_own_only = access.needs_own_factor(user)
    return [
        each
        for name, each in FACTORS.items()
        if policies.allows_factor(user.tenant, name) and not (is_own_only and isinstance(each, SentCode))
    ]


def _own(user: User, *, amr: Sequence[str]) -> list[Factor]:
    """Return the allowed factors that the person has; of a password as well, where it comes after a code.

    It is the same pair as a code after the password, so it is taken where that would be, and nowhere else: where mail
    is no second factor, whoever reads the mailbox has the password replaced by mail.
    """
    found = [each for each in allowed(user) if each.is_enrolled(user)]
    if amr and not {*amr} - {assurance.ONE_TIME_CODE, assurance.TEXT_MESSAGE}:
        channel = VerificationChannel.SMS if assurance.TEXT_MESSAGE in amr else VerificationChannel.EMAIL
        is_pair = any(each.name == channel for each in allowed(user))
        if is_pair and SignInMethod.PASSWORD in policies.sign_in_methods(user.tenant) and _PASSWORD.is_enrolled(user):
            found.append(_PASSWORD)
    return found


def chosen(row: LoginTransaction, *, user: User, name: str = "") -> Factor:
    """Return the factor of this name; without one what this sign-in asks for: as was chosen, else the first.

    Raises StateInvalid if there is none (any more).
    """
    found = [factor for factor in possible(row, user=user, amr=row.amr) if name in ("", factor.name)]
    if not found:
        raise StateInvalid(log_detail=f"user={user.pk} has no second factor {name}")
    return next((factor for factor in found if factor.name == row.data.get("second_factor")), found[0])


def _is_multi(amr: Sequence[str]) -> bool:
    return assurance.satisfies(assurance.acr_of(amr), assurance.MULTI_FACTOR)
