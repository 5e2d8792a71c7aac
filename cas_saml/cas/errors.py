"""What is wrong with a validation, and how it is told: one row per fault, with its source (CAS-2.5.3).

The answer's status is 200 whatever the fault (OneAccess-3.3.2.5). Refusals of a sign-in have no place of their own in
the protocol; they are the product's errors, shown on our page.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from identity.errors import (
    AccessDenied,
    AccountDisabled,
    ApplicationDisabled,
    IdentityError,
    StateInvalid,
)


class Fault(StrEnum):
    """What was wrong. The value goes into audit and log."""

    REQUEST = "request"
    FORMAT = "format"
    TICKET = "ticket"
    TICKET_SPENT = "ticket_spent"
    TICKET_EXPIRED = "ticket_expired"
    PROXY_TICKET = "proxy_ticket"
    NOT_NEW_LOGIN = "not_from_new_login"
    SERVICE = "service"
    SERVICE_DISABLED = "service_disabled"
    PROXY = "proxy"
    PROXY_CALLBACK = "proxy_callback"
    USER = "user"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True)
class ErrorSpec:
    """How a fault is told. The two forms of the body have sentences of their own where the document has them."""

    code: str
    text_xml: str
    text_json: str
    source: str


_NOT_RECOGNIZED = ErrorSpec(
    "INVALID_TICKET",
    "Ticket {ticket} not recognized",
    "the ticket provided was not valid, ticket is {ticket}",
    "OneAccess-3.3.2.5",
)
_NO_PROXY_TICKETS = "a proxy ticket was given; proxy tickets are not accepted"
_MISSING = "'service' and 'ticket' parameters are both required"
_OTHER_SERVICE = "service does not match the ticket"
_NO_PROXY = "the service is not authorized to perform proxy authentication"
_NO_CALLBACK = "the proxy callback is not an https address"
_UNKNOWN_FORMAT = "'format' is XML or JSON"
_INTERNAL = "internal error"

ROWS: dict[Fault, ErrorSpec] = {
    Fault.REQUEST: ErrorSpec("INVALID_REQUEST", _MISSING, _MISSING, "CAS-2.5.3"),
    Fault.FORMAT: ErrorSpec("INVALID_REQUEST", _UNKNOWN_FORMAT, _UNKNOWN_FORMAT, "CAS-2.5.1, format"),
    Fault.TICKET: _NOT_RECOGNIZED,
    Fault.TICKET_SPENT: _NOT_RECOGNIZED,
    Fault.TICKET_EXPIRED: _NOT_RECOGNIZED,
    Fault.PROXY_TICKET: ErrorSpec("INVALID_TICKET", _NO_PROXY_TICKETS, _NO_PROXY_TICKETS, "CAS-2.5"),
    Fault.NOT_NEW_LOGIN: ErrorSpec(
        "INVALID_TICKET", _NOT_RECOGNIZED.text_xml, _NOT_RECOGNIZED.text_json, "CAS-2.5.1, renew"
    ),
    Fault.SERVICE: ErrorSpec("INVALID_SERVICE", _OTHER_SERVICE, _OTHER_SERVICE, "CAS-2.5.3"),
    Fault.SERVICE_DISABLED: _NOT_RECOGNIZED,
    Fault.PROXY: ErrorSpec("UNAUTHORIZED_SERVICE_PROXY", _NO_PROXY, _NO_PROXY, "CAS-2.5.3"),
    Fault.PROXY_CALLBACK: ErrorSpec("INVALID_PROXY_CALLBACK", _NO_CALLBACK, _NO_CALLBACK, "CAS-2.5.4"),
    Fault.USER: _NOT_RECOGNIZED,
    Fault.INTERNAL: ErrorSpec("INTERNAL_ERROR", _INTERNAL, _INTERNAL, "CAS-2.5.3"),
}

# S26: a person, session or application that no longer counts makes the ticket worthless, and why is nobody's business.
FROM_DOMAIN: dict[type[IdentityError], Fault] = {
    AccountDisabled: Fault.USER,
    AccessDenied: Fault.USER,
    StateInvalid: Fault.USER,
    ApplicationDisabled: Fault.SERVICE_DISABLED,
}


class CASError(Exception):
    """A validation is refused."""

    def __init__(self, fault: Fault, *, log_detail: str = "", service_ref: str = "") -> None:
        super().__init__(fault.value)
        self.fault = fault
        self.log_detail = log_detail
        self.service_ref = service_ref  # public id of the service that the ticket was issued for, once known

    @property
    def spec(self) -> ErrorSpec:
        """The row of this fault."""
        return ROWS[self.fault]


def from_domain(error: IdentityError, *, service_ref: str = "") -> CASError:
    """Return the fault of a domain error; one that nobody mapped is ours to fix."""
    fault = FROM_DOMAIN.get(type(error), Fault.INTERNAL)
    return CASError(fault, log_detail=error.log_detail or error.error_code, service_ref=service_ref)
