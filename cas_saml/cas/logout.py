"""Single logout by back channel (CAS-2.3.3): tell every service that took a ticket of the session.

Each notice is a row of the outbox, written in the transaction that ends the session: sent at least once, with the same
ID at each repeat (decision 33).
"""

from __future__ import annotations

from typing import Any
from xml.sax.saxutils import escape, quoteattr

from cas_saml.cas import bodies, tickets
from identity import delivery, registry
from identity.delivery import DeliveryFailed
from identity.models import Delivery, SSOSession
from identity.signals import session_ended

KIND = "cas_logout"
_PROTOCOL = "urn:oasis:names:tc:SAML:2.0:protocol"
_ASSERTION = "urn:oasis:names:tc:SAML:2.0:assertion"


def on_session_ended(*, session: SSOSession, **kwargs: Any) -> None:
    """Write a notice for every service that holds a session of its own."""
    for ticket in tickets.close_all(session):
        service = ticket.service
        if not service.single_logout:
            continue
        delivery.enqueue(
            tenant=session.tenant,
            kind=KIND,
            url=service.logout_url or ticket.service_url,
            # No secret any more: the ticket is spent and its session over. All it can do is what is asked here.
            payload={"session_index": tickets.session_index(ticket)},
            application=service.application,
            sid=session.sid,
        )


def send(row: Delivery) -> None:
    """Post the notice. Raises DeliveryFailed.

    Clients take it in a filter before their pages, and what follows the filter may well be a redirect to our sign-in;
    so a redirect, which is never followed, is an answer like any other.
    """
    try:
        delivery.post_form(row, {"logoutRequest": logout_request(row)})
    except DeliveryFailed as error:
        if error.status is None or not 300 <= error.status < 400:
            raise


def logout_request(row: Delivery) -> str:
    """Return the notice as CAS clients expect it: a SAML 2.0 LogoutRequest whose SessionIndex is the ticket (CAS-C).

    Without an XML declaration, for some parsers refuse one in a text.
    """
    request_id, issued_at = quoteattr(f"LR-{row.jti}"), quoteattr(bodies.moment(row.created_at))
    return (
        f'<samlp:LogoutRequest xmlns:samlp="{_PROTOCOL}" xmlns:saml="{_ASSERTION}" '
        f'ID={request_id} Version="2.0" IssueInstant={issued_at}>'
        "<saml:NameID>@NOT_USED@</saml:NameID>"
        f"<samlp:SessionIndex>{escape(row.payload['session_index'])}</samlp:SessionIndex>"
        "</samlp:LogoutRequest>"
    )


def connect() -> None:
    """Listen, and offer the sender. Called once, by `apps.ready`."""
    registry.register_delivery_sender(KIND, send)
    session_ended.connect(on_session_ended, dispatch_uid="cas_saml.cas.session_ended")
