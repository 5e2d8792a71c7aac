"""Messages in: read one from a query string or a form, find its sender, and prove that it is the sender's.

Requests and responses share this: one message and one sender; a signature that is there is checked, whatever else
holds; the message is for us and of now (SAMLCore-3.2.1, SAMLBind-3.4.5.2, SAMLBind-3.5.5.2). What is read afterwards is
what was signed, where anything was.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from cas_saml.conf import conf
from cas_saml.saml import certificates, providers, redirect, signatures, xml
from cas_saml.saml.endpoints import POST, REDIRECT
from cas_saml.saml.errors import MessageRefused, Refusal
from cas_saml.saml.models import ServiceProvider
from cas_saml.saml.redirect import RedirectMessage
from cas_saml.saml.xml import Element
from identity import nonces
from identity.models import Tenant
from identity.statements import Upsert

REQUEST, RESPONSE = "SAMLRequest", "SAMLResponse"
_PARAMETERS = (REQUEST, RESPONSE, "RelayState")
_ENTITY_FORMAT = "urn:oasis:names:tc:SAML:2.0:nameid-format:entity"
# SAMLCore-1.3.4: an NCName. Ours to say how long.
_ID = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,255}")


@dataclass(frozen=True)
class Incoming:
    """One message as it came. Nothing of it is authentic before `authenticate`."""

    parameter: str  # REQUEST or RESPONSE
    element: Element
    relay_state: str  # "" where there was none
    binding: str  # REDIRECT or POST
    query: RedirectMessage | None = None  # of the Redirect binding

    @property
    def is_signed(self) -> bool:
        """Whether it carries a signature, good or bad."""
        return self.query.is_signed if self.query is not None else signatures.is_signed(self.element)


@dataclass(frozen=True)
class Header:
    """What every message begins with."""

    message_id: str
    version: str
    issued_at: datetime
    destination: str


def from_query(query_string: str) -> Incoming:
    """Read the Redirect binding. Raises xml.Refused."""
    message = redirect.decode(query_string)
    return Incoming(message.parameter, message.element, message.relay_state or "", REDIRECT, query=message)


def from_form(fields: Mapping[str, Sequence[str]]) -> Incoming:
    """Read the POST binding. Raises xml.Refused and MessageRefused."""
    if any(len(fields.get(name, ())) > 1 for name in _PARAMETERS):
        raise MessageRefused(Refusal.PARAMETER)  # S45
    names = [name for name in (REQUEST, RESPONSE) if name in fields]
    if len(names) != 1:
        raise MessageRefused(Refusal.KIND, log_detail="not one message")
    relay_state = redirect.check_relay_state(fields["RelayState"][0]) if fields.get("RelayState") else None
    return Incoming(names[0], xml.parse_base64(fields[names[0]][0]), relay_state or "", POST)


def sender(incoming: Incoming, *, tenant: Tenant, include_disabled: bool = False) -> ServiceProvider:
    """Return the registered provider that the message names. Raises NotFound, ApplicationDisabled, xml.Refused."""
    issuer = xml.find(incoming.element, "saml:Issuer")
    if issuer is not None and issuer.get("Format", _ENTITY_FORMAT) != _ENTITY_FORMAT:
        raise MessageRefused(Refusal.HEADER, log_detail="issuer format")  # SAMLProf-4.1.4.1
    return providers.get(xml.text_of(issuer), tenant=tenant, include_disabled=include_disabled)


def authenticate(incoming: Incoming, provider: ServiceProvider, *, must_be_signed: bool) -> Element:
    """Return the element that may be read: the signed one where there is a signature. Raises xml.Refused.

    S16: only with the registered keys.
    """
    if not incoming.is_signed and not must_be_signed:
        return incoming.element
    known = [certificates.load(text) for text in provider.signing_certificates]
    if incoming.query is not None:
        if signatures.is_signed(incoming.element):
            raise MessageRefused(Refusal.HEADER, log_detail="enveloped signature in a query")  # SAMLBind-3.4.4.1
        return redirect.verify(incoming.query, known, allow_sha1=provider.allow_rsa_sha1)
    return signatures.verify(incoming.element, known, allow_sha1=provider.allow_rsa_sha1)


def header(element: Element, *, name: str, endpoint: str, is_signed: bool) -> Header:
    """Check what every message begins with. Raises MessageRefused and xml.Refused.

    name: of the element, for example "samlp:AuthnRequest". endpoint: the address at which it arrived.
    """
    if not xml.is_named(element, name):
        raise MessageRefused(Refusal.KIND, log_detail=element.tag)
    message_id, destination = element.get("ID", ""), element.get("Destination", "")
    if not _ID.fullmatch(message_id):
        raise MessageRefused(Refusal.HEADER, log_detail="ID")
    # SAMLBind-3.4.5.2 and 3.5.5.2: a signed message says where it was sent to, or it could be sent on to somebody else.
    if destination != endpoint and (destination or is_signed):
        raise MessageRefused(Refusal.DESTINATION)
    issued_at = xml.parse_instant(element.get("IssueInstant", ""))
    now = timezone.now()
    if not now - conf.saml_message_lifetime <= issued_at <= now + conf.saml_clock_skew:
        raise MessageRefused(Refusal.INSTANT, log_detail=f"seconds={(now - issued_at).total_seconds():.0f}")
    return Header(message_id, element.get("Version", ""), issued_at, destination)


def spend(message_id: str, *, provider: ServiceProvider) -> None:
    """Take a message once: its ID is a row from now on (S19). Raises MessageRefused."""
    if not nonces.spend(**_nonce(message_id, provider)):
        raise MessageRefused(Refusal.REPLAY, client_ref=provider.public_id)


def use(message_id: str, *, provider: ServiceProvider) -> Upsert:
    """Return the same as a gate for `statements.write`. Raises MessageRefused."""
    nonce = _nonce(message_id, provider)
    if nonces.is_spent_under_another_pepper(**{name: nonce[name] for name in ("tenant", "purpose", "parts")}):
        raise MessageRefused(Refusal.REPLAY, client_ref=provider.public_id)
    return nonces.use(**nonce)


def _nonce(message_id: str, provider: ServiceProvider) -> dict[str, Any]:
    lifetime: timedelta = conf.saml_message_memory
    parts = (provider.public_id, message_id)
    return {"tenant": provider.tenant, "purpose": "saml_message", "parts": parts, "lifetime": lifetime}


def boolean(element: Element, name: str) -> bool:
    """Read an xs:boolean attribute; absent is false. Raises MessageRefused."""
    value = element.get(name, "false")
    if value not in ("true", "1", "false", "0"):
        raise MessageRefused(Refusal.VALUE, log_detail=name)
    return value in ("true", "1")


def number(element: Element, name: str) -> int | None:
    """Read an xs:unsignedShort attribute; None if it is absent. Raises MessageRefused."""
    value = element.get(name)
    if value is None:
        return None
    if not re.fullmatch(r"[0-9]{1,5}", value, re.ASCII):
        raise MessageRefused(Refusal.VALUE, log_detail=name)
    return int(value)
