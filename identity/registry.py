"""What apps above identity add in their `ready()`: configuration sections, purgers, delivery senders, consents.

Identity knows no protocol (house.md 3), so work that only a protocol app can do reaches identity through
these tables. A name is registered once: two apps wanting one name is a programming error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from identity.context import RequestContext
    from identity.models import Delivery, User

# Applies one section of a configuration file; `apply_config` documents the arguments.
ConfigHandler = Callable[..., Any]
# Deletes rows that nothing needs at the given time, at most the given number, and returns how many went.
Purger = Callable[[datetime, int], int]
# Sends one delivery. Returns when the receiver took it and raises DeliveryFailed when it did not.
DeliverySender = Callable[["Delivery"], None]


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


_Entry = TypeVar("_Entry")

_config_sections: dict[str, ConfigHandler] = {}
_purgers: dict[str, Purger] = {}
_delivery_senders: dict[str, DeliverySender] = {}
_consent_sources: dict[str, ConsentSource] = {}


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


def register_consent_source(name: str, source: ConsentSource) -> None:
    """Show the consents of `source` on the account page; `name` stands in addresses."""
    _register(_consent_sources, name, source)


def config_section(name: str) -> ConfigHandler:
    """The handler of a section. Raises SectionNotBuilt, so that a section is never silently ignored."""
    try:
        return _config_sections[name]
    except KeyError:
        raise SectionNotBuilt(name) from None


def config_sections() -> Mapping[str, ConfigHandler]:
    """Every section, by name."""
    return MappingProxyType(_config_sections)


def purgers() -> Mapping[str, Purger]:
    """Every purger, by name."""
    return MappingProxyType(_purgers)


def delivery_sender(kind: str) -> DeliverySender:
    """The sender of one kind. Raises UnknownDeliveryKind."""
    try:
        return _delivery_senders[kind]
    except KeyError:
        raise UnknownDeliveryKind(kind) from None


def consent_sources() -> Mapping[str, ConsentSource]:
    """Every source of consents, by name."""
    return MappingProxyType(_consent_sources)


def _register(table: dict[str, _Entry], name: str, entry: _Entry) -> None:
    if table.setdefault(name, entry) is not entry:
        raise AlreadyRegistered(name)
