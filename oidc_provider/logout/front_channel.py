"""Tell clients of a sign-out through the browser (OpenID Connect Front-Channel Logout 1.0, OIDCFCL).

The signed-out page loads each client's address in a frame; identity leads the browser there (see `identity.registry`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from identity import registry
from identity.context import RequestContext
from identity.models import SessionParticipant
from identity.registry import Frame
from oidc_provider.authorization import participation
from oidc_provider.models import Client
from oidc_provider.wire.addresses import with_parameters


class FrontChannelLogout:
    """The frames of clients that registered an address for them."""

    is_framed = True

    def wanted(self, participants: Sequence[SessionParticipant]) -> Collection[int]:
        """Return the keys of the participants whose clients have an address."""
        client_ids = {row.registration: row.pk for row in participants}
        told = Client.objects.filter(client_id__in=client_ids).exclude(frontchannel_logout_uri="")
        return [client_ids[client_id] for client_id in told.values_list("client_id", flat=True)]

    def step(self, participant: SessionParticipant, *, handle: str, context: RequestContext) -> Frame | None:
        """Make the frame's address: iss and sid go along always, both or none (OIDCFCL-2)."""
        rows = Client.objects.select_related("catalogue_entry").filter(client_id=participant.registration)
        client = rows.exclude(frontchannel_logout_uri="").first()
        if client is None:
            return None
        parameters = {"iss": participation.issuer(participant, client), "sid": participant.session.sid}
        return Frame(with_parameters(client.frontchannel_logout_uri, parameters))


def connect() -> None:
    """Offer the frames. Called once, by `apps.ready`."""
    registry.register_front_channel(participation.PROTOCOL, FrontChannelLogout())
