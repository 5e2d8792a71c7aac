"""What every connector does: send a browser to the provider, and turn the code that comes back into a person.

A connector speaks its provider's protocol and no more. All its calls go through `identity.outbound`, and together they
end at one deadline: whoever waits for a sign-in is told that the provider is down, not left waiting.
"""

from __future__ import annotations

import json
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from identity import outbound
from identity.errors import ExternalCodeRefused, SystemBusy

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

log = logging.getLogger(__name__)

DEADLINE_SECONDS = 2.5  # of all calls of one sign-in; COM.0002 is due within 3
_MAX_BYTES = 64 * 1024
_MAX_ID_LENGTH = 128
_MAX_CODE_LENGTH = 512
_MAX_NICKNAME_LENGTH = 150
_MAX_URL_LENGTH = 500


@dataclass(frozen=True, slots=True)
class Account:
    """Our application at the provider, as an operator set it up."""

    client_id: str
    secret: str = field(repr=False)  # or private key
    public_key: str = ""
    api_url: str = ""  # "" is the provider's own
    authorize_url: str = ""
    is_in_app: bool = False
    is_internal: bool = False
    share: str = ""  # whose calls these are, see `outbound`


@dataclass(frozen=True, slots=True)
class ExternalPerson:
    """Who somebody is at a provider."""

    subject: str  # in all applications of one owner; "" where the provider does not tell
    openid: str  # in this application; "" where the subject is all there is
    nickname: str = ""
    picture_url: str = ""


class Connector(ABC):
    """One provider. Instances hold nothing: what differs from tenant to tenant is the Account."""

    kind: ClassVar[str]  # in rows and configuration files
    label: ClassVar[StrOrPromise]
    social_type: ClassVar[str]  # `socialType` of the SDK API's list
    refused_code: ClassVar[str]  # of the product's catalogue: the provider refuses the authorization code
    code_parameter: ClassVar[str] = "code"  # in which the provider's redirect carries the code
    needs_public_key: ClassVar[bool] = False

    def namespace(self, account: Account) -> str:
        """Within what a subject names one person. Two providers never share one, or people could be mixed up (S45)."""
        return self.kind

    @abstractmethod
    def check(self, account: Account) -> None:
        """Refuse what can never work. Raises ValueError with a text for the operator."""

    @abstractmethod
    def authorization_url(self, account: Account, *, redirect_uri: str, state: str) -> str:
        """Return where a browser is sent. state: letters and digits only, as WeChat takes no others."""

    @abstractmethod
    def ask(self, account: Account, *, authorization_code: str, deadline: float) -> ExternalPerson:
        """Exchange the code. deadline: of `time.monotonic`. Raises ExternalCodeRefused and SystemBusy."""

    def is_offered(self, account: Account, *, user_agent: str) -> bool:
        """Tell whether this browser can use it."""
        return not account.is_in_app

    # What protocols have in common

    def refuse(self, reason: object) -> ExternalCodeRefused:
        """Return the refusal of an authorization code that the provider does not take."""
        return ExternalCodeRefused(self.refused_code, log_detail=f"{self.kind}: {reason}")

    def trouble(self, reason: object) -> SystemBusy:
        """Return the error of a provider that is away, answers nonsense or refuses us: the person cannot mend it."""
        log.warning("upstream.trouble", extra={"kind": self.kind, "reason": str(reason)})
        return SystemBusy(log_detail=f"{self.kind}: {reason}")

    def request(
        self,
        method: str,
        url: str,
        *,
        account: Account,
        deadline: float,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> bytes:
        """Make one call within what is left of the time. Raises SystemBusy."""
        seconds = deadline - time.monotonic()
        if seconds <= 0:
            raise self.trouble("no time left")
        limits = outbound.Limits(
            connect_seconds=seconds, read_seconds=seconds, total_seconds=seconds, max_bytes=_MAX_BYTES
        )
        try:
            response = outbound.request(
                method,
                url,
                headers=headers,
                body=body,
                internal=account.is_internal,
                limits=limits,
                share=account.share,
            )
        except outbound.OutboundError as error:
            raise self.trouble(f"{type(error).__name__} {error}") from None
        if not response.is_success:
            raise self.trouble(f"status {response.status}")
        return response.body

    def json_object(self, text: bytes | str) -> dict[str, Any]:
        """Read the JSON object of an answer. Raises SystemBusy."""
        try:
            document = json.loads(text)
        except (ValueError, RecursionError):
            raise self.trouble("not JSON") from None
        if not isinstance(document, dict):
            raise self.trouble("not a JSON object")
        return document

    def id_of(self, document: Mapping[str, Any], name: str) -> str:
        """Read an id in an answer, "" where it is missing. Raises SystemBusy for what no id looks like."""
        value = document.get(name, "")
        if value is None or value == "":
            return ""
        if not isinstance(value, str) or len(value) > _MAX_ID_LENGTH or not value.isascii() or not value.isprintable():
            raise self.trouble(f"{name} is no id")
        return value


def ask(connector: Connector, account: Account, *, authorization_code: str) -> ExternalPerson:
    """Who the person with this code is, by `connector`. Raises ExternalCodeRefused and SystemBusy, in time."""
    is_sendable = authorization_code.isascii() and authorization_code.isprintable()
    if not authorization_code or not is_sendable or len(authorization_code) > _MAX_CODE_LENGTH:
        raise connector.refuse("no code")
    person = connector.ask(account, authorization_code=authorization_code, deadline=time.monotonic() + DEADLINE_SECONDS)
    if not person.subject and not person.openid:
        raise connector.trouble("names nobody")
    return person


def is_token(value: object) -> bool:
    """Tell whether this could be an access token; half characters, which JSON can carry, could not even be sent."""
    return isinstance(value, str) and value != "" and value.isascii() and value.isprintable()


def clean_nickname(value: object) -> str:
    """Make a nickname fit for a database and a page. People put everything into theirs."""
    if not isinstance(value, str):
        return ""
    text = value.encode(errors="ignore").decode()
    return "".join(sign for sign in text if sign.isprintable()).strip()[:_MAX_NICKNAME_LENGTH]


def clean_picture_url(value: object) -> str:
    """Return a picture's address, "" for what is none."""
    if not isinstance(value, str) or len(value) > _MAX_URL_LENGTH or not value.isascii() or not value.isprintable():
        return ""
    return value if value.startswith(("https://", "http://")) else ""


def check_urls(account: Account, *, defaults: tuple[str, str]) -> None:
    """Refuse addresses that would never be called. Raises ValueError."""
    for url, default in zip((account.api_url, account.authorize_url), defaults, strict=True):
        try:
            outbound.check_url(url or default, internal=account.is_internal)
        except outbound.OutboundError as error:
            raise ValueError(str(error)) from None


# The table -------------------------------------------------------------------------------------------------

_ConnectorType = TypeVar("_ConnectorType", bound=type[Connector])
_connectors: dict[str, Connector] = {}


def register(connector_type: _ConnectorType) -> _ConnectorType:
    """Decorate a connector, so that it can be chosen. Two of one kind are a programming error."""
    if connector_type.kind in _connectors:
        raise RuntimeError(f"connector {connector_type.kind} is there already")
    _connectors[connector_type.kind] = connector_type()
    return connector_type


def connectors() -> Mapping[str, Connector]:
    """Return every connector, by kind."""
    return MappingProxyType(_connectors)
