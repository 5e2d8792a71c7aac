"""Tell clients of the end of a session from server to server (OpenID Connect Back-Channel Logout 1.0, OIDCBCL).

Each notice is a row of the outbox. The logout token is made when it is sent, with the key that is active then; only
its jti is as old as the row, so that a client knows a repeat (decision 33).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from identity import delivery, registry
from identity.delivery import DeliveryFailed
from identity.keyring import keys
from identity.models import Delivery, SSOSession
from oidc_provider.authorization import participation
from oidc_provider.models import Client

KIND = "oidc_backchannel_logout"
TYPE = "logout+jwt"  # OIDCBCL-2.4, explicit typing: it is taken for no other token
_EVENT = "http://schemas.openid.net/event/backchannel-logout"
_LIFETIME_SECONDS = 120  # OIDCBCL-2.4 recommends two minutes at most


def enqueue(session: SSOSession) -> None:
    """Write a notice for every client of the session that has an address for it. In the caller's transaction."""
    for client, participant in participation.of(session):
        if not client.backchannel_logout_uri:
            continue
        delivery.enqueue(
            tenant=session.tenant,
            kind=KIND,
            url=client.backchannel_logout_uri,
            payload={
                "client_id": client.client_id,
                "iss": participation.issuer(participant, client),
                "sub": session.user.public_id,
            },
            application=client.catalogue_entry,
            sid=session.sid,
        )


def send(row: Delivery) -> None:
    """Post the logout token (OIDCBCL-2.5). Raises DeliveryFailed unless the client took it."""
    client = Client.objects.filter(client_id=row.payload["client_id"], tenant=row.tenant).first()
    if client is None:
        raise DeliveryFailed("the client is gone", is_final=True)
    token = keys.sign(tenant=row.tenant, alg=client.id_token_signed_response_alg, claims=claims(row), typ=TYPE)
    delivery.post_form(row, {"logout_token": token})


def claims(row: Delivery) -> Mapping[str, Any]:
    """Return the claims of a logout token (OIDCBCL-2.4). There is no nonce, so that it is no id_token."""
    now = int(time.time())
    return {
        "iss": row.payload["iss"],
        "sub": row.payload["sub"],
        "aud": row.payload["client_id"],
        "iat": now,
        "exp": now + _LIFETIME_SECONDS,
        "jti": row.jti,
        "sid": row.sid,
        "events": {_EVENT: {}},
    }


def connect() -> None:
    """Offer the sender. Called once, by `apps.ready`."""
    registry.register_delivery_sender(KIND, send)
