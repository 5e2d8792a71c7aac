"""Authentication contexts (SAMLCore-3.3.2.2.1): two levels of ours, as in OpenID Connect, and what SAML calls them.

Many providers ask for SAML's own classes by default (`PasswordProtectedTransport`), and with "exact" they want to read
the very same word in the answer. So a request may name those too; without a request the answer has our own value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from cas_saml.saml.errors import Fault, SAMLError
from identity import assurance
from identity.models import SSOSession

_CLASSES = "urn:oasis:names:tc:SAML:2.0:ac:classes:"
UNSPECIFIED = f"{_CLASSES}unspecified"
PASSWORD_CLASSES = frozenset({f"{_CLASSES}PasswordProtectedTransport", f"{_CLASSES}Password"})
# What a request may name, and the level that it stands for.
LEVELS: Mapping[str, str] = MappingProxyType(
    {
        assurance.SINGLE_FACTOR: assurance.SINGLE_FACTOR,
        assurance.MULTI_FACTOR: assurance.MULTI_FACTOR,
        UNSPECIFIED: assurance.SINGLE_FACTOR,
        **dict.fromkeys(sorted(PASSWORD_CLASSES), assurance.SINGLE_FACTOR),
        "https://refeds.org/profile/sfa": assurance.SINGLE_FACTOR,
        "https://refeds.org/profile/mfa": assurance.MULTI_FACTOR,
    }
)
EXACT, MINIMUM, MAXIMUM, BETTER = COMPARISONS = ("exact", "minimum", "maximum", "better")


@dataclass(frozen=True)
class Wish:
    """What a request says about authentication. Without classes it says nothing."""

    comparison: str = EXACT
    classes: tuple[str, ...] = ()  # those that we know, in the order of the request
    is_asked: bool = False  # whether the request names any class at all

    @classmethod
    def of(cls, comparison: str, classes: Sequence[str]) -> Wish:
        """Keep what we know of a request. Raises SAMLError if it knows nothing of ours."""
        known = tuple(name for name in classes if name in LEVELS)
        if classes and not known:
            raise SAMLError(Fault.AUTHN_CONTEXT, log_detail="unknown classes")
        wish = cls(comparison, known, is_asked=bool(classes))
        wish.required_acr  # noqa: B018 - raises where nothing could ever be enough
        return wish

    @property
    def _ranks(self) -> list[int]:
        return [_rank(LEVELS[name]) for name in self.classes]

    @property
    def required_acr(self) -> str:
        """The level that a sign-in for this request must reach; "" leaves it to the policy. Raises SAMLError."""
        if not self.is_asked or self.comparison == MAXIMUM:
            return ""
        rank = min(self._ranks)
        if self.comparison == BETTER:
            rank = max(self._ranks) + 1
            if rank >= len(assurance.ACR_VALUES):
                raise SAMLError(Fault.AUTHN_CONTEXT, log_detail="nothing is better")
        return assurance.ACR_VALUES[rank]

    def stated(self, session: SSOSession) -> str:
        """Return the class that the answer states: true of the session, and what was asked for. Raises SAMLError."""
        reached = assurance.acr_of(session.amr)
        if not self.is_asked:
            return reached
        if self.comparison == EXACT:
            for name in self.classes:
                if _is_true(name, session):
                    return name
        elif self.comparison == MAXIMUM:
            return assurance.ACR_VALUES[min(_rank(reached), max(self._ranks))]
        elif assurance.satisfies(reached, self.required_acr):
            return reached
        raise SAMLError(Fault.AUTHN_CONTEXT, log_detail=f"session={session.pk}")


def _rank(level: str) -> int:
    return assurance.ACR_VALUES.index(level)


def _is_true(name: str, session: SSOSession) -> bool:
    if name in PASSWORD_CLASSES and assurance.PASSWORD not in session.amr:
        return False
    return assurance.satisfies(assurance.acr_of(session.amr), LEVELS[name])
