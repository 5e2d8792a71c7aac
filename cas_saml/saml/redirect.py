"""The HTTP-Redirect binding (SAMLBind-3.4): deflated messages in query strings, and signatures over the query string.

Signatures are checked over the octets that came, not over a new encoding of what was decoded: senders escape
differently, and what was checked must be what is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cryptography import x509

from cas_saml.saml.certificates import Credential
from cas_saml.saml.xml import MAX_MESSAGE_BYTES, Element, Refused

# SAMLBind-3.4.3 says 80 bytes, and senders put whole addresses there. Ours have at most 80.
MAX_RELAY_STATE_BYTES = 1024


class RedirectRefused(Refused):
    """The query string is no message of this binding."""


@dataclass(frozen=True)
class RedirectMessage:
    """One message of a query string. Nothing of it is authentic before `verify`."""

    parameter: str  # SAMLRequest or SAMLResponse
    element: Element
    relay_state: str | None
    signature_algorithm: str | None  # None: unsigned
    signature: bytes
    signed_octets: bytes

    @property
    def is_signed(self) -> bool:
        return self.signature_algorithm is not None


def decode(query_string: str) -> RedirectMessage:
    """Read a query string as the server got it (QUERY_STRING). Raises RedirectRefused and XMLRefused."""
    raise NotImplementedError


def verify(message: RedirectMessage, certificates: Sequence[x509.Certificate], *, allow_sha1: bool = False) -> Element:
    """The message's element, if one of the certificates' keys signed the query string. Raises SignatureRefused."""
    raise NotImplementedError


def encode(
    location: str,
    *,
    parameter: str,
    message: Element,
    relay_state: str | None = None,
    credential: Credential | None = None,
    algorithm: str = "rsa-sha256",
) -> str:
    """The URL that carries a message, signed if there is a credential. An enveloped signature may not be in it."""
    raise NotImplementedError


def check_relay_state(value: str | None) -> str | None:
    """Take a RelayState as it is, or refuse it; it goes back to the sender and means nothing to us (S22).

    Empty is None. Raises RedirectRefused.
    """
    raise NotImplementedError
