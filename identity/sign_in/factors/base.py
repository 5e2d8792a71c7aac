"""What every second factor has, whatever it is that the person shows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from identity import throttle
from identity.context import RequestContext
from identity.models import LoginState, LoginTransaction, SessionKind, Tenant, User
from identity.sign_in.factors import kinds
from identity.sign_in.forms import TransactionForm


@dataclass(frozen=True)
class Begun:
    """What a factor has asked for in one sign-in.

    resend_at: from when on it may be asked for anew; None where that changes nothing. data: what the page needs beside
    the form, such as a challenge.
    """

    resend_at: datetime | None = None
    data: Mapping[str, Any] | None = None


class Factor(ABC):
    """A second factor. One object serves all sign-ins: what belongs to one of them stands in its row.

    How a person comes to have the factor is not asked here: an address is verified elsewhere, and `enrolment` adds what
    is enrolled and notes its kind on the person's row, where `is_enrolled` reads it without a query.
    """

    name: ClassVar[str]  # on forms and in rows; never another one
    amr: ClassVar[str]  # RFC8176-2; `assurance` knows what it shows
    channels: ClassVar[frozenset[str]] = frozenset({SessionKind.BROWSER, SessionKind.SDK})  # where it is asked for
    form: ClassVar[type[TransactionForm]]  # of the response, one field or several
    template: ClassVar[str]

    @abstractmethod
    def is_enrolled(self, user: User) -> bool:
        """Return whether the person can prove it."""

    @abstractmethod
    def hint(self, user: User) -> str:
        """Return what tells the person which one is meant, such as a masked number."""

    def choice(self, user: User) -> str:
        """Return what the button says that chooses this factor in place of another one."""
        return self.hint(user)

    def shows(self, amr: Sequence[str]) -> Sequence[str]:
        """Return what it shows, at least, of somebody who has shown these methods already (RFC8176-2)."""
        return (self.amr,)

    @abstractmethod
    def begin(self, row: LoginTransaction, *, user: User, context: RequestContext) -> Begun:
        """Ask for it in this sign-in: send a code, make a challenge. Raises TooManyRequests, SendFailed."""

    @abstractmethod
    def find_begun(self, row: LoginTransaction, *, user: User) -> Begun | None:
        """Return what is open for this very sign-in, None where it has to begin."""

    @abstractmethod
    def check(
        self, row: LoginTransaction, response: Mapping[str, Any], *, user: User, context: RequestContext
    ) -> Sequence[str]:
        """Check the response and spend what it was made for, so that it counts once (S29); return what it shows.

        response: the form's fields by name. Every try is counted before it is looked at (S30). What it shows are
        values of RFC8176-2, as they are recorded.
        Raises AccountLocked, TooManyRequests, and the refusal of a wrong response.
        """


class EnrolledFactor(Factor):
    """A factor that the person has added."""

    def is_enrolled(self, user: User) -> bool:
        """Return whether the person's row says so."""
        return self.name in kinds.of(user)


class HeldCode(EnrolledFactor):
    """A code that the person has at hand: enrolled before, and nothing to begin."""

    def begin(self, row: LoginTransaction, *, user: User, context: RequestContext) -> Begun:
        """Ask for a code; there is nothing to be sent."""
        return Begun()

    def find_begun(self, row: LoginTransaction, *, user: User) -> Begun | None:
        """Return that it may be answered at any time."""
        return Begun()


@contextmanager
def counted(user: User | None, *, tenant: Tenant, name: str = "", context: RequestContext) -> Iterator[None]:
    """Count a try on the row that passwords count on, before anything is compared; a good one is taken back (S30).

    name: whom the try named, where that is nobody's. Raises AccountLocked, TooManyRequests.
    """
    attempt = throttle.admit(tenant=tenant, user=user, name=name, context=context)
    yield
    throttle.succeed(attempt, is_whole=True)


def remember(row: LoginTransaction, **values: Any) -> None:
    """Note in a sign-in under way what its second factor needs."""
    row.data = {**row.data, **values}
    LoginTransaction.objects.filter(pk=row.pk, state=LoginState.MFA_AUTH, finished_at=None).update(data=row.data)
