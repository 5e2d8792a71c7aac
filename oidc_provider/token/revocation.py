"""The revocation endpoint (RFC7009-2)."""

from __future__ import annotations

from collections.abc import Callable

from django.utils import timezone

from identity.events import EventType
from oidc_provider.clients.authentication import ClientCredentials, authenticate_client, read_credentials
from oidc_provider.errors import Fault, OAuthError
from oidc_provider.grants import rows
from oidc_provider.models import AccessToken, RefreshToken
from oidc_provider.wire import machine
from oidc_provider.wire.facts import Facts
from oidc_provider.wire.machine import Request
from oidc_provider.wire.parameters import Parameters, check_single


@machine.refusing(EventType.TOKEN_REVOKE)
def answer(asked: Request) -> machine.Answer:
    """Revoke one of the client's own tokens."""
    asked.check_method("POST")  # RFC7009-2.1
    params = asked.form()
    facts = asked.facts
    end(params, read_credentials(asked.authorization, params, facts=facts), facts=facts)
    return machine.Answer(200, machine.PRIVATE)


def end(params: Parameters, credentials: ClientCredentials, *, facts: Facts) -> None:
    """Revoke a token of the calling client (RFC7009-2.1). An unknown token is no error (RFC7009-2.2).

    A refresh token ends everything that came of the same authorization; an access token ends alone.
    """
    check_single(params)
    client = authenticate_client(credentials, facts=facts)
    if "token" not in params:
        raise OAuthError(Fault.MISSING_TOKEN, client_id=client.client_id)
    look_ups: list[Callable[[str], AccessToken | RefreshToken | None]] = [
        rows.load_refresh_token,
        rows.load_access_token,
    ]
    if params.get("token_type_hint") == "access_token":
        look_ups.reverse()
    for load in look_ups:
        row = load(params["token"])
        if row is None:
            continue
        if row.application_id != client.pk:
            # S14: another client's token stays as it is.
            raise OAuthError(Fault.REVOCATION_CLIENT, log_detail=f"token={row.pk}", client_id=client.client_id)
        rows.revoke_token(row, client=client, facts=facts, now=timezone.now())
        return
