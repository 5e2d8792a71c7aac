"""What programs ask and what they are answered, whichever front took the request.

An endpoint for programs is one function from `Request` to `Answer`. Two fronts make the one of what they got, and send
the other: `views.machines` does so for Django, `config.lane` without it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from identity.context import RequestContext
from identity.models import Tenant

# Under this name stands in the environ what came of a request that the lane had to hand on after all: an Answer, or the
# exception that was raised. No header can write it: those are HTTP_….
OUTCOME_KEY = "monban.outcome"


class NothingHere(Exception):
    """There is nothing at this address: the front says so in its own way, to whoever asked."""


class BodyTooLarge(Exception):
    """The body is larger than we read."""


class BodyCutOff(Exception):
    """The body did not arrive."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a program asked of one endpoint."""

    method: str
    query: str  # as it was sent
    headers: Mapping[str, str]  # names in any case
    read_body: Callable[[], bytes]  # called once somebody wants it; raises BodyTooLarge and BodyCutOff
    context: RequestContext

    @property
    def tenant(self) -> Tenant:
        """The tenant of the host that was asked. Raises NothingHere on the one that all share (decision 10)."""
        if self.context.tenant is None:
            raise NothingHere
        return self.context.tenant


@dataclass(frozen=True)
class Answer:
    """What a program is answered."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)  # in the order in which they are sent
    body: bytes = b""


# RFC9110-15.5.6: what may only be read.
READ_ONLY = Answer(405, {"Allow": "GET, HEAD"})


class Sharing(Protocol):
    """Which pages of other origins may read what an endpoint answers (FETCH-3.2, CORS)."""

    def preflight(self, asked: Request, **route: Any) -> Answer:
        """Answer a page's browser that asks before the page may (FETCH-3.2.2)."""

    def marks(self, origin: str | None, tenant: Tenant | None) -> Mapping[str, str]:
        """Return the headers of an answer to a page of this origin."""


@dataclass(frozen=True)
class Endpoint:
    """One endpoint for programs. It is called with a Request and with what its route says."""

    answer: Callable[..., Answer]
    sharing: Sharing | None = None

    def __call__(self, asked: Request, **route: Any) -> Answer:
        """Answer. Raises NothingHere, and what the rules raise."""
        is_preflight = asked.method == "OPTIONS" and "Access-Control-Request-Method" in asked.headers
        if is_preflight and self.sharing is not None:
            return self.sharing.preflight(asked, **route)
        return self.answer(asked, **route)
