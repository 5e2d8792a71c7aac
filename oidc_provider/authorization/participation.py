"""Which clients a session was used to sign in to, and who we are to each, so that its end is told to them."""

from __future__ import annotations

from typing import Any

from django.db.models import Model

from identity import origins
from identity.models import SessionParticipant, SSOSession
from identity.sso import sessions
from oidc_provider import dialects
from oidc_provider.models import Client

PROTOCOL = "oidc"


def write(*rows: Model, session: SSOSession, client: Client, issuer: str) -> None:
    """Write rows, and with them that the session was used to sign in to the client's application.

    issuer: under which the client knows us, for what it is told of the session's end.
    """
    joined: dict[str, Any] = {"protocol": PROTOCOL, "client_ref": client.client_id, "data": {"iss": issuer}}
    sessions.write_joined(*rows, session=session, application=client.catalogue_entry, **joined)


def of(session: SSOSession) -> list[tuple[Client, SessionParticipant]]:
    """Return the clients that the session signed in to, disabled ones too, for they are told as well: two queries."""
    rows = SessionParticipant.objects.filter(session=session, protocol=PROTOCOL).order_by("pk")
    participants = {row.registration: row for row in rows}
    clients = Client.objects.select_related("catalogue_entry").filter(client_id__in=participants, tenant=session.tenant)
    found = {client.client_id: client for client in clients} if participants else {}
    return [(found[client_id], row) for client_id, row in participants.items() if client_id in found]


def issuer(participant: SessionParticipant, client: Client) -> str:
    """Who we are to the client: what its id_tokens of this session say, for it compares."""
    if "iss" in participant.data:
        known: str = participant.data["iss"]
        return known
    # It joined before that was noted.
    dialect = dialects.get(client.dialect)
    return dialect.issuer(origins.public_base(client.tenant), app_code=client.catalogue_entry.code)
