"""Which second factors there are, and which of them a person may take in one sign-in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from identity import assurance
from identity.errors import StateInvalid
from identity.models import LoginTransaction, SSOSession, User
from identity.sign_in.factors.base import Factor
from identity.sign_in.factors.mail_code import MailCode
from identity.sign_in.factors.passkey import PasskeyAnswer
from identity.sign_in.factors.recovery_code import Recovery
from identity.sign_in.factors.text_message import TextMessage
from identity.sign_in.factors.totp import AuthenticatorCode

TEXT_MESSAGE = TextMessage()

# By name, the one that is taken without a choice first.
FACTORS: Mapping[str, Factor] = MappingProxyType(
    {factor.name: factor for factor in (PasskeyAnswer(), AuthenticatorCode(), TEXT_MESSAGE, MailCode(), Recovery())}
)


def is_lacking(session: SSOSession) -> bool:
    """Return whether the session is of one factor, and its person has another one that makes two of it."""
    user, amr = session.user, session.amr
    if assurance.acr_of(amr) == assurance.MULTI_FACTOR:
        return False
    return bool(user.factor_kinds) or any(
        each.is_enrolled(user) and _makes_two_of(amr, each) for each in FACTORS.values()
    )


def possible(row: LoginTransaction, *, user: User, amr: Sequence[str]) -> list[Factor]:
    """Return what the person may take in this sign-in, the one that is taken without a choice first.

    Only what makes two factors of what was proved already: after a sign-in by text message another one shows nothing
    new (S28).
    """
    enrolled = [each for each in FACTORS.values() if row.channel in each.channels and each.is_enrolled(user)]
    return [factor for factor in enrolled if _makes_two_of(amr, factor)]


def chosen(row: LoginTransaction, *, user: User, name: str = "") -> Factor:
    """Return the factor of this name; without one what this sign-in asks for: as was chosen, else the first.

    Raises StateInvalid if there is none (any more).
    """
    found = [factor for factor in possible(row, user=user, amr=row.amr) if name in ("", factor.name)]
    if not found:
        raise StateInvalid(log_detail=f"user={user.pk} has no second factor {name}")
    return next((factor for factor in found if factor.name == row.data.get("second_factor")), found[0])


def _makes_two_of(amr: Sequence[str], factor: Factor) -> bool:
    return assurance.acr_of([*amr, factor.amr]) == assurance.MULTI_FACTOR
