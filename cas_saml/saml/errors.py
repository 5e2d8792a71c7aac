"""What is wrong with a message, and how it is told: on our page, or to the provider as a SAML status.

Nothing is sent to anybody before the provider is known and its address was found in its registration; until then a
refusal is shown on our page (S6, S22). After that it goes to the provider in SAML's own form (SAMLCore-3.2.2.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from identity.errors import (
    AccessDenied,
    AccountDisabled,
    ApplicationDisabled,
    IdentityError,
    NotAllowed,
    StateInvalid,
)

_STATUS = "urn:oasis:names:tc:SAML:2.0:status:"
SUCCESS = f"{_STATUS}Success"
REQUESTER = f"{_STATUS}Requester"
RESPONDER = f"{_STATUS}Responder"
VERSION_MISMATCH = f"{_STATUS}VersionMismatch"
PARTIAL_LOGOUT = f"{_STATUS}PartialLogout"
UNKNOWN_PRINCIPAL = f"{_STATUS}UnknownPrincipal"


class MessageRefused(IdentityError):
    """A SAML message, or what it asks for, is refused on our page. Its parameter is the reason, one fixed word."""

    code = "SAML.0001"

    def __init__(self, reason: str, *, log_detail: str = "", client_ref: str = "") -> None:
        super().__init__(None, reason, log_detail=log_detail)
        self.reason = reason
        self.client_ref = client_ref  # public id of the provider, once known


class Refusal(StrEnum):
    """Reasons of ours for MessageRefused; those of the security core are beside their checks. Told on our page."""

    PARAMETER = "parameter_repeated"
    KIND = "message_kind"
    HEADER = "header"
    VALUE = "value"
    DESTINATION = "destination"
    INSTANT = "issue_instant"
    REPLAY = "replayed"
    CONSUMER = "consumer_unknown"
    IN_RESPONSE_TO = "in_response_to"


REASONS: dict[Refusal, str] = {
    Refusal.PARAMETER: "A parameter comes twice.",
    Refusal.KIND: "It is another message than the one that belongs here.",
    Refusal.HEADER: "ID, issuer or the place of the signature is not as SAML has it.",
    Refusal.VALUE: "An attribute has a value that it cannot have, or two exclude each other.",
    Refusal.DESTINATION: "It is for another address, or it is signed and does not say for which.",
    Refusal.INSTANT: "It is too old, or from the future.",
    Refusal.REPLAY: "It was answered before.",
    Refusal.CONSUMER: "The address for the answer is not registered.",
    Refusal.IN_RESPONSE_TO: "It answers no request of ours that this browser carried.",
}


class Fault(StrEnum):
    """What is told to the provider. The value goes into audit and log."""

    VERSION = "version"
    BINDING = "protocol_binding"
    NAME_ID_POLICY = "name_id_policy"
    PASSIVE = "passive"
    AUTHN_CONTEXT = "authn_context"
    SUBJECT = "subject"
    IDP_LIST = "idp_list"
    UNSUPPORTED = "unsupported"
    DENIED = "denied"
    PRINCIPAL = "principal"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True)
class ErrorSpec:
    """How a fault is told."""

    status: str
    second_status: str
    text: str
    source: str


ROWS: dict[Fault, ErrorSpec] = {
    Fault.VERSION: ErrorSpec(VERSION_MISMATCH, "", "only SAML 2.0 is spoken", "SAMLCore-3.2.2.2"),
    Fault.BINDING: ErrorSpec(
        REQUESTER, f"{_STATUS}UnsupportedBinding", "responses are sent by HTTP-POST", "SAMLCore-3.4.1"
    ),
    Fault.NAME_ID_POLICY: ErrorSpec(
        REQUESTER,
        f"{_STATUS}InvalidNameIDPolicy",
        "no name identifier of this person meets the policy",
        "SAMLCore-3.4.1.1",
    ),
    Fault.PASSIVE: ErrorSpec(RESPONDER, f"{_STATUS}NoPassive", "the person would have to be asked", "SAMLCore-3.4.1"),
    Fault.AUTHN_CONTEXT: ErrorSpec(
        RESPONDER,
        f"{_STATUS}NoAuthnContext",
        "the requested authentication context was not reached",
        "SAMLCore-3.3.2.2.1",
    ),
    Fault.SUBJECT: ErrorSpec(RESPONDER, UNKNOWN_PRINCIPAL, "somebody else is signed in", "SAMLCore-3.4.1.4"),
    Fault.IDP_LIST: ErrorSpec(
        RESPONDER, f"{_STATUS}NoSupportedIDP", "the request names other identity providers", "SAMLCore-3.4.1.3"
    ),
    Fault.UNSUPPORTED: ErrorSpec(
        REQUESTER, f"{_STATUS}RequestUnsupported", "the request asks for what is not supported", "SAMLCore-3.2.2.2"
    ),
    Fault.DENIED: ErrorSpec(
        RESPONDER, f"{_STATUS}RequestDenied", "the person may not use the application", "SAMLCore-3.2.2.2"
    ),
    Fault.PRINCIPAL: ErrorSpec(REQUESTER, UNKNOWN_PRINCIPAL, "nobody is known by these words", "SAMLCore-3.7.3.2"),
    Fault.INTERNAL: ErrorSpec(RESPONDER, "", "internal error", "SAMLCore-3.2.2.2"),
}

# S26: why somebody may not come in is nobody's business outside.
FROM_DOMAIN: dict[type[IdentityError], Fault] = {
    AccountDisabled: Fault.DENIED,
    AccessDenied: Fault.DENIED,
    ApplicationDisabled: Fault.DENIED,
    NotAllowed: Fault.DENIED,
    StateInvalid: Fault.DENIED,
}


class SAMLError(Exception):
    """A request is refused, and its provider hears so."""

    def __init__(self, fault: Fault, *, log_detail: str = "") -> None:
        super().__init__(fault.value)
        self.fault = fault
        self.log_detail = log_detail

    @property
    def spec(self) -> ErrorSpec:
        """The row of this fault."""
        return ROWS[self.fault]


def from_domain(error: IdentityError) -> SAMLError:
    """Return the fault of a domain error; one that nobody mapped is ours to fix."""
    fault = FROM_DOMAIN.get(type(error), Fault.INTERNAL)
    return SAMLError(fault, log_detail=error.log_detail or error.error_code)
