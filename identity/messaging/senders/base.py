"""What a sender is, and what a kind of gateway is: the last step of a verification code out of the house.

A new kind of gateway is one module here that makes a `GatewayKind`, and one line in `identity.messaging.senders`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from django.core.exceptions import ValidationError
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from identity import outbound
from identity.conf import conf
from identity.models import Tenant, VerificationChannel

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

_MAX_SETTING_LENGTH = 200


@dataclass(frozen=True, slots=True)
class Message:
    """One code, or a notice, on its way to one person. Never logged: it may carry a code."""

    tenant: Tenant
    channel: VerificationChannel
    purpose: str  # of VerificationPurpose, or NOTICE
    target: str  # a mailbox, or a number in E.164
    verification_code: str  # "" in a notice
    valid_minutes: int
    language: str  # BCP 47
    subject: str  # of a mail; "" for a text message
    text: str

    def __repr__(self) -> str:
        return f"Message({self.channel}, {self.purpose})"


@dataclass(frozen=True, slots=True)
class Receipt:
    """A gateway took the message. Whether it arrives, only the gateway finds out."""

    reference: str = ""  # the gateway's own id of the message, for questions to its support


class NotSent(Exception):
    """This gateway did not take the message; the next one is tried (decision 26).

    `str()` says why, in words of ours. What a gateway answers is never quoted: Aliyun, for one, repeats the request in
    its error messages, and with it the code.
    """

    def __init__(self, reason: str, *, code: str = "", reference: str = "", is_unclear: bool = False) -> None:
        super().__init__(reason)
        self.code = code or reason  # the gateway's error code, where it has one
        self.reference = reference
        self.is_unclear = is_unclear  # the answer is missing, so the message may be on its way after all


class Sender(Protocol):
    """One gateway."""

    def send(self, message: Message) -> Receipt | None:
        """Hand the message over within `conf.gateway_timeout_seconds`. Raises NotSent."""


def senders_for(channel: VerificationChannel) -> list[Sender]:
    """Return the installation's own gateways of a channel, first choice first; none where it has none."""
    names = conf.email_senders if channel == VerificationChannel.EMAIL else conf.sms_senders
    return [import_string(name)() for name in names]


# Kinds of gateways -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class GatewayFacts:
    """What a tenant's gateway was set up with, its secret unsealed."""

    address: str  # where it is called; the kind's own where the tenant says none
    settings: Mapping[str, Any]
    secret: str = field(repr=False)
    is_internal: bool  # a superuser allowed private addresses (S34)
    share: str = ""  # whose calls these are, see `outbound`


def read_text(value: Any) -> str:
    """Read one line of printable text."""
    if not isinstance(value, str):
        raise ValidationError(_("This is not a text."))
    text = value.strip()
    if len(text) > _MAX_SETTING_LENGTH or not text.isprintable():
        raise ValidationError(_("This is too long, or holds characters that cannot be seen."))
    return text


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One thing that a kind of gateway wants to know."""

    name: str
    label: StrOrPromise
    help_text: StrOrPromise = ""
    is_required: bool = False
    is_long: bool = False  # several lines
    default: Any = ""
    choices: tuple[tuple[str, StrOrPromise], ...] = ()
    # From what a form or a file says to what is stored. Raises ValidationError.
    read: Callable[[Any], Any] = read_text
    # Back to what a form shows.
    show: Callable[[Any], str] = str


@dataclass(frozen=True, kw_only=True)
class GatewayKind:
    """One way out of the house: what it must be told, and who does it."""

    name: str  # stored with the rows, so it never changes
    label: StrOrPromise
    channels: tuple[VerificationChannel, ...]
    make: Callable[[GatewayFacts], Sender]
    settings: tuple[Setting, ...] = ()
    secret_label: StrOrPromise = ""  # "": it has no secret
    is_secret_required: bool = True
    has_address: bool = False
    default_address: str = ""
    is_development_only: bool = False
    # What no single setting shows, addresses and the secret among it. Raises ValidationError.
    check: Callable[[GatewayFacts], None] = lambda facts: None

    def read_settings(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Check every setting and return all of them. Raises ValidationError by the setting's name."""
        known = {setting.name for setting in self.settings}
        unknown = sorted(set(given) - known)
        if unknown:
            raise ValidationError({unknown[0]: _("This kind of gateway has no such setting.")})
        return {setting.name: _read(setting, given.get(setting.name, setting.default)) for setting in self.settings}


def _read(setting: Setting, value: Any) -> Any:
    try:
        value = setting.read(setting.default if value is None else value)
        if setting.is_required and value in ("", {}):
            raise ValidationError(_("This is needed."))
        if setting.choices and value not in dict(setting.choices):
            raise ValidationError(_("This is none of the choices."))
    except ValidationError as error:
        raise ValidationError({setting.name: error.messages}) from None
    return value


def check_address(facts: GatewayFacts) -> None:
    """Refuse an address that would never be called (S34). Raises ValidationError."""
    try:
        outbound.check_url(facts.address, internal=facts.is_internal)
    except outbound.AddressRefused as error:
        raise ValidationError({"base_url": str(error)}) from None


def post(url: str, *, facts: GatewayFacts, headers: Mapping[str, str], body: bytes) -> outbound.Response:
    """Call a gateway over HTTP, in the time it has. Raises NotSent; the caller judges the answer."""
    limits = outbound.Limits.from_settings(total_seconds=conf.gateway_timeout_seconds)
    try:
        return outbound.request(
            "POST",
            url,
            headers=headers,
            body=body,
            internal=facts.is_internal,
            limits=limits,
            share=facts.share,
        )
    except (
        outbound.TimedOut,
        outbound.ConnectionFailed,
        outbound.ResponseTooLarge,
        outbound.UnexpectedResponse,
    ) as gone:
        raise NotSent(type(gone).__name__, is_unclear=True) from gone
    except outbound.OutboundError as error:
        raise NotSent(type(error).__name__) from error
