"""What apps above identity add in their `ready()`: configuration sections, purgers, delivery senders, consents, and
how applications are told of a sign-out through the browser.

Identity knows no protocol, so work that only a protocol app can do reaches identity through
these tables. A name is registered once: two apps wanting one name is a programming error.

Sign-out through the browser. What a server can tell a server is a delivery (`delivery.py`), written by a
listener of `signals.session_ended`. What only the browser can tell is a step of `sso/sign_outs.py`:

1. A view that ends the browser's session calls `identity.views.logout.leave`. Of the session's participants each
   registered FrontChannel picks those that it tells (`wanted`); they wait (SessionParticipant.front_channel_state).
2. Framed protocols come first: the signed-out page holds a frame for each (`step` gives a Frame). Nobody answers.
3. The others follow one by one: the browser goes to the application (`step` gives a Visit) with `handle` in whatever
   the protocol carries back (SAML: RelayState). The protocol's view checks the answer against the participant that
   `sign_outs.find_asked` gives, says what it was (`sign_outs.note_answer`), and redirects to
   `identity.views.logout.next_address(handle)`, where the chain goes on. Cookies are needed there, so an answer that
   was posted from another site is parked first (`pending_requests.py`).
4. In the end the browser goes where `leave` was told, or stays on the signed-out page.

Each step is asked for once, whatever the browser does.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from identity.context import RequestContext
    from identity.models import Delivery, SessionParticipant, User

# Applies one section of a configuration file; `apply_config` documents the arguments.
ConfigHandler = Callable[..., Any]
# Where a purger is: the value of the column that it walks along, and the key of the row.
Place = tuple[Any, Any]
# Sends one delivery. Returns when the receiver took it and raises DeliveryFailed when it did not.
DeliverySender = Callable[["Delivery"], None]


@dataclass(frozen=True, slots=True)
class PurgedBatch:
    """What one batch of a purger did."""

    removed: int  # rows
    last: Place | None  # where the next batch begins; None when nothing is left


class Purger(Protocol):
    """Removes rows that nothing needs any more; `services/purging.Purger` is one."""

    def batch(self, now: datetime, limit: int, after: Place | None = None) -> PurgedBatch:
        """Remove what nothing needs at that time behind a place, at most `limit` rows."""


@dataclass(frozen=True, slots=True)
class AccountConsent:
    """One consent as the account page shows it."""

    consent_id: str  # opaque to identity, harmless in an address: letters, digits, hyphen, underscore
    client_name: str
    scopes: tuple[str, ...]  # titles, in the reader's language
    granted_at: datetime


class ConsentSource(Protocol):
    """A protocol in which users allow applications something."""

    def list(self, *, user: User) -> Sequence[AccountConsent]:
        """Return the user's consents, the newest first."""

    def withdraw(self, *, user: User, consent_id: str, context: RequestContext) -> bool:
        """Withdraw one consent and what it gave. Return False where the user has no such consent."""


@dataclass(frozen=True, slots=True)
class Frame:
    """An address of an application that the signed-out page loads in a frame."""

    url: str


@dataclass(frozen=True, slots=True)
class Visit:
    """Where the browser goes to tell an application, which sends it back to the protocol's own view."""

    url: str  # as it is: the query is part of it
    fields: Mapping[str, str] | None = None  # of a form that is posted there; None: a redirect
    data: Mapping[str, Any] = field(default_factory=dict)  # kept in the participant's `data`, to know the answer by


class FrontChannel(Protocol):
    """A protocol that tells applications of a sign-out through the browser. Its name is that of its participants."""

    is_framed: bool  # whether `step` gives a Frame; else it gives a Visit

    def wanted(self, participants: Sequence[SessionParticipant]) -> Collection[int]:
        """Return the keys of those that are told in this way. One query at most."""

    def step(self, participant: SessionParticipant, *, handle: str, context: RequestContext) -> Frame | Visit | None:
        """Make the step of one application; None where it can be told no more.

        handle: of the sign-out, for `next_address`; worthless in another browser.
        """


class Chore(Protocol):
    """What an app lets the worker do every few seconds."""

    def __call__(self, *, executor: Executor, parallel: int, is_over: Callable[[], bool]) -> object:
        """Do what is due until it is over. Threads of the executor, `parallel` at most, may help."""


_Entry = TypeVar("_Entry")

_config_sections: dict[str, ConfigHandler] = {}
_purgers: dict[str, Purger] = {}
_delivery_senders: dict[str, DeliverySender] = {}
_chores: dict[str, Chore] = {}
_consent_sources: dict[str, ConsentSource] = {}
_front_channels: dict[str, FrontChannel] = {}


class AlreadyRegistered(RuntimeError):
    """The name is taken by something else."""


class SectionNotBuilt(LookupError):
    """No installed app handles this section of a configuration file."""

    def __init__(self, name: str) -> None:
        super().__init__(f'Section "{name}" is not supported by this installation.')
        self.name = name


class UnknownDeliveryKind(LookupError):
    """No installed app sends deliveries of this kind."""


def register_config_section(name: str, handler: ConfigHandler) -> None:
    """Let `handler` apply the section `name`, for example `clients` below an application."""
    _register(_config_sections, name, handler)


def register_purger(name: str, purger: Purger) -> None:
    """Let the worker and `purge_expired` call `purger`."""
    _register(_purgers, name, purger)


def register_delivery_sender(kind: str, sender: DeliverySender) -> None:
    """Let the worker send deliveries of `kind` through `sender`."""
    _register(_delivery_senders, kind, sender)


def register_chore(name: str, chore: Chore) -> None:
    """Let the worker call `chore` every few seconds."""
    _register(_chores, name, chore)


def register_consent_source(name: str, source: ConsentSource) -> None:
    """Show the consents of `source` on the account page; `name` stands in addresses."""
    _register(_consent_sources, name, source)


def register_front_channel(protocol: str, channel: FrontChannel) -> None:
    """Tell participants of `protocol` of sign-outs through the browser."""
    _register(_front_channels, protocol, channel)


def config_section(name: str) -> ConfigHandler:
    """Return the handler of a section. Raises SectionNotBuilt, so that a section is never silently ignored."""
    try:
        return _config_sections[name]
    except KeyError:
        raise SectionNotBuilt(name) from None


def purgers() -> Mapping[str, Purger]:
    """Return every purger, by name."""
    return MappingProxyType(_purgers)


def delivery_sender(kind: str) -> DeliverySender:
    """Return the sender of one kind. Raises UnknownDeliveryKind."""
    try:
        return _delivery_senders[kind]
    except KeyError:
        raise UnknownDeliveryKind(kind) from None


def chores() -> Mapping[str, Chore]:
    """Return what the worker does for apps, by name."""
    return MappingProxyType(_chores)


def consent_sources() -> Mapping[str, ConsentSource]:
    """Return every source of consents, by name."""
    return MappingProxyType(_consent_sources)


def front_channels() -> Mapping[str, FrontChannel]:
    """Return every protocol that tells applications through the browser, by the name its participants have."""
    return MappingProxyType(_front_channels)


def _register(table: dict[str, _Entry], name: str, entry: _Entry) -> None:
    if table.setdefault(name, entry) is not entry:
        raise AlreadyRegistered(name)
